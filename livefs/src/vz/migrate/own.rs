//! What the source does to its own container.

use super::asked::{COPY, Failure, Result, STOP, copy, with};
use crate::durable::sync_folder;
use crate::vz::cmd::mount::umount_root;
use crate::vz::context::{Ct, Vz};
use crate::vz::{dump, handover, process};
use std::fs;

/// Runs a command of `vzctl` here; the lock is ours.
pub(super) fn vzctl(id: u32, words: &[&str], code: u8) -> Result<()> {
    let mut command = process::command("/proc/self/exe");
    command.args(["vzctl", "--quiet", "--skiplock", words[0], &id.to_string()]).args(&words[1..]);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure(code, format!("vzctl {}: {status}", words.join(" ")))),
        Err(error) => Err(Failure(code, format!("vzctl {}: {error}", words.join(" ")))),
    }
}

/// Removes what is left here of a container that is the destination's: a frozen one, and its files unless they are kept;
/// then the record of its migration.
pub(super) fn leave(vz: &Vz, ct: &Ct, remove: bool) -> Result<()> {
    let id = ct.id;
    if ct.file.is_none() {
        // That was all but done already.
        return handover::settle(vz, id).map_err(with(COPY));
    }
    if vz.node.is_running(id).map_err(with(STOP))? {
        vz.node.kill(id).and_then(|()| vz.node.clean(id)).map_err(with(STOP))?;
        umount_root(vz, ct).map_err(with(STOP))?;
    }
    vz.mark(id, false).map_err(with(STOP))?;
    if remove {
        return vzctl(id, &["destroy"], STOP);
    }
    dump::discard(&vz.dump_place(id)).and_then(|()| vz.node.unpark(id)).map_err(with(COPY))?;
    let conf = vz.paths.container_conf(id);
    fs::rename(&conf, conf.with_extension("conf.migrated")).map_err(copy)?;
    sync_folder(&vz.paths.conf()).map_err(copy)?;
    handover::settle(vz, id).map_err(with(COPY))
}
