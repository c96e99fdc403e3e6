//! Fetching what is locked into the store.

use std::collections::BTreeSet;

use super::notice::Notice;
use super::sources::digests;
use super::{Error, Session, SourceFailure};
use crate::digest::Digest;
use crate::lock::{Lock, LockEntry};
use crate::recipe::Recipe;
use crate::source::{
    Access, CONNECTIONS, CargoLock, Crate, FetchFailure, FetchReport, Vendored, VendoredPlace, fetch, fetch_crates,
};
use crate::store::Store;

impl Session<'_> {
    /// Fetches everything in a recipe's part of the lock that the store lacks. Objects with the wrong content are
    /// fetched again.
    pub fn fetch(&self, recipe: &Recipe, lock: &Lock, store: &Store, connections: usize) -> Result<FetchReport, Error> {
        let verified = store.verify_blobs(&digests(recipe, lock).collect::<Vec<_>>());
        self.report_damages(store);
        verified?;
        let files = self.fetch_entries(lock.entries(), store, false, connections)?;
        Ok(files + self.fetch_crates(recipe, None, store, false)?)
    }

    /// Fetches what the store lacks of the given contents, all of which the lock or a `Cargo.lock` names.
    pub fn fetch_blobs(
        &self,
        (recipe, lock): (&Recipe, &Lock),
        needed: &BTreeSet<Digest>,
        store: &Store,
        offline: bool,
    ) -> Result<(), Error> {
        if needed.is_empty() {
            return Ok(());
        }
        let mut entries: Vec<LockEntry> = lock.entries().cloned().collect();
        for entry in &mut entries {
            entry.files.retain(|file| needed.contains(&file.sha256));
        }
        entries.retain(|entry| !entry.files.is_empty());
        let files = self.fetch_entries(&entries, store, offline, CONNECTIONS)?;
        let report = files + self.fetch_crates(recipe, Some(needed), store, offline)?;
        if report.fetched > 0 {
            self.reporter.notice(&Notice::Fetched(report.fetched, report.bytes));
        }
        Ok(())
    }

    pub(super) fn fetch_entries<'e>(
        &self,
        entries: impl IntoIterator<Item = &'e LockEntry>,
        store: &Store,
        offline: bool,
        connections: usize,
    ) -> Result<FetchReport, Error> {
        let report = self.with_access(offline, |access| fetch(entries, store, access, connections, self.reporter))?;
        self.fetched(report)
    }

    /// Fetches crates that the store lacks, those of `needed` or all.
    fn fetch_crates(
        &self,
        recipe: &Recipe,
        needed: Option<&BTreeSet<Digest>>,
        store: &Store,
        offline: bool,
    ) -> Result<FetchReport, Error> {
        let wanted = |pinned: &&Crate| needed.is_none_or(|needed| needed.contains(&pinned.sha256));
        let locks: Vec<_> = recipe
            .cargo_locks()
            .into_iter()
            .map(|lock| (lock, lock.crates.iter().filter(wanted).collect::<Vec<_>>()))
            .collect();
        self.fetch_locked_crates(&locks, store, offline)
    }

    pub(super) fn fetch_locked_crates(
        &self,
        locks: &[(&CargoLock, Vec<&Crate>)],
        store: &Store,
        offline: bool,
    ) -> Result<FetchReport, Error> {
        let report = self.with_access(offline, |access| fetch_crates(locks, store, access, self.reporter))?;
        self.fetched(report)
    }

    /// Calls `work` with what it may use: the vendored place alone if there is one, otherwise the network unless offline.
    fn with_access<T>(&self, offline: bool, work: impl FnOnce(Access<'_>) -> T) -> Result<T, Error> {
        Ok(match &self.places.vendored {
            Some(VendoredPlace::Path(path)) => work(Access::Vendored(Vendored::Path(path))),
            Some(VendoredPlace::Url(url)) if offline => {
                let url = crate::mask::text(url);
                return Err(Error::Request(format!("--offline: the files of --vendor {url} need the network")));
            }
            Some(VendoredPlace::Url(url)) => {
                let network = self.network()?;
                work(Access::Vendored(Vendored::Url { url, network: &network }))
            }
            None if offline => work(Access::Offline),
            None => {
                let (network, mirrors) = (self.network()?, self.mirrors()?);
                work(Access::Online { network: &network, mirrors: &mirrors })
            }
        })
    }

    fn fetched(&self, report: Result<FetchReport, Vec<FetchFailure>>) -> Result<FetchReport, Error> {
        report.map_err(|errors| {
            if self.cancel.is_cancelled() {
                return Error::Interrupted;
            }
            let failure =
                |FetchFailure { error, files }| SourceFailure { place: None, error: error.into(), sources: files };
            let failures = errors.into_iter().map(failure).collect();
            Error::Sources { unit: "file", what: "could not be fetched", failures }
        })
    }
}
