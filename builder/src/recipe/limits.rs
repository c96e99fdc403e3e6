//! `limits`: budgets for an archive or a patch for which the default one is too small.

use super::decode::{Decode, FindingSink, Positive, Size, Table};
use super::keys;
use super::node::YamlNode;
use crate::archive::Budget;

/// The limits that a file sets for the archives and patches that it names; those not given keep their defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    unpacked: Option<u64>,
    ratio: Option<u64>,
    entries: Option<u64>,
    depth: Option<u64>,
    headers: Option<u64>,
    memory: Option<u64>,
    streams: Option<u64>,
    links: Option<u64>,
    patch_size: Option<u64>,
    patch_lines: Option<u64>,
    patch_hunks: Option<u64>,
}

impl Limits {
    /// Applies these limits to a budget.
    pub fn over(&self, base: Budget) -> Budget {
        let Self {
            unpacked,
            ratio,
            entries,
            depth,
            headers,
            memory,
            streams,
            links,
            patch_size,
            patch_lines,
            patch_hunks,
        } = *self;
        Budget {
            unpacked: unpacked.unwrap_or(base.unpacked),
            ratio: ratio.unwrap_or(base.ratio),
            entries: entries.unwrap_or(base.entries),
            depth: depth.unwrap_or(base.depth),
            headers: headers.unwrap_or(base.headers),
            memory: memory.unwrap_or(base.memory),
            streams: streams.unwrap_or(base.streams),
            links: links.unwrap_or(base.links),
            patch_size: patch_size.unwrap_or(base.patch_size),
            patch_lines: patch_lines.unwrap_or(base.patch_lines),
            patch_hunks: patch_hunks.unwrap_or(base.patch_hunks),
        }
    }
}

impl Decode for Limits {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let table = Table::open(node, &keys::LIMITS, sink)?;
        let size = |name| table.optional::<Size>(name).map(|size| size.0);
        let number = |name| table.optional::<Positive>(name).map(|number| number.0);
        let limits = Self {
            unpacked: size("unpacked"),
            ratio: number("ratio"),
            entries: number("entries"),
            depth: number("depth"),
            headers: size("headers"),
            memory: size("memory"),
            streams: number("streams"),
            links: number("links"),
            patch_size: size("patch-size"),
            patch_lines: number("patch-lines"),
            patch_hunks: number("patch-hunks"),
        };
        table.close();
        Some(limits)
    }
}
