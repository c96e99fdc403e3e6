//! Planning what is made of trees: the root filesystem, the initrd, GRUB's menu, the ISO, disks.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::planner::{PlanError, Planner};
use super::{Action, Plan, Ref, StepId, tree_digest};
use crate::digest::Digest;
use crate::image::compress::Compression;
use crate::image::grub::Menu;
use crate::image::squashfs::Packing;
use crate::rootfs::{Assembly, scan};
use crate::store::Key;
use crate::tree::{Entry, Tree, TreePath};

/// Puts a root filesystem together (output `tree`).
#[derive(Clone, Debug)]
pub struct AssembleAction {
    /// What the recipe states itself.
    pub assembly: Assembly,
    /// What is merged, in order.
    pub layers: Vec<LayerFrom>,
}

/// Where a layer comes from.
#[derive(Clone, Debug)]
pub enum LayerFrom {
    /// A step's tree.
    Tree {
        /// For messages.
        origin: String,
        /// Which.
        from: Ref,
    },
    /// A folder of the project.
    Folder {
        /// For messages.
        origin: String,
        /// What it holds.
        tree: Arc<Tree>,
    },
    /// A step's file, at a path.
    File {
        /// For messages.
        origin: String,
        /// Which.
        from: Ref,
        /// Where it stands.
        path: TreePath,
    },
}

impl LayerFrom {
    /// The step that gives it.
    pub fn step(&self) -> Option<StepId> {
        match self {
            Self::Tree { from, .. } | Self::File { from, .. } => Some(from.step),
            Self::Folder { .. } => None,
        }
    }
}

/// | row | why |
/// |---|---|
/// | `stated` | accounts, folders, nodes, links, modes, layout and `replace` |
/// | `layer <n>` | what is merged, in order; origins' names are for messages only |
pub(super) fn assemble(plan: &mut Plan, label: &str, action: AssembleAction) -> StepId {
    let layer = |layer: &LayerFrom| match layer {
        LayerFrom::Tree { from, .. } => plan.digest_of(from),
        LayerFrom::Folder { tree, .. } => format!("folder {}", tree_digest(tree)),
        LayerFrom::File { from, path, .. } => format!("{} at {path}", plan.digest_of(from)),
    };
    let layers: Vec<_> = action.layers.iter().enumerate().map(|(n, l)| (format!("layer {n}"), layer(l))).collect();
    let key = Key::new("assemble", 1).row("stated", stated(&action.assembly)).rows(layers);
    plan.add(label.to_owned(), key, Action::Assemble(Box::new(action)))
}

/// Everything that an assembly states, as canonical text. Every field is named, so that none can be forgotten.
fn stated(assembly: &Assembly) -> String {
    let Assembly { layout, accounts, groups, dirs, nodes, links, modes, replace } = assembly;
    let mode = |mode: &crate::recipe::rootfs::Mode| {
        format!("{:?} {:?} {:?} {:?}", mode.path.value, mode.mode, mode.uid, mode.gid)
    };
    let mut lines = vec![format!("layout {layout:?}")];
    lines.extend(accounts.iter().map(|account| format!("account {account:?}")));
    lines.extend(groups.iter().map(|group| format!("group {group:?}")));
    lines.extend(dirs.iter().map(|dir| format!("dir {}", mode(dir))));
    lines.extend(nodes.iter().map(|node| {
        format!("node {:?} {} {}:{} {:o}", node.path.value, node.block, node.major, node.minor, node.mode)
    }));
    lines.extend(links.iter().map(|link| format!("link {link:?}")));
    lines.extend(modes.iter().map(|entry| format!("mode {}", mode(entry))));
    lines.extend(replace.iter().map(|pattern| format!("replace {:?}", pattern.as_str())));
    lines.join("\n")
}

/// A folder of the project as a layer.
pub(super) fn folder_layer(planner: &mut Planner<'_>, path: &std::path::Path) -> Result<LayerFrom, PlanError> {
    let folder = scan(path, &[]).map_err(PlanError::Folder)?;
    planner.plan.files.extend(folder.files);
    Ok(LayerFrom::Folder { origin: format!("overlay {}", path.display()), tree: Arc::new(folder.tree) })
}

/// Packs a tree (output `squashfs`).
#[derive(Clone, Debug)]
pub struct SquashfsAction {
    /// mksquashfs's root.
    pub toolchain: StepId,
    /// The step whose tree is packed.
    pub root: StepId,
    /// How blocks are compressed.
    pub packing: Packing,
    /// Bytes of a block.
    pub block: u32,
    /// Seconds since 1970.
    pub epoch: u64,
}

/// | row | why |
/// |---|---|
/// | `toolchain`, `root`, `packing`, `block`, `epoch` | all there is |
pub(super) fn squashfs(plan: &mut Plan, action: SquashfsAction) -> StepId {
    let key = Key::new("squashfs", 2)
        .row("toolchain", plan.digest(action.toolchain))
        .row("root", plan.digest(action.root))
        .row("packing", format!("{:?}", action.packing))
        .row("block", action.block)
        .row("epoch", action.epoch);
    plan.add("squashfs".into(), key, Action::Squashfs(action))
}

