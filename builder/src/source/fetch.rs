//! Fetching the files of a lock: in parallel, each from the first place that has it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::store::Store;
use crate::threads;

use super::failures::tidy;
use super::kind::{Fetching, SourceKind};
use super::vendored::{Vendored, WantedFile, fetch_vendored};
use super::{FetchFailure, LockEntry, LockedFile, Mirrors, Network, Progress, SourceError};

/// The default number of connections.
pub const CONNECTIONS: usize = 6;

/// More would be rude to mirrors, and no faster.
const MOST_CONNECTIONS: usize = 16;

/// Whether the network may be used. Offline there is no [`Network`] to use.
#[derive(Clone, Copy)]
pub enum Access<'a> {
    /// The store must have everything.
    Offline,
    /// Missing files are fetched.
    Online {
        /// The HTTP client.
        network: &'a Network,
        /// The mirrors of Debian archives.
        mirrors: &'a Mirrors,
    },
    /// Missing files are taken from there, and from nowhere else.
    Vendored(Vendored<'a>),
}

/// The result of [`fetch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchReport {
    /// Files that were in the store.
    pub present: usize,
    /// Files that were fetched.
    pub fetched: usize,
    /// Bytes received over the network.
    pub bytes: u64,
}

impl std::ops::Add for FetchReport {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let Self { present, fetched, bytes } = other;
        Self { present: self.present + present, fetched: self.fetched + fetched, bytes: self.bytes + bytes }
    }
}

/// A file to fetch, and its request.
struct FetchJob<'a> {
    kind: &'a dyn SourceKind,
    file: &'a LockedFile,
}

/// Makes sure that the store has every file of `entries`; all failures are collected, each cause once.
pub fn fetch<'a>(
    entries: impl IntoIterator<Item = &'a LockEntry>,
    store: &Store,
    access: Access<'_>,
    connections: usize,
    progress: &dyn Progress,
) -> Result<FetchReport, Vec<FetchFailure>> {
    if let Access::Vendored(from) = access {
        let wanted = entries.into_iter().flat_map(WantedFile::of_entry).collect();
        return fetch_vendored(wanted, store, from, connections, progress);
    }
    let mut seen = HashSet::new();
    let files = entries
        .into_iter()
        .flat_map(|entry| entry.files.iter().map(|file| FetchJob { kind: entry.request.kind(), file }));
    let all: Vec<_> = files.filter(|job| seen.insert(job.file.sha256)).collect();
    let count = all.len();
    let mut jobs: Vec<_> = all.into_iter().filter(|job| !store.has_blob(&job.file.sha256)).collect();
    let mut report = FetchReport { present: count - jobs.len(), ..FetchReport::default() };
    if jobs.is_empty() {
        return Ok(report);
    }
    let Access::Online { network, mirrors } = access else {
        let missing: Vec<_> = jobs.iter().map(|job| job.file.name.clone()).collect();
        return Err(vec![FetchFailure { files: missing.len(), error: SourceError::Offline { missing } }]);
    };
    // The largest first, so that none of them is left over at the end.
    jobs.sort_by_key(|job| std::cmp::Reverse(job.file.size));
    progress.expect(jobs.len(), jobs.iter().map(|job| job.file.size).sum());

    // Files without a known mirror are reported before any work.
    let needs = |job: &FetchJob<'_>| job.kind.archive_of(job.file).cloned();
    let mut archives = BTreeMap::new();
    for archive in jobs.iter().filter_map(needs) {
        *archives.entry(archive).or_insert(0) += 1;
    }
    let unknown = archives.into_iter().filter_map(|(archive, files)| {
        let error = mirrors.of(&archive).err()?;
        Some(FetchFailure { error, files })
    });
    let unknown: Vec<_> = unknown.collect();
    if !unknown.is_empty() {
        return Err(tidy(unknown, jobs.len()));
    }
    // The client's thread is started before those of the downloads, which can do with fewer.
    if jobs.iter().any(|job| job.kind.uses_http()) {
        network.start().map_err(|error| vec![FetchFailure { error, files: jobs.len() }])?;
    }
    let with = Fetching { network, mirrors, store, progress };
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let results = Mutex::new(Vec::new());
    let work = || {
        while !stop.load(Ordering::Relaxed)
            && let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let result = job.kind.fetch(job.file, &with);
            if matches!(&result, Err(error) if error.stops_all()) {
                stop.store(true, Ordering::Relaxed);
            }
            results.lock().unwrap_or_else(|e| e.into_inner()).push(result);
        }
    };
    threads::side_by_side(connections.clamp(1, MOST_CONNECTIONS).min(jobs.len()), &work);
    let mut errors = Vec::new();
    for result in results.into_inner().unwrap_or_else(|e| e.into_inner()) {
        match result {
            Ok(bytes) => {
                report.fetched += 1;
                report.bytes += bytes;
            }
            Err(error) => errors.push(FetchFailure { error, files: 1 }),
        }
    }
    if errors.is_empty() { Ok(report) } else { Err(tidy(errors, jobs.len() - report.fetched)) }
}
