//! Signing, verifying, and building a release again from its statement alone.

use std::path::{Path, PathBuf};

use super::build::{Options, OutputOptions, ReleaseOptions};
use super::release::is_inside;
use super::sources::digests;
use super::{Error, Session};
use crate::digest::Digest;
use crate::lock::Lock;
use crate::output::{SUMS, add_signatures};
use crate::recipe::{Recipe, Settings};
use crate::release::signature::{SecretKey, TrustedKeys};
use crate::release::verify::{VerifiedRelease, verify, verify_unsigned};
use crate::release::{PROVENANCE, ReleaseError, Statement, check_out, first_difference};
use crate::store::{Store, StoreError};

/// The file with the keys that a project trusts, below its top folder.
pub const PROJECT_KEYS: &str = "keys/release.pub";

/// A statement has at most this many bytes.
const MOST_STATEMENT: u64 = 64 << 20;

/// How a release is built again.
#[derive(Clone, Debug, Default)]
pub struct RebuildOptions {
    /// The repository: a folder or a URL; by default the one that the statement names.
    pub source: Option<String>,
    /// Use the results in the store, instead of an empty one that only has the store's sources.
    pub reuse: bool,
    /// Use no network.
    pub offline: bool,
    /// The number of parallel processes; 0 for one per processor.
    pub jobs: usize,
}

/// The result of building a release again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RebuildOutcome {
    /// Every file is the same; how many.
    Identical(usize),
    /// Some files differ.
    Different {
        /// Their names.
        files: Vec<String>,
        /// The first step that differs, or what else explains it.
        why: String,
    },
}

/// The keys that a project trusts: `keys/release.pub` in `from` or the nearest folder above it, up to the top of its
/// git repository. What is in the folder of the release itself is never trusted.
pub fn project_keys(from: &Path, release: &Path) -> Option<PathBuf> {
    let from = from.canonicalize().ok()?;
    let release = release.canonicalize().ok()?;
    let release = if release.is_dir() { release.as_path() } else { release.parent()? };
    for folder in from.ancestors() {
        let keys = folder.join(PROJECT_KEYS);
        if keys.is_file() {
            return keys.canonicalize().ok().filter(|keys| !keys.starts_with(release));
        }
        if folder.join(".git").exists() {
            return None;
        }
    }
    None
}

