//! The places of a race: those that may be asked, those that are being asked, and what became of them.

use std::time::Instant;

use crate::source::network::Stream;
use crate::source::pace::RateMeter;

/// A place that may be asked.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub(super) place: usize,
    pub(super) not_before: Option<Instant>,
    /// Another was faster, or this one has failed for another file: only if nobody else is left.
    pub(super) outrun: bool,
}

/// A place that is being asked.
pub(super) struct Runner {
    pub(super) place: usize,
    pub(super) stream: Stream,
    pub(super) begun: Instant,
    /// When the answer came, and where in the file it begins.
    pub(super) opened: Option<(Instant, u64)>,
    /// The file's length: as the server states it, else as it is expected.
    pub(super) total: Option<u64>,
    /// Whether the server stated it, so that the end is sure to be told.
    pub(super) announced: bool,
    /// Whether the end will be told in any way: a body without stated length may come in chunks.
    pub(super) tells_end: bool,
    pub(super) received: u64,
    /// How much of it the target did not have before.
    pub(super) new: u64,
    /// What the leader had received when this one began.
    pub(super) mark: u64,
    /// Where in the file `held` begins.
    pub(super) base: u64,
    /// What came while another one led.
    pub(super) held: Vec<u8>,
    pub(super) pace: RateMeter,
    pub(super) ended: bool,
}

impl Runner {
    pub(super) fn position(&self) -> u64 {
        self.opened.map_or(0, |(_, start)| start) + self.received
    }

    /// Whether it has sent the whole file.
    pub(super) fn is_whole(&self, size: Option<u64>) -> bool {
        self.ended || (!self.announced && size.is_some_and(|size| self.position() >= size))
    }
}

/// What became of a place so far.
#[derive(Clone, Default)]
pub(super) struct PlaceRecord {
    pub(super) reason: String,
    pub(super) times: u32,
    pub(super) fruitless: u32,
    pub(super) missing: bool,
    pub(super) server: bool,
}
