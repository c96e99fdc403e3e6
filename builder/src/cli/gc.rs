//! `dbco cache gc`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use jiff::{Span, SpanRelativeTo};
use serde_json::json;

use super::prose::{bytes, count};
use super::session::CliSession;
use super::{CommandError, CommandResult, usage};
use crate::lock::LockError;
use crate::plan::{PlanTargets, plan};
use crate::recipe::{Recipe, Settings, recipes_below};
use crate::session::{Locks, digests};
use crate::store::{Garbage, KeptObjects, ObjectKind, Policy, Sharing, Store};

#[derive(Debug, Args)]
pub struct GcArgs {
    /// Remove what was not used for this long: 12h, 30d, 8w; 0d for all. Uses are recorded by day [default: 30d if
    /// neither --max-size nor --keep is given]
    #[arg(long, value_name = "TIME", value_parser = age)]
    older_than: Option<Duration>,
    /// Remove the least recently used objects until the store is no larger than this: 500M, 10G
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_size: Option<u64>,
    /// Keep everything that a recipe uses, or all recipes in and below a folder; may be repeated. Without
    /// --older-than and --max-size everything else is removed
    #[arg(long, value_name = "RECIPE|DIR")]
    keep: Vec<PathBuf>,
    /// Keep everything that the recipes use that were built with this store, in all projects, as long as they exist. As with
    /// --keep, everything else is removed without --older-than and --max-size
    #[arg(long)]
    keep_seen: bool,
    /// Show what would be removed, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// How long unused objects are kept if no option says so.
const DEFAULT_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

impl GcArgs {
    fn unused_for(&self) -> Option<Duration> {
        self.older_than.or(match (self.max_size, self.keep.is_empty() && !self.keep_seen) {
            (Some(_), _) => None,
            (None, true) => Some(DEFAULT_AGE),
            (None, false) => Some(Duration::ZERO),
        })
    }
}

pub fn run(session: &CliSession<'_>, args: &GcArgs) -> CommandResult {
    let recipes = recipes(&args.keep)?;
    let store = session.store_as(if args.dry_run { Sharing::Builds } else { Sharing::Alone })?;
    let mut policy = Policy { unused_for: args.unused_for(), max_size: args.max_size, kept: KeptObjects::default() };
    for recipe in &recipes {
        keep(session, recipe, &mut policy.kept)?;
    }
    if args.keep_seen {
        keep_seen(session, &store, args, &mut policy.kept)?;
    }
    let garbage = store.garbage(&policy)?;
    if !args.dry_run {
        let meter = session.printer.work("removing", garbage.total().bytes);
        store.remove(&garbage, &|gone| meter.at(gone))?;
    }
    report(session, &garbage, args);
    Ok(())
}

/// A recipe whose results are kept.
struct KeptRecipe {
    path: PathBuf,
    /// Whether it was found in a folder. One without a lock was never built in its current form.
    found: bool,
}

fn recipes(paths: &[PathBuf]) -> Result<Vec<KeptRecipe>, CommandError> {
    let mut recipes = Vec::new();
    for path in paths {
        if !path.is_dir() {
            recipes.push(KeptRecipe { path: path.clone(), found: false });
            continue;
        }
        let found = recipes_below(path).with_context(|| format!("can't read {}", path.display())).map_err(usage)?;
        if found.is_empty() {
            return Err(usage(anyhow!("--keep {}: there is no image recipe in it or below", path.display())));
        }
        recipes.extend(found.into_iter().map(|path| KeptRecipe { path, found: true }));
    }
    Ok(recipes)
}

/// Adds what the recipes use that were built with this store. Those that are gone are forgotten.
fn keep_seen(session: &CliSession<'_>, store: &Store, args: &GcArgs, kept: &mut KeptObjects) -> CommandResult {
    for path in store.seen_recipes()? {
        if !path.exists() {
            if !args.dry_run {
                store.forget_recipe(&path)?;
            }
        } else if session.load(&path, &Settings::default()).is_err() {
            let path = path.display();
            session.printer.note(&format!("{path}: it has errors (`dbco check`), so none of its results are kept"));
        } else {
            keep(session, &KeptRecipe { path, found: true }, kept)?;
        }
    }
    Ok(())
}

/// Adds everything that a recipe uses, without a profile and with each of them.
fn keep(session: &CliSession<'_>, named: &KeptRecipe, kept: &mut KeptObjects) -> CommandResult {
    let recipe = session.load(&named.path, &Settings::new()).map_err(usage)?;
    keep_one(session, &recipe, named, kept)?;
    for name in &recipe.profiles {
        // One that was never built with its lock has nothing to keep.
        let profile = KeptRecipe { path: named.path.clone(), found: true };
        if let Ok(recipe) = session.load(&named.path, &Settings::of_profile(name)) {
            keep_one(session, &recipe, &profile, kept)?;
        }
    }
    Ok(())
}

/// Adds what is used for each output, for boot tests and for the audit of a recipe, with everything that its lock names.
fn keep_one(session: &CliSession<'_>, recipe: &Recipe, named: &KeptRecipe, kept: &mut KeptObjects) -> CommandResult {
    let locks = Locks::open(recipe, None).map_err(usage)?;
    let requests = recipe.requests();
    let lock = match locks.current() {
        Err(LockError::Missing(_)) if named.found => None,
        lock => Some(lock.map_err(usage)?.1),
    };
    let Some(lock) = lock.filter(|lock| !named.found || lock.fits(&requests)) else {
        // Sources in its lock may have been fetched for other recipes, or for an earlier form of this one.
        kept.blobs.extend(lock.iter().flat_map(|lock| digests(recipe, &lock.only(&requests)).collect::<Vec<_>>()));
        let path = named.path.display();
        session.printer.note(&format!("{path}: not all of its sources are locked, so none of its results are kept"));
        return Ok(());
    };
    let lock = lock.only(&requests);
    let all = PlanTargets { boot: true, disks: true, ..PlanTargets::default() };
    let audit = PlanTargets { rootfs: true, ..PlanTargets::default() };
    for wanted in [all, audit] {
        let plan =
            plan(recipe, &lock, &wanted).with_context(|| format!("--keep {}", named.path.display())).map_err(usage)?;
        kept.steps.extend(plan.graph.steps.iter().map(|step| step.digest));
        kept.blobs.extend(plan.graph.steps.iter().flat_map(|step| step.action.blobs()));
    }
    kept.blobs.extend(digests(recipe, &lock));
    Ok(())
}

fn report(session: &CliSession<'_>, garbage: &Garbage, args: &GcArgs) {
    let (kinds, total, stays) = (garbage.by_kind(), garbage.total(), garbage.stays());
    let by_kind: serde_json::Map<_, _> = kinds
        .iter()
        .map(|(kind, total)| (words(*kind).0.to_owned(), json!({"count": total.count, "bytes": total.bytes})))
        .collect();
    let value = json!({
        "event": "collected", "dry-run": args.dry_run, "removed": by_kind, "count": total.count, "bytes": total.bytes,
        "left": stays.bytes,
    });
    if !session.printer.value(&value) {
        for (kind, total) in &kinds {
            let (_, one, many) = words(*kind);
            let what = if total.count == 1 { one } else { many };
            session.printer.line(&format!("  {:>7} {what:<20} {:>11}", total.count, bytes(total.bytes)));
        }
        let verb = if args.dry_run { "would be removed" } else { "removed" };
        let left = format!("{} left in {}", bytes(stays.bytes), count_objects(stays.count));
        session.printer.line(&format!("{verb}: {}, {}; {left}", count_objects(total.count), bytes(total.bytes)));
    }
    if let Some(most) = args.max_size.filter(|most| stays.bytes > *most) {
        session.printer.note(&format!(
            "what --keep selects takes {}, more than the {} of --max-size",
            bytes(stays.bytes),
            bytes(most)
        ));
    }
}

fn count_objects(number: u64) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "object")
}

