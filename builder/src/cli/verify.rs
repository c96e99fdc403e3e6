//! `dbco verify`.

use std::num::NonZero;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

use super::prose::count;
use super::session::CliSession;
use super::{CommandError, CommandResult, positive, usage};
use crate::release::signature::TrustedKeys;
use crate::session::{Error, PROJECT_KEYS, RebuildOptions, RebuildOutcome, project_keys};

/// The exit status if a release that was built again differs.
const DIFFERENT: u8 = 10;

#[derive(Debug, Args)]
#[command(
    after_help = "Trusted are the keys of --key, otherwise those of keys/release.pub in the project that the current folder \
                        is in; never a key that comes with the release.\n\nExit status: 0 verified, 2 no trusted key is known, \
                        3 no signature, 4 signed by an unknown key, 5 an altered signature or list of digests, 6 an altered file, \
                        7 a missing file, 8 a file that is not part of the release, 9 an altered statement, 10 built again with \
                        another result.\n\nExamples:\n  dbco verify --key release.pub dbcolinux/\n  \
                        dbco verify --key release.pub dbcolinux/dbcolinux.iso\n  dbco verify --rebuild out/dbcolinux"
)]
pub struct VerifyArgs {
    /// The folder of a release, or one of its files with SHA256SUMS beside it
    #[arg(value_name = "DIR|FILE")]
    target: PathBuf,
    /// A trusted public key of minisign or SSH; may be repeated
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// Build the release again from its statement, and compare every file
    #[arg(long)]
    rebuild: bool,
    /// The project's repository, a folder or a URL [default: the one that the statement names]
    #[arg(long, value_name = "DIR|URL", requires = "rebuild")]
    source: Option<String>,
    /// Use the results in the store, instead of an empty one
    #[arg(long, requires = "rebuild")]
    reuse: bool,
    /// Use no network
    #[arg(long, requires = "rebuild")]
    offline: bool,
    /// Processes that the build may run in parallel [default: the number of processors]
    #[arg(short, long, value_name = "N", value_parser = positive, requires = "rebuild")]
    jobs: Option<NonZero<usize>>,
}

pub fn run(session: &CliSession<'_>, args: &VerifyArgs) -> CommandResult {
    let mut keys = TrustedKeys::default();
    let project = args.key.is_empty().then(|| project_keys(&PathBuf::from("."), &args.target)).flatten();
    for path in args.key.iter().chain(&project) {
        keys.add(path).map_err(Error::from)?;
    }
    if keys.is_empty() {
        return Err(usage(anyhow!(
            "no trusted key is known: pass --key FILE, or run it in a project that has {PROJECT_KEYS}"
        )));
    }
    let release = session.verify(&args.target, &keys)?;
    session.printer.line(&format!(
        "{}: {} verified, signed by {}",
        args.target.display(),
        count(release.files.len(), "file"),
        release.signer.key
    ));
    if !args.rebuild {
        return Ok(());
    }
    let options = RebuildOptions {
        source: args.source.clone(),
        reuse: args.reuse,
        offline: args.offline,
        jobs: args.jobs.map_or(0, NonZero::get),
    };
    match session.rebuild(&release, &options)? {
        RebuildOutcome::Identical(files) => {
            session.printer.line(&format!("identical: {}", count(files, "file")));
            Ok(())
        }
        RebuildOutcome::Different { files, why } => {
            let text = format!("the rebuilt release differs in {}: {why}", files.join(", "));
            Err(CommandError::Status(DIFFERENT, anyhow!(text)))
        }
    }
}
