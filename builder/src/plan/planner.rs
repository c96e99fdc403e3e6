//! Puts the steps of a recipe together.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::component::{Additions, component};
use super::image::{
    AssembleAction, DiskAction, InitrdAction, IsoAction, LayerFrom, SquashfsAction, TemplateAction, assemble, disk,
    early_tree, folder_layer, grub_menu, initrd, iso, squashfs, template,
};
use super::{Plan, Product, Ref, StepId, packages};
use crate::image::grub::{Menu, MenuEntry};
use crate::image::iso::volume_id;
use crate::image::squashfs::Packing;
use crate::lock::{Entry, Lock, LockedFile};
use crate::recipe::Recipe;
use crate::recipe::decode::At;
use crate::recipe::image::{Kernel, OutputKind};
use crate::recipe::rootfs::{Layout, Rootfs};
use crate::rootfs::{Account, Assembly, FolderError, Pattern};
use crate::source::Request;
use crate::store::{Store, StoreError};
use crate::tree::TreePath;

/// What is asked of a plan.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Outputs; empty for all that the recipe asks for.
    pub only: Vec<OutputKind>,
    /// Whether nothing but the tree that the recipe is about is asked for (audit).
    pub rootfs: bool,
    /// Whether QEMU's root is asked for.
    pub boot: bool,
    /// Whether the disks of the boot tests are asked for.
    pub disks: bool,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The lock has nothing for a source.
    #[error("the lock says nothing of {0}: run `dbco lock`")]
    NotLocked(Box<Request>),
    /// A local file can't be read.
    #[error("can't read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A folder can't be taken in.
    #[error(transparent)]
    Folder(FolderError),
    /// A fragment is not one.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Fragment(Vec<crate::kernel::FragmentError>),
    /// A pattern is not one.
    #[error("{0}")]
    Pattern(String),
    /// A path can't stand in a tree.
    #[error(transparent)]
    Path(crate::tree::BadPath),
    /// GRUB can't take the menu.
    #[error(transparent)]
    Menu(#[from] crate::image::ImageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PlanError {
    /// For `map_err`: a local file that can't be read.
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }
}

/// Plans what is wanted of a recipe. Nothing runs; local files are read and hashed.
pub fn plan(recipe: &Recipe, lock: &Lock, wanted: &Wanted, store: &Store) -> Result<Plan, PlanError> {
    let mut planner = Planner { recipe, lock, store, plan: Plan::default() };
    planner.plan_outputs(wanted)?;
    Ok(planner.plan)
}

pub(super) struct Planner<'a> {
    pub recipe: &'a Recipe,
    pub lock: &'a Lock,
    pub store: &'a Store,
    pub plan: Plan,
}

