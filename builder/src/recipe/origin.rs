//! The origin of content: a source that the lock pins, or a path in the project.

use std::path::PathBuf;

use super::decode::{At, FindingSink, Table};
use super::keys;
use super::node::YamlNode;
use super::place::FileFinder;
use crate::source::kind::{KEYS, SourceKey, StatedSource};
use crate::source::{Request, SourceContent};

/// The origin of content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A source from outside, pinned by the lock.
    Remote(Request),
    /// A file or folder of the project.
    Path {
        /// Its path.
        path: PathBuf,
        /// Patterns of paths to exclude, with everything below them; the folder itself is their `/`.
        exclude: Vec<At<String>>,
    },
}

impl Origin {
    /// A complete file or folder of the project.
    pub fn path(path: PathBuf) -> Self {
        Self::Path { path, exclude: Vec::new() }
    }

    /// The request that the lock has to pin, if any.
    pub fn request(&self) -> Option<&Request> {
        match self {
            Self::Remote(request) => Some(request),
            Self::Path { .. } => None,
        }
    }
}

/// How a source is unpacked into the build folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpacking {
    /// How many enclosing folders are stripped. By default one if it is alone at the top, and none for a commit's tree.
    pub strip: Option<At<u32>>,
    /// The archive within a Debian package that is the source; by default the only one in `usr/src`.
    pub inside: Option<String>,
}

/// Reads a patch or a configuration: a source that is a single file.
pub fn decode_origin(node: &YamlNode, place: &FileFinder<'_>, sink: &FindingSink) -> Option<Origin> {
    let (origin, unpacking) = decode_source(node, place, sink)?;
    if let Some(strip) = unpacking.strip {
        sink.borrow_mut().add("source-kind", strip.span, "`strip` is only valid in the source of a component");
    }
    if origin.request().is_some_and(|request| matches!(request.kind().content(), SourceContent::Packages(_))) {
        sink.borrow_mut().add("source-kind", node.span, "`deb` is only valid as the source of a component");
        return None;
    }
    Some(origin)
}

/// Reads a mapping with exactly one kind of source as its key: one of [`KEYS`], or `path`.
pub fn decode_source(node: &YamlNode, place: &FileFinder<'_>, sink: &FindingSink) -> Option<(Origin, Unpacking)> {
    let table = Table::open(node, &keys::SOURCE, sink)?;
    let strip: Option<At<u32>> = table.optional("strip");
    let path: Option<At<String>> = table.optional("path");
    let exclude: Vec<At<String>> = table.or_default("exclude");
    let kinds: Vec<(&SourceKey, &YamlNode)> =
        KEYS.iter().filter_map(|key| Some((key, table.node(key.name)?))).collect();
    let misplaced: Vec<String> = KEYS
        .iter()
        .flat_map(|key| key.beside.iter().map(move |beside| (key.name, *beside)))
        .filter(|(name, beside)| table.node(beside).is_some() && table.node(name).is_none())
        .map(|(name, beside)| format!("`{beside}` is only valid with `{name}`"))
        .collect();
    if kinds.len() + usize::from(path.is_some()) != 1 {
        table.close();
        let names: Vec<_> = KEYS.iter().map(|key| format!("`{}`", key.name)).collect();
        let message = format!("a source needs exactly one of: {} or `path`", names.join(", "));
        sink.borrow_mut().add("source-kind", node.span, message);
        return None;
    }
    for message in misplaced {
        sink.borrow_mut().add("source-kind", node.span, message);
    }
    if let Some(pattern) = exclude.first().filter(|_| path.is_none()) {
        sink.borrow_mut().add("source-kind", pattern.span, "`exclude` is only valid with the `path` of a folder");
    }
    if let [(key, value)] = kinds[..] {
        let stated = (key.read)(value, &table, place.scope, sink);
        table.close();
        let StatedSource { request, inside } = stated?;
        return Some((Origin::Remote(request), Unpacking { strip, inside }));
    }
    table.close();
    let path = path?;
    let found = place.existing(&path, path.span, "source", sink)?;
    if let Some(pattern) = exclude.first().filter(|_| !found.is_dir()) {
        sink.borrow_mut().add("source-kind", pattern.span, "`exclude` is only valid with the `path` of a folder");
    }
    if let Some(strip) = strip.as_ref().filter(|_| found.is_dir()) {
        sink.borrow_mut().add("source-kind", strip.span, "`strip` is only valid for an archive, and this is a folder");
    }
    Some((Origin::Path { path: found, exclude }, Unpacking { strip, inside: None }))
}
