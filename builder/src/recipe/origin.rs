//! Where something comes from: a source that the lock pins, or a path beside the recipe.

use std::path::PathBuf;

use super::decode::{At, Decode, Sink, Table, wrong_type};
use super::load::Place;
use super::node::{Node, Value};
use super::text::Span;
use crate::digest::Digest;
use crate::source::{Archive, Request};

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

/// Reads a mapping with exactly one kind of source as its key.
pub fn decode_origin(node: &Node, place: &Place<'_>, sink: &Sink) -> Option<Origin> {
    let table = Table::open(node, "a source", sink)?;
    let url = table.node("url");
    let sha256: Option<String> = table.optional("sha256");
    let debian_source = table.node("debian-source");
    let git = table.node("git");
    let path: Option<At<String>> = table.optional("path");
    let exclude: Vec<At<String>> = table.or_default("exclude");
    let span = table.span;
    table.close();
    let kinds = [url.is_some(), debian_source.is_some(), git.is_some(), path.is_some()];
    if kinds.iter().filter(|kind| **kind).count() != 1 {
        let message = "a source is of exactly one kind: `url`, `debian-source`, `git` or `path`";
        sink.borrow_mut().add("source-kind", span, message);
        return None;
    }
    if sha256.is_some() && url.is_none() {
        sink.borrow_mut().add("source-kind", span, "`sha256` goes with `url`");
    }
    if let Some(pattern) = exclude.first().filter(|_| path.is_none()) {
        sink.borrow_mut().add("source-kind", pattern.span, "`exclude` goes with the `path` of a folder");
    }
    if let Some(node) = url {
        return decode_url(node, sha256, span, sink);
    }
    if let Some(node) = debian_source {
        return decode_debian_source(node, place, sink);
    }
    if let Some(node) = git {
        return decode_git(node, sink);
    }
    let path = path?;
    let found = place.existing(&path, path.span, "source", sink)?;
    if let Some(pattern) = exclude.first().filter(|_| !found.is_dir()) {
        sink.borrow_mut().add("source-kind", pattern.span, "`exclude` goes with the `path` of a folder");
    }
    Some(Origin::Path { path: found, exclude })
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
        if !["http://", "https://", "file://"].iter().any(|scheme| url.starts_with(scheme)) {
            let message = format!("`{url}` is not an address: http://, https:// or file:// is expected");
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
    Some(Origin::Remote(Request::Url { urls, sha256 }))
}

fn decode_debian_source(node: &Node, place: &Place<'_>, sink: &Sink) -> Option<Origin> {
    let table = Table::open(node, "a Debian source package", sink)?;
    let suite = table.required("suite");
    let components = table.optional("components");
    let keyring = keyring(&table, place, sink);
    let package = table.required("package");
    let version = table.required("version");
    let file = table.required("file");
    table.close();
    let archive = Archive {
        suite: suite?,
        components: components.unwrap_or_else(|| vec!["main".into()]),
        arch: "amd64".into(),
        keyring,
    };
    Some(Origin::Remote(Request::DebianSource { archive, package: package?, version: version?, file: file? }))
}

fn decode_git(node: &Node, sink: &Sink) -> Option<Origin> {
    let table = Table::open(node, "a git source", sink)?;
    let url = table.required("url");
    let commit: Option<At<String>> = table.required("commit");
    table.close();
    let commit = commit?;
    if commit.len() != 40 || !commit.chars().all(|c| c.is_ascii_hexdigit()) {
        let message = "a commit is 40 hexadecimal digits: a branch or a tag may move";
        sink.borrow_mut().add("wrong-type", commit.span, message);
        return None;
    }
    Some(Origin::Remote(Request::Git { url: url?, commit: commit.value }))
}

fn keyring(table: &Table<'_>, place: &Place<'_>, sink: &Sink) -> Option<String> {
    let keyring: At<String> = table.optional("keyring")?;
    if !place.root.join(&keyring.value).is_file() {
        let message = format!("there is no keyring `{}` in {}", keyring.value, place.root.display());
        sink.borrow_mut().add("missing-file", keyring.span, message).help("its path is relative to the image recipe");
    }
    Some(keyring.value)
}

/// Reads an archive: a suite's name, or a mapping with its components, architecture and keyring.
pub fn decode_archive(node: &Node, place: &Place<'_>, sink: &Sink) -> Option<Archive> {
    let main = || vec!["main".to_owned()];
    match &node.value {
        Value::Text { text, .. } => {
            Some(Archive { suite: text.clone(), components: main(), arch: "amd64".into(), keyring: None })
        }
        Value::Map(_) => {
            let table = Table::open(node, "a Debian archive", sink)?;
            let suite = table.required("suite");
            let components = table.optional("components").unwrap_or_else(main);
            let arch = table.optional("arch").unwrap_or_else(|| "amd64".into());
            let keyring = keyring(&table, place, sink);
            table.close();
            Some(Archive { suite: suite?, components, arch, keyring })
        }
        _ => {
            wrong_type(node, "a suite's name or a mapping with `suite`", sink);
            None
        }
    }
}
