//! The lock file: every source of a project's recipes, pinned to its sha256 and size.
//!
//! It is a sorted map of requests to what they became, shared by all recipes of the project, and knows no kinds of source.
//! It names no mirror: what comes from Debian has a path relative to whichever mirror is used.

mod file;
mod rollback;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::source::Request;

pub use crate::source::{ArchiveDate, Location, LockEntry, LockedFile};
pub use file::LockError;
pub use rollback::{Rollback, rollback, went_back};

/// Locked sources by their requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    entries: BTreeMap<Request, LockEntry>,
}

/// An entry that does not fit the recipe, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleEntry {
    /// The wanted request.
    pub request: Request,
    /// In what way it does not fit.
    pub why: StaleReason,
}

/// In what way a lock does not fit a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StaleReason {
    /// The recipe asks for something that the lock does not have.
    Missing,
    /// The lock has an older form of it, which nobody asks for any more; each difference in words.
    Changed(Vec<String>),
    /// The locked files are not those that were asked for; each reason in words.
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
    /// A lock of these entries; the last of several for the same request counts.
    pub fn new(entries: impl IntoIterator<Item = LockEntry>) -> Self {
        Self { entries: entries.into_iter().map(|entry| (entry.request.clone(), entry)).collect() }
    }

    /// All entries, in the order of their requests.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &LockEntry> + Clone {
        self.entries.values()
    }

    /// The entry of a request.
    pub fn find(&self, request: &Request) -> Option<&LockEntry> {
        self.entries.get(request)
    }

    /// The entry of a request, if its files are what is asked for.
    pub fn sound(&self, request: &Request) -> Option<&LockEntry> {
        self.find(request).filter(|entry| entry.broken().is_empty())
    }

    /// Puts an entry in, in place of the one of the same request.
    pub fn set(&mut self, entry: LockEntry) {
        self.entries.insert(entry.request.clone(), entry);
    }

    /// Puts an entry in, unless its request has a sound one.
    pub fn add(&mut self, entry: LockEntry) {
        if self.sound(&entry.request).is_none() {
            self.set(entry);
        }
    }

    /// Takes the entry of a request out.
    pub fn remove(&mut self, request: &Request) -> Option<LockEntry> {
        self.entries.remove(request)
    }

    /// The part of the lock that these requests ask for.
    #[must_use]
    pub fn only(&self, wanted: &[Request]) -> Self {
        Self::new(wanted.iter().filter_map(|request| self.find(request)).cloned())
    }

    /// Whether it has a sound entry for each request.
    pub fn fits(&self, wanted: &[Request]) -> bool {
        wanted.iter().all(|request| self.sound(request).is_some())
    }

    /// Everything in which the lock does not fit what is wanted; empty if it fits. Entries for anything else are left out
    /// of account, but that one may be an older form of what is wanted, unless it is among what `others` ask for.
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
