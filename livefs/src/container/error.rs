//! The errors of the engine.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A failure of the engine; `Display` gives one sentence without a final stop.
#[derive(Debug)]
pub enum Error {
    /// A system call or file operation failed.
    Io {
        /// The action, as a verb phrase: "mount", "write".
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The OCI runtime failed.
    Runtime {
        /// The runtime's command: "create", "start" and so on.
        action: &'static str,
        /// The container.
        id: u32,
        /// The runtime's message.
        message: String,
    },
    /// CRIU failed.
    Checkpoint {
        /// CRIU's command: "dump" or "restore".
        action: &'static str,
        /// The container.
        id: u32,
        /// CRIU's reason.
        message: String,
    },
    /// The container is not running, or, for `create`, is already running.
    State {
        /// The container.
        id: u32,
        /// The expected state.
        expected: &'static str,
    },
    /// This kernel or file system can't do it; the text says why.
    Unsupported(String),
    /// The request is invalid; the text says what was expected.
    Invalid(String),
    /// The container did not do it in time.
    Timeout {
        /// The container.
        id: u32,
        /// What was awaited.
        what: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { what, path, source } => write!(f, "cannot {what} {}: {source}", path.display()),
            Self::Runtime { action, id, message } => write!(f, "container {id}: crun {action}: {message}"),
            Self::Checkpoint { action, id, message } => write!(f, "container {id}: criu {action}: {message}"),
            Self::State { id, expected } => write!(f, "container {id} is not {expected}"),
            Self::Unsupported(why) => write!(f, "not supported: {why}"),
            Self::Invalid(why) => f.write_str(why),
            Self::Timeout { id, what } => write!(f, "container {id}: timed out while waiting for {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// For `map_err`: the action, and its path.
pub(super) fn io<E: Into<io::Error>>(what: &'static str, path: &Path) -> impl FnOnce(E) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { what, path, source: source.into() }
}
