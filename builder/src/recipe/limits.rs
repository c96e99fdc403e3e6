//! `limits`: what an archive may come to, where the usual budget is too small for it.

use super::decode::{Decode, Positive, Sink, Size, Table};
use super::node::Node;
use crate::archive::Budget;

/// The limits that a file states for the archives that it names; each one left out is as usual.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    unpacked: Option<u64>,
    ratio: Option<u64>,
    entries: Option<u64>,
    depth: Option<u64>,
    headers: Option<u64>,
    memory: Option<u64>,
}

impl Limits {
    /// The budget that these leave of another.
    pub fn over(&self, base: Budget) -> Budget {
        let Self { unpacked, ratio, entries, depth, headers, memory } = *self;
        Budget {
            unpacked: unpacked.unwrap_or(base.unpacked),
            ratio: ratio.unwrap_or(base.ratio),
            entries: entries.unwrap_or(base.entries),
            depth: depth.unwrap_or(base.depth),
            headers: headers.unwrap_or(base.headers),
            memory: memory.unwrap_or(base.memory),
        }
    }
}

impl Decode for Limits {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        let table = Table::open(node, "`limits`", sink)?;
        let size = |name| table.optional::<Size>(name).map(|size| size.0);
        let number = |name| table.optional::<Positive>(name).map(|number| number.0);
        let limits = Self {
            unpacked: size("unpacked"),
            ratio: number("ratio"),
            entries: number("entries"),
            depth: number("depth"),
            headers: size("headers"),
            memory: size("memory"),
        };
        table.close();
        Some(limits)
    }
}
