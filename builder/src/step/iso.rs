//! The ISO.

use std::collections::BTreeMap;

use super::{
    Action, Blob, Graph, GrubImagesStep, Id, OutputName, Outputs, Ref, StepError, StepId, ToolchainStep, Work,
    with_platform,
};
use crate::image::grub;
use crate::image::iso::{BootImages, Iso};
use crate::platform::Platform;
use crate::store::Key;
use crate::tree::{Entry, Tree, TreePath};

/// Makes the ISO.
#[derive(Clone, Debug)]
pub struct IsoStep {
    /// The architecture whose firmware starts it.
    pub platform: Platform,
    /// The root with xorriso.
    pub toolchain: Id<ToolchainStep>,
    /// The kernel.
    pub kernel: Ref<Blob>,
    /// The initrd.
    pub initrd: Ref<Blob>,
    /// GRUB's menu.
    pub menu: Ref<Blob>,
    /// The boot images of GRUB.
    pub images: Id<GrubImagesStep>,
    /// Volume name.
    pub volume: String,
    /// Seconds since 1970.
    pub epoch: u64,
}

impl IsoStep {
    /// The file by which GRUB recognises the medium that it was started from.
    pub const MARKER: &str = "boot/grub/dbco.marker";
    /// The image.
    pub const IMAGE: OutputName<Self, Blob> = OutputName::new("iso");
}

impl Action for IsoStep {
    fn label(&self) -> String {
        "iso".into()
    }

    /// | row | why |
    /// |---|---|
    /// | `toolchain`, `kernel`, `initrd`, `menu`, `images`, `volume`, `epoch` | all there is |
    /// | `platform` | see `with_platform` |
    fn key(&self, graph: &Graph) -> Key {
        let key = Key::new("iso", 2)
            .row("toolchain", graph.digest(self.toolchain))
            .row("kernel", graph.digest_of(&self.kernel))
            .row("initrd", graph.digest_of(&self.initrd))
            .row("menu", graph.digest_of(&self.menu))
            .row("images", graph.digest(self.images))
            .row("volume", &self.volume)
            .row("epoch", self.epoch);
        with_platform(key, self.platform)
    }

    fn inputs(&self) -> Vec<StepId> {
        vec![self.toolchain.step(), self.kernel.step, self.initrd.step, self.menu.step, self.images.step()]
    }

    fn runs_tools(&self) -> bool {
        true
    }

    fn run(&self, work: &Work<'_>) -> Result<Outputs, StepError> {
        let mut tree = Tree::new();
        let kernel = grub::kernel(self.platform);
        let files = [(&*kernel, &self.kernel), (grub::INITRD, &self.initrd), ("/boot/grub/grub.cfg", &self.menu)];
        for (path, from) in files {
            let Blob { digest, size } = work.get(from)?;
            tree.insert(TreePath::new(&path[1..]).expect("a plain path"), Entry::file(digest, size, 0o644));
        }
        let image = |name| work.get(&self.images.output(name));
        let images = BootImages {
            eltorito: image(GrubImagesStep::ELTORITO)?,
            mbr: image(GrubImagesStep::MBR)?,
            esp: image(GrubImagesStep::ESP)?,
        };
        let iso = Iso { volume: &self.volume, epoch: self.epoch, marker: Self::MARKER };
        let image = work.make(iso.execution(work.root_of(self.toolchain), &tree, images)?)?;
        Ok(BTreeMap::from([Self::IMAGE.of(image)]))
    }
}
