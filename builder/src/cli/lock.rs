//! `dbco lock`.

use super::prose::count;
use super::session::{Renewal, Session};
use super::{Outcome, RecipeArgs, usage};
use crate::lock::{Lock, LockError};

pub fn run(session: &Session<'_>, args: &RecipeArgs, update: Option<&str>, allow_downgrade: bool) -> Outcome {
    let recipe = session.recipe(args)?;
    let store = session.store()?;
    let path = recipe.lock_path();
    let old = match Lock::load(&path) {
        Ok(lock) => lock,
        Err(LockError::Missing(_)) => Lock::new([]),
        Err(error) => return Err(usage(error)),
    };
    let renewed = match update {
        None => Vec::new(),
        Some("") => recipe.requests(),
        Some(name) => super::sources::named(&recipe, &old, name).map_err(usage)?,
    };
    let lock = session.resolve(&recipe, &old, &store, Renewal { requests: &renewed, allow_downgrade })?;
    lock.save(&path)?;
    let files: usize = lock.entries.iter().map(|entry| entry.files.len()).sum();
    session.face.note(&format!(
        "{}: {}, {}",
        path.display(),
        count(lock.entries.len(), "source"),
        count(files, "file")
    ));
    Ok(())
}
