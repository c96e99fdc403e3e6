//! What is asked of a migration, and how it fails: exit codes as in vzmigrate(8).

use crate::vz::exit::Error;
use std::io;

/// The command line is invalid.
pub const USAGE: u8 = 1;
/// The container is stopped.
pub const STOPPED: u8 = 2;
/// No connection.
pub const CONNECT: u8 = 4;
/// Files were not copied.
pub const COPY: u8 = 6;
/// It does not start there.
pub const START: u8 = 7;
/// It can't be stopped or saved here.
pub const STOP: u8 = 8;
/// It exists there.
pub const EXISTS: u8 = 9;
/// It does not exist here.
pub const MISSING: u8 = 10;
/// An address is in use there.
pub const IN_USE: u8 = 12;
/// A machine has no CRIU.
pub const NO_CRIU: u8 = 14;
/// The kernels differ.
pub const KERNEL: u8 = 17;
/// Another command works on it.
pub const LOCKED: u8 = 20;

/// A failure: the exit code, and why.
#[derive(Debug)]
pub struct Failure(pub u8, pub String);

/// The result of a part of a migration.
pub type Result<T> = std::result::Result<T, Failure>;

/// For `map_err`: files were not copied.
pub fn copy(error: io::Error) -> Failure {
    Failure(COPY, error.to_string())
}

/// For `map_err`.
pub fn with(code: u8) -> impl Fn(Error) -> Failure {
    move |error| Failure(code, error.to_string())
}

/// What is asked for.
#[derive(Debug, Default)]
pub struct Options {
    /// Checkpoint and restore it.
    pub live: bool,
    /// Remove it here afterwards.
    pub remove: bool,
    /// Keep the files there after a failure.
    pub keep: bool,
    /// Only look whether it can move.
    pub check: bool,
    /// Whatever the kernel there is.
    pub any_kernel: bool,
    /// Tell how long it was frozen.
    pub times: bool,
    /// Options for ssh.
    pub ssh: Vec<String>,
    /// Where to.
    pub host: String,
    /// Its number or name.
    pub container: String,
    /// Find out how an interrupted migration has ended.
    pub recover: bool,
}
