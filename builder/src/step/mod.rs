//! Steps: a file for each kind, with what it takes, what its key covers, what it starts from and how it runs.
//!
//! A step's key holds everything that its result depends on; inputs that are steps themselves enter by their own keys.
//! So all keys are known before anything runs, and a build whose results are all there runs nothing. What is not in any
//! key: the number of cores, host name, user, paths, locale, the clock, and the names of steps.
//!
//! A new kind is a file with a type that implements [`Action`], its outputs as constants of the type [`Name`].

mod archive;
mod assemble;
mod component;
mod disk;
mod erofs;
mod error;
mod grub_images;
mod grub_menu;
mod initrd;
mod iso;
mod kernel_package;
mod output;
mod package;
mod packages;
mod squashfs;
mod toolchain;
mod tools;
mod work;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::path::PathBuf;

use crate::archive::Budget;
use crate::digest::{Digest, Hasher};
use crate::platform::Platform;
use crate::store::{Key, Output};
use crate::tree::Tree;

pub use crate::store::Blob;
pub use archive::ArchiveStep;
pub use assemble::{AssembleStep, Firmware, LayerFrom};
pub use component::{ComponentStep, ConfigBase, Configuration, Patch, PatchContent, Source};
pub use disk::DiskStep;
pub use erofs::ErofsStep;
pub use error::StepError;
pub use grub_images::GrubImagesStep;
pub use grub_menu::GrubMenuStep;
pub use initrd::InitrdStep;
pub use iso::IsoStep;
pub use kernel_package::KernelPackageStep;
pub use output::{Id, Name, Ref, StepId, Value};
pub use package::Package;
pub use packages::{Diversion, PackagesStep};
pub use squashfs::SquashfsStep;
pub use toolchain::ToolchainStep;
pub use work::{Context, Listener, Work};

/// The row of a key for the architecture that a result is for. The build platform's has none: its keys are older than the row.
fn with_platform(key: Key, platform: Platform) -> Key {
    if platform == Platform::BUILD { key } else { key.row("platform", platform.names().arch) }
}

/// What a step gives, by name, as the store keeps it.
pub type Outputs = BTreeMap<String, Output>;

/// What a step does.
pub trait Action: Debug + Send + Sync {
    /// For people: `component busybox`.
    fn label(&self) -> String;

    /// Everything that the result depends on; `graph` has the steps that are its inputs.
    fn key(&self, graph: &Graph) -> Key;

    /// The steps that have to be done before.
    fn inputs(&self) -> Vec<StepId>;

    /// Contents from outside that it starts from.
    fn blobs(&self) -> Vec<Digest> {
        Vec::new()
    }

    /// Whether it keeps all cores busy by itself.
    fn is_heavy(&self) -> bool {
        false
    }

    /// Whether it runs foreign tools, and so needs a sandbox.
    fn runs_tools(&self) -> bool {
        false
    }

    /// Does it.
    fn run(&self, work: &Work<'_>) -> Result<Outputs, StepError>;
}

/// One action with its key.
#[derive(Debug)]
pub struct Step {
    /// For people: `component busybox`.
    pub label: String,
    /// Everything that the result depends on.
    pub key: Key,
    /// The key's digest, which names the result.
    pub digest: Digest,
    /// What is done.
    pub action: Box<dyn Action>,
}

/// Steps, and what is the same for all of them.
#[derive(Debug, Default)]
pub struct Graph {
    /// The steps. Inputs stand before what needs them.
    pub steps: Vec<Step>,
    /// Contents that stay where the user has them: overlays.
    pub files: HashMap<Digest, PathBuf>,
    /// What an archive may come to, where the recipe states nothing else. In no key: it decides only whether there is a
    /// result.
    pub budget: Budget,
    /// What the archives of a step may come to, by the step's digest, where a component or a toolchain states it.
    pub budgets: HashMap<Digest, Budget>,
}

impl Graph {
    /// Adds a step, or finds the one with the same key.
    pub fn add<A: Action + 'static>(&mut self, action: A) -> Id<A> {
        let key = action.key(self);
        let digest = key.digest();
        if let Some(known) = self.steps.iter().position(|step| step.digest == digest) {
            return Id::new(StepId(known));
        }
        self.steps.push(Step { label: action.label(), key, digest, action: Box::new(action) });
        Id::new(StepId(self.steps.len() - 1))
    }

    /// A step.
    pub fn step(&self, id: StepId) -> &Step {
        &self.steps[id.0]
    }

    /// What the archives of a step may come to.
    pub fn budget(&self, step: &Step) -> &Budget {
        self.budgets.get(&step.digest).unwrap_or(&self.budget)
    }

    /// The digest of a step's key, for the keys of others.
    fn digest<A>(&self, id: Id<A>) -> Digest {
        self.step(id.step()).digest
    }

    /// An output of a step, for the keys of others.
    fn digest_of<T>(&self, from: &Ref<T>) -> String {
        format!("{} {}", self.step(from.step).digest, from.name())
    }
}

/// The digest of a tree's encoding.
fn tree_digest(tree: &Tree) -> Digest {
    let mut hasher = Hasher::new(std::io::sink());
    tree.encode(&mut hasher).expect("a sink takes everything");
    hasher.finish().0
}

#[cfg(test)]
mod tests;
