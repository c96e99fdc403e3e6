//! Layout `simfs`: the private area is the tree itself, and is bind-mounted.

use super::area::{Area, New, shift};
use crate::vz::exit::Result;
use crate::vz::node::{Mount, MountSource, Node};
use std::path::Path;

/// See the module's documentation.
pub struct Simfs;

impl Area for Simfs {
    fn fill(&self, _: &dyn Node, new: &New) -> Result<()> {
        new.template.lay_out(new.made)?;
        new.ids.map_or(Ok(()), |ids| shift(new.made, ids, &|_| false))
    }

    fn mounts(&self, private: &Path, root: &Path, _: Option<&str>) -> Result<Vec<Mount>> {
        Ok(vec![Mount { source: MountSource::Bind(private.to_owned()), target: root.to_owned(), read_only: false }])
    }
}
