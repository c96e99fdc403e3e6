//! The sources of the content of a tree's files.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use super::ImageError;
use crate::beneath::Dir;
use crate::digest::{Checked, Digest, Hasher};
use crate::store::Store;
use crate::tree::TreePath;

/// Opens contents by digest.
pub trait Contents: Sync {
    /// A reader of the blob from its start, which fails at the end if its content does not have that digest.
    fn open(&self, blob: &Digest) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(Checked::new(self.open_unchecked(blob)?, *blob)))
    }

    /// As [`Contents::open`], for a caller that checks the content against the digest itself.
    fn open_unchecked(&self, blob: &Digest) -> io::Result<Box<dyn Read>>;

    /// A file on this machine that holds the blob and does not change, if there is one: it can be hard-linked instead
    /// of copied.
    fn stored(&self, _blob: &Digest) -> Option<PathBuf> {
        None
    }
}

impl Contents for Store {
    fn open_unchecked(&self, blob: &Digest) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(Store::open_unchecked(self, blob)?))
    }

    fn stored(&self, blob: &Digest) -> Option<PathBuf> {
        self.open_blob(blob).ok().map(|_| self.blob_path(blob))
    }
}

/// Files that stay in the user's project (overlays), with another source for everything else.
pub struct LocalFiles<C> {
    files: HashMap<Digest, PathBuf>,
    rest: C,
}

impl<C: Contents> LocalFiles<C> {
    /// `files` are listed by the digest that each had when it was read; `rest` has every other blob.
    pub fn new(files: HashMap<Digest, PathBuf>, rest: C) -> Self {
        Self { files, rest }
    }
}

impl<C: Contents> Contents for LocalFiles<C> {
    fn open_unchecked(&self, blob: &Digest) -> io::Result<Box<dyn Read>> {
        match self.files.get(blob) {
            Some(path) => Ok(Box::new(crate::input::open(path)?)),
            None => self.rest.open_unchecked(blob),
        }
    }

    fn stored(&self, blob: &Digest) -> Option<PathBuf> {
        if self.files.contains_key(blob) { None } else { self.rest.stored(blob) }
    }
}

impl<C: Contents + ?Sized> Contents for &C {
    fn open_unchecked(&self, blob: &Digest) -> io::Result<Box<dyn Read>> {
        (**self).open_unchecked(blob)
    }

    fn stored(&self, blob: &Digest) -> Option<PathBuf> {
        (**self).stored(blob)
    }
}

/// Copies one file's content, which must be exactly `size` bytes of digest `blob`.
///
/// Never writes more than `size` bytes, as archives have already stated that length in the header.
pub(crate) fn copy_checked(
    contents: &dyn Contents,
    path: &TreePath,
    blob: &Digest,
    size: u64,
    out: &mut dyn Write,
) -> Result<(), ImageError> {
    let unreadable = |source| ImageError::Content { path: path.clone(), source };
    let changed = |got| ImageError::Changed { path: path.clone(), want: *blob, size, got };
    let mut reader = contents.open_unchecked(blob).map_err(unreadable)?;
    let mut hasher = Hasher::new(out);
    let mut left = size;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        crate::interrupt::check().map_err(ImageError::Write)?;
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

/// Places one file's content at `to` in a folder that dbco made: a hard link where the store has the blob as a file,
/// otherwise a checked copy.
///
/// Tools can only read it: the store's blobs are read-only.
pub(crate) fn place(
    contents: &dyn Contents,
    path: &TreePath,
    blob: &Digest,
    size: u64,
    (folder, to): (&Dir, &str),
) -> Result<(), ImageError> {
    if contents.stored(blob).is_some_and(|stored| folder.hard_link_from(&stored, to).is_ok()) {
        return Ok(());
    }
    let mut file = folder.create(to)?;
    copy_checked(contents, path, blob, size, &mut file)
}
