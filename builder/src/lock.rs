//! The lock file: every source of a recipe, pinned to its sha256 and size, beside the recipe.
//!
//! It names no mirror: what comes from Debian has a path relative to whichever mirror is used.

mod rollback;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::input::{LONG, read_text};
use crate::mask;
use crate::source::{Archive, PackageRequest, Request, Suites};
use crate::store::{StoreError, write_atomically};

pub use rollback::{Rollback, rollback, went_back};

/// The format that this code reads and writes.
const FORMAT: u32 = 1;

const HEADER: &str = "\
# Written by `dbco lock`; don't edit it by hand. Keep it under version control, beside the recipe.
# It pins every source to its sha256 and size in bytes. Debian's files have paths relative to a mirror.
";

/// All locked sources of a recipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The version of the file's format.
    pub format: u32,
    /// One for each request, in the requests' order.
    pub entries: Vec<Entry>,
}

/// What one request became.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Entry {
    /// As the recipe asked.
    pub request: Request,
    /// The date of the Debian archive's signed index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_date: Option<ArchiveDate>,
    /// All files that it stands for; packages sorted by name.
    pub files: Vec<LockedFile>,
}

/// Dates of signed indexes, as RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ArchiveDate {
    /// Of the only suite.
    One(String),
    /// Of each of several suites that states one.
    Each(BTreeMap<String, String>),
}

impl ArchiveDate {
    /// The dates of suites, in their order.
    pub fn new<'d>(dates: impl Iterator<Item = (&'d str, Option<&'d str>)>) -> Option<Self> {
        let dates: Vec<_> = dates.collect();
        match &dates[..] {
            [(_, date)] => date.map(|date| Self::One(date.to_owned())),
            several => {
                let stated: BTreeMap<_, _> = several
                    .iter()
                    .filter_map(|(suite, date)| Some((suite.to_string(), date.as_ref()?.to_string())))
                    .collect();
                (!stated.is_empty()).then_some(Self::Each(stated))
            }
        }
    }

    /// The date of a suite's index.
    pub fn of(&self, suite: &str) -> Option<&str> {
        match self {
            Self::One(date) => Some(date),
            Self::Each(dates) => dates.get(suite).map(String::as_str),
        }
    }
}

/// One pinned file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedFile {
    /// A Debian package's name, otherwise a file name.
    pub name: String,
    /// A Debian package's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The suite that it is from, where the request names several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// Where it is.
    pub at: Location,
    /// Its content.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// Where a locked file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Location {
    /// The tree of a commit, as the deterministic archive that [`crate::source`] makes of it.
    Git {
        /// The repository.
        url: String,
        /// The commit's full name.
        commit: String,
    },
    /// A path relative to a Debian mirror.
    Pool(String),
    /// Any of these places.
    Urls(Vec<String>),
}

/// Why a lock can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// There is none.
    #[error("{} is not there: run `dbco lock` to make it", .0.display())]
    Missing(PathBuf),
    /// Reading or writing failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its text is not a lock.
    #[error("{}:{line}: {message}\n  \
             the lock is damaged (by a merge, perhaps): remove it and run `dbco lock`, or take it from version control", path.display())]
    Syntax {
        /// The lock.
        path: PathBuf,
        /// The line, from 1; 0 where it is not known.
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// Another version's.
    #[error("{}: the lock has format {found}, this dbco reads {FORMAT}: use a dbco that fits, or run `dbco lock`", path.display())]
    Format {
        /// The lock.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

/// An entry that does not fit the recipe, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The wanted request; of a superfluous entry, the locked one.
    pub request: Request,
    /// In what way it does not fit.
    pub why: Why,
}

/// In what way a lock's entry does not fit its recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The recipe asks for something that the lock does not have.
    Missing,
    /// Nothing in the recipe asks for it.
    Superfluous,
    /// The recipe asks for something else in its place; each difference in words.
    Changed(Vec<String>),
    /// The locked files are not those that were asked for; each reason in words.
    Broken(Vec<String>),
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let request = &self.request;
        match &self.why {
            Why::Missing => write!(f, "{request}: not in the lock"),
            Why::Superfluous => write!(f, "{request}: in the lock, but nothing in the recipe asks for it"),
            Why::Changed(differences) => write!(f, "{}: {}", subject(request), differences.join(", ")),
            Why::Broken(reasons) => write!(f, "{request}: {}", reasons.join(", ")),
        }
    }
}

