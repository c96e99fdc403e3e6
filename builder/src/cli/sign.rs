//! `dbco sign`.

use std::io;
use std::path::PathBuf;

use clap::Args;

use super::session::CliSession;
use super::{CommandResult, usage};
use crate::release::signature::SecretKey;
use crate::session::Error;

/// The variable with the passphrase of an encrypted key.
const PASSPHRASE: &str = "DBCO_SIGN_PASSPHRASE";

#[derive(Debug, Args)]
#[command(
    after_help = "Signs SHA256SUMS and the statement of provenance. A key of minisign is made by `minisign -G`, one of SSH by \
                  `ssh-keygen -t ed25519`.\n\nAn encrypted key needs its passphrase: from --passphrase-file, from the variable \
                  DBCO_SIGN_PASSPHRASE, or typed at the terminal.\n\nExamples:\n  dbco sign out/dbcolinux\n  \
                  dbco sign out/dbcolinux --key ~/.ssh/id_ed25519"
)]
pub struct SignArgs {
    /// The folder that `dbco build --release` wrote
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// A secret key of minisign or SSH [default: minisign's, ~/.minisign/minisign.key]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A file whose first line is the key's passphrase
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

pub fn run(session: &CliSession<'_>, args: &SignArgs) -> CommandResult {
    let path = match &args.key {
        Some(path) => path.clone(),
        None => default_key().ok_or_else(|| usage(anyhow::anyhow!("HOME is not set: pass --key FILE")))?,
    };
    let key = SecretKey::load(&path, &mut || passphrase(args, &path)).map_err(Error::from)?;
    for signature in session.sign(&args.folder, &key)? {
        session.printer.line(&signature.display().to_string());
    }
    Ok(())
}

/// Where minisign keeps its key (minisign(1), "FILES" and "ENVIRONMENT").
fn default_key() -> Option<PathBuf> {
    let folder = std::env::var_os("MINISIGN_CONFIG_DIR").map(PathBuf::from);
    let own = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".minisign"));
    folder.or_else(own).map(|folder| folder.join("minisign.key"))
}

fn passphrase(args: &SignArgs, key: &std::path::Path) -> io::Result<String> {
    if let Some(path) = &args.passphrase_file {
        let text = crate::input::read_text(path, crate::input::LIMIT)?;
        return Ok(text.lines().next().unwrap_or_default().to_owned());
    }
    if let Ok(text) = std::env::var(PASSPHRASE) {
        return Ok(text);
    }
    let prompt = format!("Passphrase of {}: ", crate::printable::lines(&key.display().to_string()));
    rpassword::prompt_password(prompt).map_err(|error| {
        let text = format!("{error}: pass --passphrase-file FILE, or set {PASSPHRASE}");
        io::Error::new(error.kind(), text)
    })
}
