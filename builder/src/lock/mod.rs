//! The lock file: every source of a project's recipes, pinned to its sha256 and size.
//!
//! It is a sorted map from requests to the resolved files, shared by all recipes of the project, and independent of the
//! kinds of source. It names no mirror: files of Debian archives have a path relative to whichever mirror is used.

mod file;
mod rollback;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::source::Request;

pub use crate::source::{ArchiveDate, Location, LockEntry, LockedFile};
pub use file::LockError;
pub use rollback::{Rollback, downgrades, rollback};

/// Locked sources by request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    entries: BTreeMap<Request, LockEntry>,
}

/// A request that the lock does not satisfy, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleEntry {
    /// The recipe's request.
    pub request: Request,
    /// The reason.
    pub why: StaleReason,
}

/// Why a lock does not satisfy a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StaleReason {
    /// The lock has no entry for it.
    Missing,
    /// The lock has an older form of it, which no other recipe requests; lists the differences.
    Changed(Vec<String>),
    /// The locked files are not those requested; lists the reasons.
    Broken(Vec<String>),
}

impl fmt::Display for StaleEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = &self.request;
        match &self.why {
            StaleReason::Missing => write!(f, "{request}: not in the lock"),
            StaleReason::Changed(differences) => write!(f, "{}: {}", request.kind().subject(), differences.join(", ")),
            StaleReason::Broken(reasons) => write!(f, "{request}: {}", reasons.join(", ")),
        }
    }
}

impl Lock {
    /// A lock with these entries; the last one counts if several have the same request.
    pub fn new(entries: impl IntoIterator<Item = LockEntry>) -> Self {
        Self { entries: entries.into_iter().map(|entry| (entry.request.clone(), entry)).collect() }
    }

    /// All entries, ordered by request.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &LockEntry> + Clone {
        self.entries.values()
    }

    /// The entry of a request.
    pub fn find(&self, request: &Request) -> Option<&LockEntry> {
        self.entries.get(request)
    }

    /// The entry of a request, if its files match the request.
    pub fn valid_entry(&self, request: &Request) -> Option<&LockEntry> {
        self.find(request).filter(|entry| entry.broken().is_empty())
    }

    /// Inserts an entry, replacing the one with the same request.
    pub fn set(&mut self, entry: LockEntry) {
        self.entries.insert(entry.request.clone(), entry);
    }

    /// Inserts an entry, unless there is already a valid one for its request.
    pub fn add(&mut self, entry: LockEntry) {
        if self.valid_entry(&entry.request).is_none() {
            self.set(entry);
        }
    }

    /// Removes the entry of a request.
    pub fn remove(&mut self, request: &Request) -> Option<LockEntry> {
        self.entries.remove(request)
    }

    /// The part of the lock that these requests use.
    #[must_use]
    pub fn only(&self, wanted: &[Request]) -> Self {
        Self::new(wanted.iter().filter_map(|request| self.find(request)).cloned())
    }

    /// Whether it has a valid entry for each request.
    pub fn fits(&self, wanted: &[Request]) -> bool {
        wanted.iter().all(|request| self.valid_entry(request).is_some())
    }

    /// All wanted requests that the lock does not satisfy; empty if it is up to date. Other entries are ignored, except
    /// that one may be an older form of a wanted request, unless `others` contains it.
    pub fn check(&self, wanted: &[Request], others: &BTreeSet<Request>) -> Vec<StaleEntry> {
        let wanted: BTreeSet<_> = wanted.iter().collect();
        let claimed = |request: &Request| wanted.contains(request) || others.contains(request);
        let mut spare: Vec<&Request> = self.entries.keys().filter(|request| !claimed(request)).collect();
        let mut stale = Vec::new();
        for &request in &wanted {
            let why = match self.find(request).map(LockEntry::broken) {
                Some(reasons) if reasons.is_empty() => continue,
                Some(reasons) => StaleReason::Broken(reasons),
                None => {
                    let kind = request.kind();
                    let nearest = spare.iter().enumerate().map(|(index, other)| (kind.likeness(other), index));
                    match nearest.filter(|(likeness, _)| *likeness > 0).max() {
                        Some((_, index)) => StaleReason::Changed(kind.differences(spare.remove(index))),
                        None => StaleReason::Missing,
                    }
                }
            };
            stale.push(StaleEntry { request: request.clone(), why });
        }
        stale
    }
}
