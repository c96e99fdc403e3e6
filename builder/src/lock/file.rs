//! The lock as a file: its text, and concurrent changes by two processes.
//!
//! Entries are sorted by their requests and there are no totals, so that version control merges two branches that each
//! add entries, unless these are adjacent.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Lock, LockEntry};
use crate::input::{LONG, read_text};
use crate::interrupt;
use crate::path_error::FromPathError as _;
use crate::store::{StoreError, write_atomically};

/// The format that this version writes: one lock for all recipes of a project.
const FORMAT: u32 = 2;

/// The previous format, in which a lock belonged to one recipe; it can still be read.
const OF_ONE_RECIPE: u32 = 1;

/// How long to wait for another process that changes the lock; a change takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);

const HEADER: &str = "\
# Written by `dbco lock`; don't edit it by hand. Keep it under version control, beside the recipes, which share it.
# It pins every source to its sha256 and size in bytes. Debian's files have paths relative to a mirror.
";

/// The content of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LockText {
    #[serde(rename = "format")]
    _format: u32,
    #[serde(default)]
    entries: Vec<LockEntry>,
}

/// The same, borrowed for writing.
#[derive(Serialize)]
struct LockTextRef<'a> {
    format: u32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entries: Vec<&'a LockEntry>,
}

/// Why a lock can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The file does not exist.
    #[error("{} does not exist: run `dbco lock` to create it", .0.display())]
    Missing(PathBuf),
    /// Reading or writing failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its text is not a valid lock.
    #[error("{}{}: {message}\n  \
             the lock is damaged (perhaps by a merge): restore it from version control, or remove it and run `dbco lock`",
            path.display(), at(*line))]
    Syntax {
        /// The lock.
        path: PathBuf,
        /// The line, from 1; 0 if unknown.
        line: u64,
        /// The error.
        message: String,
    },
    /// An unfinished merge.
    #[error("{0}:{line}: the lock contains merge conflict markers\n  \
             take the lock of one side (`git checkout --ours {0}`, or `--theirs`), then run `dbco lock` for the recipes of \
             the other one", path.display())]
    Conflict {
        /// The lock.
        path: PathBuf,
        /// The line of the first marker, from 1.
        line: u64,
    },
    /// A format of another version.
    #[error("{}: the lock has format {found}, this version of dbco reads {OF_ONE_RECIPE} and {FORMAT}: use a newer dbco", path.display())]
    Format {
        /// The lock.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

/// A line number after a file name, if it is known.
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

    /// Parses a lock's text; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, LockError> {
        /// This alone distinguishes another format from a damaged lock.
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
        // Plain data with string keys: the encoder has no reason to fail.
        let _ = write!(text, "{}", serde_yaml::to_string(&written).unwrap_or_default());
        text
    }

    /// Writes the lock atomically. An unchanged file is not touched.
    pub fn save(&self, path: &Path) -> Result<(), LockError> {
        let text = self.to_text();
        if read_text(path, LONG).is_ok_and(|there| there == text) {
            return Ok(());
        }
        Ok(write_atomically(path, text.as_bytes())?)
    }

    /// Applies a change to the lock's current content on disk, so that what another process has added since it was read
    /// is kept. If there is no file, `change` gets `self`. Gives the content written.
    ///
    /// Meanwhile the folder is locked with flock(2). A lock that is held for long is not dbco's: then, and on file
    /// systems without such locks, the change is made without it, and two changes within the same milliseconds may lose
    /// one.
    pub fn update<E: From<LockError>>(
        self,
        path: &Path,
        change: impl FnOnce(&mut Lock) -> Result<(), E>,
    ) -> Result<Self, E> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _held = File::open(folder).ok().filter(try_lock);
        let mut lock = match Self::load(path) {
            Err(LockError::Missing(_)) => self,
            there => there?,
        };
        change(&mut lock)?;
        lock.save(path)?;
        Ok(lock)
    }
}

/// Locks a folder, unless another process holds the lock for long.
fn try_lock(folder: &File) -> bool {
    let end = Instant::now() + PATIENCE;
    loop {
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < end && !interrupt::wait(Duration::from_millis(5)) => {}
            outcome => return outcome.is_ok(),
        }
    }
}

/// The line of git's first conflict marker, from 1 (git-merge(1)). No valid line of a lock starts like that.
fn conflict(text: &str) -> Option<u64> {
    let marker = |line: &str| ["<<<<<<<", "|||||||", "=======", ">>>>>>>"].iter().any(|mark| line.starts_with(mark));
    text.lines().zip(1..).find(|(line, _)| marker(line)).map(|(_, number)| number)
}
