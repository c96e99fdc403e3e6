//! The lock that a command uses: the project's, the one given by `--lock`, or a recipe's own from an earlier version.

use std::path::{Path, PathBuf};

use crate::lock::{Lock, LockEntry, LockError, StaleEntry, rollback};
use crate::recipe::Settings;
use crate::recipe::project::LOCK;
use crate::recipe::{Recipe, recipes_of_project};
use crate::source::Request;

/// The lock files that were found.
pub struct Locks {
    /// The file for changes.
    pub path: PathBuf,
    /// Its content.
    shared: Option<Lock>,
    /// The recipe's own lock, as formats before version 2 had it, if the shared one is missing or lacks something.
    own: Option<(PathBuf, Lock)>,
    /// The lock of the library that the project builds on.
    library: Option<Lock>,
}

impl Locks {
    /// Finds and reads the lock of a recipe; `stated` is the file of `--lock`.
    pub fn open(recipe: &Recipe, stated: Option<&Path>) -> Result<Self, LockError> {
        let path = stated.map_or_else(|| recipe.lock_path(), Path::to_owned);
        let shared = there(&path)?;
        let own_path = recipe.own_lock_path();
        let needed = stated.is_none() && own_path != path;
        let own = match &shared {
            Some(lock) if !needed || lock.fits(&recipe.requests()) => None,
            None if !needed => None,
            _ => there(&own_path)?.map(|lock| (own_path, lock)),
        };
        let library = match &recipe.library {
            Some(library) if !shared.as_ref().is_some_and(|lock| lock.fits(&recipe.requests())) => {
                there(&library.recipes().join(LOCK))?
            }
            _ => None,
        };
        Ok(Self { path, shared, own, library })
    }

    /// The lock to use for a build, and its file.
    pub fn current(&self) -> Result<(&Path, &Lock), LockError> {
        match (&self.shared, &self.own) {
            (Some(lock), _) => Ok((&self.path, lock)),
            (None, Some((path, lock))) => Ok((path, lock)),
            (None, None) => Err(LockError::Missing(self.path.clone())),
        }
    }

    /// The starting point of a change: the shared lock, with entries taken over from the recipe's own: all of them the
    /// first time, later those that the shared one lacks. What the library has locked for requests that are still open
    /// is taken over as well, so that a project which only builds on it needs no network to lock.
    pub fn base(&self, wanted: &[Request]) -> LockBase<'_> {
        let mut base = self.base_with_own(wanted);
        for entry in wanted.iter().filter_map(|request| self.library.as_ref()?.valid_entry(request)) {
            // What is older than the rest of the lock is resolved, so that it is noticed.
            if base.lock.valid_entry(&entry.request).is_none() && rollback(&base.lock, entry).is_none() {
                base.lock.set(entry.clone());
                base.taken.push(entry.clone());
                base.from_library += 1;
            }
        }
        base
    }

    fn base_with_own(&self, wanted: &[Request]) -> LockBase<'_> {
        let mut base =
            LockBase { lock: self.shared.clone().unwrap_or_default(), taken: Vec::new(), from: None, from_library: 0 };
        let Some((path, own)) = &self.own else { return base };
        base.taken = own.entries().filter(|entry| entry.broken().is_empty()).cloned().collect();
        if self.shared.is_some() {
            base.taken
                .retain(|entry| wanted.contains(&entry.request) && base.lock.valid_entry(&entry.request).is_none());
        }
        base.taken.iter().cloned().for_each(|entry| base.lock.add(entry));
        base.from = (!base.taken.is_empty()).then_some(path);
        base
    }
}

/// The starting point of a change to a lock.
pub struct LockBase<'a> {
    /// All entries.
    pub lock: Lock,
    /// Those that are from a recipe's own lock, or the library's.
    pub taken: Vec<LockEntry>,
    /// The file of the recipe's own lock.
    pub from: Option<&'a Path>,
    /// How many of those that were taken over are from the library's lock.
    pub from_library: usize,
}

fn there(path: &Path) -> Result<Option<Lock>, LockError> {
    match Lock::load(path) {
        Ok(lock) => Ok(Some(lock)),
        Err(LockError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// All differences between a lock and a recipe's requests.
pub fn stale(recipe: &Recipe, lock: &Lock) -> Vec<StaleEntry> {
    let wanted = recipe.requests();
    if lock.fits(&wanted) {
        return Vec::new();
    }
    // Requests of other recipes are not older forms of this one's. A recipe that can't be read is ignored: this only
    // affects the message.
    let paths = recipes_of_project(&recipe.project).unwrap_or_default();
    let others = paths
        .iter()
        .filter(|path| **path != recipe.path)
        .filter_map(|path| recipe.load_another(path, &Settings::new()).ok());
    lock.check(&wanted, &others.flat_map(|other| other.requests()).collect())
}
