//! Runs a plan: what the store has is taken, the rest is made, independent steps side by side.

mod component;
mod crates;
mod image;
mod kconfig;
mod packages;
mod run;
mod toolbox;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::archive::ArchiveError;
use crate::image::{ImageError, LocalFiles};
use crate::kernel::Mismatch;
use crate::kernel::patch::PatchError;
use crate::plan::{Plan, Ref, Step, StepId};
use crate::process::ProcessError;
use crate::rootfs::{AssemblyError, FolderError};
use crate::sandbox::{Sandbox, SandboxError};
use crate::store::{Output, Store, StoreError};
use crate::tree::Tree;

pub use run::{Built, build};

/// Told what happens; called from several threads.
pub trait Observer: Sync {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

/// What happens in a build.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The plan was compared with the store.
    Planned {
        /// Steps whose results the store had and the build needs.
        cached: usize,
        /// Steps to run.
        to_run: usize,
    },
    /// A step begins.
    Started {
        /// The step.
        step: &'a Step,
        /// In which inputs it differs from the last step of that label, if there was one.
        changed: &'a [String],
    },
    /// A step's command printed a line.
    Line {
        /// The step.
        step: &'a Step,
        /// The line.
        line: &'a str,
    },
    /// Another process is making the same step; this one waits for it.
    Waiting {
        /// The step.
        step: &'a Step,
    },
    /// A step is done.
    Finished {
        /// The step.
        step: &'a Step,
        /// How long it took.
        seconds: f64,
    },
    /// A step failed; the error follows.
    Failed {
        /// The step.
        step: &'a Step,
    },
}

/// Shows nothing.
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: &Event<'_>) {}
}

/// A build that failed: which step, and its log.
#[derive(Debug, thiserror::Error)]
#[error("{label} failed")]
pub struct BuildError {
    /// The step.
    pub label: String,
    /// All that its commands printed, if any ran.
    pub log: Option<PathBuf>,
    /// Why.
    #[source]
    pub source: Box<StepError>,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// Settings that did not take effect.
    #[error("{} did not take effect:{}", count(.0.len(), "setting"), list(.0))]
    Config(Vec<Mismatch>),
    /// Patches that don't apply.
    #[error("the patch series does not apply:{}", list(.0))]
    Patch(Vec<PatchError>),
    /// A named output that the build did not make.
    #[error("the build made no `{path}`, which `files` names as `{name}`")]
    NoOutput {
        /// The output's name.
        name: String,
        /// Where it should be.
        path: String,
    },
    /// A script of a component failed.
    #[error("its {script} script failed")]
    Script {
        /// `build` or `install`.
        script: &'static str,
        /// How.
        #[source]
        source: SandboxError,
    },
    /// A kernel package that holds none.
    #[error("package {0} holds no kernel (boot/vmlinuz-*)")]
    NoKernel(String),
    /// A module that the kernel package does not have.
    #[error(transparent)]
    Module(#[from] crate::kernel::modules::ModuleError),
    /// A tool failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// An archive is broken or climbs out.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A toolchain's packages make no root.
    #[error(transparent)]
    Root(#[from] crate::sandbox::root::RootError),
    /// Layers that make no root filesystem.
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    /// An image could not be written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A folder could not be read or laid out.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A command of our own failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// ^C.
    #[error("interrupted")]
    Interrupted,
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(|item| format!("\n  {}", item.to_string())).collect()
}

/// What steps are run with.
pub struct Context<'a> {
    /// Where results go.
    pub store: &'a Store,
    /// How many processes a build may use.
    pub jobs: usize,
    /// Who is told.
    pub observer: &'a dyn Observer,
    /// The plan.
    pub plan: &'a Plan,
    /// Found when the first tool is needed: a build that only copies needs none.
    sandbox: OnceLock<Sandbox>,
    /// Results of this build, by step.
    results: BTreeMap<StepId, OnceLock<BTreeMap<String, Output>>>,
}

/// One step's work in hand.
struct Work<'a> {
    context: &'a Context<'a>,
    step: &'a Step,
    log: PathBuf,
}

/// What a step gives.
type Outputs = BTreeMap<String, Output>;

impl<'a> Context<'a> {
    fn new(plan: &'a Plan, store: &'a Store, jobs: usize, observer: &'a dyn Observer) -> Self {
        let results = (0..plan.steps.len()).map(|index| (StepId(index), OnceLock::new())).collect();
        Self { store, jobs, observer, plan, sandbox: OnceLock::new(), results }
    }

    fn sandbox(&self) -> Result<&Sandbox, SandboxError> {
        if let Some(sandbox) = self.sandbox.get() {
            return Ok(sandbox);
        }
        let found = Sandbox::detect()?;
        Ok(self.sandbox.get_or_init(|| found))
    }

    fn output(&self, from: &Ref) -> Option<Output> {
        self.results[&from.step].get()?.get(&from.output).copied()
    }

    fn tree(&self, from: &Ref) -> Result<Tree, StepError> {
        match self.output(from) {
            Some(Output::Tree { digest }) => Ok(self.store.tree(&digest)?),
            _ => Ok(Tree::new()),
        }
    }

    fn blob(&self, from: &Ref) -> Option<(crate::digest::Digest, u64)> {
        match self.output(from)? {
            Output::Blob { digest, size } => Some((digest, size)),
            _ => None,
        }
    }

    /// Every content that a tree may name: the store's, and what stays in the project.
    fn contents(&self) -> LocalFiles<Store> {
        LocalFiles::new(self.plan.files.clone(), self.store.clone())
    }

    fn root(&self, toolchain: StepId) -> PathBuf {
        self.store.root_path(&self.plan.step(toolchain).digest)
    }
}

impl Work<'_> {
    fn line(&self, line: &str) {
        self.context.observer.event(&Event::Line { step: self.step, line });
    }

    fn store(&self) -> &Store {
        self.context.store
    }

    fn blob(&self, path: &Path) -> Result<Output, StoreError> {
        let (digest, size) = self.store().add_file(path)?;
        Ok(Output::Blob { digest, size })
    }
}
