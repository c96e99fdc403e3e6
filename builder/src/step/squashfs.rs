//! A tree packed as squashfs.

use std::collections::BTreeMap;

use super::{
    Action, AssembleStep, Blob, Graph, Id, OutputName, Outputs, StepError, StepId, ToolchainStep, Work, with_platform,
};
use crate::image::squashfs::{Packing, Squashfs};
use crate::platform::Platform;
use crate::store::Key;

/// Packs a tree.
#[derive(Clone, Debug)]
pub struct SquashfsStep {
    /// The architecture that the tree is for.
    pub platform: Platform,
    /// The root with mksquashfs.
    pub toolchain: Id<ToolchainStep>,
    /// The step whose tree is packed.
    pub root: Id<AssembleStep>,
    /// How blocks are compressed.
    pub packing: Packing,
    /// Bytes of a block.
    pub block: u32,
    /// Seconds since 1970.
    pub epoch: u64,
}

impl SquashfsStep {
    /// The image.
    pub const IMAGE: OutputName<Self, Blob> = OutputName::new("squashfs");
}

impl Action for SquashfsStep {
    fn label(&self) -> String {
        "squashfs".into()
    }

    /// | row | why |
    /// |---|---|
    /// | `toolchain`, `root`, `packing`, `block`, `epoch` | all there is |
    /// | `platform` | see `with_platform` |
    fn key(&self, graph: &Graph) -> Key {
        let key = Key::new("squashfs", 3)
            .row("toolchain", graph.digest(self.toolchain))
            .row("root", graph.digest(self.root))
            .row("packing", format!("{:?}", self.packing))
            .row("block", self.block)
            .row("epoch", self.epoch);
        with_platform(key, self.platform)
    }

    fn inputs(&self) -> Vec<StepId> {
        vec![self.toolchain.step(), self.root.step()]
    }

    fn runs_tools(&self) -> bool {
        true
    }

    fn packs(&self) -> Option<Id<AssembleStep>> {
        Some(self.root)
    }

    fn run(&self, work: &Work<'_>) -> Result<Outputs, StepError> {
        let tree = work.get(&self.root.output(AssembleStep::TREE))?;
        let squashfs =
            Squashfs { platform: self.platform, packing: self.packing, block: self.block, epoch: self.epoch };
        let image = work.make(squashfs.execution(work.root_of(self.toolchain), tree)?)?;
        Ok(BTreeMap::from([Self::IMAGE.of(image)]))
    }
}
