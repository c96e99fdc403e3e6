//! The library that a project builds on, as it is in this program: nothing of it is fetched, and the lock pins it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Fetching, Request, Resolved, SourceContent, SourceKind, misplaced};
use crate::digest::Digest;
use crate::source::locked::LockedFile;
use crate::source::{Resolver, SourceError};

/// The content of a library.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LibraryContent {
    /// The digest of its archive.
    pub sha256: Digest,
}

impl fmt::Display for LibraryContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the library with sha256 {}", self.sha256.short())
    }
}

impl SourceKind for LibraryContent {
    fn subject(&self) -> String {
        "the library".to_owned()
    }

    fn names(&self) -> Vec<String> {
        vec!["library".to_owned()]
    }

    fn content(&self) -> SourceContent {
        SourceContent::Tree
    }

    fn is_empty(&self) -> bool {
        true
    }

    fn resolve(&self, _: &Resolver<'_>) -> Result<Resolved, SourceError> {
        Ok(Resolved { archive_date: None, files: Vec::new() })
    }

    fn broken(&self, files: &[LockedFile]) -> Vec<String> {
        files.iter().map(|file| format!("a library has no file `{}`", file.name)).collect()
    }

    fn likeness(&self, other: &Request) -> usize {
        usize::from(matches!(other, Request::Library(_)))
    }

    fn differences(&self, locked: &Request) -> Vec<String> {
        let Request::Library(locked) = locked else { return Vec::new() };
        vec![format!(
            "this dbco has another one (sha256 {}) than the lock (sha256 {}), which is of another version",
            self.sha256.short(),
            locked.sha256.short()
        )]
    }

    fn fetch(&self, file: &LockedFile, _: &Fetching<'_>) -> Result<u64, SourceError> {
        Err(misplaced(self, file))
    }
}
