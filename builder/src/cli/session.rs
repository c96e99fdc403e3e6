//! What commands share: the store, the recipe, its lock, what the lock names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::face::Face;
use super::interrupt::Interrupt;
use super::locks::{Base, Locks, does_not_fit, stale};
use super::{BuildArgs, Failure, Global, Outcome, RecipeArgs, usage};
use crate::build::needed_blobs;
use crate::digest::Digest;
use crate::lock::{Entry, Lock, LockError, rollback, went_back};
use crate::plan::Plan;
use crate::recipe::{Recipe, load};
use crate::source::{
    Access, Crate, FetchReport, Limits, Mirrors, Network, Request, Resolver, SourceError, UserConfig, fetch,
    fetch_crates,
};
use crate::step::StepId;
use crate::store::{Sharing, Store};

pub struct Session<'a> {
    global: Global,
    pub face: &'a Face,
    pub interrupt: &'a Interrupt,
}

/// What `dbco lock` resolves again although it is locked.
#[derive(Clone, Copy, Default)]
pub struct Renewal<'a> {
    /// These.
    pub requests: &'a [Request],
    /// Whether an older index than the locked one is taken.
    pub allow_downgrade: bool,
    /// All that the project's recipes ask for, where other entries are to be dropped.
    pub asked: Option<&'a BTreeSet<Request>>,
}

impl<'a> Session<'a> {
    pub fn new(global: Global, face: &'a Face, interrupt: &'a Interrupt) -> Self {
        Self { global, face, interrupt }
    }

    pub fn store(&self) -> Result<Store, Failure> {
        self.store_as(Sharing::Builds)
    }

    pub fn store_as(&self, sharing: Sharing) -> Result<Store, Failure> {
        let path = self.store_path()?;
        // The sandbox's processes tell it each other as text.
        if path.to_str().is_none() {
            return Err(usage(anyhow!("the store's path {path:?} is not UTF-8: choose another one with --store")));
        }
        let waiting = || {
            self.face.note(match sharing {
                Sharing::Builds => "waiting for `dbco cache gc`, which has the store",
                Sharing::Alone => "waiting for the end of each dbco that uses the store (a build, a machine that runs); ^C ends the wait",
            });
        };
        Ok(Store::open_as(&path, sharing, &waiting)?)
    }

    pub fn store_path(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.global.store {
            return Ok(path.clone());
        }
        let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
        let base = base.ok_or_else(|| usage(anyhow!("neither XDG_CACHE_HOME nor HOME is set: pass --store DIR")))?;
        Ok(base.join("dbco"))
    }

    pub fn recipe(&self, args: &RecipeArgs) -> Result<Recipe, Failure> {
        load(&args.recipe, &args.settings()).map_err(usage)
    }

