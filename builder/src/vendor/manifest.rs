//! What a vendored place contains, and what it was selected for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::path_error::FromPathError as _;
use crate::source::mirrors::archive_name;
use crate::source::{CargoLock, Location, LockEntry};
use crate::store::{Store, StoreError};

/// The version of the manifest's format.
const FORMAT: u32 = 1;

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VendoredFile {
    /// The digest of its content, which determines its path.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// A Debian package's name, otherwise a file name.
    pub name: String,
    /// A Debian package's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its path as on a Debian mirror, with the archive's name: `debian/pool/main/b/bash/bash_5.2-2_amd64.deb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// What locked it: requests, and paths of `Cargo.lock` files.
    #[serde(rename = "for")]
    pub locked_by: BTreeSet<String>,
}

/// All files of a vendored place, by digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest(pub BTreeMap<Digest, VendoredFile>);

#[derive(Serialize, Deserialize)]
struct Text {
    format: u32,
    files: Vec<VendoredFile>,
}

impl Manifest {
    /// Reads its JSON.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Text { format, files } = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if format != FORMAT {
            return Err(format!("it has format {format}, this version of dbco reads {FORMAT}"));
        }
        Ok(Self(files.into_iter().map(|file| (file.sha256, file)).collect()))
    }

    /// Its JSON: files in the order of their digests.
    pub fn text(&self) -> String {
        let text = Text { format: FORMAT, files: self.0.values().cloned().collect() };
        serde_json::to_string_pretty(&text).expect("a manifest is plain data") + "\n"
    }

    /// The total length of its files in bytes.
    pub fn size(&self) -> u64 {
        self.0.values().map(|file| file.size).sum()
    }
}

/// Files to vendor. The lengths of crates are not known before they are in the store.
#[derive(Clone, Debug, Default)]
pub struct Selection(BTreeMap<Digest, VendoredFile>);

impl Selection {
    /// Adds everything that an entry of a lock names.
    pub fn add_entry(&mut self, entry: &LockEntry) {
        let kind = entry.request.kind();
        for file in &entry.files {
            let pool = match (&file.at, kind.archive_of(file)) {
                (Location::Pool(path), Some(archive)) => Some(format!("{}/{path}", archive_name(&archive.suite))),
                _ => None,
            };
            let version = file.version.clone();
            self.add(file.sha256, file.size, file.name.clone(), version, pool, entry.request.to_string());
        }
    }

    /// Adds the crates of a `Cargo.lock`; `path` is its name in the manifest.
    pub fn add_crates(&mut self, lock: &CargoLock, path: &str) {
        for one in &lock.crates {
            self.add(one.sha256, 0, one.file_name(), None, None, path.to_owned());
        }
    }

    fn add(
        &mut self,
        sha256: Digest,
        size: u64,
        name: String,
        version: Option<String>,
        pool: Option<String>,
        locked_by: String,
    ) {
        let new = VendoredFile { sha256, size, name, version, pool, locked_by: BTreeSet::new() };
        let file = self.0.entry(sha256).or_insert(new);
        file.locked_by.insert(locked_by);
    }

    /// The digests of all files.
    pub fn digests(&self) -> impl Iterator<Item = Digest> + '_ {
        self.0.keys().copied()
    }

    /// The number of files.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The selected files as described, without the lengths of crates.
    pub fn files(&self) -> impl Iterator<Item = &VendoredFile> {
        self.0.values()
    }

    /// The manifest of the selection, whose files must all be in the store.
    pub fn manifest(mut self, store: &Store) -> Result<Manifest, StoreError> {
        for (digest, file) in &mut self.0 {
            let path = store.verified_blob(digest)?;
            file.size = std::fs::metadata(&path).map_err(StoreError::io("read", &path))?.len();
        }
        Ok(Manifest(self.0))
    }
}
