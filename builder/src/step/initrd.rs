//! The initrd: segments of cpio.

use std::collections::BTreeMap;

use super::{Action, AssembleStep, Blob, Graph, Id, OutputName, Outputs, StepError, StepId, Work, tree_digest};
use crate::image::Compression;
use crate::image::cpio::{Segment, write_initrd};
use crate::store::Key;
use crate::tree::Tree;

/// Writes the initrd.
#[derive(Clone, Debug)]
pub struct InitrdStep {
    /// The step whose tree is its main segment.
    pub root: Id<AssembleStep>,
    /// The uncompressed first segment; empty for none.
    pub early: Tree,
    /// Compression of the main segment.
    pub compression: Compression,
    /// Seconds since 1970.
    pub epoch: u64,
}

impl InitrdStep {
    /// The initrd.
    pub const INITRD: OutputName<Self, Blob> = OutputName::new("initrd");
}

impl Action for InitrdStep {
    fn label(&self) -> String {
        "initrd".into()
    }

    /// | row | why |
    /// |---|---|
    /// | `root`, `early`, `compression`, `epoch` | all there is |
    fn key(&self, graph: &Graph) -> Key {
        Key::new("initrd", 2)
            .row("root", graph.digest(self.root))
            .row("early", tree_digest(&self.early))
            .row("compression", format!("{:?}", self.compression))
            .row("epoch", self.epoch)
    }

    fn inputs(&self) -> Vec<StepId> {
        vec![self.root.step()]
    }

    fn packs(&self) -> Option<Id<AssembleStep>> {
        Some(self.root)
    }

    fn run(&self, work: &Work<'_>) -> Result<Outputs, StepError> {
        let tree = work.get(&self.root.output(AssembleStep::TREE))?;
        let mut segments = Vec::new();
        if !self.early.entries.is_empty() {
            segments.push(Segment { tree: &self.early, compression: Compression::None });
        }
        segments.push(Segment { tree: &tree, compression: self.compression });
        let mut blob = work.store().blob_writer()?;
        write_initrd(&segments, &work.contents(), self.epoch, &mut blob)?;
        let (digest, size) = blob.commit()?;
        Ok(BTreeMap::from([Self::INITRD.of(Blob { digest, size })]))
    }
}
