//! Recipe, lock and local files to a DAG of steps: a pure function of the three.
//!
//! A step's key holds everything that its result depends on; inputs that are steps themselves enter by their own keys.
//! So all keys are known before anything runs, and a build whose results are all there runs nothing. What is not in any
//! key: the number of cores, host name, user, paths, locale, the clock, and the names of steps.

mod component;
mod image;
mod packages;
mod planner;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use crate::digest::Digest;
use crate::recipe::image::OutputKind;
use crate::store::Key;
use crate::tree::Tree;

pub use component::{ComponentAction, ConfigBase, KconfigAction, PatchContent, PatchText, Source};
pub use image::{
    AssembleAction, DiskAction, GrubMenuAction, InitrdAction, IsoAction, LayerFrom, SquashfsAction, TemplateAction,
};
pub use packages::{KernelPackageAction, Package, PackagesAction, ToolchainAction};
pub use planner::{PlanError, Wanted, plan};

/// A step of a plan, by its place in [`Plan::steps`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(pub usize);

/// One output of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ref {
    /// The step.
    pub step: StepId,
    /// The output's name.
    pub output: String,
}

impl Ref {
    /// The output `output` of `step`.
    pub fn new(step: StepId, output: &str) -> Self {
        Self { step, output: output.to_owned() }
    }
}

/// One action of the plan.
#[derive(Clone, Debug)]
pub struct Step {
    /// For people: `component busybox`.
    pub label: String,
    /// Everything that the result depends on.
    pub key: Key,
    /// The key's digest, which names the result.
    pub digest: Digest,
    /// What is done.
    pub action: Action,
}

/// What a step does. Each kind's parameters are in the file of its planning, its work in that of its building.
#[derive(Clone, Debug)]
pub enum Action {
    /// Lays out a toolchain's root.
    Toolchain(ToolchainAction),
    /// Builds a component.
    Component(Box<ComponentAction>),
    /// Takes a kernel from a distribution's package.
    KernelPackage(KernelPackageAction),
    /// Unpacks packages into a tree.
    Packages(PackagesAction),
    /// Puts a root filesystem together.
    Assemble(Box<AssembleAction>),
    /// Packs a tree as squashfs.
    Squashfs(SquashfsAction),
    /// Writes the initrd.
    Initrd(InitrdAction),
    /// Writes GRUB's menu.
    GrubMenu(GrubMenuAction),
    /// Makes the ISO.
    Iso(IsoAction),
    /// Makes an ext4 image.
    Disk(DiskAction),
    /// Packs a tree as a template.
    Template(TemplateAction),
}

impl Action {
    /// The steps that have to be done before.
    pub fn inputs(&self) -> Vec<StepId> {
        match self {
            Self::Toolchain(_) | Self::KernelPackage(_) | Self::Packages(_) | Self::GrubMenu(_) => Vec::new(),
            Self::Component(action) => {
                let needs = action.needs.iter().map(|(_, step)| *step);
                std::iter::once(action.toolchain).chain(needs).collect()
            }
            Self::Assemble(action) => action.layers.iter().filter_map(LayerFrom::step).collect(),
            Self::Squashfs(action) => vec![action.toolchain, action.root],
            Self::Initrd(action) => vec![action.root],
            Self::Iso(action) => {
                vec![action.toolchain, action.kernel.step, action.initrd.step, action.menu.step]
            }
            Self::Disk(action) => {
                let template = action.template.as_ref().map(|(_, from)| from.step);
                [action.toolchain, action.root].into_iter().chain(template).collect()
            }
            Self::Template(action) => vec![action.root],
        }
    }

    /// Whether the step keeps all cores busy by itself.
    pub fn is_heavy(&self) -> bool {
        matches!(self, Self::Component(_) | Self::Toolchain(_))
    }
}

/// A file for `out/`.
#[derive(Clone, Debug)]
pub struct Product {
    /// Its name there.
    pub name: String,
    /// Which output of the recipe it belongs to; `None` for what `run` and `test` need.
    pub kind: Option<OutputKind>,
    /// Where it comes from.
    pub from: Ref,
    /// Whether the step may leave it out (a kernel without `System.map`).
    pub optional: bool,
}

/// Everything that has to be done for the outputs that were asked for. Inputs stand before what needs them.
#[derive(Debug, Default)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// The files to give.
    pub products: Vec<Product>,
    /// The livefs's tree, for the audit.
    pub rootfs: Option<Ref>,
    /// The root of QEMU and its firmware, if the plan has it.
    pub boot: Option<StepId>,
    /// Disks of boot tests, by the test's name and their place in it; blank ones are not made.
    pub disks: BTreeMap<(String, usize), Ref>,
    /// Contents that stay where the user has them: overlays.
    pub files: HashMap<Digest, PathBuf>,
}

impl Plan {
    /// A step.
    pub fn step(&self, id: StepId) -> &Step {
        &self.steps[id.0]
    }

    /// Adds a step, or finds the one with the same key.
    fn add(&mut self, label: String, key: Key, action: Action) -> StepId {
        let digest = key.digest();
        if let Some(known) = self.steps.iter().position(|step| step.digest == digest) {
            return StepId(known);
        }
        self.steps.push(Step { label, key, digest, action });
        StepId(self.steps.len() - 1)
    }

    /// The key's digest of a step, for the keys of others.
    fn digest(&self, id: StepId) -> Digest {
        self.step(id).digest
    }

    fn digest_of(&self, from: &Ref) -> String {
        format!("{} {}", self.digest(from.step), from.output)
    }
}

/// The digest of a tree's encoding.
fn tree_digest(tree: &Tree) -> Digest {
    let mut hasher = crate::digest::Hasher::new(std::io::sink());
    tree.encode(&mut hasher).expect("a sink takes everything");
    hasher.finish().0
}

#[cfg(test)]
mod tests;
