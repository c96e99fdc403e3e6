//! Which places are tried and when, their results, and which are given up.

use std::time::{Duration, Instant};

use super::Race;
use super::runner::{Candidate, Runner};
use crate::mask;
use crate::source::SourceError;
use crate::source::network::Failure;
use crate::source::pace::RateMeter;

/// Ends a place that always delivers a little more but never the whole file.
const MOST_TRIES: u32 = 30;

/// The maximum number of parallel requests for one file.
const MOST_REQUESTS: usize = 12;

/// If this many places are waiting, each gets less time.
const MANY: usize = 4;

/// If a place needs longer than this for the rest of the file, another one is tried in parallel.
const LONG: Duration = Duration::from_secs(20);

/// A place whose rate is below this multiple of the minimum is slow: the next is tried in parallel.
const SLOW: u64 = 32;

impl Race<'_> {
    /// Tries the next place if no request is running, or if the running ones deliver too little.
    pub(super) fn start_requests(&mut self) -> Result<(), SourceError> {
        let now = Instant::now();
        loop {
            let alone = self.runners.is_empty();
            let ready = |candidate: &Candidate| {
                candidate.not_before.is_none_or(|time| time <= now) && (alone || !candidate.outrun)
            };
            let Some(index) = self.waiting.iter().position(ready) else { return Ok(()) };
            if !alone && !self.lags(now) {
                return Ok(());
            }
            let Some(candidate) = self.waiting.remove(index) else { return Ok(()) };
            self.begin(candidate, now)?;
        }
    }

    /// Whether the running requests are slow enough to try another place.
    fn lags(&self, now: Instant) -> bool {
        let limits = self.network.limits();
        // The first gets its time; after that, each gets hardly any.
        let patience = match self.runners.len() {
            1 => limits.hedge,
            _ if self.waiting.len() > MANY => limits.hedge / 6,
            _ => limits.hedge / 3,
        };
        if self.runners.len() >= MOST_REQUESTS || now.duration_since(self.last_begun) < patience {
            return false;
        }
        let Some((_, leader)) = self.leading() else { return true };
        let enough = (limits.min_rate * SLOW).saturating_mul(limits.hedge.as_millis() as u64) / 1000;
        let rest = self.target.size().or(leader.total).map_or(0, |total| total.saturating_sub(leader.position()));
        leader.pace.within(limits.hedge, now).is_some_and(|bytes| {
            let takes_long = u128::from(rest) * limits.hedge.as_millis() > u128::from(bytes) * LONG.as_millis();
            // A place that delivers is compared with only one other at a time.
            bytes < enough || (takes_long && self.runners.len() == 1)
        })
    }

    fn begin(&mut self, candidate: Candidate, now: Instant) -> Result<(), SourceError> {
        let (place, id) = (candidate.place, self.next_id);
        let url = &self.places[place];
        if self.target.size().is_some_and(|size| self.target.position() >= size) {
            self.restart()?;
        }
        if let Some((_, slow)) = self.runners.last() {
            let (slow, next) = (mask::text(&self.places[slow.place]), mask::text(url));
            self.meter.remark(&format!("{slow} is slow, trying {next} as well"));
        }
        let from = if self.target.joins() { self.target.position() } else { 0 };
        self.next_id += 1;
        self.last_begun = now;
        match self.network.open(url, from, id, &self.sender)? {
            Ok(stream) => {
                let mark = self.leading().map_or(0, |(_, leader)| leader.received);
                self.runners.push((
                    id,
                    Runner {
                        place,
                        stream,
                        begun: now,
                        opened: None,
                        total: None,
                        announced: false,
                        indicates_end: false,
                        received: 0,
                        new: 0,
                        mark,
                        base: from,
                        held: Vec::new(),
                        pace: RateMeter::new(now),
                        ended: false,
                    },
                ));
            }
            Err(failure) => self.note(place, &failure, false),
        }
        Ok(())
    }

    /// Records the failure of a place, and tries it again later if that may help.
    pub(super) fn note(&mut self, place: usize, failure: &Failure, progressed: bool) {
        let (url, limits) = (&self.places[place], self.network.limits());
        // A missing file is not a fault of the connection.
        let through = if failure.missing { String::new() } else { self.network.proxy_of(url) };
        let failure = &Failure { reason: failure.reason.clone() + &through, ..failure.clone() };
        let record = &mut self.records[place];
        record.times += 1;
        record.fruitless = if progressed { 0 } else { record.fruitless + 1 };
        (record.reason, record.missing, record.server) = (failure.reason.clone(), failure.missing, failure.server);
        // That a mirror lacks one file says nothing about the others.
        let news = !failure.missing && !failure.shared && self.network.health().failed(url);
        let again = failure.transient && record.fruitless < limits.tries && record.times < MOST_TRIES;
        if again {
            let backoff = limits.backoff * 2u32.saturating_pow(record.fruitless.saturating_sub(1).min(6));
            let not_before = Some(Instant::now() + failure.wait.unwrap_or(backoff));
            self.waiting.push_back(Candidate { place, not_before, outrun: false });
        } else if failure.server && failure.transient {
            self.network.health().gave_up(url, &failure.reason);
        }
        // A failure that ends the download is reported by its error; a failure of a server for every file only once.
        let goes_on = !self.waiting.is_empty() || !self.runners.is_empty();
        if goes_on && (news || !failure.server) {
            let wait = failure
                .wait
                .filter(|_| again)
                .map(|wait| format!(" (retrying in {} s, as the server requests)", wait.as_secs()));
            self.meter.remark(&format!("{}: {}{}", mask::text(url), failure.reason, wait.unwrap_or_default()));
        }
    }

    /// Gives up on requests without a response, and on those that deliver too little.
    pub(super) fn check_pace(&mut self) -> Result<(), SourceError> {
        let (now, limits) = (Instant::now(), *self.network.limits());
        self.runners.iter_mut().for_each(|(_, runner)| runner.pace.sample(now));
        let least = (limits.min_rate.saturating_mul(limits.stall.as_millis() as u64) / 1000).max(1);
        let failed = self.runners.iter().enumerate().find_map(|(index, (_, runner))| {
            let reason = match runner.opened {
                None if now.duration_since(runner.begun) >= limits.answer => {
                    format!("no answer within {:?}", limits.answer)
                }
                None => return None,
                Some(_) => match runner.pace.within(limits.stall, now)? {
                    0 => format!("no data for {:?} after {} bytes", limits.stall, runner.position()),
                    bytes if bytes < least => format!(
                        "only {bytes} bytes received in {:?} (`network: {{min-rate: {}}}` in the user's configuration)",
                        limits.stall, limits.min_rate
                    ),
                    _ => return None,
                },
            };
            Some((index, Failure::passing(reason)))
        });
        match failed {
            Some((index, failure)) => self.drop_out(index, failure),
            None => Ok(()),
        }
    }
}