impl Planner<'_> {
    fn entry(&self, request: &Request) -> Result<&Entry, PlanError> {
        self.lock.find(request).ok_or_else(|| PlanError::NotLocked(Box::new(request.clone())))
    }

    /// The only file of a request for one file.
    pub fn locked_file(&self, request: &Request) -> Result<&LockedFile, PlanError> {
        let first = self.entry(request)?.files.first();
        first.ok_or_else(|| PlanError::NotLocked(Box::new(request.clone())))
    }

    fn epoch(&self) -> u64 {
        self.recipe.image.epoch.try_into().unwrap_or_default()
    }

    fn toolchain(&mut self, toolchain: &crate::recipe::Toolchain) -> Result<StepId, PlanError> {
        let entry = self.entry(&toolchain.packages)?.clone();
        Ok(packages::toolchain(&mut self.plan, toolchain, &entry))
    }

    fn plan_outputs(&mut self, wanted: &Wanted) -> Result<(), PlanError> {
        let image = &self.recipe.image;
        let asked: Vec<OutputKind> = image.outputs.iter().map(|output| output.value).collect();
        if wanted.rootfs {
            let root = self.tree("rootfs", image.subject())?;
            self.plan.rootfs = Some(Ref::new(root, "tree"));
            return Ok(());
        }
        let mut chosen = if wanted.only.is_empty() { asked } else { wanted.only.clone() };
        if wanted.boot || wanted.disks {
            // What a machine starts from, whether it is an output of the recipe or not.
            chosen.extend([OutputKind::BzImage, OutputKind::Initrd]);
        }
        let wants = |kind: OutputKind| chosen.contains(&kind);
        let iso_wanted = wants(OutputKind::Iso);
        if wanted.boot {
            self.plan.boot = Some(self.toolchain(&self.recipe.boot)?);
        }
        let mut kernel = None;
        if wants(OutputKind::BzImage) || wants(OutputKind::Initrd) || iso_wanted {
            kernel = Some(self.kernel()?);
        }
        if let Some(kernel) = kernel.filter(|_| wants(OutputKind::BzImage)) {
            for (name, optional) in [("bzImage", false), ("config", true), ("System.map", true)] {
                self.product(name, OutputKind::BzImage, Ref::new(kernel, name), optional);
            }
        }
        let mut root = None;
        let template_of_root = wants(OutputKind::Template) && image.template.content.is_none();
        if template_of_root || wanted.disks || wants(OutputKind::Initrd) || iso_wanted {
            root = Some(self.rootfs()?);
        }
        let menu = self.menu();
        let menu = grub_menu(&mut self.plan, &menu)?;
        if wants(OutputKind::GrubCfg) {
            self.product("grub.cfg", OutputKind::GrubCfg, Ref::new(menu, "grub.cfg"), false);
        }
        if let (Some(kernel), Some(root)) = (kernel, root)
            && (wants(OutputKind::Initrd) || iso_wanted)
        {
            let initrd = self.initrd(kernel, root)?;
            if wants(OutputKind::Initrd) {
                self.product("initrd.img", OutputKind::Initrd, Ref::new(initrd, "initrd"), false);
            }
            if iso_wanted {
                let action = IsoAction {
                    toolchain: self.toolchain(&self.recipe.packer)?,
                    kernel: Ref::new(kernel, "bzImage"),
                    initrd: Ref::new(initrd, "initrd"),
                    menu: Ref::new(menu, "grub.cfg"),
                    volume: volume_id(&image.name),
                    epoch: self.epoch(),
                };
                let iso = iso(&mut self.plan, action);
                self.product(&format!("{}.iso", image.name.value), OutputKind::Iso, Ref::new(iso, "iso"), false);
            }
        }
        if wants(OutputKind::Template) {
            let from = self.template()?;
            self.product(&self.template_name(), OutputKind::Template, from, false);
        }
        if let Some(root) = root.filter(|_| wanted.disks) {
            self.disks(root)?;
        }
        Ok(())
    }

    fn product(&mut self, name: &str, kind: OutputKind, from: Ref, optional: bool) {
        self.plan.products.push(Product { name: name.to_owned(), kind: Some(kind), from, optional });
    }

    fn kernel(&mut self) -> Result<StepId, PlanError> {
        match &self.recipe.image.kernel {
            Kernel::Component { component, patches, config } => {
                let additions = Additions { patches, fragments: config };
                self.component(&component.value, &additions)
            }
            Kernel::Package { request, modules } => {
                let entry = self.entry(request)?.clone();
                let names: Vec<String> = modules.iter().map(|module| module.value.clone()).collect();
                let folder = match self.recipe.image.rootfs.layout {
                    Layout::Split => "system/lib/modules",
                    Layout::Fhs | Layout::App => "lib/modules",
                };
                packages::kernel(&mut self.plan, &entry, &names, folder)
                    .ok_or_else(|| PlanError::NotLocked(Box::new(request.clone())))
            }
        }
    }

    /// A component and, before it, those that it needs. The checks have seen to it that there is no circle.
    fn component(&mut self, name: &str, additions: &Additions<'_>) -> Result<StepId, PlanError> {
        let recipe = self.recipe;
        let described = &recipe.components[name];
        let own = described.toolchain.as_ref().map(|name| &recipe.toolchains[&name.value]);
        let toolchain = self.toolchain(own.unwrap_or(&recipe.build))?;
        let mut needs = Vec::new();
        for need in &described.needs {
            needs.push((need.value.clone(), self.component(&need.value, &Additions::default())?));
        }
        component(self, described, additions, toolchain, needs)
    }

    fn component_layers(&mut self, names: &[At<String>]) -> Result<Vec<LayerFrom>, PlanError> {
        let mut layers = Vec::new();
        for name in names {
            let step = self.component(&name.value, &Additions::default())?;
            layers
                .push(LayerFrom::Tree { origin: format!("component {}", name.value), from: Ref::new(step, "install") });
        }
        Ok(layers)
    }

    fn folder_layers(&mut self, folders: &[At<PathBuf>]) -> Result<Vec<LayerFrom>, PlanError> {
        folders.iter().map(|folder| folder_layer(self, &folder.value)).collect()
    }

    fn rootfs(&mut self) -> Result<StepId, PlanError> {
        self.tree("rootfs", &self.recipe.image.rootfs)
    }

    fn template_name(&self) -> String {
        let image = &self.recipe.image;
        format!("{}.{}", image.name.value, image.template.suffix())
    }

    fn template(&mut self) -> Result<Ref, PlanError> {
        let stated = &self.recipe.image.template;
        let root = match &stated.content {
            Some(content) => self.tree("template's content", content)?,
            None => self.rootfs()?,
        };
        let action = TemplateAction { root, compression: stated.compression, epoch: self.epoch() };
        Ok(Ref::new(template(&mut self.plan, action), "template"))
    }

    fn tree(&mut self, label: &str, rootfs: &Rootfs) -> Result<StepId, PlanError> {
        let mut layers = Vec::new();
        if let Some(request) = &rootfs.packages {
            let entry = self.entry(request)?.clone();
            let exclude: Vec<String> = rootfs.exclude.iter().map(|pattern| pattern.value.clone()).collect();
            let step = packages::unpacked(&mut self.plan, &entry, &exclude);
            layers.push(LayerFrom::Tree { origin: "the packages".into(), from: Ref::new(step, "tree") });
        }
        layers.extend(self.component_layers(&rootfs.components)?);
        layers.extend(self.folder_layers(&rootfs.overlays)?);
        let action = AssembleAction { assembly: assembly(rootfs)?, layers };
        Ok(assemble(&mut self.plan, label, action))
    }

    fn initrd(&mut self, kernel: StepId, root: StepId) -> Result<StepId, PlanError> {
        let stated = &self.recipe.image.initrd;
        let mut layers = self.component_layers(&stated.components)?;
        layers.extend(self.folder_layers(&stated.overlays)?);
        if matches!(self.recipe.image.kernel, Kernel::Package { .. }) {
            let from = Ref::new(kernel, "modules");
            layers.push(LayerFrom::Tree { origin: "the kernel's modules".into(), from });
        }
        if stated.squashfs {
            let action = SquashfsAction {
                toolchain: self.toolchain(&self.recipe.packer)?,
                root,
                packing: Packing::default(),
                block: 256 * 1024,
                epoch: self.epoch(),
            };
            let from = Ref::new(squashfs(&mut self.plan, action), "squashfs");
            let path = TreePath::new("livefs.squashfs").map_err(PlanError::Path)?;
            layers.push(LayerFrom::File { origin: "the livefs".into(), from, path });
        } else {
            layers.push(LayerFrom::Tree { origin: "the rootfs".into(), from: Ref::new(root, "tree") });
        }
        let replace = if stated.squashfs { Vec::new() } else { assembly(&self.recipe.image.rootfs)?.replace };
        let action = AssembleAction { assembly: Assembly::empty(replace), layers };
        let tree = assemble(&mut self.plan, "initramfs", action);
        let early =
            stated.early.iter().map(|(path, file)| (path.clone(), file.value.clone())).collect::<BTreeMap<_, _>>();
        let early = early_tree(self, &early)?;
        let action = InitrdAction { root: tree, early, compression: stated.compression, epoch: self.epoch() };
        Ok(initrd(&mut self.plan, action))
    }

    fn menu(&self) -> Menu {
        let boot = &self.recipe.image.boot;
        let entry = |entry: &crate::recipe::boot::Entry| MenuEntry {
            id: entry.id.value.clone(),
            title: entry.title.clone(),
            cmdline: boot.parameters(entry),
            initrd: entry.mode.initrd(),
        };
        Menu { timeout: boot.timeout, serial: true, entries: boot.entries.iter().map(entry).collect() }
    }

    /// The disks that boot tests start from.
    fn disks(&mut self, root: StepId) -> Result<(), PlanError> {
        let image = &self.recipe.image;
        for test in &image.tests {
            for (index, stated) in test.all_disks(image).iter().enumerate().filter(|(_, disk)| !disk.is_blank()) {
                let template = match stated.template {
                    true => {
                        let path = format!("vz/template/cache/{}", self.template_name());
                        Some((TreePath::new(&path).map_err(PlanError::Path)?, self.template()?))
                    }
                    false => None,
                };
                let folders = stated.systems.iter().map(|folder| TreePath::new(folder)).collect::<Result<_, _>>();
                let action = DiskAction {
                    toolchain: self.toolchain(&self.recipe.packer)?,
                    root,
                    folders: folders.map_err(PlanError::Path)?,
                    template,
                    label: stated.label.clone().unwrap_or_default(),
                    size: stated.size,
                    epoch: self.epoch(),
                };
                let step = disk(&mut self.plan, action);
                self.plan.disks.insert((test.name.value.clone(), index), Ref::new(step, "disk"));
            }
        }
        Ok(())
    }
}

/// What a recipe states of its root filesystem, layers aside.
fn assembly(rootfs: &Rootfs) -> Result<Assembly, PlanError> {
    let replace = rootfs.replace.iter().map(|text| Pattern::new(text)).collect::<Result<_, _>>();
    let account = |user: &crate::recipe::rootfs::User| Account {
        name: user.name.value.clone(),
        uid: user.uid,
        gid: user.gid,
        groups: user.groups.clone(),
        gecos: user.gecos.clone(),
        home: user.home.clone(),
        shell: user.shell.clone(),
        password: user.password.clone(),
    };
    Ok(Assembly {
        layout: Some(rootfs.layout),
        accounts: rootfs.users.iter().map(account).collect(),
        groups: rootfs.groups.clone(),
        dirs: rootfs.dirs.clone(),
        nodes: rootfs.nodes.clone(),
        links: rootfs.links.iter().map(|(path, target)| (path.value.clone(), target.clone())).collect(),
        modes: rootfs.modes.clone(),
        replace: replace.map_err(PlanError::Pattern)?,
    })
}
