//! `dbco check`.

use anyhow::anyhow;

use super::prose::count;
use super::session::CliSession;
use super::{CommandResult, RecipeArgs, usage};
use crate::lock::StaleEntry;
use crate::recipe::{unpinned, unstable_kernel};
use crate::session::{Error, Locks, stale};

pub fn run(session: &CliSession<'_>, args: &RecipeArgs, locked: bool) -> CommandResult {
    let recipe = session.recipe(args)?;
    let lines = |stale: Vec<StaleEntry>| -> String { stale.iter().map(|stale| format!("\n  {stale}")).collect() };
    let locks = Locks::open(&recipe, args.lock.as_deref());
    let found =
        locks.as_ref().map_err(ToString::to_string).and_then(|locks| locks.current().map_err(|e| e.to_string()));
    let stale = match found {
        Ok((path, lock)) => {
            let stale = stale(&recipe, lock);
            if locked && !stale.is_empty() {
                return Err(Error::Stale { path: path.to_owned(), stale }.into());
            }
            lines(stale)
        }
        Err(error) if locked => return Err(usage(anyhow!(error))),
        Err(error) => format!("\n  {error}"),
    };
    let note = if stale.is_empty() { String::new() } else { format!("; its lock does not match:{stale}") };
    let image = &recipe.image;
    let (entries, tests) = (image.boot.entries.len(), image.tests.len());
    let entries = if entries == 1 { "1 boot entry".to_owned() } else { format!("{entries} boot entries") };
    let (components, tests) = (count(recipe.components.len(), "component"), count(tests, "test"));
    let summary = format!("{}: {components}, {entries}, {tests}{note}", image.name.value);
    session.printer.note(&summary);
    let findings = [unstable_kernel(&recipe), unpinned(&recipe)].concat();
    if findings.is_empty() {
        return Ok(());
    }
    findings.iter().for_each(|finding| session.printer.error(finding));
    let found = count(findings.len(), "finding");
    Err(usage(anyhow!("{found}: builds of this recipe may differ, or can't be repeated elsewhere")))
}
