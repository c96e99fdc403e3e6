//! The ISO.

use std::collections::BTreeMap;

use super::toolbox::Toolbox;
use super::{Action, Blob, Graph, Id, Name, Outputs, Ref, StepError, StepId, ToolchainStep, Work, with_platform};
use crate::image::grub::{self, Images};
use crate::image::iso::Iso;
use crate::platform::Platform;
use crate::store::Key;
use crate::tree::{Entry, Tree, TreePath};

/// By this file GRUB knows the medium that it was started from.
const MARKER: &str = "boot/grub/dbco.marker";

/// Where xorriso writes it.
const FILE: &str = "image.iso";

/// Makes the ISO.
#[derive(Clone, Debug)]
pub struct IsoStep {
    /// The architecture whose firmware starts it.
    pub platform: Platform,
    /// GRUB's and xorriso's root.
    pub toolchain: Id<ToolchainStep>,
    /// The kernel.
    pub kernel: Ref<Blob>,
    /// The initrd.
    pub initrd: Ref<Blob>,
    /// GRUB's menu.
    pub menu: Ref<Blob>,
    /// Volume name.
    pub volume: String,
    /// Seconds since 1970.
    pub epoch: u64,
}

impl IsoStep {
    /// The image.
    pub const IMAGE: Name<Self, Blob> = Name::new("iso");
}

impl Action for IsoStep {
    fn label(&self) -> String {
        "iso".into()
    }

    /// | row | why |
    /// |---|---|
    /// | `toolchain`, `kernel`, `initrd`, `menu`, `volume`, `epoch` | all there is |
    /// | `platform` | see [`with_platform`] |
    fn key(&self, graph: &Graph) -> Key {
        let key = Key::new("iso", 1)
            .row("toolchain", graph.digest(self.toolchain))
            .row("kernel", graph.digest_of(&self.kernel))
            .row("initrd", graph.digest_of(&self.initrd))
            .row("menu", graph.digest_of(&self.menu))
            .row("volume", &self.volume)
            .row("epoch", self.epoch);
        with_platform(key, self.platform)
    }

    fn inputs(&self) -> Vec<StepId> {
        vec![self.toolchain.step(), self.kernel.step, self.initrd.step, self.menu.step]
    }

    fn runs_tools(&self) -> bool {
        true
    }

    fn run(&self, work: &Work<'_>) -> Result<Outputs, StepError> {
        let tools = Toolbox::alone(work, self.toolchain)?;
        Images { platform: self.platform, marker: &format!("/{MARKER}"), epoch: self.epoch }.write(&tools)?;
        let mut tree = Tree::new();
        let kernel = grub::kernel(self.platform);
        let files = [(&*kernel, &self.kernel), (grub::INITRD, &self.initrd), ("/boot/grub/grub.cfg", &self.menu)];
        for (path, from) in files {
            let Blob { digest, size } = work.get(from)?;
            tree.insert(TreePath::new(&path[1..]).expect("a plain path"), Entry::file(digest, size, 0o644));
        }
        tree.complete();
        let iso = Iso { volume: &self.volume, epoch: self.epoch, marker: MARKER };
        iso.write(&tree, &work.contents(), &tools, FILE)?;
        Ok(BTreeMap::from([Self::IMAGE.of(tools.keep(FILE)?)]))
    }
}
