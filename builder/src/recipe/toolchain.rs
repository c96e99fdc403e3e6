//! Toolchains: the root filesystems that third-party tools run in.

use std::collections::BTreeMap;

use super::decode::{At, Decode, FindingSink, Table, required};
use super::keys;
use super::limits::Limits;
use super::node::{YamlNode, YamlValue};
use super::place::FileFinder;
use super::text::Span;
use crate::similar;
use crate::source::{PackageRequest, PackageText, Request, decode_suites, packages_of};

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

/// Merges a toolchain's file over the one that it extends: packages are added, those under `without` are removed,
/// everything else is merged as in a recipe ([`YamlNode::overlay`]).
pub(super) fn extend(base: &mut YamlNode, mut over: YamlNode, sink: &FindingSink) {
    let own = over.take("packages");
    let without = over.take("without");
    if let Some(packages) = base.get_mut("packages") {
        let without = without.and_then(|node| Vec::<At<String>>::decode(&node, sink));
        leave_out(packages, &without.unwrap_or_default(), sink);
        match (&mut packages.value, own.map(|own| (own.value, own.span))) {
            (YamlValue::List(packages), Some((YamlValue::List(own), _))) => packages.extend(own),
            (_, None | Some((YamlValue::Null, _))) => {}
            // Its errors are reported when it is decoded.
            (_, Some((value, span))) => *packages = YamlNode { value, span },
        }
    }
    base.overlay(over);
}

fn leave_out(packages: &mut YamlNode, names: &[At<String>], sink: &FindingSink) {
    let YamlValue::List(packages) = &mut packages.value else { return };
    for name in names {
        let before = packages.len();
        packages.retain(|node| !listed(node).is_some_and(|(text, own)| text == name.value || own == name.value));
        if packages.len() == before {
            let message = format!("the extended toolchain does not list the package `{}`", name.value);
            let known = packages.iter().filter_map(|node| Some(listed(node)?.1));
            let mut findings = sink.borrow_mut();
            let finding = findings.add("without", name.span, message);
            if let Some(near) = similar::nearest(&name.value, known) {
                finding.suggest(near);
            }
        }
    }
}

/// A package of a list as written, and its name.
fn listed(node: &YamlNode) -> Option<(&str, &str)> {
    match &node.value {
        YamlValue::Text { text, .. } => Some((text, PackageRequest::parse(text).name)),
        YamlValue::Map(_) => match &node.get("name")?.value {
            YamlValue::Text { text, .. } => Some((text, text)),
            _ => None,
        },
        _ => None,
    }
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
