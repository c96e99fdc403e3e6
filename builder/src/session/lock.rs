//! Bringing a lock up to date.

use std::collections::BTreeSet;

use super::build::Options;
use super::locks::{Base, Locks, stale};
use super::notice::Notice;
use super::sources::place;
use super::{Error, Session, SourceFailure};
use crate::lock::{Entry, Lock, LockError, rollback, went_back};
use crate::recipe::Recipe;
use crate::source::{Request, Resolver};
use crate::store::Store;

/// What is resolved again although it is locked.
#[derive(Clone, Copy, Default)]
pub struct Renewal<'a> {
    /// These.
    pub requests: &'a [Request],
    /// Whether an older index than the locked one is taken.
    pub allow_downgrade: bool,
    /// All that the project's recipes ask for, where other entries are to be dropped.
    pub asked: Option<&'a BTreeSet<Request>>,
}

impl Session<'_> {
    /// The part of the lock that a recipe asks for: brought up to date where that is allowed, refused otherwise.
    pub fn lock(&self, recipe: &Recipe, options: &Options, store: &Store) -> Result<Lock, Error> {
        let locks = Locks::open(recipe, options.lock.as_deref())?;
        let wanted = recipe.requests();
        let fixed = options.locked || options.offline;
        match locks.current() {
            Ok((_, lock)) if lock.fits(&wanted) => return Ok(lock.only(&wanted)),
            Ok((path, lock)) if fixed => {
                return Err(Error::Stale { path: path.to_owned(), stale: stale(recipe, lock) });
            }
            Ok((path, lock)) => self.reporter.notice(&Notice::LockOutdated(path, &stale(recipe, lock))),
            Err(LockError::Missing(_)) if !fixed => {}
            Err(error) => return Err(error.into()),
        }
        self.update_lock(recipe, &locks, store, Renewal::default())
    }

    /// Pins what a recipe asks for and the lock does not have yet or is to be renewed, and writes the lock; gives the part
    /// of it that the recipe asks for.
    pub fn update_lock(
        &self,
        recipe: &Recipe,
        locks: &Locks,
        store: &Store,
        renewal: Renewal<'_>,
    ) -> Result<Lock, Error> {
        let Renewal { requests: renewed, allow_downgrade, asked } = renewal;
        let wanted = recipe.requests();
        let Base { lock: before, taken, from } = locks.base(&wanted);
        let open: Vec<&Request> =
            wanted.iter().filter(|request| renewed.contains(request) || before.sound(request).is_none()).collect();
        let new = self.resolve(recipe, &before, &open, store, allow_downgrade)?;
        let mut dropped = Vec::new();
        let lock = before.clone().update::<Error>(&locks.path, |lock| {
            taken.into_iter().for_each(|entry| lock.add(entry));
            for entry in new {
                // Another process may have put newer ones in meanwhile.
                match rollback(lock, &entry).filter(|_| !allow_downgrade) {
                    Some(rollback) => return Err(Error::Source(rollback.into())),
                    None if renewed.contains(&entry.request) => lock.set(entry),
                    None => lock.add(entry),
                }
            }
            let unasked = before.entries().filter(|entry| asked.is_some_and(|asked| !asked.contains(&entry.request)));
            dropped = unasked.filter_map(|entry| lock.remove(&entry.request)).collect();
            Ok(())
        })?;
        if let Some(from) = from {
            self.reporter.notice(&Notice::LockTakenOver(&locks.path, from));
        }
        for entry in &dropped {
            self.reporter.notice(&Notice::EntryDropped(&locks.path, entry));
        }
        Ok(lock.only(&wanted))
    }

    /// Pins requests, held against the lock as it was.
    fn resolve(
        &self,
        recipe: &Recipe,
        before: &Lock,
        requests: &[&Request],
        store: &Store,
        allow_downgrade: bool,
    ) -> Result<Vec<Entry>, Error> {
        let (network, mirrors) = (self.network()?, self.mirrors()?);
        let some = requests.iter().copied().filter(|request| !request.kind().is_empty());
        mirrors.check(some.flat_map(|request| request.archives())).map_err(|error| Error::Config(error.into()))?;
        let resolver = Resolver::new(&network, &mirrors, store, &recipe.project, self.reporter);
        let mut entries: Vec<Entry> = Vec::new();
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
        if failures.is_empty() { Ok(entries) } else { Err(Error::Sources { what: "could not be locked", failures }) }
    }

    /// Refuses an entry from an older index than the locked one, and names packages whose versions go back.
    fn not_older(&self, lock: &Lock, entry: Entry, allowed: bool) -> Result<Entry, anyhow::Error> {
        if let Some(rollback) = rollback(lock, &entry).filter(|_| !allowed) {
            return Err(rollback.into());
        }
        let back = went_back(lock, &entry);
        if !back.is_empty() {
            self.reporter.notice(&Notice::Older(&back));
        }
        Ok(entry)
    }
}
