//! What one origin brings to a root.

use crate::tree::Tree;

/// A tree and who brought it.
#[derive(Clone, Debug)]
pub struct Layer {
    /// For messages: `component busybox`, `overlay overlays/base`.
    pub origin: String,
    /// What it brings.
    pub tree: Tree,
    /// Whether the modes of its folders are meant, whatever they are. Else a folder of root's with mode 755 says nothing: most
    /// folders are there for what they hold.
    pub keep_modes: bool,
}

impl Layer {
    /// A layer whose plain folders say nothing.
    pub fn new(origin: String, tree: Tree) -> Self {
        Self { origin, tree, keep_modes: false }
    }
}
