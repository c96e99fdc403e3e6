//! Creating and removing folders, and syncing to the disk.

use super::exit::{Error, Result};
use std::fs::{self, File};
use std::path::Path;

/// Creates a folder and its parents.
///
/// # Errors
/// The disk is full, or one of them can't be written to.
pub fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path)
        .map_err(|error| Error::system(format!("Unable to create directory {}", path.display()), error))
}

/// Syncs the file system of a folder to the disk.
///
/// # Errors
/// The disk's.
pub fn sync(folder: &Path) -> Result<()> {
    let opened = File::open(folder).map_err(|error| Error::file(folder, error))?;
    nix::unistd::syncfs(opened).map_err(|error| Error::file(folder, error.into()))
}

/// Removes a file, or a folder with its content, if it exists.
///
/// # Errors
/// It can't be removed.
pub fn clear(path: &Path) -> Result<()> {
    let done = match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match done {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file(path, error)),
        _ => Ok(()),
    }
}
