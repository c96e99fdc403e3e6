//! What can go wrong in the engine.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A failure of the engine; `Display` gives one sentence without a final stop.
#[derive(Debug)]
pub enum Error {
    /// A system call or file operation failed.
    Io {
        /// What was tried, as a verb phrase: "mount", "write".
        what: &'static str,
        /// The file or folder it was tried on.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The OCI runtime refused.
    Runtime {
        /// The runtime's command: "create", "start" and so on.
        action: &'static str,
        /// The container.
        id: u32,
        /// What the runtime said.
        message: String,
    },
    /// The container is not running, or, for `create`, runs already.
    State {
        /// The container.
        id: u32,
        /// What it was expected to be.
        expected: &'static str,
    },
    /// What was asked can't be done on this kernel or file system; the text says why.
    Unsupported(String),
    /// What was asked makes no sense; the text says what was expected.
    Invalid(String),
    /// The container did not do in time what was asked.
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

/// Gives a closure for `map_err` that says what was tried on which path.
pub(super) fn io<E: Into<io::Error>>(what: &'static str, path: &Path) -> impl FnOnce(E) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { what, path, source: source.into() }
}
