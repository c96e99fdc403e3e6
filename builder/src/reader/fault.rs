//! Errors of readers.

use std::io;

use crate::archive::{ArchiveError, Exceeded};
use crate::interrupt::Interrupted;
use crate::printable::printable;

/// What is wrong with the bytes of an image.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The data contradicts its format, or ends early.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// A valid form that dbco does not read.
    #[error("{0}")]
    Unsupported(String),
    /// A limit of [`super::Limits`] was reached.
    #[error("{0}")]
    Limit(String),
    /// Nothing is at this path.
    #[error("{0}")]
    Missing(String),
    /// A system call failed, or a signal was received.
    #[error(transparent)]
    Io(io::Error),
}

impl Fault {
    /// For `ok_or_else`.
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }
}

impl From<io::Error> for Fault {
    /// What a decoder or a system call reported.
    fn from(error: io::Error) -> Self {
        let inner = error.get_ref();
        if let Some(exceeded) = inner.and_then(|error| error.downcast_ref::<Exceeded>()) {
            return Self::Limit(exceeded.what.clone());
        }
        if inner.is_some_and(|error| error.is::<Fault>()) {
            return match error.into_inner().map(|inner| inner.downcast::<Fault>()) {
                Some(Ok(fault)) => *fault,
                _ => Self::damaged("unknown"),
            };
        }
        if inner.is_some_and(|error| error.is::<Interrupted>()) {
            return Self::Io(error);
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::damaged("it ends too early"),
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Io(error),
        }
    }
}

impl From<Fault> for io::Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Io(error) => error,
            fault => Self::other(fault),
        }
    }
}

impl From<ArchiveError> for Fault {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::NotAnArchive { expected, .. } => Self::Damaged(format!("it is not {expected}")),
            ArchiveError::Truncated { inside, .. } => Self::Damaged(format!("it ends inside {inside}")),
            ArchiveError::Damaged { what, .. } => Self::Damaged(what),
            ArchiveError::Entry { entry, why, .. } => Self::Unsupported(format!("entry `{entry}`: {why}")),
            ArchiveError::Budget { exceeded, .. } => Self::Limit(exceeded.what),
            ArchiveError::Excessive { what, .. } => Self::Limit(what),
            ArchiveError::Io { source, .. } => source.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// An image, or something in it, that can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {fault}")]
pub struct ReaderError {
    /// The address (see [`super::Address`]), safe to print.
    pub place: String,
    /// The reason.
    #[source]
    pub fault: Fault,
}

impl ReaderError {
    /// For `map_err`.
    pub(crate) fn at(place: Vec<u8>) -> impl FnOnce(Fault) -> Self {
        move |fault| Self { place: printable(&place).to_string(), fault }
    }
}
