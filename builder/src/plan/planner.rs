//! Assembles the steps of a recipe.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::Plan;
use crate::archive::Budget;
use crate::lock::{Lock, LockEntry, LockedFile};
use crate::recipe::limits::Limits;
use crate::recipe::{OutputKind, Recipe};
use crate::rootfs::FolderError;
use crate::source::Request;
use crate::step::{AssembleStep, Blob, Id, InitrdStep, Ref};
use crate::tree::Tree;

/// What a plan has to produce.
#[derive(Clone, Debug, Default)]
pub struct PlanTargets {
    /// Outputs; empty for all outputs of the recipe.
    pub only: Vec<OutputKind>,
    /// Only the tree that the recipe is about (audit).
    pub rootfs: bool,
    /// QEMU's root.
    pub boot: bool,
    /// The disks of the boot tests.
    pub disks: bool,
    /// Every step's result, also where a later one exists already.
    pub every_step: bool,
    /// Every step's result, and what packages and crates state about themselves: for the documents of a release.
    pub release: bool,
}

impl PlanTargets {
    /// All that a release has to produce.
    pub fn for_release() -> Self {
        Self { release: true, ..Self::default() }
    }
}

/// Why planning failed.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A source is not in the lock.
    #[error("{0} is not in the lock: run `dbco lock`")]
    NotLocked(Box<Request>),
    /// A local file can't be read.
    #[error("can't read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A folder can't be read into a tree.
    #[error(transparent)]
    Folder(FolderError),
    /// An invalid fragment.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Fragment(Vec<crate::kernel::FragmentError>),
    /// An invalid pattern.
    #[error("{0}")]
    Pattern(String),
    /// A path that can't be in a tree.
    #[error(transparent)]
    Path(crate::tree::BadPath),
    /// GRUB can't represent the menu.
    #[error(transparent)]
    Menu(#[from] crate::image::ImageError),
}

impl PlanError {
    /// For `map_err`: a local file that can't be read.
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }
}

/// Plans the given targets of a recipe. Nothing is run or written; local files are read and hashed.
pub fn plan(recipe: &Recipe, lock: &Lock, wanted: &PlanTargets) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    plan.graph.budget = recipe.image.limits.over(Budget::default());
    let mut planner = Planner { recipe, lock, plan, kernel: None, root: None, initrd: None };
    planner.plan(wanted)?;
    Ok(planner.plan)
}

/// The outputs of the kernel's step, whether it builds the kernel or takes it from a package.
#[derive(Clone)]
pub(super) struct KernelFiles {
    pub image: Ref<Blob>,
    pub config: Ref<Blob>,
    pub system_map: Ref<Blob>,
    /// The modules and firmware that the image includes.
    pub modules: Option<Ref<Tree>>,
}

pub(super) struct Planner<'a> {
    pub recipe: &'a Recipe,
    pub lock: &'a Lock,
    pub plan: Plan,
    /// What several outputs need, once it is planned.
    pub kernel: Option<KernelFiles>,
    pub root: Option<Id<AssembleStep>>,
    pub initrd: Option<Id<InitrdStep>>,
}

impl Planner<'_> {
    pub fn entry(&self, request: &Request) -> Result<&LockEntry, PlanError> {
        self.lock.find(request).ok_or_else(|| PlanError::NotLocked(Box::new(request.clone())))
    }

    /// The only file of a request for a single file.
    pub fn locked_file(&self, request: &Request) -> Result<&LockedFile, PlanError> {
        let first = self.entry(request)?.files.first();
        first.ok_or_else(|| PlanError::NotLocked(Box::new(request.clone())))
    }

    pub fn epoch(&self) -> u64 {
        self.recipe.image.epoch.try_into().unwrap_or_default()
    }

    /// Records the limits for a step's archives.
    pub fn limited<A>(&mut self, step: Id<A>, limits: &Limits) {
        let graph = &mut self.plan.graph;
        let budget = limits.over(graph.budget);
        if budget != graph.budget {
            graph.budgets.insert(graph.step(step.step()).digest, budget);
        }
    }

    fn plan(&mut self, wanted: &PlanTargets) -> Result<(), PlanError> {
        let image = &self.recipe.image;
        if wanted.rootfs {
            let root = self.tree("rootfs", image.subject())?;
            self.plan.rootfs = Some(root.output(AssembleStep::TREE));
            return Ok(());
        }
        if wanted.boot {
            self.plan.boot = Some(self.toolchain(&self.recipe.boot)?);
        }
        // In the order of the kinds: the kernel, which takes longest, is started first.
        let mut kinds: BTreeSet<OutputKind> = match wanted.only.is_empty() {
            true => image.outputs.iter().map(|output| output.value).collect(),
            false => wanted.only.iter().copied().collect(),
        };
        if wanted.boot || wanted.disks {
            // What a machine boots from, whether or not it is an output of the recipe.
            kinds.extend([OutputKind::BzImage, OutputKind::Initrd]);
        }
        kinds.into_iter().try_for_each(|kind| self.output(kind))?;
        if wanted.disks {
            self.disks()?;
        }
        if wanted.release {
            self.facts();
        }
        self.plan.every_step = wanted.every_step || wanted.release;
        Ok(())
    }
}
