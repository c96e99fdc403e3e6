//! Crates: what a `Cargo.lock` pins, and how it is fetched.
//!
//! A `Cargo.lock` is already a lock: it names every crate with its version and the sha256 of its archive. So crates are
//! not in `dbco.lock`, where each would be a duplicate that could only be out of date.

mod fetch;
mod lock;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::input::{LONG, read_text};

pub use fetch::fetch_crates;
pub use lock::CargoLockError;

/// One crate, as a `Cargo.lock` pins it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Crate {
    /// Its name: ASCII letters, digits, `-` and `_`.
    pub name: String,
    /// Its exact version, as semver writes it.
    pub version: String,
    /// The sha256 of its archive, `<name>-<version>.crate`.
    pub sha256: Digest,
}

impl Crate {
    /// The name of its archive without the extension, which is also that of the only folder in it.
    pub fn stem(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }

    /// The name of its archive.
    pub fn file_name(&self) -> String {
        format!("{}.crate", self.stem())
    }
}

impl fmt::Display for Crate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "crate {} {}", self.name, self.version)
    }
}

/// The crates of one `Cargo.lock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CargoLock {
    /// Its path.
    pub path: PathBuf,
    /// Its text, unchanged.
    pub text: String,
    /// The pinned crates, in order. Packages without a source are not included: they are part of the project itself.
    pub crates: Vec<Crate>,
}

impl CargoLock {
    /// Reads a `Cargo.lock`. Crates from git repositories, from several registries or without a checksum are rejected.
    pub fn load(path: &Path) -> Result<Self, CargoLockError> {
        let text = read_text(path, LONG).map_err(|source| CargoLockError::Read { path: path.to_owned(), source })?;
        let crates = lock::parse(path, &text)?;
        Ok(Self { path: path.to_owned(), text, crates })
    }
}
