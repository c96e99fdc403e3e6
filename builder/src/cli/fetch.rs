//! `dbco fetch`.

use super::prose::{bytes, count};
use super::session::CliSession;
use super::{CommandResult, RecipeArgs};
use crate::session::{Error, Locks, stale};

pub fn run(session: &CliSession<'_>, args: &RecipeArgs, connections: usize) -> CommandResult {
    let recipe = session.recipe(args)?;
    let store = session.store()?;
    let locks = Locks::open(&recipe, args.lock()).map_err(Error::from)?;
    let (path, lock) = locks.current().map_err(Error::from)?;
    let stale = stale(&recipe, lock);
    if !stale.is_empty() {
        return Err(Error::Stale { path: path.to_owned(), stale }.into());
    }
    let lock = lock.only(&recipe.requests());
    let report = session.fetch(&recipe, &lock, &store, connections)?;
    let text = format!(
        "fetched {} ({}), {} already present",
        count(report.fetched, "file"),
        bytes(report.bytes),
        report.present
    );
    session.printer.note(&text);
    Ok(())
}
