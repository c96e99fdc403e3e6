//! State that a process inherits and that must not affect a result: its umask, and its ignored signals.
//!
//! The sandbox resets all of it for the tools (`sandbox::init`); this module is for dbco itself.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use nix::sys::stat::{Mode, umask};
use signal_hook::consts::{SIGCHLD, SIGXFSZ};

/// The user's umask.
static STATED: OnceLock<Mode> = OnceLock::new();

/// The bits that may deny writing to group and others. No other bit of a umask may have an effect: a toolchain folder
/// that can't be entered would be kept for later builds.
const WRITING: Mode = Mode::S_IWGRP.union(Mode::S_IWOTH);

/// Must be called once, before the process has threads. Afterwards the umask consists only of those bits of the user's
/// that deny writing to group and others, a child's end is noticed even if SIGCHLD was ignored, and exceeding the file
/// size limit (`ulimit -f`) fails with EFBIG instead of ending the process. Programs that are started get the default
/// action of both signals.
pub fn settle() {
    let stated = umask(WRITING);
    umask(stated & WRITING);
    let _ = STATED.set(stated);
    // A handler, unlike an ignored signal, is not inherited.
    let noted = Arc::new(AtomicBool::new(false));
    let noticed = [Some(SIGXFSZ), ignores(SIGCHLD).then_some(SIGCHLD)];
    for signal in noticed.into_iter().flatten() {
        // Fails only for signals that can't be handled.
        let _ = signal_hook::flag::register(signal, Arc::clone(&noted));
    }
}

/// Whether this process was started with a signal ignored, as nohup(1) does for SIGHUP and a shell does for SIGINT of
/// background jobs: bit n - 1 is signal n (proc_pid_status(5), `SigIgn`).
pub fn ignores(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

/// Creates a file or folder for the user, such as an output, with the user's umask. The umask belongs to the process:
/// not to be called while other threads create content of a result.
pub fn for_user<T>(make: impl FnOnce() -> T) -> T {
    static TURN: Mutex<()> = Mutex::new(());
    let Some(stated) = STATED.get() else { return make() };
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let own = umask(*stated & (Mode::S_IRWXG | Mode::S_IRWXO));
    let made = make();
    umask(own);
    made
}

/// The mode that the user's umask gives to a file created with mode 666.
pub fn mode_for_user() -> u32 {
    let kept = STATED.get().map_or(0o022, |stated| stated.bits() & 0o077);
    0o666 & !kept
}

/// Attributes through which a folder passes a group or permissions on to new entries (acl(5)), and the folder's own
/// list.
const LISTS: [&str; 2] = ["system.posix_acl_default", "system.posix_acl_access"];

/// Removes from a folder what it inherited from its parent and would pass on to new entries: the set-group-id bit and
/// access lists. Its mode is then 755.
pub fn make_plain(folder: &Path) -> io::Result<()> {
    for name in LISTS {
        match xattr::remove(folder, name) {
            Err(error) if !is_absent(&error) => return Err(error),
            _ => {}
        }
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

/// Whether the attribute was absent, or the file system has none at all.
fn is_absent(error: &io::Error) -> bool {
    use nix::errno::Errno;
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::ENODATA | Errno::EOPNOTSUPP))
}
