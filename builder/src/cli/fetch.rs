//! `dbco fetch`.

use super::prose::bytes;
use super::session::Session;
use super::{Outcome, RecipeArgs, usage};
use crate::lock::Lock;

pub fn run(session: &Session<'_>, args: &RecipeArgs, connections: usize) -> Outcome {
    let recipe = session.recipe(args)?;
    let store = session.store()?;
    let lock = Lock::load(&recipe.lock_path()).map_err(usage)?;
    let files = session.fetch(&lock.entries, &store, false, connections)?;
    let report = files + session.fetch_crates(&recipe, None, &store, false)?;
    let text = format!("fetched {} files ({}), {} were here", report.fetched, bytes(report.bytes), report.present);
    session.face.note(&text);
    Ok(())
}
