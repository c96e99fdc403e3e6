//! `dbco vendor`.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;
use serde_json::json;

use super::args::ChoiceArgs;
use super::prose::{bytes, count};
use super::session::CliSession;
use super::{CommandError, CommandResult, default_recipe, usage};
use crate::recipe::Recipe;
use crate::session::{Error, LockedSources};
use crate::vendor::{ArchiveFormat, FolderReport, Manifest, Selection, verify, write_archive, write_folder};

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  dbco vendor -o vendor\n  dbco vendor --all -o /srv/mirror --prune\n  \
                        dbco vendor recipes/quick.yaml -o quick.tar.zst\n  dbco vendor --verify vendor --all\n  \
                        dbco build --vendor vendor\n\n\
                        A folder can be served by any HTTP server: `--vendor http://mirror.example/vendor`. For apt it is a flat \
                        repository: `deb [trusted=yes] file:/srv/mirror ./`.")]
pub struct VendorArgs {
    /// The image recipes [default: as for `dbco build`]
    #[arg(value_name = "RECIPE")]
    recipes: Vec<PathBuf>,
    /// Everything that the lock of the recipe's project names, and the crates of all its recipes
    #[arg(long)]
    all: bool,
    /// The folder, which stays usable while it is being updated, or the archive (.tar, .tar.zst)
    #[arg(short, long, value_name = "DIR|ARCHIVE", required_unless_present = "verify")]
    output: Option<PathBuf>,
    /// Remove from the folder what neither a named recipe nor the project's lock names any more
    #[arg(long)]
    prune: bool,
    /// Read all of a folder or an archive, and report what is damaged, or missing although a lock names it. The locks are
    /// those of the recipes that are given; without any, only the manifest counts
    #[arg(long, value_name = "DIR|ARCHIVE", conflicts_with_all = ["output", "prune"])]
    verify: Option<PathBuf>,
    #[command(flatten)]
    choice: ChoiceArgs,
    /// The lock file [default: the nearest dbco.lock in the recipe's folder or above it]
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// Maximum number of parallel connections
    #[arg(short, long, default_value_t = crate::source::CONNECTIONS, value_name = "N")]
    jobs: usize,
}

impl VendorArgs {
    fn load(&self, session: &CliSession<'_>) -> Result<Vec<Recipe>, CommandError> {
        let settings = self.choice.settings().map_err(usage)?;
        let default = [default_recipe()];
        let paths = if self.recipes.is_empty() { &default[..] } else { &self.recipes };
        paths.iter().map(|path| session.load(path, &settings).map_err(usage)).collect()
    }

    fn sources(&self, session: &CliSession<'_>) -> Result<(Vec<Recipe>, LockedSources), CommandError> {
        let recipes = self.load(session)?;
        let sources = match &recipes[..] {
            [one] if self.all => LockedSources::of_project(session, one, self.lock.as_deref())?,
            _ if self.all => return Err(usage(anyhow!("--all takes one recipe, whose project is meant"))),
            some => LockedSources::of_recipes(some, self.lock.as_deref())?,
        };
        Ok((recipes, sources))
    }
}

pub fn run(session: &CliSession<'_>, args: &VendorArgs) -> CommandResult {
    if let Some(place) = &args.verify {
        let locks = args.all || !args.recipes.is_empty();
        let wanted = if locks { args.sources(session)?.1.selection() } else { Selection::default() };
        return check(session, place, &wanted);
    }
    let output = args.output.as_deref().unwrap_or(Path::new(""));
    let format = ArchiveFormat::of(output);
    if format.is_none()
        && output.extension().is_some_and(|end| ["gz", "xz", "zip", "tgz"].iter().any(|other| end == *other))
    {
        let text = format!("-o {}: expected a folder, or an archive that ends in .tar or .tar.zst", output.display());
        return Err(usage(anyhow!(text)));
    }
    if format.is_some() && args.prune {
        return Err(usage(anyhow!("--prune is for folders: an archive is written anew, with only what is selected")));
    }
    let (recipes, sources) = args.sources(session)?;
    let keep = match args.prune {
        true => Some(LockedSources::of_project(session, &recipes[0], args.lock.as_deref())?.digests()),
        false => None,
    };
    let store = session.store()?;
    session.fetch_sources(&sources, &store, Some(output).filter(|path| path.exists()), args.jobs)?;
    let manifest = sources.selection().manifest(&store)?;
    let meter = session.printer.work("writing", manifest.size());
    let progress = |done| meter.at(done);
    match format {
        Some(format) => {
            let size = write_archive(output, format, &manifest, &store, &progress).map_err(Error::from)?;
            drop(meter);
            archive_report(session, output, &manifest, size);
        }
        None => {
            let report = write_folder(output, &manifest, keep.as_ref(), &store, &progress).map_err(Error::from)?;
            drop(meter);
            folder_report(session, output, &manifest, &report);
        }
    }
    Ok(())
}

fn archive_report(session: &CliSession<'_>, output: &Path, manifest: &Manifest, size: u64) {
    let files = manifest.0.len();
    let value = json!({"event": "vendored", "path": output, "files": files, "bytes": manifest.size(), "size": size});
    if !session.printer.value(&value) {
        session.printer.line(&format!("{}: {}, {}", output.display(), count(files, "file"), bytes(size)));
    }
}

fn folder_report(session: &CliSession<'_>, output: &Path, manifest: &Manifest, report: &FolderReport) {
    let FolderReport { added, added_bytes, present, mended, removed, links } = report;
    for path in mended {
        session.printer.note(&format!("{path} was damaged, and was replaced"));
    }
    if !links {
        let text = "the folder's file system has no hard links: the names for apt and --mirror are left out";
        session.printer.note(text);
    }
    let value = json!({
        "event": "vendored", "path": output, "files": manifest.0.len(), "bytes": manifest.size(), "added": added,
        "added-bytes": added_bytes, "present": present, "mended": mended, "removed": removed,
    });
    if !session.printer.value(&value) {
        let removed = if *removed > 0 { format!(", {removed} removed") } else { String::new() };
        session.printer.line(&format!(
            "{}: {}, {}; {added} added ({}){removed}",
            output.display(),
            count(manifest.0.len(), "file"),
            bytes(manifest.size()),
            bytes(*added_bytes)
        ));
    }
}

fn check(session: &CliSession<'_>, place: &Path, wanted: &Selection) -> CommandResult {
    let verified = {
        let meter = session.printer.work("reading", 0);
        verify(place, wanted, &|read| meter.at(read)).map_err(Error::from)?
    };
    for path in &verified.unlisted {
        session.printer.note(&format!("{path} is not in the manifest: `dbco vendor --prune` removes it"));
    }
    for fault in &verified.faults {
        let crate::source::VendorFault { name, path, problem, locked_by } = fault;
        let text = format!("{path} {problem}: {name}, locked for {locked_by}");
        session.printer.error(&text);
    }
    let faults: Vec<_> = verified
        .faults
        .iter()
        .map(|fault| json!({"path": fault.path, "problem": fault.problem, "name": fault.name, "for": fault.locked_by}))
        .collect();
    let value = json!({
        "event": "vendor-verified", "path": place, "files": verified.sound, "bytes": verified.bytes, "faults": faults,
        "unlisted": verified.unlisted,
    });
    if !session.printer.value(&value) {
        let (sound, size) = (count(verified.sound, "file"), bytes(verified.bytes));
        let faults = verified.faults.len();
        session.printer.line(&format!("{}: {sound} as locked, {size}; {faults} missing or damaged", place.display()));
    }
    if verified.faults.is_empty() { Ok(()) } else { Err(CommandError::Reported) }
}
