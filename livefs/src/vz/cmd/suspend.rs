//! `suspend` and `resume`: the container stays in memory, frozen. Dumps to disk are refused.

use super::Call;
use crate::vz::Vz;
use crate::vz::exit::{Error, Result};
use crate::vz::options::Known;

const REFUSED: &[&str] = &["dump", "kill", "undump", "dumpfile", "context", "flags"];

const KNOWN: &[Known] = &[
    ("dump", None, false),
    ("undump", None, false),
    ("suspend", None, false),
    ("resume", None, false),
    ("kill", None, false),
    ("keep_pages", None, false),
    ("skip_arpdetect", None, false),
    ("skip-remount", None, false),
    ("skip-fsck", None, false),
    ("flags", None, true),
    ("context", None, true),
    ("dumpfile", None, true),
];

/// Fails if a dump is asked for.
fn no_dump(call: &Call, error: fn(String) -> Error) -> Result<()> {
    let given = call.options(KNOWN, Error::Syntax)?;
    match REFUSED.iter().find(|name| given.has(name)) {
        Some(name) => {
            Err(error(format!("--{name}: a container can't be saved to disk here, it is only frozen in memory")))
        }
        None => Ok(()),
    }
}

pub(super) fn suspend(vz: &Vz, call: &Call) -> Result<u8> {
    no_dump(call, Error::Suspend)?;
    if !vz.node.is_running(call.id)? {
        return Err(Error::NotRunning("Unable to setup checkpointing: container is not running".into()));
    }
    if vz.node.is_frozen(call.id)? {
        return Err(Error::Suspend("Container is already suspended".into()));
    }
    vz.log.info("Setting up checkpoint...");
    vz.node.freeze(call.id, true).map_err(|error| Error::Suspend(format!("Checkpointing failed: {error}")))?;
    vz.log.info("Checkpointing completed successfully");
    Ok(0)
}

pub(super) fn resume(vz: &Vz, call: &Call) -> Result<u8> {
    no_dump(call, Error::Resume)?;
    if !vz.node.is_running(call.id)? {
        return Err(Error::Resume("Unable to perform restore: container is not suspended".into()));
    }
    if !vz.node.is_frozen(call.id)? {
        return Err(Error::Running("Unable to perform restore: container already running".into()));
    }
    vz.log.info("Restoring container ...");
    vz.node.freeze(call.id, false).map_err(|error| Error::Resume(format!("Restoring failed: {error}")))?;
    vz.log.info("Container start in progress...");
    vz.log.info("Restoring completed successfully");
    Ok(0)
}
