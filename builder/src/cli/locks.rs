//! The lock that a command works with: the project's, one that `--lock` names, or a recipe's own of before.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use super::session::Session;
use super::{Failure, usage};
use crate::lock::{Entry, Lock, LockError, Stale};
use crate::recipe::image::Settings;
use crate::recipe::{Recipe, load, recipes_of_project};
use crate::source::Request;

/// A lock as it is found.
pub struct Locks {
    /// Where changes go.
    pub path: PathBuf,
    /// What is there.
    shared: Option<Lock>,
    /// The recipe's own lock, which versions before 2 of the format were, where the shared one is missing or lacks
    /// something.
    own: Option<(PathBuf, Lock)>,
}

impl Locks {
    /// Finds and reads the lock of a recipe; `stated` is the file of `--lock`.
    pub fn open(recipe: &Recipe, stated: Option<&Path>) -> Result<Self, LockError> {
        let path = stated.map_or_else(|| recipe.lock_path(), Path::to_owned);
        let shared = there(&path)?;
        let own_path = recipe.own_lock_path();
        let needed = stated.is_none() && own_path != path;
        let own = match &shared {
            Some(lock) if !needed || lock.fits(&recipe.requests()) => None,
            None if !needed => None,
            _ => there(&own_path)?.map(|lock| (own_path, lock)),
        };
        Ok(Self { path, shared, own })
    }

    /// The lock that counts for a build, and its file.
    pub fn current(&self) -> Result<(&Path, &Lock), LockError> {
        match (&self.shared, &self.own) {
            (Some(lock), _) => Ok((&self.path, lock)),
            (None, Some((path, lock))) => Ok((path, lock)),
            (None, None) => Err(LockError::Missing(self.path.clone())),
        }
    }

    /// What a change begins with: the shared lock, with what is taken over from the recipe's own. That is all of it the
    /// first time, later what the shared one lacks.
    pub fn base(&self, wanted: &[Request]) -> Base<'_> {
        let mut base = Base { lock: self.shared.clone().unwrap_or_default(), taken: Vec::new(), from: None };
        let Some((path, own)) = &self.own else { return base };
        base.taken = own.entries().filter(|entry| entry.broken().is_empty()).cloned().collect();
        if self.shared.is_some() {
            base.taken.retain(|entry| wanted.contains(&entry.request) && base.lock.sound(&entry.request).is_none());
        }
        base.taken.iter().cloned().for_each(|entry| base.lock.add(entry));
        base.from = (!base.taken.is_empty()).then_some(path);
        base
    }
}

/// What a change of a lock begins with.
pub struct Base<'a> {
    /// All entries.
    pub lock: Lock,
    /// Those of them that are from a recipe's own lock.
    pub taken: Vec<Entry>,
    /// The file of that.
    pub from: Option<&'a Path>,
}

fn there(path: &Path) -> Result<Option<Lock>, LockError> {
    match Lock::load(path) {
        Ok(lock) => Ok(Some(lock)),
        Err(LockError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Everything in which a lock does not fit a recipe.
pub fn stale(recipe: &Recipe, lock: &Lock) -> Vec<Stale> {
    let wanted = recipe.requests();
    if lock.fits(&wanted) {
        return Vec::new();
    }
    // What other recipes ask for is no older form of what this one does. A recipe that can't be read is left out: this is
    // for the words alone.
    let paths = recipes_of_project(&recipe.project).unwrap_or_default();
    let others = paths.iter().filter(|path| **path != recipe.path).filter_map(|path| load(path, &Settings::new()).ok());
    lock.check(&wanted, &others.flat_map(|other| other.requests()).collect())
}

/// A lock that may not be brought up to date here.
pub fn does_not_fit(path: &Path, stale: &[Stale]) -> Failure {
    let reasons: String = stale.iter().map(|stale| format!("\n  {stale}")).collect();
    usage(anyhow!("{} does not fit the recipe:{reasons}\nrun `dbco lock` to bring it up to date", path.display()))
}

/// How many combinations of a recipe's parameters are looked at.
const MOST_COMBINATIONS: usize = 256;

/// All that the recipes of a project ask for, for `--prune`: `named` as it was loaded, and each recipe with its defaults
/// and with all the choices that its parameters have. A recipe that can't be read ends it: what it asks for is not known.
pub fn asked_in_project(session: &Session<'_>, named: &Recipe) -> Result<BTreeSet<Request>, Failure> {
    let folder = named.project.display();
    let paths = recipes_of_project(&named.project)
        .with_context(|| format!("--prune: can't find all recipes in {folder}, so nothing was dropped"))
        .map_err(usage)?;
    let mut asked: BTreeSet<Request> = named.requests().into_iter().collect();
    for path in &paths {
        let recipe = load(path, &Settings::new()).map_err(|error| {
            session.face.note(&format!(
                "--prune: what {} asks for is not known, as it can't be read; nothing was dropped",
                path.display()
            ));
            usage(error)
        })?;
        let default = recipe.requests();
        for settings in combinations(&recipe, path)? {
            // A choice with which the recipe can't be built asks for nothing.
            asked.extend(load(path, &settings).ok().into_iter().flat_map(|recipe| recipe.requests()));
        }
        let open: Vec<_> = free_parameters(&recipe).filter(|name| changes_sources(path, name, &default)).collect();
        if !open.is_empty() {
            session.face.note(&format!(
                "{}: its sources depend on {}, which may have any value: what it asks for by default is kept",
                path.display(),
                open.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ")
            ));
        }
        asked.extend(default);
    }
    Ok(asked)
}

/// Each combination of the choices of a recipe's parameters.
fn combinations(recipe: &Recipe, path: &Path) -> Result<Vec<Settings>, Failure> {
    let mut all = vec![Settings::new()];
    for (name, parameter) in recipe.params.iter().filter(|(_, parameter)| !parameter.choices.is_empty()) {
        if all.len() * parameter.choices.len() > MOST_COMBINATIONS {
            return Err(usage(anyhow!(
                "--prune: the parameters of {} have more than {MOST_COMBINATIONS} combinations, so what it asks for is not \
                 known; nothing was dropped",
                path.display()
            )));
        }
        let with = |settings: &Settings| {
            let settings = settings.clone();
            parameter.choices.iter().map(move |choice| {
                let mut settings = settings.clone();
                settings.insert(name.clone(), choice.clone());
                settings
            })
        };
        all = all.iter().flat_map(with).collect();
    }
    Ok(all)
}

fn free_parameters(recipe: &Recipe) -> impl Iterator<Item = &String> {
    recipe.params.iter().filter(|(_, parameter)| parameter.choices.is_empty()).map(|(name, _)| name)
}

/// Whether another value of a parameter leads to other requests; also where no other value is found that the recipe takes.
fn changes_sources(path: &Path, name: &str, default: &[Request]) -> bool {
    // A word, and numbers, of which not both are the default.
    let with = |value: &str| load(path, &Settings::from([(name.to_owned(), value.to_owned())])).ok();
    let mut others = ["dbco-0", "7", "8"].into_iter().filter_map(with).peekable();
    others.peek().is_none() || others.any(|recipe| recipe.requests() != default)
}
