//! Bringing a lock up to date.

use std::collections::BTreeSet;

use super::build::Options;
use super::locks::{LockBase, Locks, stale};
use super::notice::Notice;
use super::sources::place;
use super::{Error, Session, SourceFailure};
use crate::lock::{Lock, LockEntry, LockError, downgrades, rollback};
use crate::recipe::Recipe;
use crate::source::{Request, Resolver};
use crate::store::Store;

/// Which requests to resolve again although they are locked.
#[derive(Clone, Copy, Default)]
pub struct LockUpdate<'a> {
    /// These requests.
    pub requests: &'a [Request],
    /// Whether to accept an index that is older than the locked one.
    pub allow_downgrade: bool,
    /// All requests of the project's recipes, if other entries are to be dropped.
    pub used: Option<&'a BTreeSet<Request>>,
}

impl Session<'_> {
    /// The part of the lock that a recipe uses: updated if permitted, otherwise an error if it is out of date.
    pub fn lock(&self, recipe: &Recipe, options: &Options, store: &Store) -> Result<Lock, Error> {
        let locks = Locks::open(recipe, options.lock.as_deref())?;
        let wanted = recipe.requests();
        let fixed = options.locked || options.offline || self.places.vendored.is_some();
        match locks.current() {
            Ok((_, lock)) if lock.fits(&wanted) => return Ok(lock.only(&wanted)),
            Ok((path, lock)) if fixed => {
                return Err(Error::Stale { path: path.to_owned(), stale: stale(recipe, lock) });
            }
            Ok((path, lock)) => self.reporter.notice(&Notice::LockOutdated(path, &stale(recipe, lock))),
            Err(LockError::Missing(_)) if !fixed => {}
            Err(error) => return Err(error.into()),
        }
        self.update_lock(recipe, &locks, store, LockUpdate::default())
    }

    /// Pins the requests of a recipe that are not in the lock yet or are to be updated, and writes the lock; gives the
    /// part of it that the recipe uses.
    pub fn update_lock(
        &self,
        recipe: &Recipe,
        locks: &Locks,
        store: &Store,
        renewal: LockUpdate<'_>,
    ) -> Result<Lock, Error> {
        let LockUpdate { requests: renewed, allow_downgrade, used } = renewal;
        if self.places.vendored.is_some() {
            let text = "--vendor: a vendored place has what is locked, and no indexes to lock from; run `dbco lock` without it";
            return Err(Error::Request(text.into()));
        }
        let wanted = recipe.requests();
        let LockBase { lock: before, taken, from, from_library } = locks.base(&wanted);
        let open: Vec<&Request> = wanted
            .iter()
            .filter(|request| renewed.contains(request) || before.valid_entry(request).is_none())
            .collect();
        let new = self.resolve(recipe, &before, &open, store, allow_downgrade)?;
        let mut dropped = Vec::new();
        let lock = before.clone().update::<Error>(&locks.path, |lock| {
            taken.into_iter().for_each(|entry| lock.add(entry));
            for entry in new {
                // Another process may have added newer ones meanwhile.
                match rollback(lock, &entry).filter(|_| !allow_downgrade) {
                    Some(rollback) => return Err(Error::Source(rollback.into())),
                    None if renewed.contains(&entry.request) => lock.set(entry),
                    None => lock.add(entry),
                }
            }
            // A project builds on one library.
            let is_library = |request: &Request| matches!(request, Request::Library(_));
            if wanted.iter().any(is_library) {
                let libraries = lock.entries().map(|entry| &entry.request).filter(|one| is_library(one));
                let others: Vec<Request> = libraries.filter(|one| !wanted.contains(one)).cloned().collect();
                others.iter().for_each(|one| _ = lock.remove(one));
            }
            let unused = before.entries().filter(|entry| used.is_some_and(|used| !used.contains(&entry.request)));
            dropped = unused.filter_map(|entry| lock.remove(&entry.request)).collect();
            Ok(())
        })?;
        if let Some(from) = from {
            self.reporter.notice(&Notice::LockTakenOver(&locks.path, from));
        }
        if from_library > 0 {
            self.reporter.notice(&Notice::LockedAsLibrary(&locks.path, from_library));
        }
        for entry in &dropped {
            self.reporter.notice(&Notice::EntryDropped(&locks.path, entry));
        }
        Ok(lock.only(&wanted))
    }

    /// Pins requests, compared with the previous lock.
    fn resolve(
        &self,
        recipe: &Recipe,
        before: &Lock,
        requests: &[&Request],
        store: &Store,
        allow_downgrade: bool,
    ) -> Result<Vec<LockEntry>, Error> {
        let (network, mirrors) = (self.network()?, self.mirrors()?);
        let some = requests.iter().copied().filter(|request| !request.kind().is_empty());
        mirrors.check(some.flat_map(|request| request.archives())).map_err(|error| Error::Config(error.into()))?;
        let resolver = Resolver::new(&network, &mirrors, store, &recipe.project, self.reporter);
        let mut entries: Vec<LockEntry> = Vec::new();
        let mut failures = Vec::new();
        for request in requests {
            let resolved = match resolver.resolve(request) {
                Err(error) if error.stops_all() => return Err(Error::Source(error.into())),
                other => other.map_err(anyhow::Error::from),
            };
            match resolved.and_then(|entry| self.not_older(before, entry, allow_downgrade)) {
                Ok(entry) => entries.push(entry),
                Err(error) => {
                    failures.push(SourceFailure { place: place(recipe, request), error, sources: 1 });
                }
            }
            if self.cancel.is_cancelled() {
                return Err(Error::Interrupted);
            }
        }
        if failures.is_empty() {
            Ok(entries)
        } else {
            Err(Error::Sources { unit: "source", what: "could not be locked", failures })
        }
    }

    /// Rejects an entry from an older index than the locked one, and names packages that would be downgraded.
    fn not_older(&self, lock: &Lock, entry: LockEntry, allowed: bool) -> Result<LockEntry, anyhow::Error> {
        if let Some(rollback) = rollback(lock, &entry).filter(|_| !allowed) {
            return Err(rollback.into());
        }
        let back = downgrades(lock, &entry);
        if !back.is_empty() {
            self.reporter.notice(&Notice::Older(&back));
        }
        Ok(entry)
    }
}
