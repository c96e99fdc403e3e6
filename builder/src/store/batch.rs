//! Many small blobs with a single flush to disk.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Read};
use std::os::fd::AsFd;
use std::path::PathBuf;

use super::{Store, StoreError, WorkDir, publish};
use crate::digest::{Digest, Hasher, copy};
use crate::path_error::FromPathError as _;

/// Blobs that become visible together. If it is dropped without [`Batch::commit`], nothing of it remains.
pub struct Batch {
    store: Store,
    work: WorkDir,
    written: HashMap<Digest, PathBuf>,
    count: usize,
}

impl Batch {
    pub(super) fn new(store: &Store) -> Result<Self, StoreError> {
        Ok(Self { store: store.clone(), work: store.work_dir()?, written: HashMap::new(), count: 0 })
    }

    /// Reads one blob to its end; gives its digest and length in bytes.
    pub fn add(&mut self, mut content: impl Read) -> Result<(Digest, u64), StoreError> {
        let path = self.work.path().join(self.count.to_string());
        self.count += 1;
        let file = File::create(&path).map_err(StoreError::io("write", &path))?;
        let mut out = Hasher::new(BufWriter::with_capacity(1 << 17, file));
        copy(&mut content, &mut out).map_err(StoreError::io("write", &path))?;
        let (digest, size, out) = out.into_parts();
        out.into_inner().map_err(|error| StoreError::io("write", &path)(error.into_error()))?;
        if self.store.has_blob(&digest) || self.written.contains_key(&digest) {
            std::fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
        } else {
            self.written.insert(digest, path);
        }
        Ok((digest, size))
    }

    /// Flushes all blobs and renames each to its final name.
    pub fn commit(self) -> Result<(), StoreError> {
        if self.written.is_empty() {
            return Ok(());
        }
        let folder = File::open(self.work.path()).map_err(StoreError::io("open", self.work.path()))?;
        nix::unistd::syncfs(folder.as_fd()).map_err(|error| StoreError::io("flush", self.work.path())(error.into()))?;
        for (digest, path) in &self.written {
            publish(path, &self.store.blob_path(digest))?;
        }
        Ok(())
    }
}
