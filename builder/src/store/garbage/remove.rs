//! Removing unused objects.

use std::fs;
use std::io;
use std::path::Path;

use super::{Garbage, ObjectKind};
use crate::beneath;
use crate::interrupt;
use crate::path_error::FromPathError as _;
use crate::store::listing::entries;
use crate::store::{Sharing, Store, StoreError};

impl Store {
    /// Removes what [`Store::garbage`] has found; `progress` receives the number of bytes removed. Ends with an error
    /// when a signal arrives: what has been removed until then is a part of it.
    ///
    /// # Panics
    ///
    /// If the store is not open as [`Sharing::Alone`].
    pub fn remove(&self, garbage: &Garbage, progress: &dyn Fn(u64)) -> Result<(), StoreError> {
        assert_eq!(self.sharing, Sharing::Alone, "others may use what is removed");
        let mut gone = 0;
        for object in &garbage.objects {
            for path in &object.paths {
                interrupt::check().map_err(StoreError::io("remove", path))?;
                match object.kind {
                    // The rest of an interrupted removal must not keep the object's name.
                    ObjectKind::Root if path.is_dir() => self.remove_by_way_of_tmp(path)?,
                    _ => remove(path)?,
                }
            }
            gone += object.bytes;
            progress(gone);
        }
        for folder in ["blobs", "steps", "checked"] {
            for shard in entries(&self.path().join(folder))? {
                // Fails if something is left in it.
                let _ = fs::remove_dir(&shard);
            }
        }
        Ok(())
    }

    fn remove_by_way_of_tmp(&self, path: &Path) -> Result<(), StoreError> {
        // On a full disk there may be no space for a folder.
        let Ok(work) = self.work_dir() else { return remove(path) };
        let moved = work.path().join("garbage");
        match fs::rename(path, &moved) {
            Ok(()) => remove(&moved),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // A folder on another file system, or one that the user may not move.
            Err(_) => remove(path),
        }
    }
}

/// Removes a file, or a folder with all its content; a missing one is not an error.
fn remove(path: &Path) -> Result<(), StoreError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => beneath::remove_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", path)(error)),
        _ => Ok(()),
    }
}
