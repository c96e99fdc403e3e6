//! A file's stat(2) data, to detect without reading whether it is the one that was read before.

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file's identity, length, mode and times.
///
/// Every change through the file system sets the inode's change time to the current time (POSIX.1-2017, `st_ctim`), and
/// no call lets a user choose it. So an equal stamp means equal content, with two exceptions: bytes that change below
/// the file system, on the disk itself, and changes within one tick of its clock, which [`Stamp::is_settled`] excludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    mode: u32,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The coarsest clock among file systems in use (FAT's) ticks every two seconds.
const TICK: Duration = Duration::from_secs(2);

impl Stamp {
    /// From the data of stat(2).
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mode: metadata.mode(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the last change was so long before `time` that a later one would have a different time. A stamp that is
    /// not settled when a file is read says nothing about the file's later content.
    pub fn is_settled(&self, time: SystemTime) -> bool {
        let Ok(now) = time.duration_since(UNIX_EPOCH) else { return false };
        let changed = Duration::new(self.changed.0.try_into().unwrap_or(0), self.changed.1.try_into().unwrap_or(0));
        changed + TICK < now
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, inode, size, mode, modified: (m, mn), changed: (c, cn) } = self;
        writeln!(f, "{device} {inode} {size} {mode:o} {m}.{mn:09} {c}.{cn:09}")
    }
}
