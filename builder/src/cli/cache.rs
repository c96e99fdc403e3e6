//! `dbco cache`.

use std::path::Path;

use clap::Subcommand;

use super::Outcome;
use super::prose::bytes;
use super::session::Session;

#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Where the store is and what it holds
    Info,
}

pub fn run(session: &Session<'_>, command: &CacheCommand) -> Outcome {
    let CacheCommand::Info = command;
    let store = session.store()?;
    session.face.line(&format!("{}", store.path().display()));
    for folder in ["blobs", "steps", "roots", "logs", "partial"] {
        let (files, size) = measure(&store.path().join(folder))?;
        session.face.line(&format!("  {folder:<8} {files:>8} files {:>10}", bytes(size)));
    }
    Ok(())
}

fn measure(folder: &Path) -> std::io::Result<(u64, u64)> {
    let (mut files, mut size) = (0, 0);
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
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
