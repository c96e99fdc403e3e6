//! Listing the store's folders.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::StoreError;
use crate::digest::Digest;
use crate::path_error::{FromPathError as _, PathError};

/// The entries of a folder, in order; none if it is not a folder.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut paths: Vec<_> = match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()
            .map_err(StoreError::io("read", folder))?,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Vec::new(),
        Err(error) => return Err(StoreError::io("read", folder)(error)),
    };
    paths.sort();
    Ok(paths)
}

/// The entries of a folder's subfolders: `ab/abcd…`.
pub fn sharded_entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let shards = entries(folder)?.into_iter().map(|shard| entries(&shard)).collect::<Result<Vec<_>, _>>()?;
    Ok(shards.concat())
}

/// The digest in a file's name, whatever follows after a dot; other files are not dbco's.
pub fn name(path: &Path) -> Option<Digest> {
    path.file_stem()?.to_str()?.parse().ok()
}

/// The length of a file, or of all files below a folder, in bytes. No link is followed; a missing one has length 0.
pub fn measure(path: &Path) -> Result<u64, StoreError> {
    let mut bytes = 0;
    let mut queue = vec![path.to_owned()];
    while let Some(path) = queue.pop() {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => match entries(&path) {
                Ok(inside) => queue.extend(inside),
                // A folder that a tool has made unreadable can be removed all the same.
                Err(StoreError::Io(PathError { source, .. })) if source.kind() == io::ErrorKind::PermissionDenied => {}
                Err(error) => return Err(error),
            },
            Ok(metadata) => bytes += metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io("read", &path)(error)),
        }
    }
    Ok(bytes)
}
