//! The lock as a file: its text, and changes that two processes make at the same time.
//!
//! Entries are sorted by their requests and nothing is summed up over them, so that a version control merges two branches
//! that each add some, unless these are neighbours.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Lock, LockEntry};
use crate::input::{LONG, read_text};
use crate::interrupt;
use crate::store::{StoreError, write_atomically};

/// The format that this code writes: one lock for all recipes of a project.
const FORMAT: u32 = 2;

/// The format before, which differs in that a lock was one recipe's: it is read, too.
const OF_ONE_RECIPE: u32 = 1;

/// How long a change of the lock by another process is waited for; it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);

const HEADER: &str = "\
# Written by `dbco lock`; don't edit it by hand. Keep it under version control, beside the recipes, which share it.
# It pins every source to its sha256 and size in bytes. Debian's files have paths relative to a mirror.
";

/// What the file holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LockText {
    #[serde(rename = "format")]
    _format: u32,
    #[serde(default)]
    entries: Vec<LockEntry>,
}

/// The same, to be written.
#[derive(Serialize)]
struct LockTextRef<'a> {
    format: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entries: Vec<&'a LockEntry>,
}

/// Why a lock can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// There is none.
    #[error("{} does not exist: run `dbco lock` to create it", .0.display())]
    Missing(PathBuf),
    /// Reading or writing failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its text is not a lock.
    #[error("{}{}: {message}\n  \
             the lock is damaged (perhaps by a merge): restore it from version control, or remove it and run `dbco lock`",
            path.display(), at(*line))]
    Syntax {
        /// The lock.
        path: PathBuf,
        /// The line, from 1; 0 where it is not known.
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// A merge was not finished.
    #[error("{0}:{line}: the lock contains merge conflict markers\n  \
             take the lock of one side (`git checkout --ours {0}`, or `--theirs`), then run `dbco lock` for the recipes of \
             the other one", path.display())]
    Conflict {
        /// The lock.
        path: PathBuf,
        /// The line of the first marker, from 1.
        line: u64,
    },
    /// Another version's.
    #[error("{}: the lock has format {found}, this version of dbco reads {OF_ONE_RECIPE} and {FORMAT}: use a newer dbco", path.display())]
    Format {
        /// The lock.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

/// A line's number after a file's name, where it is known.
fn at(line: u64) -> String {
    if line == 0 { String::new() } else { format!(":{line}") }
}

impl Lock {
    /// Reads a lock.
    pub fn load(path: &Path) -> Result<Self, LockError> {
        let text = match read_text(path, LONG) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(LockError::Missing(path.to_owned()));
            }
            Err(error) => return Err(StoreError::io("read", path)(error).into()),
        };
        Self::parse(&text, path)
    }

    /// Reads a lock's text; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, LockError> {
        /// Another format is told from a damaged lock by this alone.
        #[derive(Deserialize)]
        struct Probe {
            format: u32,
        }
        if let Some(line) = conflict(text) {
            return Err(LockError::Conflict { path: path.to_owned(), line });
        }
        let damaged = |line, message| LockError::Syntax { path: path.to_owned(), line, message };
        let syntax = |error: serde_yaml::Error| {
            damaged(error.location().map_or(0, |at| at.line()), error.without_snippet().to_string())
        };
        let Probe { format } = serde_yaml::from_str(text).map_err(syntax)?;
        if ![OF_ONE_RECIPE, FORMAT].contains(&format) {
            return Err(LockError::Format { path: path.to_owned(), found: format });
        }
        let LockText { _format: _, entries } = serde_yaml::from_str(text).map_err(syntax)?;
        if let Some(fault) = entries.iter().find_map(LockEntry::fault) {
            return Err(damaged(0, fault));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = entries.iter().find(|entry| !seen.insert(&entry.request)) {
            return Err(damaged(0, format!("there are two entries for {}", twice.request)));
        }
        Ok(Self::new(entries))
    }

    /// The lock as text.
    pub fn to_text(&self) -> String {
        let mut text = HEADER.to_owned();
        let written = LockTextRef { format: FORMAT, entries: self.entries().collect() };
        // Plain data with string keys: there is nothing that the encoder could refuse.
        let _ = write!(text, "{}", serde_yaml::to_string(&written).unwrap_or_default());
        text
    }

    /// Writes it, whole or not at all. An unchanged lock is not touched.
    pub fn save(&self, path: &Path) -> Result<(), LockError> {
        let text = self.to_text();
        if read_text(path, LONG).is_ok_and(|there| there == text) {
            return Ok(());
        }
        Ok(write_atomically(path, text.as_bytes())?)
    }

    /// Changes the lock at a path as it is at this moment, so that what another process has put into it since it was read
    /// is kept. Where there is none `change` is given `self`. Gives what was written.
    ///
    /// The folder is held with flock(2) meanwhile. Who holds it for long is no dbco: nobody waits for that, nor where a file
    /// system has no such locks. Two changes within the same milliseconds may lose one there.
    pub fn update<E: From<LockError>>(
        self,
        path: &Path,
        change: impl FnOnce(&mut Lock) -> Result<(), E>,
    ) -> Result<Self, E> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _held = File::open(folder).ok().filter(hold);
        let mut lock = match Self::load(path) {
            Err(LockError::Missing(_)) => self,
            there => there?,
        };
        change(&mut lock)?;
        lock.save(path)?;
        Ok(lock)
    }
}

/// Takes a folder's lock, if nobody has it for long.
fn hold(folder: &File) -> bool {
    let end = Instant::now() + PATIENCE;
    loop {
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < end && !interrupt::wait(Duration::from_millis(5)) => {}
            outcome => return outcome.is_ok(),
        }
    }
}

/// The line of git's first conflict marker, from 1 (git-merge(1)). No line of a lock begins in that way.
fn conflict(text: &str) -> Option<u64> {
    let marker = |line: &str| ["<<<<<<<", "|||||||", "=======", ">>>>>>>"].iter().any(|mark| line.starts_with(mark));
    text.lines().zip(1..).find(|(line, _)| marker(line)).map(|(_, number)| number)
}
