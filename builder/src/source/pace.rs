//! The rate at which a place delivers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How often the rate is sampled.
const TICK: Duration = Duration::from_millis(50);

/// The number of bytes received over time.
pub(super) struct RateMeter {
    /// The total bytes at each time; the oldest first.
    samples: VecDeque<(Instant, u64)>,
    total: u64,
}

impl RateMeter {
    /// Longer than any window that is used, unless the user sets a longer one: then the rate is that of the whole time.
    const KEPT: Duration = Duration::from_secs(120);

    pub(super) fn new(begin: Instant) -> Self {
        Self { samples: VecDeque::from([(begin, 0)]), total: 0 }
    }

    pub(super) fn add(&mut self, bytes: u64) {
        self.total += bytes;
    }

    /// Records the number of bytes received so far; to be called continuously.
    pub(super) fn sample(&mut self, now: Instant) {
        if self.samples.back().is_none_or(|(time, _)| now.duration_since(*time) >= TICK) {
            self.samples.push_back((now, self.total));
        }
        while self.samples.get(1).is_some_and(|(time, _)| now.duration_since(*time) > Self::KEPT) {
            self.samples.pop_front();
        }
    }

    /// The number of bytes received in the last `window`; nothing if it has not lasted that long.
    pub(super) fn within(&self, window: Duration, now: Instant) -> Option<u64> {
        let begin = now.checked_sub(window)?;
        let before = self.samples.iter().rev().find(|(time, _)| *time <= begin)?;
        Some(self.total - before.1)
    }
}
