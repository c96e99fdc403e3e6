//! The one place that starts other programs.

use std::ffi::OsStr;
use std::process::Command;

/// A program by its path, to be given arguments and run. It gets our environment.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}
