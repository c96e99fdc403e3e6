//! `dbco fetch`.

use super::locks::{Locks, does_not_fit, stale};
use super::prose::{bytes, count};
use super::session::Session;
use super::sources::digests;
use super::{Outcome, RecipeArgs, usage};

pub fn run(session: &Session<'_>, args: &RecipeArgs, connections: usize) -> Outcome {
    let recipe = session.recipe(args)?;
    let store = session.store()?;
    let locks = Locks::open(&recipe, args.lock.as_deref()).map_err(usage)?;
    let (path, lock) = locks.current().map_err(usage)?;
    let stale = stale(&recipe, lock);
    if !stale.is_empty() {
        return Err(does_not_fit(path, &stale));
    }
    let lock = lock.only(&recipe.requests());
    // What is there under the right name and is not what it says is fetched again.
    let verified = store.verify_blobs(&digests(&recipe, &lock).collect::<Vec<_>>());
    session.say_damages(&store);
    verified?;
    let files = session.fetch(lock.entries(), &store, false, connections)?;
    let report = files + session.fetch_crates(&recipe, None, &store, false)?;
    let text =
        format!("fetched {} ({}), {} were here", count(report.fetched, "file"), bytes(report.bytes), report.present);
    session.face.note(&text);
    Ok(())
}
