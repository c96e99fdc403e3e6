//! Finding and removing what the store no longer needs.
//!
//! A result keeps what it refers to: its files, those of its trees, its toolchain root, its log, and through the rows
//! of its key the sources and the results that it was made from. So each object has the latest use time of all that
//! refer to it, objects that have not been used for some time can be removed by these times alone, and what is left is
//! complete.
//!
//! How long steps took is kept for a year, whatever is removed: it is needed most after a removal (`times`).
//!
//! Removal needs the store [exclusively](super::Sharing::Alone), and removes results before what they refer to: if it
//! is killed at any moment, the results in the store are complete.

mod inventory;
mod remove;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::{Store, StoreError};
use crate::digest::Digest;

/// What may be removed.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Objects that have not been used for this long. Zero means all. Times of use have a resolution of one day.
    pub unused_for: Option<Duration>,
    /// The least recently used objects, until the store is no larger than this number of bytes.
    pub max_size: Option<u64>,
    /// What must be kept, whatever its time.
    pub kept: KeptObjects,
}

/// Objects that must be kept, with everything that they refer to.
#[derive(Clone, Debug, Default)]
pub struct KeptObjects {
    /// Keys of steps. Those without a result are not an error.
    pub steps: BTreeSet<Digest>,
    /// Blobs, including their partial downloads.
    pub blobs: BTreeSet<Digest>,
}

/// A kind of objects, in the order of removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// The result of a step, which refers to other objects.
    Result,
    /// A toolchain's root with its lists.
    Root,
    /// A file's content, or a tree.
    Blob,
    /// The program's library, unpacked.
    Library,
    /// The output of a step's commands.
    Log,
    /// An interrupted download.
    Partial,
    /// An object that was moved aside as damaged.
    Damaged,
    /// What no process uses any more: lock files, work folders of killed builds, records of removed objects.
    Leftover,
}

/// A number of objects, and their total length in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Objects.
    pub count: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Total {
    fn add(&mut self, object: &Object) {
        self.count += 1;
        self.bytes += object.bytes;
    }
}

/// The last use of an object. An object that refers to another always has the smaller value, so removing in this order
/// never breaks a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LastUse {
    /// It is unusable.
    Never,
    /// A time; the second number counts the results between the object and that use.
    At(SystemTime, u32),
    /// It must be kept.
    Kept,
}

impl LastUse {
    /// The last use of an object referred to by one with this last use.
    fn of_named(self) -> Self {
        match self {
            Self::At(time, distance) => Self::At(time, distance + 1),
            other => other,
        }
    }
}

/// Something that is removed as a whole.
#[derive(Clone, Debug)]
struct Object {
    kind: ObjectKind,
    /// Its files or folders, in the order of removal.
    paths: Vec<PathBuf>,
    bytes: u64,
    last_use: LastUse,
}

/// What can be removed from a store, and what is kept.
#[derive(Debug)]
pub struct Garbage {
    objects: Vec<Object>,
    stays: Total,
}

impl Garbage {
    /// What is removed, by kind.
    pub fn by_kind(&self) -> BTreeMap<ObjectKind, Total> {
        let mut kinds = BTreeMap::<ObjectKind, Total>::new();
        self.objects.iter().for_each(|object| kinds.entry(object.kind).or_default().add(object));
        kinds
    }

    /// The total of what is removed.
    pub fn total(&self) -> Total {
        let mut total = Total::default();
        self.objects.iter().for_each(|object| total.add(object));
        total
    }

    /// The total of what is kept.
    pub fn stays(&self) -> Total {
        self.stays
    }
}

impl Store {
    /// Finds what can be removed. Nothing is changed.
    pub fn garbage(&self, policy: &Policy) -> Result<Garbage, StoreError> {
        let mut objects = self.inventory(&policy.kept)?;
        objects.sort_by_key(|object| object.last_use);
        let now = SystemTime::now();
        let is_old = |time: SystemTime, age: Duration| now.duration_since(time).unwrap_or_default() >= age;
        let mut left: u64 = objects.iter().map(|object| object.bytes).sum();
        let mut garbage = Garbage { objects: Vec::new(), stays: Total::default() };
        for object in objects {
            let goes = match object.last_use {
                LastUse::Never => true,
                LastUse::At(time, _) => {
                    policy.unused_for.is_some_and(|age| is_old(time, age))
                        || policy.max_size.is_some_and(|most| left > most)
                }
                LastUse::Kept => false,
            };
            if goes {
                left -= object.bytes;
                garbage.objects.push(object);
            } else {
                garbage.stays.add(&object);
            }
        }
        // Within each kind, referring objects first.
        garbage.objects.sort_by_key(|object| object.kind);
        Ok(garbage)
    }
}