impl Lock {
    /// A lock of these entries, in their order; the last of several for the same request counts.
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        let entries = entries.into_iter().map(|entry| (entry.request.clone(), entry));
        let sorted: BTreeMap<_, _> = entries.collect();
        Self { format: FORMAT, entries: sorted.into_values().collect() }
    }

    /// Reads a lock.
    pub fn load(path: &Path) -> Result<Self, LockError> {
        let text = match read_text(path, LONG) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(LockError::Missing(path.to_owned()));
            }
            Err(error) => return Err(StoreError::io("read", path)(error).into()),
        };
        Self::parse(&text, path)
    }

    /// Reads a lock's text; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, LockError> {
        /// Another format is told from a damaged lock by this alone.
        #[derive(Deserialize)]
        struct Probe {
            format: u32,
        }
        let syntax = |error: serde_yaml::Error| LockError::Syntax {
            path: path.to_owned(),
            line: error.location().map_or(0, |at| at.line()),
            message: error.without_snippet().to_string(),
        };
        let probe: Probe = serde_yaml::from_str(text).map_err(syntax)?;
        if probe.format != FORMAT {
            return Err(LockError::Format { path: path.to_owned(), found: probe.format });
        }
        let lock: Self = serde_yaml::from_str(text).map_err(syntax)?;
        lock.check_places(path)?;
        Ok(lock)
    }

    /// A pool path becomes part of a URL: one that climbs out would reach any file of the mirror's host. A suite says
    /// which mirrors are asked.
    fn check_places(&self, path: &Path) -> Result<(), LockError> {
        let fail = |message| Err(LockError::Syntax { path: path.to_owned(), line: 0, message });
        for (entry, file) in self.entries.iter().flat_map(|entry| entry.files.iter().map(move |file| (entry, file))) {
            if let Location::Pool(pool) = &file.at
                && !is_pool_path(pool)
            {
                return fail(format!("`{pool}` of {} is not a path inside a Debian mirror", file.name));
            }
            if let Some(suite) = &file.suite
                && !entry.request.archives().iter().any(|archive| archive.suite == *suite)
            {
                return fail(format!("{} is from the suite `{suite}`, which its request does not name", file.name));
            }
        }
        Ok(())
    }

    /// The lock as text.
    pub fn to_text(&self) -> String {
        let mut text = HEADER.to_owned();
        // Plain data with string keys: there is nothing that the encoder could refuse.
        let _ = write!(text, "{}", serde_yaml::to_string(self).unwrap_or_default());
        text
    }

    /// Writes it, whole or not at all. An unchanged lock is not touched.
    pub fn save(&self, path: &Path) -> Result<(), LockError> {
        let text = self.to_text();
        if read_text(path, LONG).is_ok_and(|there| there == text) {
            return Ok(());
        }
        Ok(write_atomically(path, text.as_bytes())?)
    }

    /// The entry of a request.
    pub fn find(&self, request: &Request) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.request == *request)
    }

    /// Everything in which the lock does not fit what is wanted; empty if it fits.
    pub fn check(&self, wanted: &[Request]) -> Vec<Stale> {
        let wanted: BTreeSet<_> = wanted.iter().collect();
        let mut stale = Vec::new();
        let mut spare: Vec<&Entry> = self.entries.iter().filter(|entry| !wanted.contains(&entry.request)).collect();
        for &request in &wanted {
            let why = match self.find(request) {
                Some(entry) => {
                    let reasons = broken(entry);
                    if reasons.is_empty() {
                        continue;
                    }
                    Why::Broken(reasons)
                }
                None => {
                    let nearest =
                        spare.iter().enumerate().map(|(index, entry)| (likeness(request, &entry.request), index));
                    match nearest.filter(|(likeness, _)| *likeness > 0).max() {
                        Some((_, index)) => Why::Changed(differences(&spare.remove(index).request, request)),
                        None => Why::Missing,
                    }
                }
            };
            stale.push(Stale { request: request.clone(), why });
        }
        stale.extend(spare.into_iter().map(|entry| Stale { request: entry.request.clone(), why: Why::Superfluous }));
        stale
    }
}

/// Whether a path stays inside a mirror.
pub(crate) fn is_pool_path(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}

/// In what an entry's files are not what its request asks for.
fn broken(entry: &Entry) -> Vec<String> {
    let mut reasons = Vec::new();
    if entry.files.is_empty() && !matches!(&entry.request, Request::Debian { packages, .. } if packages.is_empty()) {
        reasons.push("it holds no file".to_owned());
    }
    match &entry.request {
        Request::Debian { suites, packages, .. } => {
            for package in packages {
                let wanted = PackageRequest::parse(package);
                // A pattern was answered when it was resolved.
                let version = wanted.exact_version();
                let suite =
                    |file: &LockedFile| suites.find(file.suite.as_deref()).map(|archive| archive.suite.as_str());
                let fits = |file: &LockedFile| {
                    file.name == wanted.name
                        && (version.is_none() || file.version.as_deref() == version)
                        && (wanted.suite.is_none() || suite(file) == wanted.suite)
                };
                if !entry.files.iter().any(fits) {
                    reasons.push(format!("`{package}` is not among its files"));
                }
            }
        }
        Request::Url { sha256: Some(pin), .. } => {
            if entry.files.iter().any(|file| file.sha256 != *pin) {
                reasons.push(format!("its sha256 is not the recipe's {pin}"));
            }
        }
        Request::Url { .. } | Request::DebianSource { .. } | Request::Git { .. } => {}
    }
    reasons
}

