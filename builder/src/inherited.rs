//! What a process inherits from the one that starts it and what must not reach a result: its umask, and the signals
//! that it ignores.
//!
//! The sandbox gives the tools all of it anew (`sandbox::init`); this is for dbco itself.

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

/// What group and others may be kept from writing. No other bit of a umask may count: a folder of a toolchain that
/// can't be entered would be kept for later builds.
const WRITING: Mode = Mode::S_IWGRP.union(Mode::S_IWOTH);

/// To be called once, before the process has threads: from here on the umask is that part of the user's which keeps
/// group and others from writing, a child's end is seen even where SIGCHLD was ignored, and writing beyond the limit of
/// a file's size (`ulimit -f`) fails with EFBIG instead of ending the process. Programs that are started get both
/// signals' default.
pub fn settle() {
    let stated = umask(WRITING);
    umask(stated & WRITING);
    let _ = STATED.set(stated);
    // A handler, unlike an ignored signal, is not inherited.
    let noted = Arc::new(AtomicBool::new(false));
    let noticed = [Some(SIGXFSZ), ignores(SIGCHLD).then_some(SIGCHLD)];
    for signal in noticed.into_iter().flatten() {
        // Fails for signals alone that can't be handled.
        let _ = signal_hook::flag::register(signal, Arc::clone(&noted));
    }
}

/// Whether this process was started to ignore a signal, as nohup(1) does for SIGHUP and a shell for SIGINT of what it
/// runs in the background: bit n - 1 is signal n (proc_pid_status(5), `SigIgn`).
pub fn ignores(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}

/// Makes a file or folder of the user's, such as an output, with the user's umask. The umask is the process's: not for
/// times at which other threads make what goes into a result.
pub fn for_user<T>(make: impl FnOnce() -> T) -> T {
    static TURN: Mutex<()> = Mutex::new(());
    let Some(stated) = STATED.get() else { return make() };
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let own = umask(*stated & (Mode::S_IRWXG | Mode::S_IRWXO));
    let made = make();
    umask(own);
    made
}

/// The mode that the user's umask gives a file that anybody could read and write.
pub fn mode_for_user() -> u32 {
    let kept = STATED.get().map_or(0o022, |stated| stated.bits() & 0o077);
    0o666 & !kept
}

/// Attributes by which a folder gives what is made in it a group or permissions (acl(5)), and that of its own list.
const LISTS: [&str; 2] = ["system.posix_acl_default", "system.posix_acl_access"];

/// Takes from a folder what it has from the one above, which would go on to all that is made in it: the set-group-id
/// bit and access lists. Its mode is 755 then.
pub fn make_plain(folder: &Path) -> io::Result<()> {
    for name in LISTS {
        match xattr::remove(folder, name) {
            Err(error) if !is_absent(&error) => return Err(error),
            _ => {}
        }
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

/// Whether there was no such attribute, or the file system has none at all.
fn is_absent(error: &io::Error) -> bool {
    use nix::errno::Errno;
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::ENODATA | Errno::EOPNOTSUPP))
}
