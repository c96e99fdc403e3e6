//! A root filesystem, assembled from layers.

mod firmware;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Action, Blob, Graph, Id, OutputName, Outputs, Ref, StepError, StepId, Work, tree_digest};
use crate::digest::Digest;
use crate::recipe::rootfs::Attributes;
use crate::rootfs::{Assembly, Layer, LayerOrigin, Merged, Origins, StatedFile, assemble};
use crate::store::Key;
use crate::tree::{Entry, Tree, TreePath};

/// Assembles a root filesystem.
#[derive(Clone, Debug)]
pub struct AssembleStep {
    /// For display: `rootfs`. Not part of the key.
    pub label: String,
    /// What the recipe itself states.
    pub assembly: Assembly,
    /// The layers, in order.
    pub layers: Vec<LayerFrom>,
    /// For an initramfs with modules: where their firmware may be. Not part of the key: it affects what is reported,
    /// not what is made.
    pub firmware: Option<FirmwareSources>,
}

/// Where the firmware of modules may be.
#[derive(Clone, Debug)]
pub struct FirmwareSources {
    /// The step whose tree the initramfs switches to.
    pub root: Id<AssembleStep>,
    /// The folders that the kernel searches.
    pub folders: Vec<TreePath>,
    /// Modules that the recipe names, each with its place.
    pub places: Vec<(String, String)>,
    /// Names that the recipe does without, as patterns with their places.
    pub absent: Vec<(glob::Pattern, String)>,
}

/// The source of a layer.
#[derive(Clone, Debug)]
pub enum LayerFrom {
    /// A step's tree.
    Tree {
        /// Not part of the key.
        origin: LayerOrigin,
        /// The tree.
        from: Ref<Tree>,
    },
    /// A folder of the project.
    Folder {
        /// Not part of the key.
        origin: LayerOrigin,
        /// Its content.
        tree: Arc<Tree>,
        /// Whether the modes of its folders are significant.
        keep_modes: bool,
    },
    /// A step's file, at a path.
    File {
        /// Not part of the key.
        origin: LayerOrigin,
        /// The file.
        from: Ref<Blob>,
        /// Its path.
        path: TreePath,
    },
}

impl LayerFrom {
    /// The step that makes it.
    pub fn step(&self) -> Option<StepId> {
        match self {
            Self::Tree { from, .. } => Some(from.step),
            Self::File { from, .. } => Some(from.step),
            Self::Folder { .. } => None,
        }
    }
}

impl AssembleStep {
    fn merged(&self, work: &Work<'_>) -> Result<Merged, StepError> {
        let layers = self.layers.iter().map(|from| layer(work, from)).collect::<Result<Vec<_>, _>>()?;
        Ok(assemble(&self.assembly, layers, work.store())?)
    }

    /// The root filesystem.
    pub const TREE: OutputName<Self, Tree> = OutputName::new("tree");
}

impl Action for AssembleStep {
    fn label(&self) -> String {
        self.label.clone()
    }

    /// | row | why |
    /// |---|---|
    /// | `stated` | accounts, folders, nodes, links, files, settings, attributes, layout and `replace` |
    /// | `layer <n>` | what is merged, in order; origins' names are for messages only |
    fn key(&self, graph: &Graph) -> Key {
        let layer = |layer: &LayerFrom| match layer {
            LayerFrom::Tree { from, .. } => graph.digest_of(from),
            LayerFrom::Folder { tree, keep_modes: false, .. } => format!("folder {}", tree_digest(tree)),
            LayerFrom::Folder { tree, keep_modes: true, .. } => format!("folder {} with its modes", tree_digest(tree)),
            LayerFrom::File { from, path, .. } => format!("{} at {path}", graph.digest_of(from)),
        };
        let layers = self.layers.iter().enumerate().map(|(n, of)| (format!("layer {n}"), layer(of)));
        Key::new("assemble", 3).row("stated", stated(&self.assembly)).rows(layers)
    }

    fn inputs(&self) -> Vec<StepId> {
        self.layers.iter().filter_map(LayerFrom::step).collect()
    }

