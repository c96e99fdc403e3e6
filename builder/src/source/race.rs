//! One file from any of several places: whichever delivers first wins.
//!
//! The places are tried in order, those that have failed in this run last. If one delivers nothing for a few seconds,
//! or hardly anything, the next is tried in parallel; the one that is ahead becomes the leader, and the others are
//! dropped. Failures are recorded in the run's [`Health`](super::network::Health), so that the next file does not wait
//! for the same place again.

mod asking;
mod runner;

use std::collections::{BTreeSet, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use crate::mask;
use crate::store::StoreError;

use super::network::{Event, Failure, Network, origin};
use super::pace::RateMeter;
use super::{Attempt, Meter, SourceError};
use runner::{Candidate, PlaceRecord, Runner};

/// How often a file assembled from several places may turn out wrong.
const MOST_MIXED: u32 = 3;

/// This many bytes show that a place delivers.
const PROOF: u64 = 32 * 1024;

/// The interval at which ^C and deadlines are checked.
const TICK: Duration = Duration::from_millis(50);

/// The destination of a download's bytes.
pub(super) trait DownloadTarget {
    /// The position of the next byte in the file.
    fn position(&self) -> u64;

    /// The file's length in bytes, if known.
    fn size(&self) -> Option<u64> {
        None
    }

    /// The maximum length in bytes.
    fn limit(&self) -> u64;

    /// Whether parts from different places may be combined: the whole is checked by a digest.
    fn joins(&self) -> bool {
        false
    }

    /// Discards what has been received.
    fn restart(&mut self) -> Result<(), StoreError>;

    /// Takes the next bytes.
    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError>;

    /// All bytes have arrived, the last ones from the place with the given index: whether the content is accepted. If
    /// that place did not indicate the end (`end_known` is false), its connection may have been cut off.
    fn finish(&mut self, place: usize, end_known: bool) -> Result<Result<(), Failure>, SourceError>;
}

/// Fills `target` from the first of `places` (URLs) that can, and gives the number of bytes received over the network;
/// if none can, the failure of each place.
pub(super) fn race(
    network: &Network,
    places: &[String],
    target: &mut dyn DownloadTarget,
    meter: &dyn Meter,
) -> Result<Result<u64, Vec<Attempt>>, SourceError> {
    Race::new(network, places, target, meter).run()
}

struct Race<'a> {
    network: &'a Network,
    places: &'a [String],
    target: &'a mut dyn DownloadTarget,
    meter: &'a dyn Meter,
    sender: Sender<(usize, Event)>,
    events: Receiver<(usize, Event)>,
    waiting: VecDeque<Candidate>,
    runners: Vec<(usize, Runner)>,
    /// The number of the request whose bytes are written as they arrive.
    leader: Option<usize>,
    next_id: usize,
    last_begun: Instant,
    records: Vec<PlaceRecord>,
    /// The places whose bytes are in the target; `None` is an earlier run.
    parts: BTreeSet<Option<usize>>,
    mixed: u32,
    received: u64,
    done: bool,
}

impl<'a> Race<'a> {
    fn new(
        network: &'a Network,
        places: &'a [String],
        target: &'a mut dyn DownloadTarget,
        meter: &'a dyn Meter,
    ) -> Self {
        let (sender, events) = channel();
        let mut records = vec![PlaceRecord::default(); places.len()];
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_by_key(|&place| network.health().is_faulty(&places[place]));
        let mut waiting = VecDeque::new();
        // If there is a place without failures, those with failures are not tried, not even in parallel.
        let has_healthy = places.iter().any(|url| !network.health().is_faulty(url));
        for place in order {
            match network.health().down(&places[place]) {
                Some(reason) => records[place] = PlaceRecord { reason, server: true, ..PlaceRecord::default() },
                None => {
                    let outrun = has_healthy && network.health().is_faulty(&places[place]);
                    waiting.push_back(Candidate { place, not_before: None, outrun });
                }
            }
        }
        let mut parts = BTreeSet::new();
        if target.position() > 0 {
            parts.insert(None);
        }
        Self {
            network,
            places,
            target,
            meter,
            sender,
            events,
            waiting,
            runners: Vec::new(),
            leader: None,
            next_id: 0,
            last_begun: Instant::now(),
            records,
            parts,
            mixed: 0,
            received: 0,
            done: false,
        }
    }

