//! Everything that comes from outside: kinds of source, resolving them to a lock, fetching what is locked.
//!
//! The only module that touches the network. Resolving and fetching over it need a [`Network`]; what has none, as a
//! build with `--offline`, can't open a socket.
//!
//! Trust: a Debian index counts only by its archive's signature ([`debian`]), everything else by the sha256 in the
//! recipe, the lock or the `Cargo.lock`. Mirrors, proxies and TLS are never trusted.

mod cancel;
mod cargo;
pub mod debian;
mod download;
mod error;
mod fetch;
mod git;
pub mod mirrors;
mod network;
mod progress;
mod resolve;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

pub use cancel::Cancel;
pub use cargo::{CargoLock, CargoLockError, Crate, fetch_crates};
pub use error::{Attempt, SourceError};
pub use fetch::{Access, CONNECTIONS, FetchReport, fetch};
pub use mirrors::Mirrors;
pub use network::{Limits, Network};
pub use progress::{Meter, NoProgress, Progress};
pub use resolve::Resolver;

/// What a recipe asks for. Two equal requests are one entry of the lock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Debian packages.
    Debian {
        /// Where from.
        archive: Archive,
        /// Sorted; each `name` or `name=version`.
        // serde-saphyr 2.1 writes an empty list here on a line of its own, which it then can't read.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        packages: Vec<String>,
        /// Whether all they depend on comes with them; otherwise exactly these.
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

/// A Debian archive's suite. Which mirror serves it is no part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Archive {
    /// `bookworm`; a codename, or a suite's name such as `stable`.
    pub suite: String,
    /// `main`, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Debian's name of the architecture: `amd64`.
    pub arch: String,
    /// OpenPGP keys that may sign it, armoured or binary, relative to the project; the built-in Debian keys otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyring: Option<String>,
}

impl fmt::Display for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Debian {} {} ({})", self.suite, self.components.join("+"), self.arch)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Request::Url { urls, .. } => f.write_str(urls.first().map_or("a URL", String::as_str)),
            Request::DebianSource { archive, package, version, file } => {
                write!(f, "{file} of {package} {version} from Debian {}", archive.suite)
            }
            Request::Debian { archive, packages, closure } => {
                let exactly = if *closure { "" } else { "exactly " };
                match packages.as_slice() {
                    [] => write!(f, "no packages of {archive}"),
                    [first, second, third, rest @ ..] if rest.len() > 1 => {
                        write!(f, "{exactly}{first}, {second}, {third} and {} more of {archive}", rest.len())
                    }
                    few => write!(f, "{exactly}{} of {archive}", few.join(", ")),
                }
            }
            Request::Git { url, commit } => write!(f, "commit {commit} of {url}"),
        }
    }
}
