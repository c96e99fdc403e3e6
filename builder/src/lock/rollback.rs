//! Whether a new entry of a lock is older than what was locked before: a mirror that replays an old, validly signed
//! index would otherwise bring back packages with known bugs.

use super::{Lock, LockEntry, LockedFile};
use crate::source::Archive;
use crate::source::debian::offline::compare_versions;

/// An index older than the locked one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{archive}: the mirror's index is dated {found}, the lock's {locked}{}\n  the mirror is out of date, or serves an \
    old index: use another one (--mirror URL); to go back on purpose, pass --allow-downgrade", going_back(.packages))]
pub struct Rollback {
    /// The archive.
    pub archive: String,
    /// The date of the previously locked index, as RFC 3339.
    pub locked: String,
    /// The date of the mirror's index.
    pub found: String,
    /// Packages that would be downgraded, as [`downgrades`] formats them.
    pub packages: Vec<String>,
}

fn going_back(packages: &[String]) -> String {
    if packages.is_empty() { String::new() } else { format!("; older than locked: {}", crate::source::list(packages)) }
}

/// Whether `new` has an older index of some suite than any entry of the same suite in `old`, whichever recipe requests
/// it. Dates are RFC 3339 in UTC, so they sort as text.
///
/// Sharing the lock makes this check stronger and is correct: a suite signed by the same keys is one archive, whose
/// index only becomes newer, so an index older than one that any recipe has seen is outdated or replayed. The path of
/// the key file is relative to the project, not to a recipe, so that recipes in different folders agree on which
/// archive is meant.
pub fn rollback(old: &Lock, new: &LockEntry) -> Option<Rollback> {
    let dates = new.archive_date.as_ref()?;
    new.request.archives().iter().find_map(|archive| {
        let found = dates.of(&archive.suite)?;
        let of_suite = |entry: &LockEntry| {
            let same = |other: &Archive| other.suite == archive.suite && other.keyring == archive.keyring;
            entry.request.archives().iter().any(same)
        };
        let entries = old.entries().filter(|entry| of_suite(entry));
        let locked = entries.filter_map(|entry| entry.archive_date.as_ref()?.of(&archive.suite)).max()?;
        (found < locked).then(|| Rollback {
            archive: archive.to_string(),
            locked: locked.to_owned(),
            found: found.to_owned(),
            packages: downgrades(old, new),
        })
    })
}

/// The packages of `new` with a lower version than in the entry of the same request in `old`: `name 2 → 1`.
pub fn downgrades(old: &Lock, new: &LockEntry) -> Vec<String> {
    let Some(before) = old.find(&new.request) else { return Vec::new() };
    let lower = |file: &LockedFile| {
        let version = file.version.as_deref()?;
        let known = before.files.iter().find(|known| known.name == file.name)?.version.as_deref()?;
        compare_versions(version, known).is_lt().then(|| format!("{} {known} → {version}", file.name))
    };
    new.files.iter().filter_map(lower).collect()
}
