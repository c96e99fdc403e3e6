//! The contribution of one origin to a root.

use std::fmt;

use crate::tree::Tree;

/// What brings the entries of a layer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LayerOrigin {
    /// For messages: `component busybox`, `overlay overlays/base`.
    pub name: String,
    /// Where a recipe lists it, `file:line:column`, if a recipe does.
    pub place: Option<String>,
}

impl fmt::Display for LayerOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl From<&str> for LayerOrigin {
    fn from(name: &str) -> Self {
        name.to_owned().into()
    }
}

impl From<String> for LayerOrigin {
    fn from(name: String) -> Self {
        Self { name, place: None }
    }
}

/// A tree and its origin.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The origin.
    pub origin: LayerOrigin,
    /// Its content.
    pub tree: Tree,
    /// Whether the modes of its folders are always significant. Otherwise a folder that is owned by root and has mode
    /// 755 states nothing: most folders exist only for their content.
    pub keep_modes: bool,
}

impl Layer {
    /// A layer whose plain folders state nothing.
    pub fn new(origin: impl Into<LayerOrigin>, tree: Tree) -> Self {
        Self { origin: origin.into(), tree, keep_modes: false }
    }
}
