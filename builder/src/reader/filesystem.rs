//! What every file system and archive gives.

use std::io::Read;

use super::codec::spool;
use super::{Entry, Fault, Limits, Listing, Region, StoredAs};

/// A file system or archive, opened for reading.
pub trait Filesystem {
    /// Its entries.
    fn listing(&self) -> &Listing;

    /// The content of one of its regular files.
    fn open(&self, entry: &Entry) -> Result<Content<'_>, Fault>;

    /// How the content of one of its regular files is stored; by default as its bytes.
    fn stored(&self, entry: &Entry) -> Option<StoredAs> {
        Some(StoredAs::Bytes(entry.size))
    }
}

/// The content of a file.
pub enum Content<'a> {
    /// It is stored as it is, in one piece.
    Region(Region),
    /// It has to be decoded, or put together.
    Stream(Box<dyn Read + 'a>),
}

impl<'a> Content<'a> {
    /// For reading from start to end.
    pub fn reader(self) -> Box<dyn Read + 'a> {
        match self {
            Self::Region(region) => Box::new(region.cursor()),
            Self::Stream(stream) => stream,
        }
    }

    /// For reading at any position: a stream is unpacked first.
    pub fn region(self, limits: &Limits) -> Result<Region, Fault> {
        match self {
            Self::Region(region) => Ok(region),
            Self::Stream(stream) => spool(stream, limits.unpacked),
        }
    }
}

/// An archive, or a similar container, whose files are stored in one piece each.
pub(crate) struct Stored {
    pub listing: Listing,
    /// By [`Entry::content`].
    pub regions: Vec<Region>,
}

impl Filesystem for Stored {
    fn listing(&self) -> &Listing {
        &self.listing
    }

    fn open(&self, entry: &Entry) -> Result<Content<'_>, Fault> {
        let region = usize::try_from(entry.content).ok().and_then(|index| self.regions.get(index));
        Ok(Content::Region(region.cloned().unwrap_or_else(|| Region::of_bytes(Vec::new()))))
    }

    fn stored(&self, entry: &Entry) -> Option<StoredAs> {
        let region = self.regions.get(usize::try_from(entry.content).ok()?)?;
        Some(StoredAs::Piece { offset: region.offset(), size: region.len() })
    }
}
