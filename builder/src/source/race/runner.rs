//! The places of a race: those that may be tried, those being tried, and their results.

use std::time::Instant;

use crate::source::network::Stream;
use crate::source::pace::RateMeter;

/// A place that may be tried.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub(super) place: usize,
    pub(super) not_before: Option<Instant>,
    /// Another was faster, or this one has failed for another file: only used if nothing else is left.
    pub(super) outrun: bool,
}

/// A place that is being tried.
pub(super) struct Runner {
    pub(super) place: usize,
    pub(super) stream: Stream,
    pub(super) begun: Instant,
    /// When the response arrived, and its start position in the file.
    pub(super) opened: Option<(Instant, u64)>,
    /// The file's length: as stated by the server, otherwise the expected one.
    pub(super) total: Option<u64>,
    /// Whether the server stated it, so that the end will certainly be indicated.
    pub(super) announced: bool,
    /// Whether the end will be indicated in any way: a body without a stated length may be chunked.
    pub(super) indicates_end: bool,
    pub(super) received: u64,
    /// How much of it the target did not have before.
    pub(super) new: u64,
    /// What the leader had received when this one started.
    pub(super) mark: u64,
    /// The position of `held` in the file.
    pub(super) base: u64,
    /// What was received while another one was the leader.
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

/// The results of a place so far.
#[derive(Clone, Default)]
pub(super) struct PlaceRecord {
    pub(super) reason: String,
    pub(super) times: u32,
    pub(super) fruitless: u32,
    pub(super) missing: bool,
    pub(super) server: bool,
}
