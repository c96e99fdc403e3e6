//! Notices of a session.

use std::fmt;
use std::path::Path;

use crate::lock::{LockEntry, StaleEntry};
use crate::store::{Damage, Sharing};

/// A notice that does not end the work. Its text has one or several lines.
#[derive(Clone, Copy, Debug)]
pub enum Notice<'a> {
    /// Another process holds the store.
    StoreInUse(Sharing),
    /// An object of the store is damaged.
    Damaged(&'a Damage),
    /// The lock is being updated, for these reasons.
    LockOutdated(&'a Path, &'a [StaleEntry]),
    /// Entries of a recipe's own lock (the second file) were taken over into the project's lock.
    LockTakenOver(&'a Path, &'a Path),
    /// This number of sources were locked as the library has them locked.
    LockedAsLibrary(&'a Path, usize),
    /// An entry was removed from a lock.
    EntryDropped(&'a Path, &'a LockEntry),
    /// Packages that are downgraded.
    Older(&'a [String]),
    /// Sources of a recipe depend on parameters that may have any value, so only those for the default values are kept.
    OpenParameters(&'a Path, &'a [&'a str]),
    /// A recipe of the project can't be read, so nothing is removed from its lock.
    NothingDropped(&'a Path),
    /// Sources of a recipe that are not in the lock.
    NotLocked(&'a Path, usize),
    /// Something in a recipe that is probably a mistake.
    Plan(&'a str),
    /// The number of files fetched, and their total bytes.
    Fetched(usize, u64),
}

impl fmt::Display for Notice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StoreInUse(Sharing::Builds | Sharing::Reading) => {
                f.write_str("waiting for `dbco cache gc`, which is using the store")
            }
            Self::StoreInUse(Sharing::Alone) => f.write_str(
                "waiting for other dbco processes that use the store (builds, running machines); ^C stops waiting",
            ),
            Self::Damaged(damage) => {
                write!(f, "{damage}; it is treated as missing, and is rebuilt or fetched again when needed")
            }
            Self::LockOutdated(path, stale) => {
                write!(f, "{} does not match the recipe, bringing it up to date:", path.display())?;
                stale.iter().try_for_each(|stale| write!(f, "\n  {stale}"))
            }
            Self::LockTakenOver(path, from) => {
                write!(f, "{}: imported the entries of {}, which can be removed", path.display(), from.display())
            }
            Self::LockedAsLibrary(path, number) => write!(
                f,
                "{}: {} as in the library; `dbco lock --update` resolves them anew",
                path.display(),
                if *number == 1 { "1 source is locked".to_owned() } else { format!("{number} sources are locked") }
            ),
            Self::EntryDropped(path, entry) => {
                write!(f, "{}: removed, as no recipe uses it: {}", path.display(), entry.request)
            }
            Self::Older(packages) => write!(f, "warning: older than in the lock: {}", packages.join(", ")),
            Self::OpenParameters(path, names) => write!(
                f,
                "{}: its sources depend on {}, which can have any value: the sources of its defaults are kept",
                path.display(),
                names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ")
            ),
            Self::NothingDropped(path) => write!(
                f,
                "--prune: the sources of {} are unknown, as it can't be read; nothing was removed",
                path.display()
            ),
            Self::NotLocked(path, open) => {
                write!(
                    f,
                    "{}: {} of it not in the lock",
                    path.display(),
                    match open {
                        1 => "1 source".to_owned() + " is",
                        many => format!("{many} sources are"),
                    }
                )
            }
            Self::Plan(text) => write!(f, "warning: {text}"),
            Self::Fetched(files, bytes) => {
                write!(f, "fetched {}, {}", count(*files, "file"), self::bytes(*bytes))
            }
        }
    }
}

/// A number of things: `1 file`, `2 files`.
pub fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A length in bytes, formatted for people.
pub fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}

/// The state of the outputs while a session works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputsState {
    /// No outputs are requested.
    #[default]
    None,
    /// They are not written yet.
    Before,
    /// They are being moved into place.
    Writing,
    /// They are all in place.
    Complete,
}
