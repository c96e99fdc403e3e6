//! Steps: one file per kind, with its inputs, its key and its action.
//!
//! A step's key contains everything that its result depends on; inputs that are steps themselves are represented by
//! their own keys. So all keys are known before anything runs, and a build whose results all exist runs nothing. No key
//! contains the number of cores, host name, user, paths, locale, the clock, or the names of steps.
//!
//! A new kind is a file with a type that implements [`Action`], with its outputs as constants of the type [`OutputName`].

mod archive;
mod assemble;
mod component;
mod disk;
mod enter;
mod erofs;
mod error;
mod facts;
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
use crate::rootfs::Origins;
use crate::store::{Key, Output};
use crate::tree::Tree;

pub use crate::archive::PackageFile;
pub use crate::executor::CommandFailure;
pub use crate::store::Blob;
pub use archive::ArchiveStep;
pub use assemble::{AssembleStep, FirmwareSources, LayerFrom};
pub use component::{ComponentStep, ConfigBase, Configuration, Patch, PatchContent, Source};
pub use disk::DiskStep;
pub use enter::{DUMB, Enter, EnteredCommand, Entrance};
pub use erofs::ErofsStep;
pub use error::StepError;
pub use facts::{CopyrightFile, CrateFacts, Facts, FactsStep, PackageFacts};
pub use grub_images::GrubImagesStep;
pub use grub_menu::GrubMenuStep;
pub use initrd::InitrdStep;
pub use iso::IsoStep;
pub use kernel_package::KernelPackageStep;
pub use output::{Id, OutputName, Ref, StepId, Value};
pub use package::control;
pub use packages::{Diversion, PackagesStep};
pub use squashfs::SquashfsStep;
pub use toolchain::ToolchainStep;
pub use work::{Context, Listener, Resources, Work};

/// The row of a key for the architecture that a result is for. For the build platform it is omitted, because its keys
/// are older than the row.
fn with_platform(key: Key, platform: Platform) -> Key {
    if platform == Platform::BUILD { key } else { key.row("platform", platform.names().arch) }
}

/// The outputs of a step by name, as the store keeps them.
pub type Outputs = BTreeMap<String, Output>;

/// What a step takes from outside, for the bill of materials of an image.
#[derive(Clone, Copy, Debug)]
pub enum Materials<'a> {
    /// Nothing, or only what other steps made.
    None,
    /// Packages whose files are part of the image.
    Packages(&'a [PackageFile]),
    /// A distribution's kernel.
    Kernel(&'a KernelPackageStep),
    /// A toolchain: its packages are tools.
    Toolchain(&'a ToolchainStep),
    /// A component that is built from source.
    Component(&'a ComponentStep),
    /// Boot loaders that are copied from a toolchain's packages into the image.
    BootLoader(Id<ToolchainStep>),
}

/// What a step does.
pub trait Action: Debug + Send + Sync {
    /// For display: `component busybox`.
    fn label(&self) -> String;

    /// Everything that the result depends on; `graph` has the steps that are its inputs.
    fn key(&self, graph: &Graph) -> Key;

    /// The steps that have to be done before.
    fn inputs(&self) -> Vec<StepId>;

    /// External contents that it needs.
    fn blobs(&self) -> Vec<Digest> {
        Vec::new()
    }

    /// What it takes from outside.
    fn materials(&self) -> Materials<'_> {
        Materials::None
    }

    /// Whether it uses all cores by itself.
    fn is_heavy(&self) -> bool {
        false
    }

    /// Whether it runs third-party tools, and so needs a sandbox.
    fn runs_tools(&self) -> bool {
        false
    }

    /// Which parts brought the paths of the tree that it made, determined again from what that is made of, without a
    /// sandbox; `None` if its tree has no parts.
    fn origins(&self, _: &Work<'_>) -> Result<Option<Origins>, StepError> {
        Ok(None)
    }

    /// What a person calls the input in a row of the key, if the value does not tell: `overlay overlays/base`.
    fn input_name(&self, _row: &str) -> Option<String> {
        None
    }

    /// The step with the tree that it packs into a file.
    fn packs(&self) -> Option<Id<AssembleStep>> {
        None
    }

    /// Runs it.
    fn run(&self, work: &Work<'_>) -> Result<Outputs, StepError>;
}

/// One action with its key.
#[derive(Debug)]
pub struct Step {
    /// For display: `component busybox`.
    pub label: String,
    /// Everything that the result depends on.
    pub key: Key,
    /// The key's digest, which names the result.
    pub digest: Digest,
    /// Its action.
    pub action: Box<dyn Action>,
}

impl Step {
    /// Its label without the kind: `busybox`.
    pub fn name(&self) -> &str {
        let rest = self.label.strip_prefix(self.key.kind()).and_then(|rest| rest.strip_prefix(' '));
        rest.unwrap_or(&self.label)
    }
}

/// Steps, and settings that are the same for all of them.
#[derive(Debug, Default)]
pub struct Graph {
    /// The steps. Inputs precede the steps that need them.
    pub steps: Vec<Step>,
    /// Contents that stay in the user's project: overlays.
    pub files: HashMap<Digest, PathBuf>,
    /// The limits for unpacking archives, unless the recipe states others. Not part of any key: they only decide
    /// whether there is a result.
    pub budget: Budget,
    /// The limits for unpacking the archives of a step, by the step's digest, if a component or a toolchain states
    /// them.
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

    /// The limits for unpacking the archives of a step.
    pub fn budget(&self, step: &Step) -> &Budget {
        self.budgets.get(&step.digest).unwrap_or(&self.budget)
    }

    /// The digest of a step's key, for the keys of other steps.
    fn digest<A>(&self, id: Id<A>) -> Digest {
        self.step(id.step()).digest
    }

    /// An output of a step, for the keys of other steps.
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
