//! Where something comes from: a source that the lock pins, or a path beside the recipe.

use std::path::PathBuf;

use super::debian::{PackageText, check_suite, decode_suites, keyring, packages_of};
use super::decode::{At, Decode, Sink, Table, required};
use super::load::Place;
use super::node::{Node, Value};
use super::text::Span;
use crate::digest::Digest;
use crate::mask;
use crate::source::{Archive, Content, DebianSource, GitCommit, Request, UrlFile};

/// Where something comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From outside; the lock says which bytes.
    Remote(Request),
    /// A file or folder of the project.
    Path {
        /// Where it is.
        path: PathBuf,
        /// Patterns of paths in the folder, which is their `/`, that are no part of it; nor is what lies below them.
        exclude: Vec<At<String>>,
    },
}

impl Origin {
    /// A file or folder of the project, the whole of it.
    pub fn path(path: PathBuf) -> Self {
        Self::Path { path, exclude: Vec::new() }
    }

    /// What the lock has to pin, if anything.
    pub fn request(&self) -> Option<&Request> {
        match self {
            Self::Remote(request) => Some(request),
            Self::Path { .. } => None,
        }
    }
}

/// How a source's bytes become the folder that is built in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpacking {
    /// How many folders that hold all of an archive are taken off. Unless stated: one where nothing is beside it, none
    /// of a commit's tree.
    pub strip: Option<At<u32>>,
    /// The archive in a Debian package that is the source; unless stated it is the only one in `usr/src`.
    pub inside: Option<String>,
}

/// Reads a patch or a configuration: a source that is one file.
pub fn decode_origin(node: &Node, place: &Place<'_>, sink: &Sink) -> Option<Origin> {
    let (origin, unpacking) = decode_source(node, place, sink)?;
    if let Some(strip) = unpacking.strip {
        sink.borrow_mut().add("source-kind", strip.span, "`strip` goes with the source of a component");
    }
    if origin.request().is_some_and(|request| request.kind().content() == Content::Packages) {
        sink.borrow_mut().add("source-kind", node.span, "`deb` goes with the source of a component");
        return None;
    }
    Some(origin)
}

/// Reads a mapping with exactly one kind of source as its key.
pub fn decode_source(node: &Node, place: &Place<'_>, sink: &Sink) -> Option<(Origin, Unpacking)> {
    let table = Table::open(node, "a source", sink)?;
    let strip: Option<At<u32>> = table.optional("strip");
    let deb = table.node("deb");
    let url = table.node("url");
    let sha256: Option<String> = table.optional("sha256");
    let debian_source = table.node("debian-source");
    let git = table.node("git");
    let path: Option<At<String>> = table.optional("path");
    let exclude: Vec<At<String>> = table.or_default("exclude");
    let span = table.span;
    table.close();
    let kinds = [url.is_some(), debian_source.is_some(), deb.is_some(), git.is_some(), path.is_some()];
    if kinds.iter().filter(|kind| **kind).count() != 1 {
        let message = "a source is of exactly one kind: `url`, `debian-source`, `deb`, `git` or `path`";
        sink.borrow_mut().add("source-kind", span, message);
        return None;
    }
    if sha256.is_some() && url.is_none() {
        sink.borrow_mut().add("source-kind", span, "`sha256` goes with `url`");
    }
    if let Some(pattern) = exclude.first().filter(|_| path.is_none()) {
        sink.borrow_mut().add("source-kind", pattern.span, "`exclude` goes with the `path` of a folder");
    }
    let unpacking = Unpacking { strip, inside: None };
    if let Some(node) = url {
        return Some((decode_url(node, sha256, span, sink)?, unpacking));
    }
    if let Some(node) = debian_source {
        return Some((decode_debian_source(node, place, sink)?, unpacking));
    }
    if let Some(node) = deb {
        let (origin, inside) = decode_deb(node, place, sink)?;
        return Some((origin, Unpacking { inside, ..unpacking }));
    }
    if let Some(node) = git {
        return Some((decode_git(node, sink)?, unpacking));
    }
    let path = path?;
    let found = place.existing(&path, path.span, "source", sink)?;
    if let Some(pattern) = exclude.first().filter(|_| !found.is_dir()) {
        sink.borrow_mut().add("source-kind", pattern.span, "`exclude` goes with the `path` of a folder");
    }
    if let Some(strip) = unpacking.strip.as_ref().filter(|_| found.is_dir()) {
        sink.borrow_mut().add("source-kind", strip.span, "`strip` goes with an archive, and this is a folder");
    }
    Some((Origin::Path { path: found, exclude }, unpacking))
}