/// A kind's key in JSON, and its name in singular and plural.
fn words(kind: ObjectKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        ObjectKind::Result => ("step-result", "step result", "step results"),
        ObjectKind::Root => ("toolchain-root", "toolchain root", "toolchain roots"),
        ObjectKind::Blob => ("file", "file", "files"),
        ObjectKind::Library => ("library", "library", "libraries"),
        ObjectKind::Log => ("log", "log", "logs"),
        ObjectKind::Partial => ("partial-download", "partial download", "partial downloads"),
        ObjectKind::Damaged => ("damaged-object", "damaged object", "damaged objects"),
        ObjectKind::Leftover => ("leftover", "leftover", "leftovers"),
    }
}

/// A duration: `12h`, `30d`, `8w`.
fn age(text: &str) -> Result<Duration, String> {
    let expected = "expected a number of hours, days or weeks: 12h, 30d, 8w";
    let span: Span = text.parse().map_err(|_| expected)?;
    // Months and years have no fixed length.
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| expected)?;
    Duration::try_from(duration).map_err(|_| expected.to_owned())
}

/// A number of bytes as written in a recipe, or 0.
/// A size with a unit, or 0.
pub fn size(text: &str) -> Result<u64, String> {
    let size = if text == "0" { Some(0) } else { crate::recipe::decode::size(text) };
    size.ok_or_else(|| "expected a whole number with K, M, G or T: 500M, 10G".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_numbers_of_hours_days_or_weeks() {
        let hours = |number: u64| Ok(Duration::from_secs(number * 3600));
        for (text, want) in [("12h", 12), ("30d", 720), ("8w", 8 * 168), ("0d", 0), ("1d 12h", 36), ("2 weeks", 336)] {
            assert_eq!(age(text), hours(want), "{text}");
        }
        for text in ["", "30", "d", "-3d", "3 days ago", "1mo", "1y", "x", "1e9d", "99999999999999w"] {
            assert!(age(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_those_of_recipes_or_0() {
        for (text, want) in [("0", 0), ("500M", 500 << 20), ("10G", 10 << 30), ("2K", 2048), ("1T", 1 << 40)] {
            assert_eq!(size(text), Ok(want), "{text}");
        }
        for text in ["", "17", "G", "-1G", "1P", "1.5G", "10 G", "10GiB", "2k", "inf", "1e3G", "99999999999T", "0G"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
