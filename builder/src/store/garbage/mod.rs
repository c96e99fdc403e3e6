//! What the store need not keep, and its removal.
//!
//! A result keeps what it names: the files that it gave, those of its trees, its toolchain root, its log, and by the
//! rows of its key the sources and the results that it was made from. So each object has the time of the last use of
//! all that names it, what has not been used for some time can go by these times alone, and what is left is complete.
//!
//! Removal needs the store [alone](super::Sharing::Alone), and takes results before what they name: killed at any
//! moment it leaves a store whose results are complete.

mod inventory;
mod remove;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::{Store, StoreError};
use crate::digest::Digest;

/// What may go.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// What has not been used for this long. Zero means all. Times of use are known to a day.
    pub unused_for: Option<Duration>,
    /// What was used longest ago, until the store has no more than this many bytes.
    pub max_size: Option<u64>,
    /// What must stay, whatever its time.
    pub kept: KeptObjects,
}

/// Objects that must stay, with all that they name.
#[derive(Clone, Debug, Default)]
pub struct KeptObjects {
    /// Keys of steps. Those without a result are no error.
    pub steps: BTreeSet<Digest>,
    /// Blobs, and what has come of their downloads.
    pub blobs: BTreeSet<Digest>,
}

/// A kind of objects, in the order in which they are removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// What a step gave, as names of other objects.
    Result,
    /// A toolchain's root with its lists.
    Root,
    /// A file's content, or a tree.
    Blob,
    /// What a step's commands printed.
    Log,
    /// A download that was cut off.
    Partial,
    /// What was put aside as damaged.
    Damaged,
    /// What no process uses any more: lock files, work of killed builds, records of objects that are gone.
    Leftover,
}

/// A number of objects, and their length in bytes together.
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

/// When something was used last. What names an object is always less than the object, so what is removed in this order
/// is never missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LastUse {
    /// It is good for nothing.
    Never,
    /// At a time; the second number counts the results by which it follows from that use.
    At(SystemTime, u32),
    /// It is to stay.
    Kept,
}

impl LastUse {
    /// The last use of what is named by something of this last use.
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
    /// Its files or folders, in the order in which they go.
    paths: Vec<PathBuf>,
    bytes: u64,
    last_use: LastUse,
}

/// What may go of a store, and what stays.
#[derive(Debug)]
pub struct Garbage {
    objects: Vec<Object>,
    stays: Total,
}

impl Garbage {
    /// What goes, by kind.
    pub fn by_kind(&self) -> BTreeMap<ObjectKind, Total> {
        let mut kinds = BTreeMap::<ObjectKind, Total>::new();
        self.objects.iter().for_each(|object| kinds.entry(object.kind).or_default().add(object));
        kinds
    }

    /// All that goes.
    pub fn total(&self) -> Total {
        let mut total = Total::default();
        self.objects.iter().for_each(|object| total.add(object));
        total
    }

    /// All that stays.
    pub fn stays(&self) -> Total {
        self.stays
    }
}

impl Store {
    /// Finds what may go. Nothing is changed.
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
        // In each kind, what names others first.
        garbage.objects.sort_by_key(|object| object.kind);
        Ok(garbage)
    }
}
