//! `dbco cache`.

use std::io;
use std::path::Path;

use clap::Subcommand;
use serde_json::json;

use super::gc::{self, GcArgs};
use super::prose::{bytes, count};
use super::session::CliSession;
use super::{CommandError, CommandResult};

#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Show where the store is and what it contains
    Info,
    /// Read everything in the store and move damaged objects aside
    ///
    /// Damaged objects are treated as missing: the next build that needs one rebuilds or fetches it. Exit status 1 if
    /// there were any.
    Verify,
    /// Remove what is no longer used
    ///
    /// A step's result is kept as long as one that was made from it, with everything that it refers to. It waits for
    /// running builds, and builds that start meanwhile wait until it is done. If it is interrupted, the store stays
    /// consistent.
    #[command(
        after_help = "Examples:\n  dbco cache gc --dry-run\n  dbco cache gc --older-than 8w --max-size 10G\n  dbco cache gc --keep recipes/\n  dbco cache gc --keep-seen"
    )]
    Gc(GcArgs),
}

/// All folders of a store, in the order in which its layout is documented.
const FOLDERS: [&str; 13] = [
    "blobs", "checked", "steps", "newest", "times", "roots", "seals", "recipes", "damaged", "logs", "locks", "partial",
    "tmp",
];

pub fn run(session: &CliSession<'_>, command: &CacheCommand) -> CommandResult {
    match command {
        CacheCommand::Info => info(session),
        CacheCommand::Verify => verify(session),
        CacheCommand::Gc(args) => gc::run(session, args),
    }
}

fn info(session: &CliSession<'_>) -> CommandResult {
    let store = session.store()?;
    let measured = FOLDERS.map(|folder| measure(&store.path().join(folder)).map(|found| (folder, found)));
    let measured = measured.into_iter().collect::<io::Result<Vec<_>>>()?;
    let (files, size) = measured.iter().fold((0, 0), |sum, (_, found)| (sum.0 + found.0, sum.1 + found.1));
    let folders: serde_json::Map<_, _> = measured
        .iter()
        .map(|(folder, (files, size))| (folder.to_string(), json!({"files": files, "bytes": size})))
        .collect();
    let value = json!({"event": "store", "path": store.path(), "files": files, "bytes": size, "folders": folders});
    if session.printer.value(&value) {
        return Ok(());
    }
    session.printer.line(&format!("{}", store.path().display()));
    for (folder, (files, size)) in measured.into_iter().chain([("total", (files, size))]) {
        session.printer.line(&format!(
            "  {folder:<8} {:>14} {:>10}",
            count(usize::try_from(files).unwrap_or(usize::MAX), "file"),
            bytes(size)
        ));
    }
    Ok(())
}

fn verify(session: &CliSession<'_>) -> CommandResult {
    let store = session.store()?;
    let contents = store.contents()?;
    let verified = {
        let meter = session.printer.work("reading the store", contents.bytes());
        store.verify(&contents, &|read| meter.at(read))
    };
    session.report_damages(&store);
    verified?;
    let damages = store.damages();
    let damaged: Vec<_> = damages
        .iter()
        .map(|damage| json!({"kind": damage.kind, "name": damage.name, "why": damage.why, "aside": damage.aside}))
        .collect();
    let value =
        json!({"event": "verified", "objects": contents.objects(), "bytes": contents.bytes(), "damaged": damaged});
    if !session.printer.value(&value) {
        let count = damages.len();
        session.printer.line(&format!("{} objects, {}: {count} damaged", contents.objects(), bytes(contents.bytes())));
    }
    if damages.is_empty() { Ok(()) } else { Err(CommandError::Reported) }
}

/// The number of files below a folder, and their total bytes. Files removed meanwhile are not counted.
fn measure(folder: &Path) -> io::Result<(u64, u64)> {
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let (mut files, mut size) = (0, 0);
    let entries = match std::fs::read_dir(folder) {
        Err(error) if gone(&error) => return Ok((0, 0)),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Err(error) if gone(&error) => continue,
            metadata => metadata?,
        };
        if metadata.is_dir() {
            let below = measure(&entry.path())?;
            files += below.0;
            size += below.1;
        } else {
            files += 1;
            size += metadata.len();
        }
    }
    Ok((files, size))
}
