//! Folders for work in hand, and locks between processes.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{StoreError, open_lock};

/// A folder that goes when dropped. Its lock tells other processes that the owner lives.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl WorkDir {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        remove(&self.path);
        let _ = fs::remove_file(&self.lock_path);
    }
}

/// Makes a new folder under `tmp`, locked for as long as it lives.
pub(super) fn make(tmp: &Path) -> Result<WorkDir, StoreError> {
    let mut builder = tempfile::Builder::new();
    let name = builder.prefix("").rand_bytes(12).suffix(".lock");
    loop {
        let lock_path = name.make_in(tmp, open_lock).map_err(StoreError::io("make a folder in", tmp))?;
        let (lock, lock_path) = lock_path.into_parts();
        let lock_path = lock_path.keep().map_err(|error| StoreError::io("make", tmp)(error.error))?;
        // A sweep may have taken the name between its making and its locking: then take another.
        if lock.try_lock().is_err() || !lock_path.exists() {
            continue;
        }
        let path = lock_path.with_extension("");
        fs::create_dir(&path).map_err(StoreError::io("make", &path))?;
        return Ok(WorkDir { path, lock_path, _lock: lock });
    }
}

/// Removes the folders whose owners are gone.
pub(super) fn sweep(tmp: &Path) {
    let Ok(entries) = fs::read_dir(tmp) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        let Ok(lock) = open_lock(&path) else { continue };
        if lock.try_lock().is_ok() {
            remove(&path.with_extension(""));
            let _ = fs::remove_file(&path);
        }
    }
}

/// Removes a folder, whatever modes the tools that worked in it have left.
pub(super) fn remove(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if fs::remove_dir_all(path).is_ok() {
        return;
    }
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let _ = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700));
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        folders.extend(entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())).map(|e| e.path()));
    }
    let _ = fs::remove_dir_all(path);
}

/// A lock between processes (flock(2)); released when dropped, and by the kernel when its owner dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let lock = || -> io::Result<File> {
            let file = open_lock(path)?;
            file.lock()?;
            Ok(file)
        };
        Ok(Self { _file: lock().map_err(StoreError::io("lock", path))? })
    }
}
