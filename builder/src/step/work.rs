//! The environment of a running step: the store, the outputs of its inputs, a log, and a listener.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use super::enter::Enter;
use super::output::{Ref, StepId, Value};
use super::{Blob, Graph, Outputs, Step, StepError};
use crate::archive::Budget;
use crate::beneath::{Dir, Links};
use crate::digest::Digest;
use crate::executor::keep_file;
use crate::image::LocalFiles;
use crate::path_error::FromPathError as _;
use crate::rootfs::Origins;
use crate::sandbox::{self, Sandbox, SandboxError};
use crate::store::{Store, StoreError, WorkDir};

/// Receives what steps print and find; called from several threads.
pub trait Listener: Sync {
    /// A step's command printed a line.
    fn line(&self, step: &Step, line: &str);

    /// A step found something that is no error, such as a pattern that matches nothing; the text may have several
    /// lines.
    fn warning(&self, step: &Step, text: &str);
}

/// What the steps of a build may use of this host.
#[derive(Clone, Copy, Debug)]
pub struct Resources {
    /// How many processes a step may run in parallel.
    pub jobs: usize,
    /// How tools have to be isolated; `None` for the first mode that this host allows.
    pub sandbox: Option<sandbox::Mode>,
}

/// The environment in which the steps of a build run.
pub struct Context<'a> {
    /// Where results are stored.
    pub store: &'a Store,
    /// What a step may use.
    pub resources: Resources,
    /// The steps.
    pub graph: &'a Graph,
    listener: &'a dyn Listener,
    /// Detected when the first tool is needed: a build that only copies needs no sandbox.
    sandbox: OnceLock<Sandbox>,
    /// What happens in place of the execution that makes a step's outputs, to debug it.
    pub enter: Option<Enter<'a>>,
    /// Results of this build, by step.
    results: BTreeMap<StepId, OnceLock<Outputs>>,
    /// Toolchain roots that have been checked, or laid out, in this build.
    pub(super) sound: Mutex<BTreeSet<Digest>>,
}

impl<'a> Context<'a> {
    /// No step is done yet.
    pub fn new(graph: &'a Graph, store: &'a Store, resources: Resources, listener: &'a dyn Listener) -> Self {
        let results = (0..graph.steps.len()).map(|index| (StepId(index), OnceLock::new())).collect();
        Self {
            store,
            resources,
            graph,
            listener,
            sandbox: OnceLock::new(),
            enter: None,
            results,
            sound: Mutex::default(),
        }
    }

    /// Records the outputs of a step, for the steps that need them.
    pub fn done(&self, id: StepId, outputs: Outputs) {
        let _ = self.results[&id].set(outputs);
    }

    /// The outputs of each step that is done.
    pub fn results(&self) -> impl Iterator<Item = (StepId, &Outputs)> {
        self.results.iter().filter_map(|(id, outputs)| Some((*id, outputs.get()?)))
    }

    fn sandbox(&self) -> Result<&Sandbox, SandboxError> {
        if let Some(sandbox) = self.sandbox.get() {
            return Ok(sandbox);
        }
        let found = Sandbox::detect(self.resources.sandbox)?;
        Ok(self.sandbox.get_or_init(|| found))
    }
}

/// The environment of one running step.
pub struct Work<'a> {
    /// The environment of all steps.
    pub context: &'a Context<'a>,
    /// The step.
    pub step: &'a Step,
    /// The log with all that its commands print.
    pub log: PathBuf,
}

impl<'a> Work<'a> {
    /// The environment of another step.
    pub(super) fn of(&self, step: StepId) -> Self {
        Self { context: self.context, step: self.context.graph.step(step), log: self.log.clone() }
    }

    /// See [`Action::origins`](super::Action::origins).
    pub(super) fn origins(&self) -> Result<Option<Origins>, StepError> {
        self.step.action.origins(self)
    }

    pub(super) fn line(&self, line: &str) {
        self.context.listener.line(self.step, line);
    }

    pub(super) fn warn(&self, text: &str) {
        self.context.listener.warning(self.step, text);
    }

    pub(super) fn store(&self) -> &'a Store {
        self.context.store
    }

    pub(super) fn sandbox(&self) -> Result<&'a Sandbox, SandboxError> {
        self.context.sandbox()
    }

    /// The limits for unpacking the archives of this step.
    pub(super) fn budget(&self) -> &Budget {
        self.context.graph.budget(self.step)
    }

    /// An output of a step that is done. A missing output is an error.
    pub(super) fn get<T: Value>(&self, from: &Ref<T>) -> Result<T, StepError> {
        let outputs = self.context.results[&from.step].get();
        let output = outputs.and_then(|outputs| outputs.get(from.name())).copied();
        let value = output.map(|output| T::from(output, self.store())).transpose()?.flatten();
        value.ok_or_else(|| StepError::Lacking {
            step: self.context.graph.step(from.step).label.clone(),
            output: from.name().to_owned(),
        })
    }

    /// Every content that a tree may refer to: the store's, and that of the project.
    pub(super) fn contents(&self) -> LocalFiles<Store> {
        LocalFiles::new(self.context.graph.files.clone(), self.store().clone())
    }

    /// A content of the project or the store.
    pub(super) fn read(&self, blob: &Digest) -> Result<File, StepError> {
        match self.context.graph.files.get(blob) {
            Some(path) => Ok(crate::input::open(path).map_err(StoreError::io("open", path))?),
            None => Ok(self.store().open_blob(blob)?),
        }
    }

    /// A work folder that tools and archives will fill.
    pub(super) fn dir(&self, work: &WorkDir) -> Result<Dir, StoreError> {
        Dir::open(work.path(), Links::Never).map_err(StoreError::io("open", work.path()))
    }

    /// Stores a file that a tool or an archive made.
    pub(super) fn keep(&self, dir: &Dir, path: &str) -> Result<Blob, StepError> {
        Ok(keep_file(self.store(), dir, path)?)
    }
}
