//! Who uses a store now, and when its objects were used last.
//!
//! Each process that has the store open holds a shared lock on `<store>/in-use`; whoever removes objects holds it
//! alone. So a build never loses what it has looked up, and needs no lock for each object.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::damage::open_regular;
use super::{Store, StoreError, open_lock, sharded};
use crate::digest::Digest;
use crate::interrupt;

/// How often a lock that another process holds is tried.
const TURN: Duration = Duration::from_millis(50);

/// How exactly the last use of an object is known: a use within this time of the one before leaves no trace.
pub const PRECISION: Duration = Duration::from_secs(24 * 3600);

/// With whom a store is shared while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// With all who make and use objects.
    Builds,
    /// With nobody.
    Alone,
}

/// Takes the store's lock. Where another process has it in the way, `waiting` is called once before the wait, which a
/// signal ends.
pub(super) fn take(root: &Path, sharing: Sharing, waiting: &dyn Fn()) -> Result<File, StoreError> {
    let path = root.join("in-use");
    let file = open_lock(&path).map_err(StoreError::io("lock", &path))?;
    let mut told = false;
    loop {
        let locked = match sharing {
            Sharing::Builds => file.try_lock_shared(),
            Sharing::Alone => file.try_lock(),
        };
        match locked {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                if !told {
                    waiting();
                    told = true;
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
    /// Notes that the result of this key is used now: the time of last change of its file. That is for
    /// [`Store::garbage`] alone, so a failure is none of the build.
    pub fn note_use(&self, key: &Digest) {
        touch(&self.result_path(key));
    }

    /// As [`Store::note_use`], for a blob. Its own times are part of what tells whether it has changed, so its record
    /// in `checked/` has the time.
    pub(super) fn note_use_of_blob(&self, digest: &Digest) {
        touch(&sharded(&self.root.join("checked"), &digest.to_string()));
    }
}

/// Gives a file the present as its time of last change, unless it has about that.
fn touch(path: &Path) {
    let now = SystemTime::now();
    let Ok(modified) = fs::symlink_metadata(path).and_then(|metadata| metadata.modified()) else { return };
    let apart = now.duration_since(modified).unwrap_or_else(|future| future.duration());
    if apart > PRECISION {
        let _ = open_regular(path).and_then(|file| file.set_modified(now));
    }
}
