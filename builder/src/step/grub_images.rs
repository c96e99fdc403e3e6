//! GRUB's boot images, for an ISO.

use std::collections::BTreeMap;

use super::{
    Action, Blob, Graph, Id, Materials, OutputName, Outputs, StepError, StepId, ToolchainStep, Work, with_platform,
};
use crate::image::grub::{ELTORITO, ESP, HYBRID_MBR, Images};
use crate::platform::Platform;
use crate::store::Key;

/// Makes the images from which firmware starts GRUB.
#[derive(Clone, Debug)]
pub struct GrubImagesStep {
    /// The architecture whose firmware starts them.
    pub platform: Platform,
    /// The root with GRUB and mtools.
    pub toolchain: Id<ToolchainStep>,
    /// The file by which GRUB recognises the medium that it was started from: a path on the medium.
    pub marker: String,
    /// Seconds since 1970.
    pub epoch: u64,
}

impl GrubImagesStep {
    /// The BIOS boot image.
    pub const ELTORITO: OutputName<Self, Blob> = OutputName::new(ELTORITO);
    /// The code of the master boot record.
    pub const MBR: OutputName<Self, Blob> = OutputName::new(HYBRID_MBR);
    /// The EFI system partition.
    pub const ESP: OutputName<Self, Blob> = OutputName::new(ESP);
}

impl Action for GrubImagesStep {
    fn label(&self) -> String {
        "boot images".into()
    }

    /// | row | why |
    /// |---|---|
    /// | `toolchain`, `marker`, `epoch` | all there is |
    /// | `platform` | see `with_platform` |
    fn key(&self, graph: &Graph) -> Key {
        let key = Key::new("grub images", 1)
            .row("toolchain", graph.digest(self.toolchain))
            .row("marker", &self.marker)
            .row("epoch", self.epoch);
        with_platform(key, self.platform)
    }

    fn inputs(&self) -> Vec<StepId> {
        vec![self.toolchain.step()]
    }

    fn runs_tools(&self) -> bool {
        true
    }

    fn materials(&self) -> Materials<'_> {
        Materials::BootLoader(self.toolchain)
    }

    fn run(&self, work: &Work<'_>) -> Result<Outputs, StepError> {
        let images = Images { platform: self.platform, marker: &self.marker, epoch: self.epoch };
        let outcome = work.execute(images.execution(work.root_of(self.toolchain))?)?;
        Ok(BTreeMap::from_iter(outcome.outputs))
    }
}
