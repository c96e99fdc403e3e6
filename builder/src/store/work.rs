//! Work folders, and locks between processes.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{StoreError, open_lock};
use crate::interrupt::Temporary;
use crate::path_error::FromPathError as _;

/// A folder that is removed when dropped. Its lock tells other processes that the owner is alive.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    lock_path: PathBuf,
    _lock: File,
    _temporary: [Temporary; 2],
}

impl WorkDir {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        discard(&self.path, &self.lock_path);
    }
}

/// Creates a new folder under `tmp`, locked while this value exists.
pub(super) fn make(tmp: &Path) -> Result<WorkDir, StoreError> {
    let mut builder = tempfile::Builder::new();
    let name = builder.prefix("").rand_bytes(12).suffix(".lock");
    loop {
        let lock_path = name.make_in(tmp, open_lock).map_err(StoreError::io("make a folder in", tmp))?;
        let (lock, lock_path) = lock_path.into_parts();
        let lock_path = lock_path.keep().map_err(|error| StoreError::io("make", tmp)(error.error))?;
        // A sweep may have removed it between its creation and its locking: then use another.
        if lock.try_lock().is_err() || !lock_path.exists() {
            continue;
        }
        let path = lock_path.with_extension("");
        fs::create_dir(&path).map_err(StoreError::io("make", &path))?;
        // What is created in it, including outputs of components, must not depend on the store's folder.
        crate::inherited::make_plain(&path).map_err(StoreError::io("set the mode of", &path))?;
        let temporary = [Temporary::new(&path), Temporary::new(&lock_path)];
        return Ok(WorkDir { path, lock_path, _lock: lock, _temporary: temporary });
    }
}

/// Removes folders whose owners are gone.
pub(super) fn sweep(tmp: &Path) {
    let Ok(entries) = fs::read_dir(tmp) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "lock") {
            // A folder's lock exists before it and until it is gone.
            if !path.with_extension("lock").exists() {
                remove(&path);
            }
            continue;
        }
        let Ok(lock) = open_lock(&path) else { continue };
        if lock.try_lock().is_ok() {
            discard(&path.with_extension(""), &path);
        }
    }
}

/// Removes a folder and then its lock, which stays if the folder does (too many open files, for instance): the next run
/// sweeps both.
fn discard(folder: &Path, lock: &Path) {
    remove(folder);
    if fs::symlink_metadata(folder).is_err() {
        let _ = fs::remove_file(lock);
    }
}

/// Removes a folder, whatever the tools that worked in it have left.
pub(super) fn remove(path: &Path) {
    let _ = crate::beneath::remove_all(path);
}

/// A lock between processes (flock(2)); released when dropped, and by the kernel when its owner dies.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    pub(super) fn try_take(path: &Path) -> Result<Option<Self>, StoreError> {
        let file = open_lock(path).map_err(StoreError::io("lock", path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(StoreError::io("lock", path)(error)),
        }
    }

    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let lock = || -> io::Result<File> {
            let file = open_lock(path)?;
            file.lock()?;
            Ok(file)
        };
        Ok(Self { _file: lock().map_err(StoreError::io("lock", path))? })
    }
}
