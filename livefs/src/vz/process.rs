//! The one place of the classic face that starts programs of the host: action scripts, decompressors, and itself.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// A program to be started, which reads nothing unless told otherwise.
#[expect(clippy::disallowed_methods, reason = "the rule is about dbco's own module for this; here is that of vz")]
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}
