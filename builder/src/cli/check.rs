//! `dbco check`.

use anyhow::anyhow;

use super::prose::count;
use super::session::Session;
use super::{Outcome, RecipeArgs, usage};
use crate::lock::Lock;

pub fn run(session: &Session<'_>, args: &RecipeArgs, locked: bool) -> Outcome {
    let recipe = session.recipe(args)?;
    let path = recipe.lock_path();
    let stale = match Lock::load(&path) {
        Ok(lock) => lock.check(&recipe.requests()).iter().map(|stale| format!("\n  {stale}")).collect(),
        Err(error) if locked => return Err(usage(error)),
        Err(error) => format!("\n  {error}"),
    };
    if !stale.is_empty() && locked {
        let what = format!("{} does not fit the recipe:{stale}", path.display());
        return Err(usage(anyhow!("{what}\nrun `dbco lock` to bring it up to date")));
    }
    let note = if stale.is_empty() { String::new() } else { format!("; its lock does not fit:{stale}") };
    let image = &recipe.image;
    let (entries, tests) = (image.boot.entries.len(), image.tests.len());
    let entries = if entries == 1 { "1 boot entry".to_owned() } else { format!("{entries} boot entries") };
    let (components, tests) = (count(recipe.components.len(), "component"), count(tests, "test"));
    let summary = format!("{}: {components}, {entries}, {tests}{note}", image.name.value);
    session.face.note(&summary);
    Ok(())
}
