//! The lock that a command works with: the project's, one that `--lock` names, or a recipe's own of before.

use std::path::{Path, PathBuf};

use crate::lock::{Lock, LockEntry, LockError, StaleEntry};
use crate::recipe::Settings;
use crate::recipe::{Recipe, load, recipes_of_project};
use crate::source::Request;

/// A lock as it is found.
pub struct Locks {
    /// Where changes go.
    pub path: PathBuf,
    /// What is there.
    shared: Option<Lock>,
    /// The recipe's own lock, which versions before 2 of the format were, where the shared one is missing or lacks
    /// something.
    own: Option<(PathBuf, Lock)>,
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
        Ok(Self { path, shared, own })
    }

    /// The lock that counts for a build, and its file.
    pub fn current(&self) -> Result<(&Path, &Lock), LockError> {
        match (&self.shared, &self.own) {
            (Some(lock), _) => Ok((&self.path, lock)),
            (None, Some((path, lock))) => Ok((path, lock)),
            (None, None) => Err(LockError::Missing(self.path.clone())),
        }
    }

    /// What a change begins with: the shared lock, with what is taken over from the recipe's own. That is all of it the
    /// first time, later what the shared one lacks.
    pub fn base(&self, wanted: &[Request]) -> LockBase<'_> {
        let mut base = LockBase { lock: self.shared.clone().unwrap_or_default(), taken: Vec::new(), from: None };
        let Some((path, own)) = &self.own else { return base };
        base.taken = own.entries().filter(|entry| entry.broken().is_empty()).cloned().collect();
        if self.shared.is_some() {
            base.taken.retain(|entry| wanted.contains(&entry.request) && base.lock.sound(&entry.request).is_none());
        }
        base.taken.iter().cloned().for_each(|entry| base.lock.add(entry));
        base.from = (!base.taken.is_empty()).then_some(path);
        base
    }
}

/// What a change of a lock begins with.
pub struct LockBase<'a> {
    /// All entries.
    pub lock: Lock,
    /// Those of them that are from a recipe's own lock.
    pub taken: Vec<LockEntry>,
    /// The file of that.
    pub from: Option<&'a Path>,
}

fn there(path: &Path) -> Result<Option<Lock>, LockError> {
    match Lock::load(path) {
        Ok(lock) => Ok(Some(lock)),
        Err(LockError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Everything in which a lock does not fit a recipe.
pub fn stale(recipe: &Recipe, lock: &Lock) -> Vec<StaleEntry> {
    let wanted = recipe.requests();
    if lock.fits(&wanted) {
        return Vec::new();
    }
    // What other recipes ask for is no older form of what this one does. A recipe that can't be read is left out: this is
    // for the words alone.
    let paths = recipes_of_project(&recipe.project).unwrap_or_default();
    let others = paths.iter().filter(|path| **path != recipe.path).filter_map(|path| load(path, &Settings::new()).ok());
    lock.check(&wanted, &others.flat_map(|other| other.requests()).collect())
}