/// How much two requests look like an older and a newer form of the same; 0 is not at all.
fn likeness(one: &Request, other: &Request) -> usize {
    match (one, other) {
        (Request::Debian { suites: a, packages: p, .. }, Request::Debian { suites: b, packages: q, .. }) => {
            let common = names(p).intersection(&names(q)).count();
            if a.first().suite == b.first().suite { common + 1 } else { common }
        }
        (Request::DebianSource { package: p, file: a, .. }, Request::DebianSource { package: q, file: b, .. })
            if p == q =>
        {
            1 + usize::from(a == b)
        }
        (Request::Git { url: a, commit: c, .. }, Request::Git { url: b, commit: d, .. }) => {
            2 * usize::from(a == b) + usize::from(c == d)
        }
        (Request::Url { urls: a, .. }, Request::Url { urls: b, .. }) => a.iter().filter(|url| b.contains(url)).count(),
        _ => 0,
    }
}

fn names(packages: &[String]) -> BTreeSet<&str> {
    packages.iter().map(|package| PackageRequest::parse(package).name).collect()
}

/// What a request is about, without what changed.
fn subject(request: &Request) -> String {
    match request {
        Request::Debian { suites, .. } => format!("Debian {} packages", suites.names().collect::<Vec<_>>().join("+")),
        Request::DebianSource { package, .. } => format!("Debian source package {package}"),
        Request::Git { url, .. } => mask::text(url).into_owned(),
        Request::Url { urls, .. } => mask::text(urls.first().map_or("", String::as_str)).into_owned(),
    }
}

/// What differs between the locked and the wanted request, in words.
fn differences(locked: &Request, wanted: &Request) -> Vec<String> {
    let mut words = Vec::new();
    let changed = |words: &mut Vec<String>, what: &str, old: &str, new: &str| {
        if old != new {
            words.push(format!("{what} is now `{new}`, locked is `{old}`"));
        }
    };
    match (locked, wanted) {
        (
            Request::Debian { suites: old, packages: had, closure: deep },
            Request::Debian { suites: new, packages: want, closure },
        ) => {
            suites_differences(&mut words, old, new);
            let (had, want): (BTreeSet<_>, BTreeSet<_>) = (had.iter().collect(), want.iter().collect());
            words.extend(want.difference(&had).map(|package| format!("`{package}` was added")));
            words.extend(had.difference(&want).map(|package| format!("`{package}` was removed")));
            if deep != closure {
                words.push(format!("dependencies are {} wanted", if *closure { "now" } else { "no longer" }));
            }
        }
        (
            Request::DebianSource { archive: old, package: _, version: had, file: was },
            Request::DebianSource { archive: new, package: _, version, file },
        ) => {
            archive_differences(&mut words, old, new);
            changed(&mut words, "version", had, version);
            changed(&mut words, "file", was, file);
        }
        (Request::Git { url: old, commit: had, submodules: with }, Request::Git { url: new, commit, submodules }) => {
            if with != submodules {
                words.push(format!("submodules are {} wanted", if *submodules { "now" } else { "no longer" }));
            }
            changed(&mut words, "repository", &mask::text(old), &mask::text(new));
            changed(&mut words, "commit", had, commit);
        }
        (Request::Url { urls: old, sha256: had }, Request::Url { urls: new, sha256 }) => {
            words.extend(
                new.iter().filter(|url| !old.contains(url)).map(|url| format!("`{}` was added", mask::text(url))),
            );
            words.extend(
                old.iter().filter(|url| !new.contains(url)).map(|url| format!("`{}` was removed", mask::text(url))),
            );
            match (had, sha256) {
                (_, Some(pin)) if had != sha256 => words.push(format!("the recipe's sha256 is now {pin}")),
                (Some(_), None) => words.push("the recipe no longer gives a sha256".to_owned()),
                _ => {}
            }
            if words.is_empty() {
                words.push("the order of its places changed".to_owned());
            }
        }
        // `likeness` pairs requests of one kind only.
        _ => words.push("it is now of another kind".to_owned()),
    }
    words
}

fn suites_differences(words: &mut Vec<String>, old: &Suites, new: &Suites) {
    if !old.several() && !new.several() {
        return archive_differences(words, old.first(), new.first());
    }
    for archive in new.all() {
        match old.find(Some(&archive.suite)) {
            Some(before) => archive_differences(words, before, archive),
            None => words.push(format!("the suite `{}` was added", archive.suite)),
        }
    }
    let gone = old.names().filter(|suite| new.find(Some(suite)).is_none());
    words.extend(gone.map(|suite| format!("the suite `{suite}` was removed")));
    if words.is_empty() && old != new {
        words.push("the order of its suites changed".to_owned());
    }
}

fn archive_differences(words: &mut Vec<String>, old: &Archive, new: &Archive) {
    let Archive { suite, components, arch, keyring } = new;
    let mut field = |what: &str, old: &str, new: &str| {
        if old != new {
            words.push(format!("{what} is now `{new}`, locked is `{old}`"));
        }
    };
    field("suite", &old.suite, suite);
    field("components", &old.components.join(" "), &components.join(" "));
    field("architecture", &old.arch, arch);
    let built_in = "the built-in one";
    field("keyring", old.keyring.as_deref().unwrap_or(built_in), keyring.as_deref().unwrap_or(built_in));
}
