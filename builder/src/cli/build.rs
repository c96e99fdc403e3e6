//! `dbco build`.

use std::io;
use std::path::Path;
use std::time::Instant;

use anyhow::anyhow;
use clap::Args;
use nix::unistd::AccessFlags;

use super::session::CliSession;
use super::{BuildArgs, CommandResult, usage};
use crate::recipe::OutputKind;
use crate::session::{OutputOptions, ReleaseOptions};

/// What makes a build a release.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// Build all outputs from the project's git commit, and write SBOMs and provenance beside them (implies --locked)
    #[arg(long, conflicts_with = "only")]
    release: bool,
    /// The URL of the project's repository in the provenance [default: that of the remote `origin`]
    #[arg(long, requires = "release", value_name = "URL")]
    source_url: Option<String>,
}

pub fn run(
    session: &CliSession<'_>,
    args: &BuildArgs,
    only: &[OutputKind],
    overwrite: bool,
    release: &ReleaseArgs,
) -> CommandResult {
    let begin = Instant::now();
    let (recipe, store) = (session.recipe(&args.recipe)?, session.store()?);
    // Checked before the work starts: anything that prevents writing the outputs.
    writable(&args.output)?;
    if !args.output.join(&*recipe.image.name.value).exists() {
        session.printer.is_new();
    }
    let release = release.release.then(|| ReleaseOptions { source_url: release.source_url.clone() });
    let (folder, options) = (args.output.clone(), args.options());
    let outputs = OutputOptions { folder, only: only.to_vec(), overwrite, release, options };
    let (done, report) = session.outputs(recipe, store, &outputs)?;
    session.printer.outputs(&report, done.built.ran.len(), begin.elapsed().as_secs_f64());
    Ok(())
}

/// Whether a folder can be written to, or created if it does not exist.
pub fn writable(folder: &Path) -> CommandResult {
    let absolute = std::path::absolute(folder)?;
    let there = absolute.ancestors().find(|path| path.symlink_metadata().is_ok()).unwrap_or(Path::new("/"));
    let writable = if there.is_dir() {
        nix::unistd::access(there, AccessFlags::W_OK | AccessFlags::X_OK)
    } else {
        Err(nix::errno::Errno::ENOTDIR)
    };
    let failed = |errno: nix::errno::Errno| {
        anyhow!(io::Error::from(errno)).context(format!("can't write to {}", there.display()))
    };
    writable.map_err(|errno| usage(failed(errno).context(format!("--output {} can't be used", folder.display()))))
}
