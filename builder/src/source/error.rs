//! Errors of sources, as data and as text.

use std::fmt;
use std::path::PathBuf;

use crate::process::ProcessError;
use crate::similar::did_you_mean;
use crate::store::StoreError;

use super::debian::error::{ClosureError, IndexError, SignatureError};
use super::list::list;
use super::suites::suggested_suite;
use super::vendored::VendorFault;

/// An attempt at one place, and why it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The URL, without any password.
    pub url: String,
    /// The reason, as text.
    pub reason: String,
    /// The number of requests; 0 if its server had failed too often for other files.
    pub times: u32,
    /// The place answered, and the file does not exist.
    pub missing: bool,
    /// The server's origin, if the server as a whole is at fault.
    pub server: Option<String>,
}

/// The end of the line for an attempt that was not made, or made several times.
const NOT_AGAIN: &str = " (not retried)";
const ASKED: &str = " (tried ";

/// An error's text without the number of requests, which differs between files that failed for the same reason.
pub fn without_counts(text: &str) -> String {
    let line = |line| str::split(line, ASKED).next().unwrap_or_default().trim_end_matches(NOT_AGAIN);
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.url, self.reason)?;
        match self.times {
            0 => f.write_str(NOT_AGAIN),
            1 => Ok(()),
            times => write!(f, "{ASKED}{times} times)"),
        }
    }
}

/// Why a source could not be resolved or fetched.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Every place failed.
    #[error("can't get {name}{}{}", places(.attempts), advice(.hint, .attempts))]
    Unreachable {
        /// The file.
        name: String,
        /// All places, in the order of the attempts.
        attempts: Vec<Attempt>,
        /// What to do about it.
        hint: Option<String>,
    },
    /// No mirror has the archive with a valid signature.
    #[error("no mirror has a trusted Release file of {archive}{}\n  \
             it must be signed by {keys}; choose another mirror with --mirror, or set the archive's keys with `keyring:`",
            places(.attempts))]
    Untrusted {
        /// The archive.
        archive: String,
        /// The accepted keys.
        keys: String,
        /// All mirrors, in the order of the attempts.
        attempts: Vec<Attempt>,
        /// The error of the last signature.
        #[source]
        source: Box<SignatureError>,
    },
    /// The mirrors answered, but have no such suite.
    #[error("{}", no_suite(.suite, .attempts))]
    NoSuite {
        /// The requested suite.
        suite: String,
        /// All mirrors, in the order of the attempts.
        attempts: Vec<Attempt>,
    },
    /// The network must not be used, and the store lacks files.
    #[error("offline, and not in the store: {}; run `dbco fetch` while online", list(.missing))]
    Offline {
        /// Their names.
        missing: Vec<String>,
    },
    /// Files are missing or damaged in a vendored place, which is the only one that may be used.
    #[error("{place}{}\n  run `dbco vendor -o {place}` where the sources can be fetched", fault_list(.faults))]
    Vendored {
        /// The folder or archive.
        place: String,
        /// Each file.
        faults: Vec<VendorFault>,
    },
    /// A vendored place can't be read at all.
    #[error("--vendor {place}: {message}")]
    VendoredPlace {
        /// The folder or archive.
        place: String,
        /// The error.
        message: String,
    },
    /// No mirror is known for an archive.
    #[error(
        "no mirror is known for {archive}: pass --mirror {flag}URL, set DBCO_MIRROR, or write `mirrors: {{{family}: [URL]}}` into \
             {user_config} (URL is the folder that holds `dists/` and `pool/`; on Debian it is taken from apt's sources)",
        flag = flag(family)
    )]
    NoMirror {
        /// The archive.
        archive: String,
        /// The name of its kind of mirror: `debian` …
        family: &'static str,
        /// The user's configuration file.
        user_config: String,
    },
    /// An invalid name or URL of a mirror.
    #[error("{place}: {message}")]
    Mirror {
        /// The flag, or file and line.
        place: String,
        /// The error.
        message: String,
    },
    /// The keys of an archive can't be used.
    #[error("can't use the keys in {}: {reason}", path.display())]
    Keyring {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// An index is invalid.
    #[error("{archive}: {source}")]
    Index {
        /// The archive.
        archive: String,
        /// The error.
        source: IndexError,
    },
    /// No set of packages satisfies the request.
    #[error("{archive}: {source}")]
    Closure {
        /// The archive.
        archive: String,
        /// The reason.
        source: Box<ClosureError>,
    },
    /// A source package, its version or its file does not exist.
    #[error("{archive}: {message}")]
    DebianSource {
        /// The archive.
        archive: String,
        /// What is missing, and what is available.
        message: String,
    },
    /// A git tree can't be fetched.
    #[error("can't get {request}: {message}")]
    Git {
        /// Commit and repository.
        request: String,
        /// The error and what to do.
        message: String,
        /// Git's message.
        #[source]
        source: Option<Box<ProcessError>>,
    },
    /// Crates can't be fetched.
    #[error("can't get the crates of {}: {message}", lock.display())]
    Crates {
        /// Their `Cargo.lock`.
        lock: PathBuf,
        /// The error and what to do.
        message: String,
        /// Cargo's message.
        #[source]
        source: Option<Box<ProcessError>>,
    },
    /// A request that can't be carried out as written.
    #[error("{request}: {message}")]
    BadRequest {
        /// The request.
        request: String,
        /// The error and what is expected.
        message: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The HTTP client could not be created.
    #[error("can't use the network: {0}")]
    Client(String),
    /// Cancelled by ^C.
    #[error("interrupted")]
    Cancelled,
}

impl SourceError {
    /// Whether continuing with other files is pointless.
    pub fn stops_all(&self) -> bool {
        match self {
            SourceError::Store(error) => error.is_disk_full(),
            SourceError::Cancelled | SourceError::Client(_) | SourceError::VendoredPlace { .. } => true,
            _ => false,
        }
    }
}

/// The prefix of the URL in `--mirror`; empty for the main archive.
fn flag(family: &str) -> String {
    if family == "debian" { String::new() } else { format!("{family}=") }
}

fn places(attempts: &[Attempt]) -> String {
    attempts.iter().map(|attempt| format!("\n  {attempt}")).collect()
}

fn fault_list(faults: &[VendorFault]) -> String {
    const SHOWN: usize = 20;
    let line = |VendorFault { name, path, problem, locked_by }: &VendorFault| {
        format!("\n  {path} {problem}: {name}, locked for {locked_by}")
    };
    let more = faults.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
    format!(": {}{}{more}", count_of(faults.len()), faults.iter().take(SHOWN).map(line).collect::<String>())
}

fn count_of(faults: usize) -> String {
    if faults == 1 { "1 file is not as locked".to_owned() } else { format!("{faults} files are not as locked") }
}

fn no_suite(suite: &str, attempts: &[Attempt]) -> String {
    let meant = suggested_suite(suite).map(|meant| format!("; {}", did_you_mean(meant))).unwrap_or_default();
    format!("the mirror has no suite `{suite}`{meant}{}", places(attempts))
}

fn advice(hint: &Option<String>, attempts: &[Attempt]) -> String {
    let of_servers = !attempts.is_empty() && attempts.iter().all(|attempt| attempt.server.is_some());
    let general = "if this host's network and proxy work, try again later, or use another mirror or address";
    let hint = hint.as_deref().or(of_servers.then_some(general));
    hint.map(|hint| format!("\n  {hint}")).unwrap_or_default()
}
