//! `suspend` and `resume`, with their steps one by one: `--suspend` freezes the container, `--dump` saves a frozen one,
//! `--kill` ends it; `--undump` restores a container that is then frozen, `--resume` lets a frozen one run.

use super::call::Call;
use super::mount::{mount_root, umount_root};
use crate::vz::context::{Ct, Vz};
use crate::vz::dump;
use crate::vz::exit::{Error, Result};
use crate::vz::options::{Given, Known};
use crate::vz::suspended::Operation;
use std::path::{Path, PathBuf};

/// Options of which at most one may be given.
const PARTS: &[&str] = &["dump", "suspend", "resume", "kill", "undump"];

/// `flags` and `context` are OpenVZ's kernel's; they have no effect here.
const SUSPEND: &[Known] = &[
    ("dump", None, false),
    ("suspend", None, false),
    ("resume", None, false),
    ("kill", None, false),
    ("keep_pages", None, false),
    ("skip_arpdetect", None, false),
    ("flags", None, true),
    ("context", None, true),
    ("dumpfile", None, true),
];
const RESUME: &[Known] = &[
    ("undump", None, false),
    ("resume", None, false),
    ("kill", None, false),
    ("skip_arpdetect", None, false),
    ("skip-remount", None, false),
    ("skip-fsck", None, false),
    ("flags", None, true),
    ("context", None, true),
    ("dumpfile", None, true),
];

const NO_CRIU: &str = "this system has no CRIU: add the component criu to its recipe";

fn read(call: &Call, known: &[Known]) -> Result<Given> {
    let given = call.only_options(known, Error::Syntax)?;
    if PARTS.iter().filter(|name| given.has(name)).count() > 1 {
        return Err(Error::Syntax("Invalid syntax: only one sub command may be used".into()));
    }
    Ok(given)
}

/// The dump that is meant: `--dumpfile`, or the container's own.
fn place(vz: &Vz, id: u32, given: &Given) -> Result<PathBuf> {
    match given.value("dumpfile") {
        Some(path) => Ok(vz.paths.at(std::path::absolute(path).map_err(|error| Error::file(Path::new(path), error))?)),
        None => Ok(vz.dump_place(id)),
    }
}

/// Whether a path, however it is spelled, leads to the container's own dump.
fn is_own(vz: &Vz, id: u32, path: &Path) -> bool {
    let own = vz.dump_place(id);
    path == own || own.canonicalize().is_ok_and(|own| path.canonicalize().is_ok_and(|path| path == own))
}

/// Ends a frozen container, without asking its init, or gives up the saved processes of one that does not run.
fn kill(vz: &Vz, call: &Call, error: fn(String) -> Error) -> Result<u8> {
    if !vz.node.is_running(call.id)? && vz.is_suspended(call.id) {
        vz.log.info("Killing...");
        let ct = vz.container(call.id)?;
        // A power cut in between leaves it suspended, not one that starts anew.
        vz.mark(ct.id, false)?;
        vz.ask(ct.id, Operation::Kill)?;
        let mounted = vz.node.is_mounted(&vz.paths.at(ct.config.path("VE_ROOT")?))?;
        return if mounted { umount_root(vz, &ct).map(|()| 0) } else { Ok(0) };
    }
    if !vz.node.is_running(call.id)? || !vz.node.is_frozen(call.id)? {
        return Err(error("Unable to kill: container is not suspended".into()));
    }
    vz.log.info("Killing...");
    let ct = vz.container(call.id)?;
    vz.node.kill(ct.id)?;
    end(vz, &ct).map(|()| 0)
}

/// Cleans up after a container whose processes were killed.
fn end(vz: &Vz, ct: &Ct) -> Result<()> {
    vz.node.clean(ct.id)?;
    vz.mark(ct.id, false)?;
    umount_root(vz, ct)
}

pub(super) fn suspend(vz: &Vz, call: &Call) -> Result<u8> {
    let given = read(call, SUSPEND)?;
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
    vz.log.info("Setting up checkpoint...");
    let ct = vz.container(call.id)?;
    let done = if given.has("suspend") {
        freeze(vz, call.id)
    } else if given.has("dump") {
        step_dump(vz, &ct, &given)
    } else {
        checkpoint(vz, &ct, &place(vz, call.id, &given)?)
    };
    done.map_err(|error| Error::Suspend(format!("{error}\nCheckpointing failed")))?;
    vz.log.info("Checkpointing completed successfully");
    if given.has("suspend") || given.has("dump") { Ok(0) } else { umount_root(vz, &ct).map(|()| 0) }
}