/// Writes the initrd (output `initrd`).
#[derive(Clone, Debug)]
pub struct InitrdAction {
    /// The step whose tree is its main segment.
    pub root: StepId,
    /// The uncompressed first segment; empty for none.
    pub early: Tree,
    /// Compression of the main segment.
    pub compression: Compression,
    /// Seconds since 1970.
    pub epoch: u64,
}

/// | row | why |
/// |---|---|
/// | `root`, `early`, `compression`, `epoch` | all there is |
pub(super) fn initrd(plan: &mut Plan, action: InitrdAction) -> StepId {
    let key = Key::new("initrd", 1)
        .row("root", plan.digest(action.root))
        .row("early", tree_digest(&action.early))
        .row("compression", format!("{:?}", action.compression))
        .row("epoch", action.epoch);
    plan.add("initrd".into(), key, Action::Initrd(action))
}

/// The early segment: files of the project at their paths.
pub(super) fn early_tree(
    planner: &mut Planner<'_>,
    files: &BTreeMap<String, std::path::PathBuf>,
) -> Result<Tree, PlanError> {
    let mut tree = Tree::new();
    for (path, file) in files {
        let (digest, size) = Digest::of_file(file).map_err(PlanError::read(file))?;
        planner.plan.files.insert(digest, file.clone());
        tree.insert(TreePath::new(path).map_err(PlanError::Path)?, Entry::file(digest, size, 0o644));
    }
    if !tree.entries.is_empty() {
        tree.complete();
    }
    Ok(tree)
}

/// Writes GRUB's menu (output `grub.cfg`).
#[derive(Clone, Debug)]
pub struct GrubMenuAction {
    /// The text.
    pub text: String,
}

/// | row | why |
/// |---|---|
/// | `text` | it is the result |
pub(super) fn grub_menu(plan: &mut Plan, menu: &Menu) -> Result<StepId, PlanError> {
    let text = menu.config()?;
    let key = Key::new("grub-menu", 1).row("text", &text);
    Ok(plan.add("grub menu".into(), key, Action::GrubMenu(GrubMenuAction { text })))
}

/// Makes the ISO (output `iso`).
#[derive(Clone, Debug)]
pub struct IsoAction {
    /// GRUB's and xorriso's root.
    pub toolchain: StepId,
    /// The kernel.
    pub kernel: Ref,
    /// The initrd.
    pub initrd: Ref,
    /// GRUB's menu.
    pub menu: Ref,
    /// Volume name.
    pub volume: String,
    /// Seconds since 1970.
    pub epoch: u64,
}

/// | row | why |
/// |---|---|
/// | `toolchain`, `kernel`, `initrd`, `menu`, `volume`, `epoch` | all there is |
pub(super) fn iso(plan: &mut Plan, action: IsoAction) -> StepId {
    let key = Key::new("iso", 1)
        .row("toolchain", plan.digest(action.toolchain))
        .row("kernel", plan.digest_of(&action.kernel))
        .row("initrd", plan.digest_of(&action.initrd))
        .row("menu", plan.digest_of(&action.menu))
        .row("volume", &action.volume)
        .row("epoch", action.epoch);
    plan.add("iso".into(), key, Action::Iso(action))
}

/// Packs a tree as an archive that containers and systems are made from (output `template`).
#[derive(Clone, Debug)]
pub struct TemplateAction {
    /// The step whose tree is packed.
    pub root: StepId,
    /// Compression of the archive.
    pub compression: Compression,
    /// Seconds since 1970.
    pub epoch: u64,
}

/// | row | why |
/// |---|---|
/// | `root`, `compression`, `epoch` | all there is |
pub(super) fn template(plan: &mut Plan, action: TemplateAction) -> StepId {
    let key = Key::new("template", 1)
        .row("root", plan.digest(action.root))
        .row("compression", format!("{:?}", action.compression))
        .row("epoch", action.epoch);
    plan.add("template".into(), key, Action::Template(action))
}

/// Makes an ext4 image that holds a root under one folder or several (output `disk`).
#[derive(Clone, Debug)]
pub struct DiskAction {
    /// mke2fs's root.
    pub toolchain: StepId,
    /// The step whose tree it holds.
    pub root: StepId,
    /// The folders: `system0`.
    pub folders: Vec<TreePath>,
    /// A template, and where it stands.
    pub template: Option<(TreePath, Ref)>,
    /// Label of the file system.
    pub label: String,
    /// Bytes; None for as many as it needs.
    pub size: Option<u64>,
    /// Seconds since 1970.
    pub epoch: u64,
}

/// | row | why |
/// |---|---|
/// | `toolchain`, `root`, `folders`, `template`, `label`, `size`, `epoch` | all there is |
pub(super) fn disk(plan: &mut Plan, action: DiskAction) -> StepId {
    let folders = action.folders.iter().map(|folder| folder.to_string()).collect::<Vec<_>>().join("\n");
    let size = action.size.map_or("as needed".to_owned(), |size| size.to_string());
    let template = action.template.as_ref();
    let template = template.map_or("none".into(), |(path, from)| format!("{path} {}", plan.digest_of(from)));
    let key = Key::new("disk", 5)
        .row("toolchain", plan.digest(action.toolchain))
        .row("root", plan.digest(action.root))
        .row("folders", &folders)
        .row("template", template)
        .row("label", &action.label)
        .row("size", size)
        .row("epoch", action.epoch);
    plan.add(format!("disk {}", action.label), key, Action::Disk(action))
}
