//! What ends a process group when this process is killed: `PR_SET_PDEATHSIG` reaches the leader alone, and git's helpers, which
//! hold the connections, go on without it for as long as their own time limits let them.

use std::io::{self, PipeWriter, Write};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;

/// Our end of a pipe whose other end a process in the group reads. When it is closed without a word, as the kernel does when we
/// end, that process ends the group.
pub(super) struct Leash(pub PipeWriter);

impl Leash {
    /// The group's leader has ended well, and what it may have left in the background (a cache of credentials) stays.
    pub(super) fn release(mut self) {
        // A reader that has ended with its group needs no word.
        let _ = self.0.write_all(&[0]);
    }
}

/// Has a command start a process in its group that watches `pipe`. The pipe may be closed here once the command has started.
#[allow(unsafe_code)]
pub(super) fn attach(command: &mut Command, pipe: BorrowedFd<'_>) {
    let pipe = pipe.as_raw_fd();
    // SAFETY: between fork(2) and execve(2) it makes system calls alone, and allocates nothing.
    unsafe { command.pre_exec(move || fork_watcher(pipe)) };
}

#[allow(unsafe_code)]
fn fork_watcher(pipe: RawFd) -> io::Result<()> {
    // SAFETY: the new process goes on with `watch` only, which makes system calls alone.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => watch(pipe),
        _ => Ok(()),
    }
}

/// Waits for the end of whoever holds the other end.
#[allow(unsafe_code)]
fn watch(pipe: RawFd) -> ! {
    // SAFETY: system calls on numbers and on a byte of this stack; nothing else uses the descriptors of this process.
    unsafe {
        // Nothing else stays open: neither the pipe that the group's output goes to, nor other groups' leashes.
        libc::dup2(pipe, 0);
        if libc::syscall(libc::SYS_close_range, 1, libc::c_uint::MAX, 0) != 0 {
            // Before Linux 5.9, and where a seccomp profile forbids it.
            let most = libc::sysconf(libc::_SC_OPEN_MAX).clamp(1024, 65536);
            for descriptor in 1..most as RawFd {
                libc::close(descriptor);
            }
        }
        let mut word = 0_u8;
        loop {
            match libc::read(0, (&raw mut word).cast(), 1) {
                -1 if *libc::__errno_location() == libc::EINTR => {}
                0 => {
                    libc::kill(0, libc::SIGKILL);
                }
                _ => libc::_exit(0),
            }
        }
    }
}