    fn run(&self, work: &Work<'_>) -> Result<Outputs, StepError> {
        let merged = self.merged(work)?;
        // An initramfs that is the root itself is assembled with the patterns of the root.
        for pattern in merged.unused.iter().filter(|_| self.assembly.layout.is_some()) {
            let pattern = pattern.as_str();
            work.warn(&format!("`replace` has {pattern}, which is unused: no two origins differ there"));
        }
        if let Some(firmware) = &self.firmware {
            firmware.look(work, &merged.tree)?;
        }
        Ok(BTreeMap::from([Self::TREE.of(work.store().add_tree(&merged.tree)?)]))
    }

    fn input_name(&self, row: &str) -> Option<String> {
        let number: usize = row.strip_prefix("layer ")?.parse().ok()?;
        let (LayerFrom::Tree { origin, .. } | LayerFrom::Folder { origin, .. } | LayerFrom::File { origin, .. }) =
            self.layers.get(number)?;
        Some(origin.name.clone())
    }

    fn origins(&self, work: &Work<'_>) -> Result<Option<Origins>, StepError> {
        let mut origins = self.merged(work)?.origins;
        for (number, layer) in self.layers.iter().enumerate() {
            let Some(step) = layer.step() else { continue };
            if let Some(inner) = work.of(step).origins()? {
                origins.refine(number, &inner);
            }
        }
        Ok(Some(origins))
    }
}

fn layer(work: &Work<'_>, from: &LayerFrom) -> Result<Layer, StepError> {
    Ok(match from {
        LayerFrom::Tree { origin, from } => Layer::new(origin.clone(), work.get(from)?),
        LayerFrom::Folder { origin, tree, keep_modes } => {
            Layer { keep_modes: *keep_modes, ..Layer::new(origin.clone(), (**tree).clone()) }
        }
        LayerFrom::File { origin, from, path } => {
            let Blob { digest, size } = work.get(from)?;
            let mut tree = Tree::new();
            tree.insert(path.clone(), Entry::file(digest, size, 0o644));
            Layer::new(origin.clone(), tree)
        }
    })
}

/// Everything that an assembly states, as canonical text. All fields are destructured by name, so that none can be
/// forgotten.
pub(super) fn stated(assembly: &Assembly) -> String {
    let Assembly {
        layout,
        accounts,
        groups,
        dirs,
        nodes,
        links,
        files,
        settings,
        attributes,
        replace,
        programs,
        needed: _,
    } = assembly;
    let given = |stated: &Attributes| {
        let Attributes { path, mode, uid, gid, capabilities: _, xattrs: _ } = stated;
        format!("{:?} {mode:?} {uid:?} {gid:?} {:?}", path.value, stated.all_xattrs())
    };
    let mut lines = vec![format!("layout {layout:?}")];
    lines.extend(accounts.iter().map(|account| format!("account {account:?}")));
    lines.extend(groups.iter().map(|group| format!("group {group:?}")));
    lines.extend(dirs.iter().map(|dir| format!("dir {}", given(dir))));
    lines.extend(nodes.iter().map(|node| {
        format!("node {:?} {} {}:{} {:o}", node.path.value, node.block, node.major, node.minor, node.mode)
    }));
    lines.extend(links.iter().map(|link| format!("link {link:?}")));
    let file = |StatedFile { path, content, mode, owner }: &StatedFile| {
        format!("file {path:?} {mode:o} {owner:?} {}", Digest::of(content))
    };
    lines.extend(files.iter().map(file));
    lines.extend(settings.iter().map(|of| format!("setting: {}", file(of))));
    lines.extend(attributes.iter().map(|(_, entry)| format!("attributes {}", given(entry))));
    lines.extend(replace.iter().map(|pattern| format!("replace {:?}", pattern.as_str())));
    // What is needed is named by a setting. Shells are part of the accounts, and `/init` is always required.
    let starts: Vec<_> = programs.iter().map(|program| program.path.as_str()).collect();
    if layout.is_none() && starts != ["init"] {
        lines.push(format!("starts {starts:?}"));
    }
    lines.join("\n")
}
