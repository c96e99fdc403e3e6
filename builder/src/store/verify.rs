//! Reading everything in a store.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use super::listing::{entries, measure, name, sharded_entries};
use super::parallel::each;
use super::{Depth, Store, StoreError};
use crate::digest::Digest;
use crate::path_error::PathError;

/// The apparent content of a store, by names and lengths.
#[derive(Clone, Debug, Default)]
pub struct StoreContents {
    blobs: Vec<(Digest, u64)>,
    roots: Vec<(Digest, u64)>,
    results: Vec<Digest>,
}

impl StoreContents {
    /// Blobs, results and toolchain roots.
    pub fn objects(&self) -> usize {
        self.blobs.len() + self.roots.len() + self.results.len()
    }

    /// The number of bytes to read; except for results, which are small.
    pub fn bytes(&self) -> u64 {
        self.blobs.iter().chain(&self.roots).map(|(_, size)| size).sum()
    }
}

impl Store {
    /// Lists what [`Store::verify`] will read.
    pub fn contents(&self) -> Result<StoreContents, StoreError> {
        let named = |paths: Vec<PathBuf>| paths.iter().filter_map(|path| name(path)).collect::<Vec<_>>();
        let blobs = named(sharded_entries(&self.path().join("blobs"))?);
        let size = |digest: &Digest| fs::symlink_metadata(self.blob_path(digest)).map_or(0, |metadata| metadata.len());
        let roots = named(entries(&self.path().join("roots"))?);
        let roots = roots.into_iter().map(|key| Ok((key, measure(&self.root_path(&key))?)));
        Ok(StoreContents {
            blobs: blobs.into_iter().map(|digest| (digest, size(&digest))).collect(),
            roots: roots.collect::<Result<_, StoreError>>()?,
            results: named(sharded_entries(&self.path().join("steps"))?),
        })
    }

    /// Checks each blob, result and toolchain root against its name, and moves damaged ones aside; see
    /// [`Store::damages`]. Results that refer to missing objects are dropped, so that their steps run again. `progress`
    /// receives the number of bytes read. Ends with an error when a signal arrives.
    pub fn verify(&self, contents: &StoreContents, progress: &(dyn Fn(u64) + Sync)) -> Result<(), StoreError> {
        let read = AtomicU64::new(0);
        let more = |size: u64| progress(read.fetch_add(size, Ordering::Relaxed) + size);
        each(&contents.blobs, |(digest, size)| {
            self.check_blob(digest)?;
            more(*size);
            Ok(())
        })?;
        for (key, size) in &contents.roots {
            self.check_root(key, Depth::Content)?;
            more(*size);
        }
        // Last, as objects that a result refers to may just have been moved aside.
        for key in &contents.results {
            if self.result(key)?.is_none() {
                self.forget(key)?;
            }
        }
        Ok(())
    }

    /// Whether the store has an intact blob. One that has not changed since it was last read is not read again; a
    /// damaged one is moved aside.
    pub fn has_intact_blob(&self, digest: &Digest) -> Result<bool, StoreError> {
        match self.verified_blob(digest) {
            Ok(_) => Ok(true),
            Err(StoreError::Damaged(_)) => Ok(false),
            Err(StoreError::Io(PathError { source, .. })) if source.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Moves damaged ones among these blobs aside, as [`Store::has_intact_blob`] does.
    pub fn verify_blobs(&self, blobs: &[Digest]) -> Result<(), StoreError> {
        each(blobs, |digest| self.has_intact_blob(digest).map(drop))
    }
}
