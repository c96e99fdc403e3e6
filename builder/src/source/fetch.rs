//! Bringing what a lock names: in parallel, each file from the first place that has it.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::lock::{Entry, Location, LockedFile};
use crate::store::Store;

use super::download::{Want, bring};
use super::network::join;
use super::{Mirrors, Network, Progress, Request, SourceError, git};

/// How many connections are used when nobody says otherwise.
pub const CONNECTIONS: usize = 6;

/// More would be rude to mirrors, and no faster.
const MOST_CONNECTIONS: usize = 16;

/// Whether the network may be used. Offline there is nothing to use it with.
#[derive(Clone, Copy)]
pub enum Access<'a> {
    /// The store must have all.
    Offline,
    /// What the store lacks is brought.
    Online {
        /// What opens connections.
        network: &'a Network,
        /// Where Debian is.
        mirrors: &'a Mirrors,
    },
}

/// What [`fetch`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchReport {
    /// Files that the store had.
    pub present: usize,
    /// Files that were brought.
    pub fetched: usize,
    /// Bytes that came over the network.
    pub bytes: u64,
}

impl std::ops::Add for FetchReport {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let Self { present, fetched, bytes } = other;
        Self { present: self.present + present, fetched: self.fetched + fetched, bytes: self.bytes + bytes }
    }
}

/// A file to bring, and the request it serves.
struct Job<'a> {
    request: &'a Request,
    file: &'a LockedFile,
}

/// Makes sure that the store has every file of `entries`; all failures are collected.
pub fn fetch<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
    store: &Store,
    access: Access<'_>,
    connections: usize,
    progress: &dyn Progress,
) -> Result<FetchReport, Vec<SourceError>> {
    let mut seen = HashSet::new();
    let files =
        entries.into_iter().flat_map(|entry| entry.files.iter().map(|file| Job { request: &entry.request, file }));
    let all: Vec<_> = files.filter(|job| seen.insert(job.file.sha256)).collect();
    let count = all.len();
    let mut jobs: Vec<_> = all.into_iter().filter(|job| !store.has_blob(&job.file.sha256)).collect();
    let mut report = FetchReport { present: count - jobs.len(), ..FetchReport::default() };
    if jobs.is_empty() {
        return Ok(report);
    }
    let Access::Online { network, mirrors } = access else {
        let missing = jobs.iter().map(|job| job.file.name.clone()).collect();
        return Err(vec![SourceError::Offline { missing }]);
    };
    // The largest first, so that none of them is left over at the end.
    jobs.sort_by_key(|job| std::cmp::Reverse(job.file.size));
    progress.expect(jobs.len(), jobs.iter().map(|job| job.file.size).sum());

    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let results = Mutex::new(Vec::new());
    let work = || {
        while !stop.load(Ordering::Relaxed)
            && let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let result = job.run(network, mirrors, store, progress);
            if matches!(&result, Err(error) if error.stops_all()) {
                stop.store(true, Ordering::Relaxed);
            }
            results.lock().unwrap_or_else(|e| e.into_inner()).push(result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..connections.clamp(1, MOST_CONNECTIONS).min(jobs.len()) {
            scope.spawn(work);
        }
    });
    let mut errors = Vec::new();
    for result in results.into_inner().unwrap_or_else(|e| e.into_inner()) {
        match result {
            Ok(bytes) => {
                report.fetched += 1;
                report.bytes += bytes;
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(report) } else { Err(tidy(errors)) }
}

/// One and the same reason that stopped everything is said once; the rest in a stable order.
fn tidy(mut errors: Vec<SourceError>) -> Vec<SourceError> {
    if let Some(index) = errors.iter().position(SourceError::stops_all) {
        return vec![errors.swap_remove(index)];
    }
    errors.sort_by_cached_key(ToString::to_string);
    errors.dedup_by_key(|error| error.to_string());
    errors
}

impl Job<'_> {
    fn run(
        &self,
        network: &Network,
        mirrors: &Mirrors,
        store: &Store,
        progress: &dyn Progress,
    ) -> Result<u64, SourceError> {
        let file = self.file;
        let urls = match &file.at {
            Location::Git { url, commit } => {
                let meter = progress.start(&file.name, None);
                return git::bring(store, url, commit, file, &*meter);
            }
            Location::Urls(urls) => urls.clone(),
            Location::Pool(path) => {
                let archive = match self.request {
                    Request::Debian { archive, .. } | Request::DebianSource { archive, .. } => archive,
                    Request::Git { .. } | Request::Url { .. } => {
                        return Err(SourceError::BadRequest {
                            request: self.request.to_string(),
                            message: format!("its locked file `{}` has a pool path, which only Debian has", file.name),
                        });
                    }
                };
                mirrors.of(archive)?.iter().map(|base| join(base, path)).collect()
            }
        };
        let want = Want { name: file.name.clone(), sha256: file.sha256, size: Some(file.size), urls };
        let meter = progress.start(&file.name, Some(file.size));
        bring(network, store, &want, &*meter)
    }
}
