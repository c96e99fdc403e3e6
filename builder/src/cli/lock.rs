//! `dbco lock`.

use std::collections::BTreeSet;

use clap::Args;

use super::prose::count;
use super::session::CliSession;
use super::{CommandResult, RecipeArgs};
use crate::session::{Error, LockUpdate, Locks, named, requests_of_project};

#[derive(Debug, Args)]
pub struct LockArgs {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Resolve pinned sources again: all of the recipe's, or the package, component or source of that name; this also
    /// updates other recipes that use the same source
    #[arg(long, value_name = "SOURCE", num_args = 0..=1, default_missing_value = "")]
    update: Option<String>,
    /// Accept an archive's index that is older than the locked one
    #[arg(long)]
    allow_downgrade: bool,
    /// Remove entries that no recipe in the lock's folder or below it uses
    #[arg(long, conflicts_with = "lock")]
    prune: bool,
}

pub fn run(session: &CliSession<'_>, args: &LockArgs) -> CommandResult {
    let recipe = session.recipe(&args.recipe)?;
    let store = session.store()?;
    let locks = Locks::open(&recipe, args.recipe.lock()).map_err(Error::from)?;
    let requests = match args.update.as_deref() {
        None => Vec::new(),
        Some("") => recipe.requests(),
        Some(name) => named(&recipe, &locks.base(&recipe.requests()).lock, name)?,
    };
    let used: Option<BTreeSet<_>> = args.prune.then(|| requests_of_project(session.reporter, &recipe)).transpose()?;
    let renewal = LockUpdate { requests: &requests, allow_downgrade: args.allow_downgrade, used: used.as_ref() };
    let lock = session.update_lock(&recipe, &locks, &store, renewal)?;
    let files: usize = lock.entries().map(|entry| entry.files.len()).sum();
    session.printer.note(&format!(
        "{}: {}, {}",
        locks.path.display(),
        count(lock.entries().len(), "source"),
        count(files, "file")
    ));
    Ok(())
}
