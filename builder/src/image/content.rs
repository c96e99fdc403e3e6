//! Where the bytes of a tree's files come from.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::ImageError;
use crate::digest::{Digest, Hasher};
use crate::store::{Store, StoreError};
use crate::tree::TreePath;

/// Opens contents by digest.
pub trait Contents: Sync {
    /// A reader of the blob from its start.
    fn open(&self, blob: &Digest) -> io::Result<Box<dyn Read>>;

    /// A file of this machine that holds the blob and does not change, if there is one: it can be linked, not copied.
    fn stored(&self, _blob: &Digest) -> Option<PathBuf> {
        None
    }
}

impl Contents for Store {
    fn open(&self, blob: &Digest) -> io::Result<Box<dyn Read>> {
        match self.open_blob(blob) {
            Ok(file) => Ok(Box::new(file)),
            Err(StoreError::Io { source, .. }) => Err(source),
            Err(other) => Err(io::Error::other(other)),
        }
    }

    fn stored(&self, blob: &Digest) -> Option<PathBuf> {
        self.has_blob(blob).then(|| self.blob_path(blob))
    }
}

/// Files that stay where the user has them (overlays), before another source for all else.
pub struct LocalFiles<C> {
    files: HashMap<Digest, PathBuf>,
    rest: C,
}

impl<C: Contents> LocalFiles<C> {
    /// `files` by the digest that each had when it was looked at; `rest` for every other blob.
    pub fn new(files: HashMap<Digest, PathBuf>, rest: C) -> Self {
        Self { files, rest }
    }
}

impl<C: Contents> Contents for LocalFiles<C> {
    fn open(&self, blob: &Digest) -> io::Result<Box<dyn Read>> {
        match self.files.get(blob) {
            Some(path) => Ok(Box::new(File::open(path)?)),
            None => self.rest.open(blob),
        }
    }

    fn stored(&self, blob: &Digest) -> Option<PathBuf> {
        if self.files.contains_key(blob) { None } else { self.rest.stored(blob) }
    }
}

impl<C: Contents + ?Sized> Contents for &C {
    fn open(&self, blob: &Digest) -> io::Result<Box<dyn Read>> {
        (**self).open(blob)
    }

    fn stored(&self, blob: &Digest) -> Option<PathBuf> {
        (**self).stored(blob)
    }
}

/// Copies one file's content, which must be exactly `size` bytes of digest `blob`.
///
/// Never writes more than `size` bytes: archives have stated that length in the header before.
pub(crate) fn copy_checked(
    contents: &dyn Contents,
    path: &TreePath,
    blob: &Digest,
    size: u64,
    out: &mut dyn Write,
) -> Result<(), ImageError> {
    let unreadable = |source| ImageError::Content { path: path.clone(), source };
    let changed = |got| ImageError::Changed { path: path.clone(), want: *blob, size, got };
    let mut reader = contents.open(blob).map_err(unreadable)?;
    let mut hasher = Hasher::new(out);
    let mut left = size;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(error)),
        };
        if count as u64 > left {
            return Err(changed("more bytes".into()));
        }
        left -= count as u64;
        hasher.write_all(&buffer[..count]).map_err(ImageError::Write)?;
    }
    let (digest, length) = hasher.finish();
    if left > 0 || digest != *blob {
        return Err(changed(format!("{length} bytes with sha256 {digest}")));
    }
    Ok(())
}

/// Puts one file's content into a folder of ours: a hard link where the store has it, else a checked copy.
///
/// Tools only read it: the store's blobs are read-only.
pub(crate) fn place(
    contents: &dyn Contents,
    path: &TreePath,
    blob: &Digest,
    size: u64,
    to: &Path,
) -> Result<(), ImageError> {
    if contents.stored(blob).is_some_and(|stored| std::fs::hard_link(stored, to).is_ok()) {
        return Ok(());
    }
    let mut file = File::create(to).map_err(ImageError::io("write", to))?;
    copy_checked(contents, path, blob, size, &mut file)
}
