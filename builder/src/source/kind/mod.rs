//! The kinds of source, a file for each: the keys of a recipe, the entry of the lock, resolving, fetching, and
//! explaining what does not match.
//!
//! [`Request`] holds one of them, and [`Request::kind`] is the only place that distinguishes them. Everything else,
//! including the lock, uses [`SourceKind`].

mod debian;
mod debian_source;
mod git;
mod library;
mod suites;
mod url;

use std::fmt;

use ::url::Url;
use serde::{Deserialize, Serialize};

use super::download::{Download, fetch_file};
use super::locked::{ArchiveDate, LockedFile};
use super::network::join;
use super::{Archive, Mirrors, Network, Progress, Resolver, SourceError};
use crate::archive::PackageFormat;
use crate::mask;
use crate::store::Store;
use crate::yaml::decode::{FindingSink, Table};
use crate::yaml::node::YamlNode;
use crate::yaml::text::Span;

pub use debian::{DebianPackages, PackageText, packages_of};
pub use debian_source::DebianSource;
pub use git::GitCommit;
pub use library::LibraryContent;
pub use suites::{SourceContext, decode_suites};
pub use url::UrlFile;

/// The request of a recipe. Two equal requests share one entry of the lock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Debian packages.
    Debian(DebianPackages),
    /// One file of a Debian source package.
    DebianSource(DebianSource),
    /// The tree of a commit.
    Git(GitCommit),
    /// The library that the project builds on.
    Library(LibraryContent),
    /// One file, from any of several places.
    Url(UrlFile),
}

/// A kind of source as written in a recipe.
pub struct SourceKey {
    /// The key that holds the request.
    pub name: &'static str,
    /// Additional keys beside it that only this kind has.
    pub beside: &'static [&'static str],
    /// Reads the key's value, and the keys beside it.
    pub read: fn(&YamlNode, &Table<'_>, SourceContext<'_>, &FindingSink) -> Option<StatedSource>,
}

/// Content from outside, as the source of something in a recipe.
pub const KEYS: [SourceKey; 4] = [
    SourceKey { name: "url", beside: &[url::SHA256], read: url::decode },
    SourceKey { name: "debian-source", beside: &[], read: debian_source::decode },
    SourceKey { name: "deb", beside: &[], read: debian::decode_deb },
    SourceKey { name: "git", beside: &[], read: git::decode },
];

/// A source as stated in a recipe.
pub struct StatedSource {
    /// The request to lock.
    pub request: Request,
    /// The archive within a package that is the source; `None` for the only one.
    pub inside: Option<String>,
}

impl StatedSource {
    fn of(request: Request) -> Self {
        Self { request, inside: None }
    }
}

/// What the files of a request are, which determines how they are unpacked.
#[derive(Clone, Copy, Debug)]
pub enum SourceContent {
    /// Binary packages in this format.
    Packages(&'static dyn PackageFormat),
    /// One file.
    File,
    /// An archive of a tree, without an enclosing folder.
    Tree,
}

/// A kind of source. Its `Display` describes a request in messages.
pub trait SourceKind: fmt::Display + Sync {
    /// The subject of the request, without what a newer form of it may change.
    fn subject(&self) -> String;

    /// The names that a user knows it by: packages, files, repositories.
    fn names(&self) -> Vec<String>;

    /// The type of its files.
    fn content(&self) -> SourceContent;

    /// The signed archives that it is resolved from.
    fn archives(&self) -> &[Archive] {
        &[]
    }

    /// Whether it requests no files at all.
    fn is_empty(&self) -> bool {
        false
    }

    /// Resolves it.
    fn resolve(&self, resolver: &Resolver<'_>) -> Result<Resolved, SourceError>;

    /// How locked files differ from those requested, apart from missing files; a list of reasons.
    fn broken(&self, files: &[LockedFile]) -> Vec<String>;

    /// How similar `other` is, as an older or a newer form of it; 0 means not at all, as for each other kind.
    fn likeness(&self, other: &Request) -> usize;

    /// The differences from the locked request, as a list; `locked` is one that [`SourceKind::likeness`] found.
    fn differences(&self, locked: &Request) -> Vec<String>;

    /// The archive whose mirrors have a locked file; none if it comes from elsewhere.
    fn archive_of(&self, file: &LockedFile) -> Option<&Archive> {
        let _ = file;
        None
    }

    /// Whether its files are fetched by [`Network`], not by a program of the host.
    fn uses_http(&self) -> bool {
        true
    }

    /// Fetches a locked file into the store; gives the number of bytes received over the network. A mismatch with the
    /// lock is an error.
    fn fetch(&self, file: &LockedFile, with: &Fetching<'_>) -> Result<u64, SourceError>;
}

/// The result of resolving a request.
pub struct Resolved {
    /// The date of the archive's signed index.
    pub archive_date: Option<ArchiveDate>,
    /// Its files.
    pub files: Vec<LockedFile>,
}

impl Resolved {
    /// One file that is not in a signed index.
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
    /// Fetches a file from the first of several URLs that has it.
    fn by_urls(&self, file: &LockedFile, name: String, urls: Vec<String>, if_gone: String) -> Result<u64, SourceError> {
        let wanted = Download { name, sha256: file.sha256, size: Some(file.size), urls, if_gone };
        let meter = self.progress.start(&file.name, Some(file.size));
        fetch_file(self.network, self.store, &wanted, &*meter)
    }

    /// Fetches a file of an archive from the first of its mirrors that has it.
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
    /// The request's kind.
    pub fn kind(&self) -> &dyn SourceKind {
        match self {
            Self::Debian(packages) => packages,
            Self::DebianSource(source) => source,
            Self::Git(commit) => commit,
            Self::Library(library) => library,
            Self::Url(file) => file,
        }
    }

    /// The signed archives that it is resolved from.
    pub fn archives(&self) -> &[Archive] {
        self.kind().archives()
    }

    /// The names of the packages that it requests, in order.
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

/// A locked file whose location is not of its request's kind.
fn misplaced(request: &dyn SourceKind, file: &LockedFile) -> SourceError {
    let message =
        format!("the location of its locked file `{}` is of another kind of source; run `dbco lock`", file.name);
    SourceError::BadRequest { request: request.to_string(), message }
}

/// A difference in one field, as text.
fn changed(words: &mut Vec<String>, what: &str, old: &str, new: &str) {
    if old != new {
        words.push(format!("{what} is now `{new}`, but `{old}` in the lock"));
    }
}

/// A URL's credentials would end up in locks and logs, and in every clone.
fn no_credentials(url: &str, span: Span, sink: &FindingSink) -> bool {
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

/// The last component of a URL's path.
fn last_part(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    path.rsplit('/').next().unwrap_or_default()
}
