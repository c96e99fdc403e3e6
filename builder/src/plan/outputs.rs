//! The kinds of output: the files of each, and the steps that make them.

use super::Product;
use super::component::Additions;
use super::planner::{KernelFiles, PlanError, Planner};
use crate::image::Compression;
use crate::image::grub::{Menu, MenuEntry};
use crate::platform::KernelNames;
use crate::recipe::OutputKind;
use crate::recipe::boot::BootEntry;
use crate::recipe::image::{Kernel, SquashfsOptions};
use crate::recipe::test::Test;
use crate::step::{
    ArchiveStep, AssembleStep, Blob, DiskStep, ErofsStep, GrubImagesStep, GrubMenuStep, Id, InitrdStep, IsoStep,
    KernelPackageStep, Ref, SquashfsStep,
};
use crate::tree::TreePath;

impl Planner<'_> {
    /// Plans an output: its files.
    pub fn output(&mut self, kind: OutputKind) -> Result<(), PlanError> {
        let file = |name: String, from: Ref<Blob>| Product { name, kind, from, optional: false };
        let recipe = &self.recipe.image.name.value;
        let files = match kind {
            OutputKind::BzImage => {
                let KernelFiles { image, config, system_map, .. } = self.kernel()?;
                let beside = |name: &str, from| Product { optional: true, ..file(name.into(), from) };
                vec![file(self.names().image.into(), image), beside("config", config), beside("System.map", system_map)]
            }
            OutputKind::Initrd => vec![file("initrd.img".into(), self.initrd()?.output(InitrdStep::INITRD))],
            OutputKind::GrubCfg => vec![file("grub.cfg".into(), self.menu()?.output(GrubMenuStep::MENU))],
            OutputKind::Iso => vec![file(format!("{recipe}.iso"), self.iso()?.output(IsoStep::IMAGE))],
            OutputKind::Template => vec![file(self.template_name(), self.template()?)],
            OutputKind::Rootfs => {
                let (root, compression) = (self.root()?, self.recipe.image.archive);
                let name = format!("{recipe}.rootfs.{}", compression.tar());
                vec![file(name, self.archive(root, compression))]
            }
            OutputKind::Erofs => vec![file(format!("{recipe}.erofs"), self.erofs()?.output(ErofsStep::IMAGE))],
            OutputKind::Squashfs => {
                vec![file(format!("{recipe}.squashfs"), self.squashfs()?.output(SquashfsStep::IMAGE))]
            }
        };
        self.plan.products.extend(files);
        Ok(())
    }

    /// The name of the image's architecture in the kernel's sources.
    fn names(&self) -> &'static KernelNames {
        &self.recipe.image.platform.names().kernel
    }

    /// The kernel, planned once.
    pub(super) fn kernel(&mut self) -> Result<KernelFiles, PlanError> {
        if let Some(planned) = &self.kernel {
            return Ok(planned.clone());
        }
        let kernel = match &self.recipe.image.kernel {
            Kernel::Component { component, patches, config } => {
                let additions = Additions { patches, fragments: config };
                let step = self.component(&component.value, &additions)?;
                let [image, config, system_map] =
                    [self.names().image, "config", "System.map"].map(|name| step.file(name));
                KernelFiles { image, config, system_map, modules: None }
            }
            Kernel::Package { request, modules, .. } => {
                let names: Vec<String> = modules.iter().map(|module| module.value.clone()).collect();
                let step = self.kernel_package(request, &names)?;
                KernelFiles {
                    image: step.output(KernelPackageStep::KERNEL),
                    config: step.output(KernelPackageStep::CONFIG),
                    system_map: step.output(KernelPackageStep::SYSTEM_MAP),
                    modules: Some(step.output(KernelPackageStep::MODULES)),
                }
            }
        };
        self.plan.kernel_config = Some(kernel.config.clone());
        Ok(self.kernel.insert(kernel).clone())
    }

    /// The live system's root filesystem, planned once, since its folders are read.
    pub fn root(&mut self) -> Result<Id<AssembleStep>, PlanError> {
        if let Some(planned) = self.root {
            return Ok(planned);
        }
        let root = self.tree("rootfs", &self.recipe.image.rootfs)?;
        Ok(*self.root.insert(root))
    }

    /// The root filesystem as squashfs, which is an output and part of the initrd.
    pub fn squashfs(&mut self) -> Result<Id<SquashfsStep>, PlanError> {
        let SquashfsOptions { packing, block } = self.recipe.image.squashfs;
        let step = SquashfsStep {
            platform: self.recipe.image.platform,
            root: self.root()?,
            toolchain: self.toolchain(&self.recipe.packer)?,
            packing,
            block,
            epoch: self.epoch(),
        };
        Ok(self.plan.graph.add(step))
    }

    /// The root filesystem as erofs, which is an output and may be part of the initrd.
    pub fn erofs(&mut self) -> Result<Id<ErofsStep>, PlanError> {
        let (root, toolchain) = (self.root()?, self.toolchain(&self.recipe.packer)?);
        Ok(self.plan.graph.add(ErofsStep { root, toolchain, epoch: self.epoch() }))
    }

    fn iso(&mut self) -> Result<Id<IsoStep>, PlanError> {
        let (platform, epoch) = (self.recipe.image.platform, self.epoch());
        let toolchain = self.toolchain(&self.recipe.packer)?;
        let images = GrubImagesStep { platform, toolchain, marker: format!("/{}", IsoStep::MARKER), epoch };
        let step = IsoStep {
            platform,
            images: self.plan.graph.add(images),
            kernel: self.kernel()?.image,
            initrd: self.initrd()?.output(InitrdStep::INITRD),
            menu: self.menu()?.output(GrubMenuStep::MENU),
            toolchain,
            volume: self.recipe.image.volume(),
            epoch,
        };
        Ok(self.plan.graph.add(step))
    }

    fn menu(&mut self) -> Result<Id<GrubMenuStep>, PlanError> {
        let boot = &self.recipe.image.boot;
        let entry = |entry: &BootEntry| MenuEntry {
            id: entry.id.to_string(),
            title: entry.title.clone(),
            cmdline: boot.parameters(entry),
            initrd: entry.mode.initrd(),
        };
        let entries = boot.entries.iter().map(entry).collect();
        let platform = self.recipe.image.platform;
        let menu = Menu { platform, timeout: boot.timeout, serial: boot.serial(platform), entries };
        Ok(self.plan.graph.add(GrubMenuStep { text: menu.config()? }))
    }

    fn archive(&mut self, root: Id<AssembleStep>, compression: Compression) -> Ref<Blob> {
        let step = ArchiveStep { root, compression, epoch: self.epoch() };
        self.plan.graph.add(step).output(ArchiveStep::ARCHIVE)
    }

    fn template_name(&self) -> String {
        let image = &self.recipe.image;
        format!("{}.{}", image.name.value, image.template.compression.tar())
    }

    fn template(&mut self) -> Result<Ref<Blob>, PlanError> {
        let stated = &self.recipe.image.template;
        let root = match &stated.content {
            Some(content) => self.tree("template's content", content)?,
            None => self.root()?,
        };
        Ok(self.archive(root, stated.compression))
    }

    /// The disks that boot tests start from.
    pub fn disks(&mut self) -> Result<(), PlanError> {
        let image = &self.recipe.image;
        let root = self.root()?;
        for (name, machine, boots) in image.tests.iter().flat_map(Test::machines) {
            let disks = image.disks_of(machine, boots);
            for (index, stated) in disks.iter().enumerate().filter(|(_, disk)| !disk.is_blank()) {
                let template = match stated.template {
                    true => {
                        let path = format!("vz/template/cache/{}", self.template_name());
                        Some((TreePath::new(&path).map_err(PlanError::Path)?, self.template()?))
                    }
                    false => None,
                };
                let folders = stated.systems.iter().map(|folder| TreePath::new(folder)).collect::<Result<_, _>>();
                let step = DiskStep {
                    toolchain: self.toolchain(&self.recipe.packer)?,
                    root,
                    folders: folders.map_err(PlanError::Path)?,
                    template,
                    label: stated.label.clone().unwrap_or_default(),
                    size: stated.size,
                    epoch: self.epoch(),
                };
                let disk = self.plan.graph.add(step).output(DiskStep::IMAGE);
                self.plan.disks.insert((name.clone(), index), disk);
            }
        }
        Ok(())
    }
}
