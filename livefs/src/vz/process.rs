//! How the classic tools start programs of the host: action scripts, decompressors, and themselves.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// A program to be started, without input unless told otherwise.
pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = crate::process::command(program);
    command.stdin(Stdio::null());
    command
}
