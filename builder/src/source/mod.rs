//! Everything that comes from outside: kinds of source, resolving them to a lock, fetching what is locked.
//!
//! The only module that touches the network. Resolving and fetching over it need a [`Network`]; what has none, as a
//! build with `--offline`, can't open a socket.
//!
//! Trust: a Debian index counts only by its archive's signature ([`debian`]), everything else by the sha256 in the
//! recipe, the lock or the `Cargo.lock`. Mirrors, proxies and TLS are never trusted.

mod cancel;
mod cargo;
mod config;
pub mod debian;
mod download;
mod error;
mod fetch;
mod git;
pub mod mirrors;
mod network;
mod pace;
mod progress;
mod race;
mod resolve;
mod submodules;
mod suites;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::mask;

pub use cancel::Cancel;
pub use cargo::{CargoLock, CargoLockError, Crate, fetch_crates};
pub use config::UserConfig;
pub(crate) use error::list;
pub use error::{Attempt, SourceError, without_counts};
pub use fetch::{Access, CONNECTIONS, FetchReport, fetch};
pub use mirrors::Mirrors;
pub use network::{Limits, Network};
pub use progress::{Meter, NoProgress, Progress};
pub use resolve::Resolver;
pub use suites::{Archive, PackageRequest, Suites, SuitesError, meant_suite};

/// What a recipe asks for. Two equal requests are one entry of the lock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Debian packages.
    Debian {
        /// Where from; `archive` in a lock, where most requests have one.
        #[serde(rename = "archive")]
        suites: Suites,
        /// Sorted; each as [`PackageRequest`] reads it.
        // serde-saphyr 2.1 writes an empty list here on a line of its own, which it then can't read.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        packages: Vec<String>,
        /// Whether all they depend on comes with them; otherwise only what they depend on in exactly their own version,
        /// as the parts into which one program is split.
        closure: bool,
    },
    /// One file of a Debian source package.
    DebianSource {
        /// Where from.
        archive: Archive,
        /// The source package.
        package: String,
        /// Its version, exactly.
        version: String,
        /// One of its files.
        file: String,
    },
    /// The tree of a commit.
    Git {
        /// Anything that `git fetch` takes.
        url: String,
        /// The commit's full name.
        commit: String,
        /// Whether the trees of its submodules come with it, and of theirs.
        #[serde(default, skip_serializing_if = "is_false")]
        submodules: bool,
    },
    /// One file, at any of several places.
    Url {
        /// `http:`, `https:` or `file:`; tried in this order.
        urls: Vec<String>,
        /// Pinned by the recipe itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<Digest>,
    },
}

/// What serde asks whether to leave a field out.
fn is_false(value: &bool) -> bool {
    !value
}

impl Request {
    /// The Debian archives that it is answered from.
    pub fn archives(&self) -> &[Archive] {
        match self {
            Request::Debian { suites, .. } => suites.all(),
            Request::DebianSource { archive, .. } => std::slice::from_ref(archive),
            Request::Git { .. } | Request::Url { .. } => &[],
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Url { urls, .. } => f.write_str(&mask::text(urls.first().map_or("a URL", String::as_str))),
            Request::DebianSource { archive, package, version, file } => {
                write!(f, "{file} of {package} {version} from Debian {}", archive.suite)
            }
            Request::Debian { suites, packages, closure } => {
                let exactly = if *closure { "" } else { "exactly " };
                match packages.as_slice() {
                    [] => write!(f, "no packages of {suites}"),
                    [first, second, third, rest @ ..] if rest.len() > 1 => {
                        write!(f, "{exactly}{first}, {second}, {third} and {} more of {suites}", rest.len())
                    }
                    few => write!(f, "{exactly}{} of {suites}", few.join(", ")),
                }
            }
            Request::Git { url, commit, submodules } => {
                let with = if *submodules { " with its submodules" } else { "" };
                write!(f, "commit {commit} of {}{with}", mask::text(url))
            }
        }
    }
}
