//! The error of a system call on a path, which the errors of several modules include.

use std::io;
use std::path::{Path, PathBuf};

/// A system call on a path failed.
#[derive(Debug, thiserror::Error)]
#[error("can't {action} {}", path.display())]
pub struct PathError {
    /// What was tried: `write`, `read`, `make` …
    pub action: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// The kernel's error.
    #[source]
    pub source: io::Error,
}

/// Errors that include a [`PathError`].
pub trait FromPathError: From<PathError> {
    /// For `map_err`: the error of a system call on `path`.
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<Self> {
        let path = path.to_owned();
        move |source| PathError { action, path, source }.into()
    }
}

impl<E: From<PathError>> FromPathError for E {}