fn freeze(vz: &Vz, id: u32) -> Result<()> {
    if vz.node.is_frozen(id)? {
        return Err(Error::Suspend("Container is already suspended".into()));
    }
    vz.log.info("\tsuspend...");
    vz.node.freeze(id, true)
}

/// `--dump`: the container is frozen, and stays so.
fn step_dump(vz: &Vz, ct: &Ct, given: &Given) -> Result<()> {
    if !given.has("dumpfile") {
        return Err(Error::Suspend("Error: dumpfile is not specified".into()));
    }
    if !vz.node.is_frozen(ct.id)? {
        return Err(Error::Suspend("Can not join cpt context: container is not suspended".into()));
    }
    save(vz, ct, &place(vz, ct.id, given)?)
}

/// All steps. If one fails before the dump is complete the container goes on.
fn checkpoint(vz: &Vz, ct: &Ct, path: &Path) -> Result<()> {
    let frozen = vz.node.is_frozen(ct.id)?;
    if !frozen {
        freeze(vz, ct.id)?;
    }
    if let Err(error) = save(vz, ct, path) {
        if !frozen {
            vz.node.freeze(ct.id, false)?;
        }
        return Err(error);
    }
    vz.log.info("\tkill...");
    // While it runs: some of its addresses may not be in its file.
    vz.node.park(&ct.spec(vz)?)?;
    vz.node.kill(ct.id)?;
    vz.node.clean(ct.id)?;
    vz.mark(ct.id, false)
}

/// Writes the dump of a frozen container.
fn save(vz: &Vz, ct: &Ct, path: &Path) -> Result<()> {
    if !vz.node.can_checkpoint() {
        return Err(Error::Suspend(NO_CRIU.into()));
    }
    let spec = ct.spec(vz)?;
    if spec.ids.is_some() {
        let why = "a container with a user namespace (LOCAL_UID) can't be saved: CRIU can't give it its network back";
        return Err(Error::Suspend(why.into()));
    }
    vz.log.info("\tdump...");
    let made = dump::begin(path)?;
    let saved = vz.node.dump(ct.id, &made, None).and_then(|()| dump::commit(&made, path, &[&spec.root, &spec.private]));
    if saved.is_err() {
        let _ = dump::remove(&made);
    }
    saved
}

pub(super) fn resume(vz: &Vz, call: &Call) -> Result<u8> {
    let given = read(call, RESUME)?;
    if given.has("kill") {
        return kill(vz, call, Error::Resume);
    }
    if given.has("resume") {
        return thaw(vz, call);
    }
    if vz.node.is_running(call.id)? {
        // Frozen by `suspend --suspend`.
        return match given.has("undump") {
            true => Err(Error::Running("Unable to perform restore: container already running".into())),
            false => thaw(vz, call).inspect(|_| vz.log.info("Restoring completed successfully")),
        };
    }
    if given.has("undump") && !given.has("dumpfile") {
        return Err(Error::Resume("Error: dumpfile is not specified".into()));
    }
    let path = place(vz, call.id, &given)?;
    if !is_own(vz, call.id, &path) {
        vz.ask(call.id, Operation::ResumeOther)?;
    }
    let how =
        Restore { fsck: !given.has("skip-fsck"), remount: !given.has("skip-remount"), frozen: given.has("undump") };
    restore(vz, &vz.container(call.id)?, &path, how)?;
    Ok(0)
}

fn thaw(vz: &Vz, call: &Call) -> Result<u8> {
    if !vz.node.is_running(call.id)? {
        return Err(Error::Resume("Unable to perform restore: container is not suspended".into()));
    }
    if !vz.node.is_frozen(call.id)? {
        return Err(Error::Running("Unable to perform restore: container already running".into()));
    }
    vz.log.info("Resuming...");
    vz.node.freeze(call.id, false).map_err(|error| Error::Resume(format!("Restoring failed: {error}")))?;
    Ok(0)
}

