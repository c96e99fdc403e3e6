//! The kinds of source, a file for each: what a recipe states, what the lock shows of it, how it is resolved, fetched and
//! explained when it does not match.
//!
//! [`Request`] holds one of them, and [`Request::kind`] is the only place that tells them apart. All others, the lock
//! among them, ask [`SourceKind`].

mod debian;
mod debian_source;
mod git;
mod suites;
mod url;

use std::fmt;

use ::url::Url;
use serde::{Deserialize, Serialize};

use super::download::{Download, fetch_file};
use super::locked::{ArchiveDate, LockedFile};
use super::network::join;
use super::{Archive, Mirrors, Network, Progress, Resolver, SourceError};
use crate::mask;
use crate::store::Store;
use crate::yaml::decode::{Sink, Table};
use crate::yaml::node::YamlNode;
use crate::yaml::text::Span;

pub use debian::{DebianPackages, PackageText, packages_of};
pub use debian_source::DebianSource;
pub use git::GitCommit;
pub use suites::{SourceContext, decode_suites};
pub use url::UrlFile;

/// What a recipe asks for. Two equal requests are one entry of the lock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Debian packages.
    Debian(DebianPackages),
    /// One file of a Debian source package.
    DebianSource(DebianSource),
    /// The tree of a commit.
    Git(GitCommit),
    /// One file, at any of several places.
    Url(UrlFile),
}

/// A kind of source as a recipe states it.
pub struct SourceKey {
    /// The key that holds the request.
    pub name: &'static str,
    /// Keys beside it that only this kind has.
    pub beside: &'static [&'static str],
    /// Reads the key's value, and the keys beside it.
    pub read: fn(&YamlNode, &Table<'_>, SourceContext<'_>, &Sink) -> Option<StatedSource>,
}

/// What comes from outside, as the source of something in a recipe.
pub const KEYS: [SourceKey; 4] = [
    SourceKey { name: "url", beside: &[url::SHA256], read: url::decode },
    SourceKey { name: "debian-source", beside: &[], read: debian_source::decode },
    SourceKey { name: "deb", beside: &[], read: debian::decode_deb },
    SourceKey { name: "git", beside: &[], read: git::decode },
];

/// What a recipe says of a source.
pub struct StatedSource {
    /// What is to be locked.
    pub request: Request,
    /// The archive in a package that is the source; `None` for the only one.
    pub inside: Option<String>,
}

impl StatedSource {
    fn of(request: Request) -> Self {
        Self { request, inside: None }
    }
}

/// What the files of a request are, for whoever unpacks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceContent {
    /// Binary packages.
    Packages,
    /// One file.
    File,
    /// An archive of a tree, which is at its top.
    Tree,
}

/// A kind of source. Its `Display` names a request in messages.
pub trait SourceKind: fmt::Display + Sync {
    /// What the request is about, without what a newer form of it may change.
    fn subject(&self) -> String;

    /// The names that a user knows it by: packages, files, repositories.
    fn names(&self) -> Vec<String>;

    /// What its files are.
    fn content(&self) -> SourceContent;

    /// The signed archives that it is answered from.
    fn archives(&self) -> &[Archive] {
        &[]
    }

    /// Whether it asks for no file at all.
    fn is_empty(&self) -> bool {
        false
    }

