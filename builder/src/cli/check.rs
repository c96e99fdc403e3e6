//! `dbco check`.

use anyhow::anyhow;

use super::prose::count;
use super::session::CliSession;
use super::{CommandResult, RecipeArgs, usage};
use crate::kernel::verdict::{Lost, Verdict};
use crate::lock::StaleEntry;
use crate::recipe::text::Finding;
use crate::recipe::{Recipe, lint, unpinned, unstable_kernel};
use crate::session::{Error, KernelSettings, Locks, stale};

pub fn run(session: &CliSession<'_>, args: &RecipeArgs, locked: bool) -> CommandResult {
    let recipe = session.recipe(args)?;
    check(session, &recipe, args, locked)?;
    // Each profile by itself, unless some are chosen: a mistake in one would only be found when someone needs it.
    if recipe.settings.profiles.is_empty() {
        for name in &recipe.profiles {
            let mut settings = recipe.settings.clone();
            settings.profiles.push(name.clone());
            session.printer.note(&format!("profile {name}:"));
            check(session, &session.load(&args.recipe, &settings).map_err(usage)?, args, locked)?;
        }
    }
    Ok(())
}

fn check(session: &CliSession<'_>, recipe: &Recipe, args: &RecipeArgs, locked: bool) -> CommandResult {
    let lines = |stale: Vec<StaleEntry>| -> String { stale.iter().map(|stale| format!("\n  {stale}")).collect() };
    let locks = Locks::open(recipe, args.lock());
    let found =
        locks.as_ref().map_err(ToString::to_string).and_then(|locks| locks.current().map_err(|e| e.to_string()));
    let stale = match found {
        Ok((path, lock)) => {
            let stale = stale(recipe, lock);
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
    lint(recipe).iter().for_each(|finding| session.printer.note(&warning(recipe, finding)));
    let lock = locks.as_ref().ok().and_then(|locks| locks.current().ok()).map(|(_, lock)| lock);
    let mut lost = Vec::new();
    match session.kernel_settings(recipe, lock)? {
        None => {}
        Some(KernelSettings::Unknown(why)) => {
            session.printer.note(&format!("the kernel's settings were not checked: {why}"));
        }
        Some(KernelSettings::Judged(verdict)) => {
            session.printer.note(&summary_of(&verdict));
            lost = verdict.lost;
        }
    }
    lost.iter().for_each(|lost| session.printer.error(&finding(lost)));
    let unstable = [unstable_kernel(recipe), unpinned(recipe)].concat();
    unstable.iter().for_each(|finding| session.printer.error(finding));
    let mut found = Vec::new();
    if !lost.is_empty() {
        let settings = count(lost.len(), "setting");
        found.push(format!("{settings} of the kernel will not take effect"));
    }
    if !unstable.is_empty() {
        let findings = count(unstable.len(), "finding");
        found.push(format!("{findings}: builds of this recipe may differ, or can't be repeated elsewhere"));
    }
    if found.is_empty() { Ok(()) } else { Err(usage(anyhow!(found.join("; ")))) }
}

/// What is legal and probably a mistake, with its places.
fn warning(recipe: &Recipe, finding: &Finding) -> String {
    let Finding { id, message, span, related, help, .. } = finding;
    let places = related.iter().map(|(span, label)| format!("\n  {}: {label}", recipe.files.locate(*span)));
    let places: String = places.collect();
    let help = help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default();
    format!("warning: {}: {message} [{id}]{places}{help}", recipe.files.locate(*span))
}

fn summary_of(verdict: &Verdict) -> String {
    let Verdict { lost, settings, uncertain } = verdict;
    let held = settings - lost.len() - uncertain.len();
    let mut summary = format!("kernel: {held} of {} take effect", count(*settings, "setting"));
    if !uncertain.is_empty() {
        let names: Vec<_> = uncertain.iter().map(|name| format!("CONFIG_{name}")).collect();
        summary += &format!("; the compiler decides about {}", names.join(", "));
    }
    summary
}

/// A setting that will not take effect, as an error with its place.
fn finding(lost: &Lost) -> String {
    let Lost { mismatch, remedy } = lost;
    let mut text = format!("{}:{}:1: {}", mismatch.fragment, mismatch.line, mismatch.message());
    if !remedy.is_empty() {
        let lines: Vec<_> = remedy.iter().map(|(symbol, value)| format!("`{}`", value.line(symbol))).collect();
        text += &format!("\n  help: add {}", lines.join(", "));
    }
    text
}
