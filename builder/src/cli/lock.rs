//! `dbco lock`.

use super::session::Session;
use super::{Outcome, RecipeArgs, usage};
use crate::lock::{Lock, LockError};

pub fn run(session: &Session<'_>, args: &RecipeArgs, update: Option<&str>) -> Outcome {
    let recipe = session.recipe(args)?;
    let store = session.store()?;
    let path = recipe.lock_path();
    let old = match Lock::load(&path) {
        Ok(lock) => lock,
        Err(LockError::Missing(_)) => Lock::new([]),
        Err(error) => return Err(usage(error)),
    };
    let again = |request: &crate::source::Request| update.is_some_and(|part| request.to_string().contains(part));
    let lock = session.resolve(&recipe, &old, &store, &again)?;
    lock.save(&path)?;
    let files: usize = lock.entries.iter().map(|entry| entry.files.len()).sum();
    session.face.note(&format!("{}: {} sources, {files} files", path.display(), lock.entries.len()));
    Ok(())
}
