//! Limits for a single archive or patch.

/// The upper limits for one archive or patch, so that a small file can't fill a disk or the memory. Every limit is the
/// value of a key of `limits` in a recipe, and its error names that key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Total unpacked bytes.
    pub unpacked: u64,
    /// Ratio of unpacked to packed size, enforced once more than [`ALWAYS`] bytes were unpacked.
    pub ratio: u64,
    /// Entries.
    pub entries: u64,
    /// Components of an entry's name.
    pub depth: u64,
    /// Bytes of all extended headers: long names and attributes.
    pub headers: u64,
    /// Bytes of memory for decompressing it.
    pub memory: u64,
    /// Compressed streams (members) in the file.
    pub streams: u64,
    /// Components of link targets that are followed, in total, for all entry names that lead through symbolic links.
    pub links: u64,
    /// Bytes of a patch, decompressed.
    pub patch_size: u64,
    /// Lines of a patch.
    pub patch_lines: u64,
    /// Hunks of a patch.
    pub patch_hunks: u64,
}

/// A stream may always unpack to this many bytes, whatever its packed size.
pub const ALWAYS: u64 = 1 << 30;

impl Budget {
    /// Several times what today's largest sources and packages need: 300,000 entries, 20 times their size, 12 levels.
    pub const USUAL: Self = Self {
        unpacked: 64 << 30,
        ratio: 250,
        entries: 2_000_000,
        depth: 256,
        headers: 64 << 20,
        // `xz -9` takes 65 MiB; a dictionary may have up to 4 GiB.
        memory: 256 << 20,
        // As many as `bgzip` would produce for the maximum number of bytes.
        streams: 1 << 20,
        // A few seconds of work. Few legitimate archives have entries behind links at all.
        links: 1_000_000,
        // The largest patches on kernel.org have 100 MB, 3 million lines and 200,000 hunks.
        patch_size: 256 << 20,
        patch_lines: 10_000_000,
        patch_hunks: 1_000_000,
    };
}

impl Default for Budget {
    fn default() -> Self {
        Self::USUAL
    }
}

/// An exceeded budget: what was exceeded, and the key that raises it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{what}; if this is expected, raise the limit with `limits: {{{key}: …}}` beside the source or in the recipe")]
pub struct Exceeded {
    /// What was requested, and the limit.
    pub what: String,
    /// The key of `limits`.
    pub key: &'static str,
}

impl Exceeded {
    /// The error of a budget.
    pub(crate) fn new(key: &'static str, what: impl Into<String>) -> Self {
        Self { what: what.into(), key }
    }
}
