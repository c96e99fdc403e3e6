//! The one place that starts other programs, and waiting for their end.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::Command;

/// A command for a program's path, to add arguments to and run. It inherits our environment.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// A descriptor that becomes readable when a process has ended, a child or not (pidfd_open(2)).
///
/// # Errors
/// There is no such process.
pub fn watch(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: only numbers are passed, and the returned descriptor is ours.
    unsafe {
        let fd = nix::libc::syscall(nix::libc::SYS_pidfd_open, pid, 0);
        let fd = i32::try_from(nix::Error::result(fd)?).map_err(io::Error::other)?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}
