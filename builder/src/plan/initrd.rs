//! Planning the initrd: the initramfs with the root filesystem in it, and the segment that is read before it.

use super::planner::{PlanError, Planner};
use super::rootfs::assembly;
use crate::digest::Digest;
use crate::kernel::modules::normal;
use crate::recipe::boot::BootEntry as MenuEntry;
use crate::recipe::decode::At;
use crate::recipe::image::{Kernel, Livefs};
use crate::recipe::programs;
use crate::rootfs::Assembly;
use crate::step::{AssembleStep, ErofsStep, FirmwareSources, Id, InitrdStep, LayerFrom, SquashfsStep};
use crate::tree::{Entry, Tree, TreePath};

impl Planner<'_> {
    /// The initrd, planned once.
    pub fn initrd(&mut self) -> Result<Id<InitrdStep>, PlanError> {
        if let Some(planned) = self.initrd {
            return Ok(planned);
        }
        let (kernel, root) = (self.kernel()?, self.root()?);
        let stated = &self.recipe.image.initrd;
        let mut layers = self.component_layers(&stated.components)?;
        layers.extend(self.folder_layers(&stated.overlays)?);
        if let Some(from) = kernel.modules {
            layers.push(LayerFrom::Tree { origin: "the kernel's modules".into(), from });
        }
        // The early init looks for these names.
        let file = match stated.livefs {
            Livefs::Squashfs => Some(("livefs.squashfs", self.squashfs()?.output(SquashfsStep::IMAGE))),
            Livefs::Erofs => Some(("livefs.erofs", self.erofs()?.output(ErofsStep::IMAGE))),
            Livefs::None => None,
        };
        let mut replace = Vec::new();
        if let Some((name, from)) = file {
            let path = TreePath::new(name).map_err(PlanError::Path)?;
            layers.push(LayerFrom::File { origin: "the livefs".into(), from, path });
        } else {
            let from = root.output(AssembleStep::TREE);
            layers.push(LayerFrom::Tree { origin: "the rootfs".into(), from });
            replace = assembly(&self.recipe.image.rootfs)?.replace;
        }
        let started = |(path, entry): (String, &MenuEntry)| {
            let role = format!("the init of entry `{}` in the initramfs", entry.id.value);
            self.program(&path, role, entry.id.span, programs::EARLY_INIT)
        };
        let programs = self.recipe.image.early_inits().into_iter().map(started).collect::<Result<_, _>>()?;
        let initramfs = AssembleStep {
            label: "initramfs".into(),
            assembly: Assembly { programs, ..Assembly::empty(replace) },
            layers,
            firmware: self.firmware(root)?,
        };
        let initrd = InitrdStep {
            root: self.plan.graph.add(initramfs),
            early: self.early_tree()?,
            compression: stated.compression,
            epoch: self.epoch(),
        };
        Ok(*self.initrd.insert(self.plan.graph.add(initrd)))
    }

    /// The early segment: the project's files at their paths.
    fn early_tree(&mut self) -> Result<Tree, PlanError> {
        let mut tree = Tree::new();
        for (path, file) in &self.recipe.image.initrd.early {
            let (digest, size) = Digest::of_file(file).map_err(PlanError::read(file))?;
            self.plan.graph.files.insert(digest, file.value.clone());
            tree.insert(TreePath::new(path).map_err(PlanError::Path)?, Entry::file(digest, size, 0o644));
        }
        if !tree.entries.is_empty() {
            tree.complete();
        }
        Ok(tree)
    }

    /// The places of firmware for the kernel's modules.
    fn firmware(&self, root: Id<AssembleStep>) -> Result<Option<FirmwareSources>, PlanError> {
        let image = &self.recipe.image;
        let Kernel::Package { modules, absent_firmware, .. } = &image.kernel else { return Ok(None) };
        // The first path is the one that `firmware_class.path=` adds
        // (Documentation/driver-api/firmware/fw_search_path.rst).
        let parameters = image.boot.entries.first().map(|entry| image.boot.parameters(entry)).unwrap_or_default();
        let more = parameters.split_whitespace().filter_map(|word| word.strip_prefix("firmware_class.path="));
        let folders = more.chain(["/lib/firmware", "/lib/firmware/updates", "/usr/lib/firmware"]);
        let place = |text: &At<String>| self.recipe.files.locate(text.span);
        let absent = |text: &At<String>| {
            let pattern = glob::Pattern::new(text).map_err(|error| PlanError::Pattern(error.to_string()))?;
            Ok((pattern, place(text)))
        };
        Ok(Some(FirmwareSources {
            root,
            folders: folders.map(TreePath::new).collect::<Result<_, _>>().map_err(PlanError::Path)?,
            places: modules.iter().map(|module| (normal(module), place(module))).collect(),
            absent: absent_firmware.iter().map(absent).collect::<Result<_, PlanError>>()?,
        }))
    }
}
