//! How a container's files are stored: the content of its private area, and the mounts that make its root from it.
//!
//! | layout | private area | root |
//! |---|---|---|
//! | `simfs` | the tree itself | bound |
//! | `overlay` | `upper`, `work`, `layers/UUID`, `Snapshots.json` | the template below, layers, `upper` above |
//! | `app` | as `overlay` | the live system below; `/system` bound read-only from it |
//! | `ploop` | `root.hdd/root.hdd`, an image of a disk; `root.hdd/root.hdd.UUID`, `dump`, `Snapshots.json` | the image, by a loop device |
//!
//! The differences are behind one trait, [`Area`]; the commands do not depend on the layout.

mod area;
mod overlay;
mod ploop;
mod simfs;

pub use area::{Area, INTERRUPTED, Keeper, New, Place, beside, interrupted, remove};

use super::exit::{Error, Result};
use std::path::Path;

/// How a container's files are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Files of its own.
    Simfs,
    /// Its changes on top of a template.
    Overlay,
    /// Its changes on top of the live system, whose `/system` it shares and can't change.
    App,
    /// One file that contains a file system.
    Ploop,
}

/// All, by name.
const ALL: [(&str, Layout); 4] =
    [("simfs", Layout::Simfs), ("overlay", Layout::Overlay), ("app", Layout::App), ("ploop", Layout::Ploop)];

impl Layout {
    /// Parses `--layout` or `VE_LAYOUT`. OpenVZ has several kinds of ploop images, distinguished by a suffix of the
    /// name; here there is one.
    ///
    /// # Errors
    /// [`Error::Value`]: there is no such layout.
    pub fn parse(text: &str) -> Result<Layout> {
        let kinds = ["ploop:expanded", "ploop:plain", "ploop:raw"];
        let name = if kinds.contains(&text) { "ploop" } else { text };
        let found = ALL.iter().find(|(known, _)| *known == name);
        found.map(|(_, layout)| *layout).ok_or_else(|| Error::Value(format!("Bad parameter for --layout: {text}")))
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        ALL.iter().find(|(_, layout)| *layout == self).map_or("", |(name, _)| name)
    }

    /// That of a container, as its configuration says (`VE_LAYOUT`): a private area of `simfs` is the container's own tree, and what it holds
    /// must tell nothing. Without a word it is such a tree, as OpenVZ's were, or an image.
    ///
    /// # Errors
    /// As [`Layout::parse`].
    pub fn of(private: &Path, set: Option<&str>) -> Result<Layout> {
        match set {
            Some(text) => Layout::parse(text),
            None if private.join(ploop::DESCRIPTOR).exists() => Ok(Layout::Ploop),
            None => Ok(Layout::Simfs),
        }
    }

    /// Its operations.
    pub fn area(self) -> &'static dyn Area {
        match self {
            Layout::Simfs => &simfs::Simfs,
            Layout::Overlay => &overlay::Overlay { app: false },
            Layout::App => &overlay::Overlay { app: true },
            Layout::Ploop => &ploop::Ploop,
        }
    }
}
