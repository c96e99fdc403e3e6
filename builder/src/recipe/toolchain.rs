//! Toolchains: the root filesystems that foreign tools run in.

use std::collections::BTreeMap;

use super::decode::{Sink, Table};
use super::load::Place;
use super::node::Node;
use super::origin::decode_archive;
use super::text::Span;
use crate::source::Request;

/// A toolchain as its YAML file states it.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// Its name, which is also its file's.
    pub name: String,
    /// Its packages and their whole dependency closure.
    pub packages: Request,
    /// Symbolic links that maintainer scripts would have made: path to target.
    pub links: BTreeMap<String, String>,
    /// Files that maintainer scripts would have made: path to content.
    pub files: BTreeMap<String, String>,
    /// Where its file names it.
    pub span: Span,
}

/// Reads a toolchain's file.
pub fn decode(node: &Node, place: &Place<'_>, sink: &Sink) -> Option<Toolchain> {
    let table = Table::open(node, "a toolchain", sink)?;
    let name = table.required("toolchain");
    let _summary: Option<String> = table.optional("summary");
    let archive = match table.node("debian") {
        Some(node) => decode_archive(node, place, sink),
        None => {
            table.required::<String>("debian");
            None
        }
    };
    let packages: Option<Vec<String>> = table.required("packages");
    let links = table.or_default("links");
    let files = table.or_default("files");
    let span = table.span;
    table.close();
    let mut packages = packages?;
    packages.sort();
    packages.dedup();
    let packages = Request::Debian { archive: archive?, packages, closure: true };
    Some(Toolchain { name: name?, packages, links, files, span })
}
