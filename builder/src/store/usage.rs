//! Which processes use a store, and when its objects were last used.
//!
//! Each process that has the store open holds a shared lock on `<store>/in-use`; a process that removes objects holds
//! it exclusively. So a build never loses what it has looked up, and needs no lock for each object.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::damage::open_regular;
use super::{Store, StoreError, open_lock, sharded};
use crate::digest::Digest;
use crate::interrupt;
use crate::path_error::FromPathError as _;

/// How often to retry a lock that another process holds.
const TURN: Duration = Duration::from_millis(50);

/// The resolution of an object's last use: a use within this time of the previous one is not recorded.
pub const PRECISION: Duration = Duration::from_secs(24 * 3600);

/// How a store is shared while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// With all processes that create and use objects.
    Builds,
    /// With the same processes, and nothing is written: no folder is created, and a damaged object stays where it is. A
    /// folder that does not exist counts as an empty store.
    Reading,
    /// With no other process.
    Alone,
}

/// Takes the store's lock. If another process prevents that, `waiting` is called once before the wait, which a signal
/// ends.
pub(super) fn take(root: &Path, sharing: Sharing, waiting: &dyn Fn()) -> Result<Option<File>, StoreError> {
    let path = root.join("in-use");
    let file = match sharing {
        Sharing::Reading => File::open(&path),
        Sharing::Builds | Sharing::Alone => open_lock(&path),
    };
    let file = match file {
        // No process has opened this store for builds yet.
        Err(error) if sharing == Sharing::Reading && error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(StoreError::io("lock", &path))?,
    };
    let mut reported = false;
    loop {
        let locked = match sharing {
            Sharing::Builds | Sharing::Reading => file.try_lock_shared(),
            Sharing::Alone => file.try_lock(),
        };
        match locked {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => {
                if !reported {
                    waiting();
                    reported = true;
                }
                if interrupt::wait(TURN) {
                    return Err(StoreError::io("lock", &path)(io::Error::other(interrupt::Interrupted)));
                }
            }
            Err(TryLockError::Error(error)) => return Err(StoreError::io("lock", &path)(error)),
        }
    }
}

impl Store {
    /// Records that the result of this key is used now: as the modification time of its file. Only [`Store::garbage`]
    /// reads it, so a failure does not affect the build.
    pub fn note_use(&self, key: &Digest) {
        touch(&self.result_path(key));
    }

    /// As [`Store::note_use`], for a blob. Its own times are used to detect changes, so its record in `checked/` has
    /// the time.
    pub(super) fn note_use_of_blob(&self, digest: &Digest) {
        touch(&sharded(&self.root.join("checked"), &digest.to_string()));
    }
}

/// Sets a file's modification time to the present, unless it is about that already.
fn touch(path: &Path) {
    let now = SystemTime::now();
    let Ok(modified) = fs::symlink_metadata(path).and_then(|metadata| metadata.modified()) else { return };
    let apart = now.duration_since(modified).unwrap_or_else(|future| future.duration());
    if apart > PRECISION {
        let _ = open_regular(path).and_then(|file| file.set_modified(now));
    }
}