impl Session<'_> {
    /// Signs the list of digests and the statement of a release, after comparing each of its files with the list; gives
    /// the signatures.
    pub fn sign(&self, folder: &Path, key: &SecretKey) -> Result<Vec<PathBuf>, Error> {
        verify_unsigned(folder)?;
        let mut signatures = Vec::new();
        for name in [SUMS, PROVENANCE] {
            let path = folder.join(name);
            let content = crate::input::read_within(&path, MOST_STATEMENT)
                .and_then(|bytes| bytes.ok_or_else(|| std::io::Error::other("it is too long")))
                .map_err(|error| ReleaseError::read(&path, error))?;
            signatures.push((format!("{name}{}", key.format().ending()), key.sign(name, &content)?));
        }
        add_signatures(folder, &signatures)?;
        Ok(signatures.into_iter().map(|(name, _)| folder.join(name)).collect())
    }

    /// Verifies a release's folder, or one of its files.
    pub fn verify(&self, target: &Path, keys: &TrustedKeys) -> Result<VerifiedRelease, Error> {
        Ok(verify(target, keys)?)
    }

    /// Builds a verified release again from its statement alone, and compares every file.
    pub fn rebuild(&self, release: &VerifiedRelease, options: &RebuildOptions) -> Result<RebuildOutcome, Error> {
        let request = |text: String| Error::Request(format!("--rebuild: {text}"));
        let statement = release.statement.as_ref();
        let statement = statement.ok_or_else(|| request(format!("{PROVENANCE} is not beside the file")))?;
        let (commit, url) = statement.commit().ok_or_else(|| request("the statement names no commit".into()))?;
        let from = options.source.as_deref().or(url);
        let from = from.ok_or_else(|| request("the statement names no repository: pass --source DIR".into()))?;
        let parameters = &statement.predicate.build_definition.external_parameters;
        for path in [&parameters.recipe, &parameters.lock] {
            if !is_inside(path) {
                return Err(request(format!("the statement's path `{}` leaves the project", path.escape_debug())));
            }
        }
        let known = self.store()?;
        let work = known.work_dir()?;
        let project = work.path().join("project");
        std::fs::create_dir(&project).map_err(|error| ReleaseError::read(&project, error))?;
        check_out(&absolute(from), commit, &project).map_err(ReleaseError::from)?;
        let lock_path = project.join(&parameters.lock);
        let lock_digest = Digest::of_file(&lock_path).map_err(|error| ReleaseError::read(&lock_path, error))?.0;
        if statement.lock() != Some(lock_digest) {
            let text = format!("{} of commit {commit} is not the lock that the statement names", parameters.lock);
            return Err(request(text));
        }
        let mut settings: Settings = parameters.parameters.clone().into_iter().collect();
        settings.profiles.clone_from(&parameters.profiles);
        let recipe = self.load(&project.join(&parameters.recipe), &settings)?;
        let store = match options.reuse {
            true => known.clone(),
            false => with_sources(&known, &work.path().join("store"), &recipe, &Lock::load(&lock_path)?)?,
        };
        let name = recipe.image.name.value.to_string();
        let outputs = OutputOptions {
            folder: work.path().join("out"),
            release: Some(ReleaseOptions { source_url: url.map(str::to_owned) }),
            options: Options {
                lock: Some(lock_path),
                locked: true,
                offline: options.offline,
                jobs: options.jobs,
                ..Options::default()
            },
            ..OutputOptions::default()
        };
        self.outputs(recipe, store, &outputs)?;
        let made = verify_unsigned(&outputs.folder.join(name))?;
        let names = release.sums.keys().chain(made.keys());
        let mut files: Vec<String> = names.filter(|name| release.sums.get(*name) != made.get(*name)).cloned().collect();
        files.sort();
        files.dedup();
        if files.is_empty() {
            return Ok(RebuildOutcome::Identical(made.len()));
        }
        let path = outputs.folder.join(&statement.predicate.build_definition.internal_parameters.name).join(PROVENANCE);
        let text = std::fs::read(&path).map_err(|error| ReleaseError::read(&path, error))?;
        let why = match Statement::parse(&text) {
            Ok(rebuilt) => explain(statement, &rebuilt),
            Err(why) => why,
        };
        Ok(RebuildOutcome::Different { files, why })
    }
}

/// Why a rebuilt release differs.
fn explain(stated: &Statement, rebuilt: &Statement) -> String {
    if let Some(step) = first_difference(stated, rebuilt) {
        return step;
    }
    let version = |of: &Statement| of.predicate.run_details.builder.version.clone();
    if version(stated) != version(rebuilt) {
        return format!(
            "all steps are the same; it was built by {:?}, this is {:?}",
            version(stated),
            version(rebuilt)
        );
    }
    "all steps have the stated results: the documents of the release differ".to_owned()
}

/// A folder as an absolute path, as git runs in another one; a URL stays as it is.
fn absolute(from: &str) -> String {
    let path = Path::new(from);
    if !path.is_dir() {
        return from.to_owned();
    }
    std::path::absolute(path).map_or_else(|_| from.to_owned(), |path| path.display().to_string())
}

/// An empty store with the sources that another one has, each compared with its digest: they need not be fetched again.
fn with_sources(known: &Store, path: &Path, recipe: &Recipe, lock: &Lock) -> Result<Store, Error> {
    let store = Store::open(path)?;
    let lock = lock.only(&recipe.requests());
    for digest in digests(recipe, &lock).filter(|digest| known.has_blob(digest)) {
        match known.verified_blob(&digest) {
            Ok(from) => drop(store.add_file(&from)?),
            // A damaged one is fetched again.
            Err(StoreError::Damaged(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(store)
}
