//! What can go wrong with sources, as data and in prose.

use std::fmt;
use std::path::PathBuf;

use crate::process::ProcessError;
use crate::store::StoreError;
use crate::yaml::text::did_you_mean;

use super::debian::error::{ClosureError, IndexError, SignatureError};
use super::list::list;
use super::suites::meant_suite;

/// One place that was tried, and why it failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The URL, without any password.
    pub url: String,
    /// Why it failed, in words.
    pub reason: String,
    /// How often it was asked; 0 where its server had failed too often for other files.
    pub times: u32,
    /// The place answers, and the file is not there.
    pub missing: bool,
    /// The server's origin, where the server as a whole is at fault.
    pub server: Option<String>,
}

/// How an attempt's line ends that was not made, or made several times.
const NOT_AGAIN: &str = " (not retried)";
const ASKED: &str = " (tried ";

/// An error's text without how often servers were asked, which differs between files that they failed for alike.
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

/// Why a source could not be resolved or brought.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Every place failed.
    #[error("can't get {name}{}{}", places(.attempts), advice(.hint, .attempts))]
    Unreachable {
        /// The file.
        name: String,
        /// All places, in the order they were tried.
        attempts: Vec<Attempt>,
        /// What to do about it.
        hint: Option<String>,
    },
    /// No mirror has an archive with a good signature.
    #[error("no mirror has a trusted Release file of {archive}{}\n  \
             it must be signed by {keys}; choose another mirror with --mirror, or set the archive's keys with `keyring:`",
            places(.attempts))]
    Untrusted {
        /// The archive.
        archive: String,
        /// Which keys were accepted.
        keys: String,
        /// All mirrors, in the order they were tried.
        attempts: Vec<Attempt>,
        /// What was wrong with the last signature.
        #[source]
        source: Box<SignatureError>,
    },
    /// The mirrors answer, and have no such suite.
    #[error("{}", no_suite(.suite, .attempts))]
    NoSuite {
        /// The one asked for.
        suite: String,
        /// All mirrors, in the order they were tried.
        attempts: Vec<Attempt>,
    },
    /// The network may not be used, and the store lacks files.
    #[error("offline, and not in the store: {}; run `dbco fetch` while online", list(.missing))]
    Offline {
        /// Their names.
        missing: Vec<String>,
    },
    /// Nobody says where Debian is.
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
    /// A mirror's name or address that makes no sense.
    #[error("{place}: {message}")]
    Mirror {
        /// The flag, or file and line.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// The keys that an archive names can't be used.
    #[error("can't use the keys in {}: {reason}", path.display())]
    Keyring {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// An index is not what it should be.
    #[error("{archive}: {source}")]
    Index {
        /// The archive.
        archive: String,
        /// What is wrong.
        source: IndexError,
    },
    /// No set of packages satisfies the request.
    #[error("{archive}: {source}")]
    Closure {
        /// The archive.
        archive: String,
        /// What stands in the way.
        source: Box<ClosureError>,
    },
    /// A source package, its version or its file is not there.
    #[error("{archive}: {message}")]
    DebianSource {
        /// The archive.
        archive: String,
        /// What is missing, and what there is.
        message: String,
    },
    /// A git tree can't be had.
    #[error("can't get {request}: {message}")]
    Git {
        /// Commit and repository.
        request: String,
        /// What is wrong and what to do.
        message: String,
        /// What git said.
        #[source]
        source: Option<Box<ProcessError>>,
    },
    /// Crates can't be had.
    #[error("can't get the crates of {}: {message}", lock.display())]
    Crates {
        /// Their `Cargo.lock`.
        lock: PathBuf,
        /// What is wrong and what to do.
        message: String,
        /// What cargo said.
        #[source]
        source: Option<Box<ProcessError>>,
    },
    /// A request that can't be carried out as written.
    #[error("{request}: {message}")]
    BadRequest {
        /// The request.
        request: String,
        /// What is wrong and what is expected.
        message: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The HTTP client could not be made.
    #[error("can't use the network: {0}")]
    Client(String),
    /// ^C.
    #[error("interrupted")]
    Cancelled,
}

impl SourceError {
    /// Whether to go on with other files makes no sense.
    pub fn stops_all(&self) -> bool {
        match self {
            SourceError::Store(error) => error.is_disk_full(),
            SourceError::Cancelled | SourceError::Client(_) => true,
            _ => false,
        }
    }
}

/// What stands before the URL of `--mirror`; nothing for the main archive.
fn flag(family: &str) -> String {
    if family == "debian" { String::new() } else { format!("{family}=") }
}

fn places(attempts: &[Attempt]) -> String {
    attempts.iter().map(|attempt| format!("\n  {attempt}")).collect()
}

fn no_suite(suite: &str, attempts: &[Attempt]) -> String {
    let meant = meant_suite(suite).map(|meant| format!("; {}", did_you_mean(meant))).unwrap_or_default();
    format!("the mirror has no suite `{suite}`{meant}{}", places(attempts))
}

fn advice(hint: &Option<String>, attempts: &[Attempt]) -> String {
    let of_servers = !attempts.is_empty() && attempts.iter().all(|attempt| attempt.server.is_some());
    let general = "if this host's network and proxy work, try again later, or use another mirror or address";
    let hint = hint.as_deref().or(of_servers.then_some(general));
    hint.map(|hint| format!("\n  {hint}")).unwrap_or_default()
}
