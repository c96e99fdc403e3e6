//! A tree as a tar archive, from which containers and systems are made, and which other tools unpack.

use std::collections::BTreeMap;

use super::{Action, AssembleStep, Blob, Graph, Id, OutputName, Outputs, StepError, StepId, Work};
use crate::image::tar::write_tar;
use crate::image::{Compression, ImageError};
use crate::store::Key;

/// Packs a tree as a tar archive, with numeric owners, device nodes and extended attributes.
#[derive(Clone, Debug)]
pub struct ArchiveStep {
    /// The step whose tree is packed.
    pub root: Id<AssembleStep>,
    /// Compression of the archive.
    pub compression: Compression,
    /// Seconds since 1970.
    pub epoch: u64,
}

impl ArchiveStep {
    /// The archive.
    pub const ARCHIVE: OutputName<Self, Blob> = OutputName::new("template");
}

impl Action for ArchiveStep {
    fn label(&self) -> String {
        "archive".into()
    }

    /// | row | why |
    /// |---|---|
    /// | `root`, `compression`, `epoch` | all there is |
    fn key(&self, graph: &Graph) -> Key {
        Key::new("template", 2)
            .row("root", graph.digest(self.root))
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
        let mut out = self.compression.writer(work.store().blob_writer()?).map_err(ImageError::Write)?;
        write_tar(&tree, &work.contents(), self.epoch, &mut out)?;
        let (digest, size) = out.finish().map_err(ImageError::Write)?.commit()?;
        Ok(BTreeMap::from([Self::ARCHIVE.of(Blob { digest, size })]))
    }
}