    fn run(mut self) -> Result<Result<u64, Vec<Attempt>>, SourceError> {
        loop {
            if self.network.cancel().is_cancelled() {
                return Err(SourceError::Cancelled);
            }
            if self.done {
                return Ok(Ok(self.received));
            }
            self.start_requests()?;
            if self.runners.is_empty() && self.waiting.is_empty() {
                return Ok(Err(self.attempts()));
            }
            match self.events.recv_timeout(TICK) {
                Ok((id, event)) => self.take(id, event)?,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            self.check_pace()?;
        }
    }

    fn attempts(self) -> Vec<Attempt> {
        let attempt = |(record, url): (PlaceRecord, &String)| Attempt {
            url: mask::text(url).into_owned(),
            reason: record.reason,
            times: record.times,
            missing: record.missing,
            server: record.server.then(|| origin(url)),
        };
        self.records.into_iter().zip(self.places).map(attempt).collect()
    }

    fn leading(&self) -> Option<&(usize, Runner)> {
        self.runners.iter().find(|(id, _)| Some(*id) == self.leader)
    }

    fn restart(&mut self) -> Result<(), StoreError> {
        self.parts.clear();
        self.target.restart()
    }

    fn take(&mut self, id: usize, event: Event) -> Result<(), SourceError> {
        // A dropped request may have sent an event before it noticed.
        let Some(index) = self.runners.iter().position(|(known, _)| *known == id) else { return Ok(()) };
        match event {
            Event::Opened { start, total, indicates_end } => {
                let (expected, limit) = (self.target.size(), self.target.limit());
                let failure = match (total, expected) {
                    (Some(total), Some(size)) if total != size => {
                        Some(Failure::lasting(format!("is {total} bytes long, expected {size}")))
                    }
                    (Some(total), _) if total > limit => Some(too_long(limit)),
                    _ => None,
                };
                if let Some(failure) = failure {
                    return self.drop_out(index, failure);
                }
                let runner = &mut self.runners[index].1;
                (runner.opened, runner.total) = (Some((Instant::now(), start)), total.or(expected));
                (runner.announced, runner.indicates_end) = (total.is_some(), indicates_end);
                runner.pace = RateMeter::new(Instant::now());
            }
            Event::Data(bytes) => return self.data(index, &bytes),
            Event::End => {
                let runner = &mut self.runners[index].1;
                runner.ended = true;
                let position = runner.position();
                if let Some(total) = runner.total.filter(|&total| position < total) {
                    let failure = Failure::passing(format!("ended after {position} of {total} bytes"));
                    return self.drop_out(index, failure);
                }
                return self.contest(index);
            }
            Event::Failed(mut failure) => {
                let runner = &self.runners[index].1;
                if runner.opened.is_some() {
                    failure.reason = format!("failed after {} bytes: {}", runner.position(), failure.reason);
                }
                return self.drop_out(index, failure);
            }
        }
        Ok(())
    }

    fn data(&mut self, index: usize, bytes: &[u8]) -> Result<(), SourceError> {
        let (limit, size) = (self.target.limit(), self.target.size());
        let (id, runner) = &mut self.runners[index];
        let at = runner.position();
        runner.received += bytes.len() as u64;
        self.received += bytes.len() as u64;
        runner.pace.add(bytes.len() as u64);
        runner.stream.more();
        let over = size.unwrap_or(limit);
        if size.is_none() && runner.position() > limit {
            return self.drop_out(index, too_long(limit));
        }
        // No byte beyond the expected length is used.
        let bytes = &bytes[..bytes.len().min(over.saturating_sub(at) as usize)];
        if Some(*id) == self.leader {
            self.write(index, at, bytes)?;
            // Discarded while it was written, or not complete yet.
            let whole = self.leading().is_some_and(|(_, leader)| leader.is_whole(size));
            return if whole { self.arrived(index) } else { Ok(()) };
        }
        let skip = runner.base.saturating_sub(at).min(bytes.len() as u64) as usize;
        runner.held.extend_from_slice(&bytes[skip..]);
        self.contest(index)
    }

    /// Writes the bytes that belong at `at`, as far as they are new.
    fn write(&mut self, index: usize, at: u64, bytes: &[u8]) -> Result<(), SourceError> {
        if at + (bytes.len() as u64) <= self.target.position() {
            return Ok(());
        }
        if at > self.target.position() {
            // It started at the target's position before another place forced a restart.
            let failure = Failure::lasting("was requested for another part");
            return self.drop_out(index, Failure { transient: true, ..failure });
        }
        let known = (self.target.position() - at) as usize;
        self.parts.insert(Some(self.runners[index].1.place));
        self.runners[index].1.new += (bytes.len() - known) as u64;
        self.target.append(&bytes[known..])?;
        self.meter.at(self.target.position());
        Ok(())
    }

    /// A request that is not the leader has received data: it becomes the leader, is dropped, or continues.
    fn contest(&mut self, index: usize) -> Result<(), SourceError> {
        let (id, runner) = &self.runners[index];
        if Some(*id) == self.leader {
            return self.arrived(index);
        }
        let Some((_, leader)) = self.leading() else { return self.lead(index) };
        let whole = runner.is_whole(self.target.size());
        if !whole && runner.received < PROOF {
            return Ok(());
        }
        let faster = runner.received > leader.received.saturating_sub(runner.mark);
        let ahead = runner.position() > self.target.position() || !self.target.joins();
        match (faster, ahead) {
            (true, true) => self.lead(index),
            (true, false) if !whole => Ok(()),
            _ => {
                let (_, loser) = self.runners.remove(index);
                self.waiting.push_back(Candidate { place: loser.place, not_before: None, outrun: true });
                Ok(())
            }
        }
    }

    /// Makes a request the leader, and drops all others.
    fn lead(&mut self, index: usize) -> Result<(), SourceError> {
        let (id, runner) = self.runners.remove(index);
        let now = Instant::now();
        let proven = runner.received >= PROOF || runner.is_whole(self.target.size());
        for (_, loser) in std::mem::take(&mut self.runners) {
            // A place that had more time and delivered less is tried last from now on.
            if now.duration_since(loser.begun) >= self.network.limits().hedge {
                self.network.health().failed(&self.places[loser.place]);
            }
            self.waiting.push_back(Candidate { place: loser.place, not_before: None, outrun: proven });
        }
        if !self.target.joins() || runner.base > self.target.position() {
            self.restart()?;
        }
        self.leader = Some(id);
        self.runners.push((id, runner));
        let (base, held) = {
            let runner = &mut self.runners[0].1;
            (runner.base, std::mem::take(&mut runner.held))
        };
        self.write(0, base, &held)?;
        let Some(runner) = self.runners.first() else { return Ok(()) };
        if Some(runner.0) == self.leader && runner.1.is_whole(self.target.size()) { self.arrived(0) } else { Ok(()) }
    }

    /// The leader has sent everything: the file is checked.
    fn arrived(&mut self, index: usize) -> Result<(), SourceError> {
        let (_, runner) = self.runners.remove(index);
        self.leader = None;
        let place = runner.place;
        let Err(mut failure) = self.target.finish(place, runner.indicates_end)? else {
            self.network.health().delivered(&self.places[place]);
            self.done = true;
            return Ok(());
        };
        let alone = self.parts.iter().all(|part| *part == Some(place));
        if alone {
            self.network.health().failed(&self.places[place]);
        } else {
            // The wrong part may be from another place, or from an earlier run: try again, from the start.
            self.mixed += 1;
            failure.transient = self.mixed <= MOST_MIXED;
            failure.shared = true;
        }
        self.restart()?;
        for (id, other) in std::mem::take(&mut self.runners) {
            if other.base == 0 {
                self.runners.push((id, other));
            } else {
                self.waiting.push_back(Candidate { place: other.place, not_before: None, outrun: false });
            }
        }
        self.note(place, &failure, false);
        // The last place is the likeliest to be right; the others are tried after it.
        if let Some(at) = self.waiting.iter().rposition(|candidate| candidate.place == place) {
            self.waiting.swap(0, at);
            self.waiting[0].not_before = None;
        }
        Ok(())
    }

    /// A request has failed.
    fn drop_out(&mut self, index: usize, failure: Failure) -> Result<(), SourceError> {
        let (id, runner) = self.runners.remove(index);
        // Parts that are not contiguous have to be received again.
        let useful = runner.new >= PROOF && self.target.joins() && (Some(id) == self.leader || self.leader.is_none());
        self.note(runner.place, &failure, useful);
        if Some(id) == self.leader {
            self.leader = None;
            let best = (0..self.runners.len()).filter(|&index| self.runners[index].1.received > 0);
            if let Some(best) = best.max_by_key(|&index| self.runners[index].1.received) {
                return self.lead(best);
            }
        }
        Ok(())
    }
}

fn too_long(limit: u64) -> Failure {
    Failure::lasting(format!(
        "is longer than {limit} bytes, the limit for files of unknown length (`network: {{max-size: …}}` in the \
         user's configuration)"
    ))
}