/// How a container is restored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Restore {
    /// Check an image before it is mounted.
    pub fsck: bool,
    /// Unmount its root first, if it is mounted.
    pub remount: bool,
    /// Freeze it as soon as it exists; its dump stays.
    pub frozen: bool,
}

/// Continues a container from a dump, which is then removed. If that fails the dump stays, and nothing of the container
/// runs or is mounted.
///
/// # Errors
/// [`Error::Resume`]; the private area is missing.
pub(super) fn restore(vz: &Vz, ct: &Ct, path: &Path, how: Restore) -> Result<()> {
    vz.log.info("Restoring container ...");
    let failed = |error: Error| match error {
        Error::NoPrivate(_) => error,
        error => Error::Resume(format!("{error}\nRestoring failed")),
    };
    let private = vz.paths.at(ct.config.path("VE_PRIVATE")?);
    if !private.is_dir() {
        return Err(Error::NoPrivate(private));
    }
    if !dump::is_dump(path) {
        let why = if path.exists() { "it is not a dump" } else { "No such file or directory" };
        return Err(failed(Error::Resume(format!("Unable to open {}: {why}", path.display()))));
    }
    if !vz.node.can_checkpoint() {
        return Err(failed(Error::Resume(NO_CRIU.into())));
    }
    let root = vz.paths.at(ct.config.path("VE_ROOT")?);
    vz.node.clean_if_needed(ct.id)?;
    let mounted = vz.node.is_mounted(&root)?;
    if mounted && how.remount {
        umount_root(vz, ct)?;
    }
    if !mounted || how.remount {
        mount_root(vz, ct, how.fsck)?;
    }
    let done = undump(vz, ct, path, how);
    if done.is_err() {
        // The failure is more useful to report.
        let _ = vz.node.kill(ct.id).and_then(|()| vz.node.clean(ct.id));
        let _ = umount_root(vz, ct);
    }
    done.map_err(failed)?;
    vz.log.info("Restoring completed successfully");
    Ok(())
}

/// From the mounted root to the running container.
fn undump(vz: &Vz, ct: &Ct, path: &Path, how: Restore) -> Result<()> {
    let spec = ct.spec(vz)?;
    match vz.node.quota(&spec, true) {
        Err(Error::Quota(why)) => vz.log.error(format_args!("Warning: its disk space is not limited: {why}")),
        done => done?,
    }
    vz.log.info("\tundump...");
    // What is started with the machine would be restored a second time, from files that have changed since.
    let spent = !how.frozen || is_own(vz, ct.id, path);
    let mut retired = None;
    let done = vz.node.restore(&spec, path, &mut || {
        vz.mark_at_once(ct.id)?;
        if spent {
            retired = Some(dump::retire(path)?);
        }
        Ok(())
    });
    if let Err(error) = done {
        let _ = vz.mark(ct.id, false);
        if let Some(retired) = retired {
            dump::reinstate(&retired, path)?;
        }
        return Err(error);
    }
    if how.frozen {
        vz.node.freeze(ct.id, true)?;
    } else {
        vz.log.info("\tresume...");
    }
    vz.log.info("Container start in progress...");
    // It is running: that something is left of its time as a dump is not worth an error.
    let removed = retired.and_then(|retired| dump::remove(&retired).err());
    removed.into_iter().chain(vz.node.unpark(ct.id).err()).for_each(|error| vz.log.error(error));
    Ok(())
}

/// Continues a container from its own dump, if there is one, before it is started. Gives whether it runs. A dump that
/// can't be restored is set aside, as the container is then started anew and changes its files.
///
/// # Errors
/// The dump can't be set aside.
pub(super) fn try_restore(vz: &Vz, ct: &Ct, fsck: bool, remount: bool) -> Result<bool> {
    let path = vz.dump_place(ct.id);
    if !dump::is_dump(&path) {
        return Ok(false);
    }
    vz.log.info(format_args!("Dump file {} exists, trying to restore from it", path.display()));
    let Err(error) = restore(vz, ct, &path, Restore { fsck, remount, frozen: false }) else { return Ok(true) };
    vz.log.error(error);
    let aside = dump::set_aside(&path)?;
    vz.node.unpark(ct.id)?;
    vz.log.error(format_args!("The container is started anew; the dump is kept as {}", aside.display()));
    Ok(false)
}
