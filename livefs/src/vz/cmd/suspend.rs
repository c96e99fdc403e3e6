//! `suspend` and `resume`: the container stays in memory, frozen. `--kill` ends a frozen one. Dumps to disk are not
//! supported.

use super::call::Call;
use super::run::{self, Stop};
use crate::vz::context::Vz;
use crate::vz::exit::{Error, Result};
use crate::vz::options::{Given, Known};

const REFUSED: &[&str] = &["dump", "undump", "dumpfile", "context", "flags"];
/// Options of which at most one may be given.
const PARTS: &[&str] = &["dump", "suspend", "resume", "kill", "undump"];

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

/// Parses the options. Fails if a dump is requested.
fn read(call: &Call, error: fn(String) -> Error) -> Result<Given> {
    let given = call.only_options(KNOWN, Error::Syntax)?;
    if PARTS.iter().filter(|name| given.has(name)).count() > 1 {
        return Err(Error::Syntax("Invalid syntax: only one sub command may be used".into()));
    }
    match REFUSED.iter().find(|name| given.has(name)) {
        Some(name) => {
            Err(error(format!("--{name}: saving a container to disk is not supported, it is only frozen in memory")))
        }
        None => Ok(given),
    }
}

/// Ends a frozen container, without asking its init.
fn kill(vz: &Vz, call: &Call, error: fn(String) -> Error) -> Result<u8> {
    if !vz.node.is_running(call.id)? || !vz.node.is_frozen(call.id)? {
        return Err(error("Unable to kill: container is not suspended".into()));
    }
    vz.log.info("Killing...");
    run::stop(vz, &vz.container(call.id)?, Stop { fast: true, ..Stop::default() }).map(|()| 0)
}

pub(super) fn suspend(vz: &Vz, call: &Call) -> Result<u8> {
    let given = read(call, Error::Suspend)?;
    if given.has("kill") {
        return kill(vz, call, Error::Suspend);
    }
    // As backup programs finish what they began with `--suspend`.
    if given.has("resume") {
        return thaw(vz, call);
    }
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
    let given = read(call, Error::Resume)?;
    if given.has("kill") {
        return kill(vz, call, Error::Resume);
    }
    thaw(vz, call)
}

fn thaw(vz: &Vz, call: &Call) -> Result<u8> {
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
