//! Everything that comes from outside: kinds of source, resolving them to a lock, fetching what is locked.
//!
//! The only module that uses the network. Resolving and fetching need a [`Network`]; code without one, such as a build
//! with `--offline`, can't open a socket.
//!
//! Trust: a Debian index is only trusted by its archive's signature ([`debian`]), everything else by the sha256 in the
//! recipe, the lock or the `Cargo.lock`. Mirrors, proxies and TLS are never trusted.

mod cancel;
mod cargo;
mod config;
pub mod debian;
mod download;
mod entry;
mod error;
mod failures;
mod fetch;
mod git;
pub mod keys;
pub mod kind;
mod list;
mod locked;
pub mod mirrors;
mod network;
mod pace;
mod progress;
mod race;
mod resolve;
mod submodules;
mod suites;
mod vendored;

pub use cancel::Cancel;
pub use cargo::{CargoLock, CargoLockError, Crate, fetch_crates};
pub use config::UserConfig;
pub use entry::LockEntry;
pub use error::{Attempt, SourceError, without_counts};
pub use failures::FetchFailure;
pub use fetch::{Access, CONNECTIONS, FetchReport, fetch};
pub use git::host_git;
pub use kind::{
    DebianPackages, DebianSource, GitCommit, LibraryContent, PackageText, Request, SourceContent, SourceContext,
    SourceKind, UrlFile, decode_suites, packages_of,
};
pub(crate) use list::list;
pub(crate) use locked::is_pool_path;
pub use locked::{ArchiveDate, Location, LockedFile};
pub use mirrors::Mirrors;
pub use network::{Network, NetworkLimits};
pub use progress::{Meter, NoProgress, Progress};
pub use resolve::Resolver;
pub use suites::{Archive, PackageRequest, Suites, SuitesError, suggested_suite};
pub use vendored::{
    CONTENTS, MANIFEST, VendorFault, Vendored, VendoredPlace, WantedFile, content_digest, content_path, fetch_vendored,
};
