//! Kills a process group when this process is killed. `PR_SET_PDEATHSIG` affects only the leader, while git's helpers,
//! which hold the connections, would continue until their own timeouts.

use std::io::{self, PipeWriter, Write};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;

/// This process's end of a pipe; a process in the group reads the other end. When the pipe is closed without a byte
/// having been written, as the kernel does when this process dies, that process kills the group.
pub(super) struct Leash(pub PipeWriter);

impl Leash {
    /// The group's leader has exited successfully, and what it may have left in the background (a credential cache)
    /// continues to run.
    pub(super) fn release(mut self) {
        // A reader that has died with its group needs no byte.
        let _ = self.0.write_all(&[0]);
    }
}

/// Makes a command start a process in its group that watches `pipe`. The pipe may be closed here once the command has
/// started.
#[allow(unsafe_code)]
pub(super) fn attach(command: &mut Command, pipe: BorrowedFd<'_>) {
    let pipe = pipe.as_raw_fd();
    // SAFETY: between fork(2) and execve(2) it only makes system calls, and allocates nothing.
    unsafe { command.pre_exec(move || fork_watcher(pipe)) };
}

#[allow(unsafe_code)]
fn fork_watcher(pipe: RawFd) -> io::Result<()> {
    // SAFETY: the new process continues with `watch` only, which makes system calls alone.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => watch(pipe),
        _ => Ok(()),
    }
}

/// Waits until the process that holds the other end dies.
#[allow(unsafe_code)]
fn watch(pipe: RawFd) -> ! {
    // SAFETY: system calls on numbers and on a byte of this stack; nothing else uses the descriptors of this process.
    unsafe {
        // No other descriptor stays open: neither the pipe for the group's output nor other groups' pipes of this kind.
        libc::dup2(pipe, 0);
        if libc::syscall(libc::SYS_close_range, 1, libc::c_uint::MAX, 0) != 0 {
            // Before Linux 5.9, and where a seccomp profile forbids the call.
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
