//! From a recipe to its outputs, as a library: the command line is built on it, and other programs can be.
//!
//! A [`Session`] holds what the calls have in common: the path of the store, the mirrors, the reporter. A recipe is
//! loaded by [`Session::load`], [`Session::lock`] pins its sources, [`plan`](crate::plan::plan) turns both
//! into steps, [`Session::build`] does all of it and runs the steps that the store has no result for, and
//! [`Session::outputs`] also writes the outputs.
//!
//! Signals are sent to the process: a program that wants ^C to end a build calls
//! [`interrupt::raise`](crate::interrupt::raise), and [`Cancel::cancel`] for downloads.
//!
//! ```
//! use dbco::recipe::Settings;
//! use dbco::session::{OutputOptions, SessionConfig, Session, SilentReporter};
//!
//! # let folder = tempfile::tempdir()?;
//! # let write = |name: &str, text: &str| {
//! #     let path = folder.path().join(name);
//! #     std::fs::create_dir_all(path.parent().unwrap()).and_then(|()| std::fs::write(path, text))
//! # };
//! # write("toolchains/none.yaml", "toolchain: none\ndebian: bookworm\npackages: []\n")?;
//! # write("components/linux.yaml", "component: linux\nversion: '1'\nlicense: MIT\nsource: {path: ../linux}\nfiles: {bzImage: bzImage}\n")?;
//! # write("linux/Makefile", "")?;
//! # write("early/init", "")?;
//! # write("mine.yaml", "\
//! # recipe: mine
//! # epoch: 2021-01-01
//! # toolchains: {build: none, image: none, boot: none}
//! # kernel: {component: linux}
//! # rootfs: {layout: split}
//! # initrd: {livefs: none, overlays: [early]}
//! # boot: {entries: [{id: live, title: Live, mode: live}]}
//! # outputs: [grub-cfg]
//! # tests: []
//! # ")?;
//! # let (path, out, store) = (folder.path().join("mine.yaml"), folder.path().join("out"), folder.path().join("store"));
//! let session = Session::new(SessionConfig { store: Some(store), ..SessionConfig::default() }, &SilentReporter);
//! let recipe = session.load(&path, &Settings::new())?;
//! let (done, report) = session.outputs(recipe, session.store()?, &OutputOptions { folder: out.clone(), ..OutputOptions::default() })?;
//! assert_eq!(done.built.ran.len(), 1, "the menu");
//! assert!(std::fs::read_to_string(out.join("mine/grub.cfg"))?.contains("menuentry 'Live'"));
//! # let _ = report;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod budget;
mod build;
mod dry_run;
mod error;
mod fetch;
mod kconfig;
mod kernel_settings;
mod lock;
mod locks;
mod machines;
mod notice;
mod prune;
mod rebuild;
mod release;
mod shell;
mod sources;
mod stated;
mod vendor;
mod vulnerabilities;

use std::path::{Path, PathBuf};

use crate::build::Observer;
use crate::recipe::{Effective, LoadError, LoadOptions, Recipe, Settings, effective_with, load_with};
use crate::source::{Cancel, Meter, Mirrors, Network, NetworkLimits, Progress, UserConfig, VendoredPlace};
use crate::store::{Sharing, Store, default_path};

pub use budget::OverBudget;
pub use build::{BuiltRecipe, Options, OutputOptions, ReleaseOptions};
pub use dry_run::{DryRun, ExpectedDownloads, FileChange, PlannedRecipe};
pub use error::{Error, SourceFailure};
pub use kconfig::{ConfigDifference, KconfigChange, KconfigReport};
pub use kernel_settings::KernelSettings;
pub use lock::LockUpdate;
pub use locks::{LockBase, Locks, stale};
pub use machines::boot_test;
pub use notice::{Notice, OutputsState, bytes, count};
pub use prune::requests_of_project;
pub use rebuild::{PROJECT_KEYS, RebuildOptions, RebuildOutcome, project_keys};
pub use shell::NamedStep;
pub use sources::{digests, named};
pub use stated::RecipeLocation;
pub use vendor::LockedSources;
pub use vulnerabilities::KernelBuild;

