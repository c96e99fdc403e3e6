//! What commands share: the store, the recipe, its lock, what the lock names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::face::Face;
use super::interrupt::Interrupt;
use super::{BuildArgs, Failure, Global, Outcome, RecipeArgs, usage};
use crate::build::needed_blobs;
use crate::digest::Digest;
use crate::lock::{Entry, Lock, LockError, Stale, rollback, went_back};
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

    /// The lock, fitting the recipe: brought up to date where that is allowed, refused otherwise.
    pub fn lock(&self, recipe: &Recipe, args: &BuildArgs, store: &Store) -> Result<Lock, Failure> {
        let path = recipe.lock_path();
        let lock = match Lock::load(&path) {
            Ok(lock) => lock,
            Err(LockError::Missing(_)) if !args.locked && !args.offline => Lock::new([]),
            Err(error) => return Err(usage(error)),
        };
        let stale = lock.check(&recipe.requests());
        if stale.is_empty() {
            return Ok(lock);
        }
        if args.locked || args.offline {
            return Err(does_not_fit(&path, &stale));
        }
        let reasons: String = stale.iter().map(|stale| format!("\n  {stale}")).collect();
        self.face.note(&format!("{} does not fit the recipe, bringing it up to date:{reasons}", path.display()));
        let lock = self.resolve(recipe, &lock, store, Renewal::default())?;
        lock.save(&path)?;
        Ok(lock)
    }

    /// Pins what a recipe asks for; keeps the entries of `lock` that fit and are not to be renewed.
    pub fn resolve(&self, recipe: &Recipe, lock: &Lock, store: &Store, renewal: Renewal<'_>) -> Result<Lock, Failure> {
        let kept = |request: &Request| lock.find(request).filter(|_| !renewal.requests.contains(request));
        let requests = recipe.requests();
        let (network, mirrors) = (self.network()?, self.mirrors()?);
        let nonempty = |request: &&Request| !matches!(request, Request::Debian { packages, .. } if packages.is_empty());
        let open = requests.iter().filter(|request| kept(request).is_none());
        mirrors.check(open.filter(nonempty)).map_err(usage)?;
        let project = recipe.path.parent().unwrap_or(Path::new("."));
        let resolver = Resolver::new(&network, &mirrors, store, project, self.face);
        let mut entries: Vec<Entry> = Vec::new();
        let mut errors = Vec::new();
        for request in &requests {
            if let Some(entry) = kept(request) {
                entries.push(entry.clone());
                continue;
            }
            let resolved = match resolver.resolve(request) {
                Err(error) if error.stops_all() => return Err(error.into()),
                other => other.map_err(anyhow::Error::from),
            };
            match resolved.and_then(|entry| self.not_older(lock, entry, renewal.allow_downgrade)) {
                Ok(entry) => entries.push(entry),
                Err(error) => errors.push((super::sources::place(recipe, request), error)),
            }
            if self.interrupt.cancel.is_cancelled() {
                return Err(Failure::Said);
            }
        }
        if errors.is_empty() { Ok(Lock::new(entries)) } else { Err(self.all_failed("could not be locked", errors)) }
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
    pub fn fetch(
        &self,
        entries: &[Entry],
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
        let mut entries = lock.entries.clone();
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

/// A lock that may not be brought up to date here.
pub fn does_not_fit(path: &Path, stale: &[Stale]) -> Failure {
    let reasons: String = stale.iter().map(|stale| format!("\n  {stale}")).collect();
    usage(anyhow!("{} does not fit the recipe:{reasons}\nrun `dbco lock` to bring it up to date", path.display()))
}