    /// The part of the lock that a recipe asks for: brought up to date where that is allowed, refused otherwise.
    pub fn lock(&self, recipe: &Recipe, args: &BuildArgs, store: &Store) -> Result<Lock, Failure> {
        let locks = Locks::open(recipe, args.recipe.lock.as_deref()).map_err(usage)?;
        let wanted = recipe.requests();
        let fixed = args.locked || args.offline;
        match locks.current() {
            Ok((_, lock)) if lock.fits(&wanted) => return Ok(lock.only(&wanted)),
            Ok((path, lock)) if fixed => return Err(does_not_fit(path, &stale(recipe, lock))),
            Ok((path, lock)) => {
                let reasons: String = stale(recipe, lock).iter().map(|stale| format!("\n  {stale}")).collect();
                self.face
                    .note(&format!("{} does not fit the recipe, bringing it up to date:{reasons}", path.display()));
            }
            Err(LockError::Missing(_)) if !fixed => {}
            Err(error) => return Err(usage(error)),
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
    ) -> Result<Lock, Failure> {
        let Renewal { requests: renewed, allow_downgrade, asked } = renewal;
        let wanted = recipe.requests();
        let Base { lock: before, taken, from } = locks.base(&wanted);
        let open: Vec<&Request> =
            wanted.iter().filter(|request| renewed.contains(request) || before.sound(request).is_none()).collect();
        let new = self.resolve(recipe, &before, &open, store, allow_downgrade)?;
        let mut dropped = Vec::new();
        let lock = before.clone().update::<Failure>(&locks.path, |lock| {
            taken.into_iter().for_each(|entry| lock.add(entry));
            for entry in new {
                // Another process may have put newer ones in meanwhile.
                match rollback(lock, &entry).filter(|_| !allow_downgrade) {
                    Some(rollback) => return Err(Failure::Failed(rollback.into())),
                    None if renewed.contains(&entry.request) => lock.set(entry),
                    None => lock.add(entry),
                }
            }
            let unasked = before.entries().filter(|entry| asked.is_some_and(|asked| !asked.contains(&entry.request)));
            dropped = unasked.filter_map(|entry| lock.remove(&entry.request)).collect();
            Ok(())
        })?;
        let path = locks.path.display();
        if let Some(from) = from {
            let from = from.display();
            self.face.note(&format!("{path}: took over the entries of {from}, which can be removed"));
        }
        for entry in &dropped {
            self.face.note(&format!("{path}: dropped, as no recipe asks for it: {}", entry.request));
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
    ) -> Result<Vec<Entry>, Failure> {
        let (network, mirrors) = (self.network()?, self.mirrors()?);
        mirrors.check(requests.iter().copied().filter(|request| !request.kind().is_empty())).map_err(usage)?;
        let resolver = Resolver::new(&network, &mirrors, store, &recipe.project, self.face);
        let mut entries: Vec<Entry> = Vec::new();
        let mut errors = Vec::new();
        for request in requests {
            let resolved = match resolver.resolve(request) {
                Err(error) if error.stops_all() => return Err(error.into()),
                other => other.map_err(anyhow::Error::from),
            };
            match resolved.and_then(|entry| self.not_older(before, entry, allow_downgrade)) {
                Ok(entry) => entries.push(entry),
                Err(error) => errors.push((super::sources::place(recipe, request), error)),
            }
            if self.interrupt.cancel.is_cancelled() {
                return Err(Failure::Said);
            }
        }
        if errors.is_empty() { Ok(entries) } else { Err(self.all_failed("could not be locked", errors)) }
    }

    /// Refuses an entry from an older index than the locked one, and names packages whose versions go back.
    fn not_older(&self, lock: &Lock, entry: Entry, allowed: bool) -> Result<Entry, anyhow::Error> {
        if let Some(rollback) = rollback(lock, &entry).filter(|_| !allowed) {
            return Err(rollback.into());
        }
        let back = went_back(lock, &entry);
        if !back.is_empty() {
            self.face.note(&format!("warning: older than in the lock: {}", back.join(", ")));
        }
        Ok(entry)
    }

    /// Says what has been found damaged in the store since this was called last.
    pub fn say_damages(&self, store: &Store) {
        for damage in store.untold_damages() {
            self.face.note(&format!("{damage}; it counts as missing, and is made or fetched again where it is needed"));
        }
    }

    /// Says each error once, and each cause.
    fn all_failed(&self, what: &str, errors: Vec<(Option<String>, anyhow::Error)>) -> Failure {
        let count = errors.len();
        for text in super::alike::told_once(errors) {
            self.face.error(&text);
        }
        Failure::Failed(anyhow!("{} {what}", super::prose::count(count, "source")))
    }

    fn network(&self) -> Result<Network, Failure> {
        let limits = match UserConfig::default_path() {
            Some(path) => UserConfig::load(&path).map_err(usage)?.limits(),
            None => Limits::default(),
        };
        Ok(Network::new(self.interrupt.cancel.clone(), limits).with_logins(Path::new("/")))
    }

    fn mirrors(&self) -> Result<Mirrors, Failure> {
        let config = UserConfig::default_path();
        // An empty variable is as good as none: pipelines set those, too, that have no value.
        let from_variable = std::env::var_os("DBCO_MIRROR").is_some();
        let stated = self.global.mirror.iter().filter(|url| !(url.is_empty() && from_variable));
        let stated: Vec<String> = stated.cloned().collect();
        Mirrors::discover(&stated, config.as_deref(), Path::new("/")).map_err(usage)
    }

    /// Brings files of a lock that the store lacks.
    pub fn fetch<'e>(
        &self,
        entries: impl IntoIterator<Item = &'e Entry>,
        store: &Store,
        offline: bool,
        connections: usize,
    ) -> Result<FetchReport, Failure> {
        let report = if offline {
            fetch(entries, store, Access::Offline, connections, self.face)
        } else {
            let (network, mirrors) = (self.network()?, self.mirrors()?);
            fetch(entries, store, Access::Online { network: &network, mirrors: &mirrors }, connections, self.face)
        };
        self.fetched(report)
    }

    /// Brings crates that the store lacks, those of `needed` or all.
    pub fn fetch_crates(
        &self,
        recipe: &Recipe,
        needed: Option<&BTreeSet<Digest>>,
        store: &Store,
        offline: bool,
    ) -> Result<FetchReport, Failure> {
        let wanted = |pinned: &&Crate| needed.is_none_or(|needed| needed.contains(&pinned.sha256));
        let locks: Vec<_> = recipe
            .cargo_locks()
            .into_iter()
            .map(|lock| (lock, lock.crates.iter().filter(wanted).collect::<Vec<_>>()))
            .collect();
        let report = if offline {
            fetch_crates(&locks, store, Access::Offline, self.face)
        } else {
            let (network, mirrors) = (self.network()?, self.mirrors()?);
            fetch_crates(&locks, store, Access::Online { network: &network, mirrors: &mirrors }, self.face)
        };
        self.fetched(report)
    }

    fn fetched(&self, report: Result<FetchReport, Vec<SourceError>>) -> Result<FetchReport, Failure> {
        report.map_err(|errors| {
            if self.interrupt.cancel.is_cancelled() {
                return Failure::Said;
            }
            self.all_failed("could not be fetched", errors.into_iter().map(|error| (None, error.into())).collect())
        })
    }

    /// Brings what the steps that have to run need, and no more.
    pub fn fetch_for(
        &self,
        recipe: &Recipe,
        plan: &Plan,
        targets: &[StepId],
        lock: &Lock,
        store: &Store,
        offline: bool,
    ) -> Outcome {
        let needed = needed_blobs(&plan.graph, targets, store).context("can't read the store")?;
        if needed.is_empty() {
            return Ok(());
        }
        let mut entries: Vec<Entry> = lock.entries().cloned().collect();
        for entry in &mut entries {
            entry.files.retain(|file| needed.contains(&file.sha256));
        }
        entries.retain(|entry| !entry.files.is_empty());
        let files = self.fetch(&entries, store, offline, crate::source::CONNECTIONS)?;
        let report = files + self.fetch_crates(recipe, Some(&needed), store, offline)?;
        if report.fetched > 0 {
            self.face.note(&format!(
                "fetched {}, {}",
                super::prose::count(report.fetched, "file"),
                super::prose::bytes(report.bytes)
            ));
        }
        Ok(())
    }
}