fn decode_url(node: &Node, sha256: Option<String>, span: Span, sink: &Sink) -> Option<Origin> {
    let urls = match &node.value {
        Value::Text { text, .. } => vec![text.clone()],
        _ => Vec::<String>::decode(node, sink)?,
    };
    if urls.is_empty() {
        sink.borrow_mut().add("source-kind", node.span, "`url` names no address");
        return None;
    }
    for url in &urls {
        if !no_credentials(url, node.span, sink) {
            return None;
        }
        if let Err(message) = check_address(url) {
            sink.borrow_mut().add("source-kind", node.span, message);
            return None;
        }
    }
    let sha256 = match sha256.map(|text| text.parse::<Digest>()) {
        Some(Err(error)) => {
            sink.borrow_mut().add("wrong-type", span, error.to_string());
            return None;
        }
        Some(Ok(digest)) => Some(digest),
        None => None,
    };
    Some(Origin::Remote(Request::Url(UrlFile { urls, sha256 })))
}

/// Whether a URL is one that every program reads in the same way (RFC 3986): a program that is lenient, in its own way,
/// may see a password or a host where another one sees a path.
fn check_address(url: &str) -> Result<(), String> {
    if !["http://", "https://", "file://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(format!("`{}` is not an address: http://, https:// or file:// is expected", mask::word(url)));
    }
    if let Some(odd) = url.chars().find(|c| c.is_whitespace() || c.is_control() || "\"<>\\^`{|}".contains(*c)) {
        let encoded: String = odd.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
        return Err(format!(
            "an address has no {odd:?}: write `{encoded}`, or quote the address if it ended before that"
        ));
    }
    match url::Url::parse(url) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("`{}` is not an address: {error}", mask::word(url))),
    }
}

/// A URL's credentials would be in locks and logs, and in everybody's clone.
fn no_credentials(url: &str, span: Span, sink: &Sink) -> bool {
    let plain = !mask::has_credentials(url);
    if !plain {
        let parsed = url::Url::parse(url).ok();
        let host = parsed.as_ref().and_then(url::Url::host_str).unwrap_or("HOST");
        let message = "a URL in a recipe has no user name or password: it is kept in locks and shown in messages";
        let help = format!("put `machine {host} login USER password PASSWORD` into ~/.netrc, and change the password");
        sink.borrow_mut().add("credentials", span, message).help(help);
    }
    plain
}

fn decode_debian_source(node: &Node, place: &Place<'_>, sink: &Sink) -> Option<Origin> {
    let table = Table::open(node, "a Debian source package", sink)?;
    let suite: Option<At<String>> = table.required("suite");
    let components = table.optional("components");
    let keyring = keyring(&table, place, sink);
    let package = table.required("package");
    let version = table.required("version");
    let file = table.required("file");
    table.close();
    let suite = suite?;
    check_suite(&suite, keyring.as_deref(), sink);
    let archive = Archive {
        suite: suite.value,
        components: components.unwrap_or_else(|| vec!["main".into()]),
        arch: "amd64".into(),
        keyring,
    };
    Some(Origin::Remote(Request::DebianSource(DebianSource {
        archive,
        package: package?,
        version: version?,
        file: file?,
    })))
}

fn decode_deb(node: &Node, place: &Place<'_>, sink: &Sink) -> Option<(Origin, Option<String>)> {
    let table = Table::open(node, "a Debian package that holds a source", sink)?;
    let suites = required(&table, "debian", |node| decode_suites(node, place, sink));
    let package: Option<At<PackageText>> = table.required("package");
    let inside: Option<At<String>> = table.optional("file");
    table.close();
    if let Some(file) = &inside
        && (file.starts_with('/') || file.split('/').any(|part| part.is_empty() || part == ".."))
    {
        let message = format!("`{}` is not a path in the package", file.value.escape_debug());
        sink.borrow_mut().add("source-kind", file.span, message).label("such as `usr/src/linux-source-6.1.tar.xz`");
    }
    let request = packages_of(suites?, vec![package?], false, sink);
    Some((Origin::Remote(request), inside.map(|file| file.value)))
}

fn decode_git(node: &Node, sink: &Sink) -> Option<Origin> {
    let table = Table::open(node, "a git source", sink)?;
    let url: Option<At<String>> = table.required("url");
    let commit: Option<At<String>> = table.required("commit");
    let submodules = table.or_default("submodules");
    table.close();
    let (commit, url) = (commit?, url?);
    if !no_credentials(&url, url.span, sink) {
        return None;
    }
    if commit.len() != 40 || !commit.chars().all(|c| c.is_ascii_hexdigit()) {
        let message = "a commit is 40 hexadecimal digits: a branch or a tag may move";
        sink.borrow_mut().add("wrong-type", commit.span, message);
        return None;
    }
    Some(Origin::Remote(Request::Git(GitCommit {
        url: url.value,
        commit: commit.value.to_ascii_lowercase(),
        submodules,
    })))
}