/// The configuration shared by all calls of a session.
#[derive(Clone, Debug, Default)]
pub struct SessionConfig {
    /// The store's folder; by default the user's: `$XDG_CACHE_HOME/dbco` or `~/.cache/dbco`.
    pub store: Option<PathBuf>,
    /// Base URLs of Debian mirrors, instead of those of the user and the host.
    pub mirrors: Vec<String>,
    /// The vendored place that all locked files are taken from. With it nothing is locked, and no mirror is used.
    pub vendored: Option<VendoredPlace>,
}

/// Receives events; called from several threads.
pub trait Reporter: Progress + Observer {
    /// A notice that does not end the work.
    fn notice(&self, notice: &Notice<'_>);

    /// The state of the outputs has changed.
    fn outputs(&self, _state: OutputsState) {}
}

/// Ignores all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct SilentReporter;

impl Progress for SilentReporter {
    fn start(&self, _name: &str, _total: Option<u64>) -> Box<dyn Meter + '_> {
        Box::new(crate::source::NoProgress)
    }
}

impl Observer for SilentReporter {
    fn event(&self, _event: &crate::build::BuildEvent<'_>) {}
}

impl Reporter for SilentReporter {
    fn notice(&self, _notice: &Notice<'_>) {}
}

/// Loads, locks, fetches and builds with one store, one set of mirrors, and one reporter.
pub struct Session<'a> {
    places: SessionConfig,
    reporter: &'a dyn Reporter,
    cancel: Cancel,
}

impl<'a> Session<'a> {
    /// Does not open anything yet.
    pub fn new(places: SessionConfig, reporter: &'a dyn Reporter) -> Self {
        Self { places, reporter, cancel: Cancel::default() }
    }

    /// The same, with a handle that cancels its downloads.
    pub fn with_cancel(self, cancel: Cancel) -> Self {
        Self { cancel, ..self }
    }

    /// Reads a recipe and everything it refers to, as [`load_with`] does, with the library in this session's store.
    pub fn load(&self, path: &Path, settings: &Settings) -> Result<Recipe, LoadError> {
        load_with(path, settings, &self.load_options())
    }

    /// Reads a recipe, component or toolchain as [`effective_with`] does, with the library in this session's store.
    pub fn effective(&self, path: &Path, settings: &Settings) -> Result<Effective, LoadError> {
        effective_with(path, settings, &self.load_options())
    }

    /// Options for loading recipes.
    pub fn load_options(&self) -> LoadOptions {
        LoadOptions { store: self.places.store.clone(), ..LoadOptions::default() }
    }

    /// The store, opened for builds.
    pub fn store(&self) -> Result<Store, Error> {
        self.store_as(Sharing::Builds)
    }

    /// The store, opened shared or exclusively; waits for processes that prevent that.
    pub fn store_as(&self, sharing: Sharing) -> Result<Store, Error> {
        let path = self.store_path()?;
        // The sandbox's processes pass it to each other as text.
        if path.to_str().is_none() {
            return Err(Error::StorePath(path));
        }
        Ok(Store::open_as(&path, sharing, &|| self.reporter.notice(&Notice::StoreInUse(sharing)))?)
    }

    /// The path of the store.
    pub fn store_path(&self) -> Result<PathBuf, Error> {
        if let Some(path) = &self.places.store {
            return Ok(path.clone());
        }
        default_path().ok_or(Error::NoHome)
    }

    /// Reports objects of the store that were found damaged since the last call.
    pub fn report_damages(&self, store: &Store) {
        for damage in store.unreported_damages() {
            self.reporter.notice(&Notice::Damaged(&damage));
        }
    }

    fn network(&self) -> Result<Network, Error> {
        let limits = match UserConfig::default_path() {
            Some(path) => UserConfig::load(&path).map_err(|error| Error::Config(error.into()))?.limits(),
            None => NetworkLimits::default(),
        };
        Ok(Network::new(self.cancel.clone(), limits).with_logins(Path::new("/")))
    }

    fn mirrors(&self) -> Result<Mirrors, Error> {
        let config = UserConfig::default_path();
        let found = Mirrors::discover(&self.places.mirrors, config.as_deref(), Path::new("/"));
        found.map_err(|error| Error::Config(error.into()))
    }
}
