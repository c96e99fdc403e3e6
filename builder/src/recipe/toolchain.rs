//! Toolchains: the root filesystems that third-party tools run in.

use std::collections::BTreeMap;

use super::decode::{At, FindingSink, Table, required};
use super::keys;
use super::limits::Limits;
use super::node::YamlNode;
use super::place::FileFinder;
use super::text::Span;
use crate::source::{PackageText, Request, decode_suites, packages_of};

/// A toolchain as described in its YAML file.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// Its name, which is also that of its file.
    pub name: String,
    /// Its packages and their transitive dependencies.
    pub packages: At<Request>,
    /// The location of its name in its file.
    pub span: Span,
    /// Symbolic links that maintainer scripts would have created: path to target.
    pub links: BTreeMap<String, String>,
    /// Files that maintainer scripts would have created: path to content.
    pub files: BTreeMap<String, String>,
    /// Limits for its packages.
    pub limits: Limits,
}

/// Reads a toolchain's file, merged over those that it extends.
pub fn decode(node: &YamlNode, place: &FileFinder<'_>, sink: &FindingSink) -> Option<Toolchain> {
    let table = Table::open(node, &keys::TOOLCHAIN, sink)?;
    let name: Option<At<String>> = table.required("toolchain");
    let _summary: Option<String> = table.optional("summary");
    // Resolved before; listed here so that it is a known key.
    let _ = table.node("extends");
    // Merged before, if there is something to merge it over.
    if let Some(key) = table.node("without").and(table.key("without")) {
        sink.borrow_mut().add("without", key, "`without` is only valid with `extends`");
    }
    let suites = required(&table, "debian", |node| Some((decode_suites(node, place.scope, sink)?, node.span)));
    let packages: Option<Vec<At<PackageText>>> = table.required("packages");
    let links = table.or_default("links");
    let files = table.or_default("files");
    let limits = table.or_default("limits");
    table.close();
    let (packages, name, (suites, of)) = (packages?, name?, suites?);
    let packages = At { value: packages_of(suites, packages, true, sink), span: of };
    Some(Toolchain { name: name.value, span: name.span, packages, links, files, limits })
}
