//! What commands share: the store, the recipe, its lock, what the lock names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::face::Face;
use super::{BuildArgs, Failure, Global, Outcome, RecipeArgs, usage};
use crate::digest::Digest;
use crate::lock::{Entry, Lock, LockError};
use crate::plan::{Action, Plan, Source, StepId};
use crate::recipe::{Recipe, load};
use crate::source::{
    Access, Cancel, Crate, FetchReport, Limits, Mirrors, Network, Resolver, SourceError, fetch, fetch_crates,
};
use crate::store::Store;

pub struct Session<'a> {
    global: Global,
    pub face: &'a Face,
    pub cancel: Cancel,
}

impl<'a> Session<'a> {
    pub fn new(global: Global, face: &'a Face, cancel: Cancel) -> Self {
        Self { global, face, cancel }
    }

    pub fn store(&self) -> Result<Store, Failure> {
        Ok(Store::open(&self.store_path()?)?)
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
        let reasons: String = stale.iter().map(|stale| format!("\n  {stale}")).collect();
        if args.locked || args.offline {
            let message =
                format!("{} does not fit the recipe:{reasons}\nrun `dbco lock` to bring it up to date", path.display());
            return Err(usage(anyhow!(message)));
        }
        self.face.note(&format!("{} does not fit the recipe, bringing it up to date:{reasons}", path.display()));
        let lock = self.resolve(recipe, &lock, store, &|_| false)?;
        lock.save(&path)?;
        Ok(lock)
    }

    /// Pins what a recipe asks for; keeps the entries of `lock` that fit and that `again` does not name.
    pub fn resolve(
        &self,
        recipe: &Recipe,
        lock: &Lock,
        store: &Store,
        again: &dyn Fn(&crate::source::Request) -> bool,
    ) -> Result<Lock, Failure> {
        let (network, mirrors) = (self.network(), self.mirrors()?);
        let project = recipe.path.parent().unwrap_or(Path::new("."));
        let resolver = Resolver::new(&network, &mirrors, store, project, self.face);
        let mut entries: Vec<Entry> = Vec::new();
        let mut errors = Vec::new();
        for request in recipe.requests() {
            match lock.find(&request).filter(|_| !again(&request)) {
                Some(entry) => entries.push(entry.clone()),
                None => match resolver.resolve(&request) {
                    Ok(entry) => entries.push(entry),
                    Err(error) => errors.push(anyhow::Error::from(error)),
                },
            }
            if self.cancel.is_cancelled() {
                return Err(Failure::Said);
            }
        }
        if errors.is_empty() { Ok(Lock::new(entries)) } else { Err(self.all_failed("could not be locked", errors)) }
    }

    fn all_failed(&self, what: &str, errors: Vec<anyhow::Error>) -> Failure {
        let count = errors.len();
        for error in errors {
            self.face.error(&super::prose::chain(&error));
        }
        let sources = if count == 1 { "1 source".into() } else { format!("{count} sources") };
        Failure::Failed(anyhow!("{sources} {what}"))
    }

    fn network(&self) -> Network {
        Network::new(self.cancel.clone(), Limits::default())
    }

    fn mirrors(&self) -> Result<Mirrors, Failure> {
        let config = Mirrors::user_config_path();
        Mirrors::discover(&self.global.mirror, config.as_deref(), Path::new("/")).map_err(usage)
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
            let (network, mirrors) = (self.network(), self.mirrors()?);
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
            let (network, mirrors) = (self.network(), self.mirrors()?);
            fetch_crates(&locks, store, Access::Online { network: &network, mirrors: &mirrors }, self.face)
        };
        self.fetched(report)
    }

    fn fetched(&self, report: Result<FetchReport, Vec<SourceError>>) -> Result<FetchReport, Failure> {
        report.map_err(|errors| {
            if self.cancel.is_cancelled() {
                return Failure::Said;
            }
            self.all_failed("could not be fetched", errors.into_iter().map(anyhow::Error::from).collect())
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
        let needed = needed_blobs(plan, targets, store).context("can't read the store")?;
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
            self.face.note(&format!("fetched {} files, {}", report.fetched, super::prose::bytes(report.bytes)));
        }
        Ok(())
    }
}

/// Contents from outside that the steps to run start from.
fn needed_blobs(plan: &Plan, targets: &[StepId], store: &Store) -> Result<BTreeSet<Digest>, crate::store::StoreError> {
    let mut blobs = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut queue = targets.to_vec();
    while let Some(id) = queue.pop() {
        let step = plan.step(id);
        if !seen.insert(id) || store.result(&step.digest)?.is_some() {
            continue;
        }
        queue.extend(step.action.inputs());
        match &step.action {
            Action::Toolchain(action) => blobs.extend(action.packages.iter().map(|package| package.blob)),
            Action::Packages(action) => blobs.extend(action.packages.iter().map(|package| package.blob)),
            Action::KernelPackage(action) => {
                blobs.insert(action.package.blob);
            }
            Action::Component(action) => {
                if let Source::Archive { blob, .. } = &action.source {
                    blobs.insert(*blob);
                }
                blobs.extend(action.remote_blobs());
            }
            _ => {}
        }
    }
    blobs.retain(|blob| !plan.files.contains_key(blob));
    Ok(blobs)
}
