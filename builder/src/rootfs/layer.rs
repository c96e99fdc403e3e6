//! The contribution of one origin to a root.

use crate::tree::Tree;

/// A tree and its origin.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The origin, for messages: `component busybox`, `overlay overlays/base`.
    pub origin: String,
    /// Its content.
    pub tree: Tree,
    /// Whether the modes of its folders are always significant. Otherwise a folder that is owned by root and has mode
    /// 755 states nothing: most folders exist only for their content.
    pub keep_modes: bool,
}

impl Layer {
    /// A layer whose plain folders state nothing.
    pub fn new(origin: String, tree: Tree) -> Self {
        Self { origin, tree, keep_modes: false }
    }
}
