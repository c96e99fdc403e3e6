//! Vendoring: what locks name, in one folder or archive.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::locks::{Locks, stale};
use super::notice::Notice;
use super::{Error, Session};
use crate::digest::Digest;
use crate::lock::LockEntry;
use crate::recipe::{Recipe, Settings, recipes_of_project};
use crate::source::{CargoLock, Crate, Vendored, WantedFile};
use crate::store::Store;
use crate::vendor::Selection;

/// Entries of locks and `Cargo.lock` files.
#[derive(Clone, Debug, Default)]
pub struct LockedSources {
    entries: Vec<LockEntry>,
    cargo: Vec<(CargoLock, String)>,
}

impl LockedSources {
    /// Everything that recipes use. Their locks must be up to date; `lock` is the file of `--lock`.
    pub fn of_recipes(recipes: &[Recipe], lock: Option<&Path>) -> Result<Self, Error> {
        let mut sources = Self::default();
        for recipe in recipes {
            let locks = Locks::open(recipe, lock)?;
            let (path, lock) = locks.current()?;
            let stale = stale(recipe, lock);
            if !stale.is_empty() {
                return Err(Error::Stale { path: path.to_owned(), stale });
            }
            sources.entries.extend(lock.only(&recipe.requests()).entries().cloned());
            sources.add_crates(recipe);
        }
        Ok(sources)
    }

    /// Everything that the lock of a recipe's project names, and the crates of all its recipes. A recipe that can't be
    /// read is an error, since its crates are unknown.
    pub fn of_project(session: &Session<'_>, named: &Recipe, lock: Option<&Path>) -> Result<Self, Error> {
        let mut sources = Self::default();
        let locks = Locks::open(named, lock)?;
        let (_, lock) = locks.current()?;
        sources.entries.extend(lock.entries().cloned());
        sources.add_crates(named);
        let paths = recipes_of_project(&named.project).map_err(|error| {
            let folder = named.project.display();
            Error::Request(format!("can't find all recipes in {folder}: {error}"))
        })?;
        for path in paths {
            let recipe = session.load(&path, &Settings::new())?;
            let open = recipe.requests().iter().filter(|request| lock.valid_entry(request).is_none()).count();
            if open > 0 {
                session.reporter.notice(&Notice::NotLocked(&path, open));
            }
            sources.add_crates(&recipe);
        }
        Ok(sources)
    }

    fn add_crates(&mut self, recipe: &Recipe) {
        for lock in recipe.cargo_locks() {
            let path = recipe.path_in_library(&lock.path);
            let path = path.unwrap_or_else(|| relative(&recipe.project, &lock.path));
            if self.cargo.iter().all(|(_, known)| *known != path) {
                self.cargo.push((lock.clone(), path));
            }
        }
    }

    /// Their files.
    pub fn selection(&self) -> Selection {
        let mut selection = Selection::default();
        self.entries.iter().for_each(|entry| selection.add_entry(entry));
        self.cargo.iter().for_each(|(lock, path)| selection.add_crates(lock, path));
        selection
    }

    /// The digests of their files.
    pub fn digests(&self) -> BTreeSet<Digest> {
        self.selection().digests().collect()
    }
}

/// A path relative to the project's folder, so that a manifest is independent of where the project is.
fn relative(project: &Path, path: &Path) -> String {
    let resolved = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (project, path) = (resolved(project), resolved(path));
    let common = project.components().zip(path.components()).take_while(|(a, b)| a == b).count();
    let up = project.components().skip(common).map(|_| Path::new(".."));
    let relative: PathBuf = up.chain(path.components().skip(common).map(|part| Path::new(part.as_os_str()))).collect();
    relative.display().to_string()
}

impl Session<'_> {
    /// Makes sure that the store has all these files. `existing` is a vendored folder or archive that may have some.
    pub fn fetch_sources(
        &self,
        sources: &LockedSources,
        store: &Store,
        existing: Option<&Path>,
        connections: usize,
    ) -> Result<crate::source::FetchReport, Error> {
        let verified = store.verify_blobs(&sources.digests().into_iter().collect::<Vec<_>>());
        self.report_damages(store);
        verified?;
        let crates: Vec<(&CargoLock, Vec<&Crate>)> =
            sources.cargo.iter().map(|(lock, _)| (lock, lock.crates.iter().collect())).collect();
        if let Some(existing) = existing {
            let files = sources.entries.iter().flat_map(WantedFile::of_entry);
            let wanted = files.chain(crates.iter().flat_map(|(lock, crates)| WantedFile::of_crates(lock, crates)));
            // What is missing or damaged there is fetched below.
            let _ = crate::source::fetch_vendored(wanted.collect(), store, Vendored::Path(existing), 1, self.reporter);
        }
        let files = self.fetch_entries(&sources.entries, store, false, connections)?;
        Ok(files + self.fetch_locked_crates(&crates, store, false)?)
    }
}