    /// Pins it.
    fn resolve(&self, resolver: &Resolver<'_>) -> Result<Resolved, SourceError>;

    /// In what way locked files are not those that it asks for, beside that there is none; each reason in words.
    fn broken(&self, files: &[LockedFile]) -> Vec<String>;

    /// How much `other` looks like an older or a newer form of it; 0 is not at all, as for each other kind.
    fn likeness(&self, other: &Request) -> usize;

    /// In what it differs from the locked one, each difference in words; `locked` is one that [`SourceKind::likeness`] found.
    fn differences(&self, locked: &Request) -> Vec<String>;

    /// The archive whose mirrors have a locked file; none where it comes from elsewhere.
    fn archive_of(&self, file: &LockedFile) -> Option<&Archive> {
        let _ = file;
        None
    }

    /// Whether its files are fetched by [`Network`], not by a program of the host.
    fn uses_http(&self) -> bool {
        true
    }

    /// Brings a locked file into the store; gives the bytes that came over the network. What does not match the lock is
    /// an error.
    fn fetch(&self, file: &LockedFile, with: &Fetching<'_>) -> Result<u64, SourceError>;
}

/// What a request is resolved to.
pub struct Resolved {
    /// The date of the archive's signed index.
    pub archive_date: Option<ArchiveDate>,
    /// Its files.
    pub files: Vec<LockedFile>,
}

impl Resolved {
    /// One file that no signed index names.
    fn file(file: LockedFile) -> Self {
        Self { archive_date: None, files: vec![file] }
    }
}

/// What fetching a file needs.
pub struct Fetching<'a> {
    pub(super) network: &'a Network,
    pub(super) mirrors: &'a Mirrors,
    pub(super) store: &'a Store,
    pub(super) progress: &'a dyn Progress,
}

impl Fetching<'_> {
    /// Brings a file from the first of several URLs that has it.
    fn by_urls(&self, file: &LockedFile, name: String, urls: Vec<String>, if_gone: String) -> Result<u64, SourceError> {
        let wanted = Download { name, sha256: file.sha256, size: Some(file.size), urls, if_gone };
        let meter = self.progress.start(&file.name, Some(file.size));
        fetch_file(self.network, self.store, &wanted, &*meter)
    }

    /// Brings a file of an archive from the first of its mirrors that has it.
    fn by_mirrors(
        &self,
        file: &LockedFile,
        archive: &Archive,
        path: &str,
        if_gone: impl FnOnce(&str) -> String,
    ) -> Result<u64, SourceError> {
        let name = match &file.version {
            Some(version) if !file.name.contains(version.as_str()) => format!("{} {version}", file.name),
            _ => file.name.clone(),
        };
        let urls = self.mirrors.of(archive)?.iter().map(|base| join(base, path)).collect();
        let if_gone = if_gone(&name);
        self.by_urls(file, name, urls, if_gone)
    }
}

impl Request {
    /// What this kind of source does.
    pub fn kind(&self) -> &dyn SourceKind {
        match self {
            Self::Debian(packages) => packages,
            Self::DebianSource(source) => source,
            Self::Git(commit) => commit,
            Self::Url(file) => file,
        }
    }

    /// The signed archives that it is answered from.
    pub fn archives(&self) -> &[Archive] {
        self.kind().archives()
    }

    /// The names of the packages that it asks for, in its order.
    pub fn packages(&self) -> Vec<&str> {
        match self {
            Self::Debian(packages) => packages.package_names().collect(),
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)
    }
}

/// A locked file that is not at a place of its request's kind.
fn misplaced(request: &dyn SourceKind, file: &LockedFile) -> SourceError {
    let message =
        format!("the location of its locked file `{}` is of another kind of source; run `dbco lock`", file.name);
    SourceError::BadRequest { request: request.to_string(), message }
}

/// A difference in one field, as words.
fn changed(words: &mut Vec<String>, what: &str, old: &str, new: &str) {
    if old != new {
        words.push(format!("{what} is now `{new}`, but `{old}` in the lock"));
    }
}

/// A URL's credentials would be in locks and logs, and in everybody's clone.
fn no_credentials(url: &str, span: Span, sink: &Sink) -> bool {
    let plain = !mask::has_credentials(url);
    if !plain {
        let parsed = Url::parse(url).ok();
        let host = parsed.as_ref().and_then(Url::host_str).unwrap_or("HOST");
        let message =
            "a URL in a recipe can't contain a user name or password: it is stored in locks and shown in messages";
        let help = format!("put `machine {host} login USER password PASSWORD` into ~/.netrc, and change the password");
        sink.borrow_mut().add("credentials", span, message).help(help);
    }
    plain
}

/// The last part of a URL's path.
fn last_part(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    path.rsplit('/').next().unwrap_or_default()
}
