//! A process that goes on without the one that has created it.

use std::fs::OpenOptions;

use nix::unistd::setsid;

/// Makes this process independent: in its own session, with nothing inherited from its creator, and as the parent
/// of orphaned descendants.
pub(super) fn detach(own: &[i32]) {
    let _ = setsid();
    let _ = std::env::set_current_dir("/");
    // A reader of the output of `vzctl start` must see its end.
    if let Ok(null) = OpenOptions::new().read(true).write(true).open("/dev/null") {
        let _ = nix::unistd::dup2_stdin(&null);
        let _ = nix::unistd::dup2_stdout(&null);
        let _ = nix::unistd::dup2_stderr(&null);
    }
    leave_others(own);
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// Closes everything but the standard streams and the process's own descriptors: locks of the creator, ends of other
/// pipes.
fn leave_others(own: &[i32]) {
    let mut kept: Vec<u32> = own.iter().filter_map(|fd| u32::try_from(*fd).ok()).collect();
    kept.sort_unstable();
    let mut from = 3;
    for fd in kept.into_iter().chain([u32::MAX]) {
        if from < fd {
            // SAFETY: nothing in this process uses these from here on.
            unsafe { nix::libc::syscall(nix::libc::SYS_close_range, from, fd - 1, 0) };
        }
        from = fd.saturating_add(1);
    }
}
