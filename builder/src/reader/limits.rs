//! Limits for what is read from an image: all of it is foreign.

use super::Fault;
use crate::archive::Budget;

/// Upper limits for one image, with everything that is opened inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that one compressed stream may unpack to.
    pub unpacked: u64,
    /// Entries of one file system or archive.
    pub entries: u64,
    /// Bytes of all names, link targets and extended attributes of one file system or archive.
    pub names: u64,
    /// Folders inside each other.
    pub depth: usize,
    /// Bytes of memory for one decompressor.
    pub memory: u64,
    /// Containers inside each other.
    pub nested: usize,
}

impl Limits {
    /// Several times what today's largest live systems need.
    pub const USUAL: Self =
        Self { unpacked: 16 << 30, entries: 2_000_000, names: 512 << 20, depth: 256, memory: 256 << 20, nested: 16 };

    /// The budget for the readers of archives; the unpacked size is limited here.
    pub(crate) fn budget(&self) -> Budget {
        Budget {
            unpacked: u64::MAX,
            ratio: u64::MAX,
            entries: self.entries,
            depth: self.depth as u64,
            headers: self.names,
            memory: self.memory,
            ..Budget::USUAL
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::USUAL
    }
}

/// What a reader has taken so far of the limits for one listing.
#[derive(Debug)]
pub(crate) struct Allowance {
    limits: Limits,
    entries: u64,
    names: u64,
}

impl Allowance {
    pub fn new(limits: &Limits) -> Self {
        Self { limits: *limits, entries: 0, names: 0 }
    }

    /// One more entry whose variable parts have this many bytes.
    pub fn entry(&mut self, bytes: usize) -> Result<(), Fault> {
        crate::interrupt::check()?;
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Fault::Limit(format!("it has more than {} entries", self.limits.entries)));
        }
        self.bytes(bytes)
    }

    /// More bytes of names or attributes.
    pub fn bytes(&mut self, bytes: usize) -> Result<(), Fault> {
        self.names = self.names.saturating_add(bytes as u64);
        match self.names > self.limits.names {
            true => Err(Fault::Limit(format!("its names and attributes have more than {} bytes", self.limits.names))),
            false => Ok(()),
        }
    }

    /// The depth of a folder.
    pub fn depth(&self, depth: usize) -> Result<(), Fault> {
        match depth > self.limits.depth {
            true => Err(Fault::Limit(format!("it nests folders more than {} deep", self.limits.depth))),
            false => Ok(()),
        }
    }
}
