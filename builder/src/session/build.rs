//! Building the targets of a recipe.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::budget;
use super::notice::Notice;
use super::stated::stated;
use super::{Error, OutputsState, Session};
use crate::build::{Built, build, needed_blobs, repair, steps_to_run};
use crate::digest::Digest;
use crate::lock::Lock;
use crate::output::{OutputError, OutputFolder, WriteReport};
use crate::plan::{Plan, PlanTargets, plan};
use crate::recipe::{OutputKind, Recipe};
use crate::release::ReleaseError;
use crate::sandbox::{self, Sandbox};
use crate::step::{Resources, StepId};
use crate::store::{Store, StoreError};

/// How often damage in the store may be repaired in one build. More means that the disk alters what is written.
const ROUNDS: usize = 3;

/// How a build uses the lock and the host.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The path of the lock; by default the project's.
    pub lock: Option<PathBuf>,
    /// Fail if the lock is not up to date, instead of updating it.
    pub locked: bool,
    /// Use no network; the lock has to be up to date.
    pub offline: bool,
    /// The number of parallel processes; 0 for one per processor.
    pub jobs: usize,
    /// How tools have to be isolated; `None` for the first mode that this host allows.
    pub sandbox: Option<sandbox::Mode>,
}

impl Options {
    /// What the steps may use.
    pub fn resources(&self) -> Resources {
        let jobs = if self.jobs == 0 { crate::threads::processors() } else { self.jobs };
        Resources { jobs, sandbox: self.sandbox }
    }
}

/// What makes a build a release.
#[derive(Clone, Debug, Default)]
pub struct ReleaseOptions {
    /// The URL of the project's repository in the statement; by default that of the remote `origin`.
    pub source_url: Option<String>,
}

/// Which outputs to write, and where.
#[derive(Clone, Debug, Default)]
pub struct OutputOptions {
    /// The folder; a recipe's outputs are in a subfolder with its name.
    pub folder: PathBuf,
    /// The kinds; empty for all outputs of the recipe.
    pub only: Vec<OutputKind>,
    /// Replace outputs that were edited since they were written; the edited files are kept beside.
    pub overwrite: bool,
    /// Whether it is a release: the outputs of a commit, with documents beside them. Then the lock is never changed.
    pub release: Option<ReleaseOptions>,
    /// How they are built.
    pub options: Options,
}

/// The result of a build.
pub struct BuiltRecipe {
    /// The recipe.
    pub recipe: Recipe,
    /// The store that holds all results.
    pub store: Store,
    /// The steps.
    pub plan: Plan,
    /// The results of the steps.
    pub built: Built,
}

impl Session<'_> {
    /// Builds a recipe's outputs and moves them into place, all or none.
    pub fn outputs(
        &self,
        recipe: Recipe,
        store: Store,
        outputs: &OutputOptions,
    ) -> Result<(BuiltRecipe, WriteReport), Error> {
        self.reporter.outputs(OutputsState::Before);
        // Anything that prevents writing the outputs is found before the work starts.
        let mut target = OutputFolder::new(&outputs.folder, &recipe.image.name.value, outputs.overwrite, &store)?;
        let mut options = outputs.options.clone();
        options.locked |= outputs.release.is_some();
        let (wanted, commit) = match &outputs.release {
            Some(release) => (PlanTargets::for_release(), Some(self.commit_of(&recipe, release, &options, &store)?)),
            None => (PlanTargets { only: outputs.only.clone(), ..PlanTargets::default() }, None),
        };
        let mut done = self.build_once(recipe, store, &options, &wanted)?;
        budget::check(&done, &mut target)?;
        let mut round = 0;
        let report = loop {
            let documents = match &commit {
                Some(commit) => self.documents(&done, commit, &options),
                None => Ok(BTreeMap::new()),
            };
            self.reporter.outputs(OutputsState::Writing);
            let written = documents.and_then(|documents| {
                target.write(&done.plan, &done.built, &documents, &done.store).map_err(Error::from)
            });
            match written {
                Err(error) if round < ROUNDS && is_damage(&error) => round += 1,
                other => break other?,
            }
            self.reporter.outputs(OutputsState::Before);
            self.report_damages(&done.store);
            done = self.build_once(done.recipe, done.store, &options, &wanted)?;
        };
        self.reporter.outputs(OutputsState::Complete);
        Ok((done, report))
    }

    /// Builds the given targets for use straight from the store: the content that a machine boots from is checked
    /// against its digest.
    pub fn build(
        &self,
        recipe: Recipe,
        store: Store,
        options: &Options,
        wanted: &PlanTargets,
    ) -> Result<BuiltRecipe, Error> {
        let mut done = self.build_once(recipe, store, options, wanted)?;
        for _ in 0..ROUNDS {
            match done.verify() {
                Err(StoreError::Damaged(_)) => {
                    self.report_damages(&done.store);
                    done = self.build_once(done.recipe, done.store, options, wanted)?;
                }
                other => return Ok(other.map(|()| done)?),
            }
        }
        Ok(done.verify().map(|()| done)?)
    }

    /// Locks, plans, fetches and builds the given targets. If the store turns out to be damaged, the damaged objects
    /// are moved aside and built or fetched again.
    fn build_once(
        &self,
        recipe: Recipe,
        store: Store,
        options: &Options,
        wanted: &PlanTargets,
    ) -> Result<BuiltRecipe, Error> {
        let lock = self.lock(&recipe, options, &store)?;
        store.note_recipe(&recipe.path);
        let planned = || {
            let plan = plan_for(&recipe, &lock, wanted)?;
            let steps = plan.targets();
            Ok(BuildTargets { plan, steps, blobs: Vec::new() })
        };
        let (plan, built) = self.build_targets((&recipe, &lock), &planned, &store, options)?;
        Ok(BuiltRecipe { recipe, store, plan, built })
    }

    /// Fetches and builds what `planned` gives, which is called again after damaged objects were moved aside.
    pub(super) fn build_targets(
        &self,
        (recipe, lock): (&Recipe, &Lock),
        planned: &dyn Fn() -> Result<BuildTargets, Error>,
        store: &Store,
        options: &Options,
    ) -> Result<(Plan, Built), Error> {
        let mut round = 0;
        loop {
            let known = store.damages().len();
            let BuildTargets { plan, steps: targets, blobs } = planned()?;
            if round == 0 {
                plan.warnings.iter().for_each(|warning| self.reporter.notice(&Notice::Plan(warning)));
            }
            if steps_to_run(&plan.graph, &targets, store)?.iter().any(|step| step.action.runs_tools()) {
                can_run_tools(options.sandbox)?;
            }
            let mut needed = needed_blobs(&plan.graph, &targets, store)?;
            needed.extend(blobs);
            let fetched = self.fetch_blobs((recipe, lock), &needed, store, options.offline);
            self.report_damages(store);
            fetched?;
            let built = build(&plan.graph, &targets, store, options.resources(), self.reporter);
            if built.is_err() && round < ROUNDS && !self.cancel.is_cancelled() {
                repair(&plan.graph, store)?;
            }
            self.report_damages(store);
            match built {
                Ok(built) => return Ok((plan, built)),
                Err(_) if round < ROUNDS && store.damages().len() > known => round += 1,
                Err(error) => return Err(Error::Build { stated: stated(recipe, &error), error }),
            }
        }
    }
}

/// What has to be built of a plan.
pub(super) struct BuildTargets {
    pub plan: Plan,
    /// The steps.
    pub steps: Vec<StepId>,
    /// Contents from outside to fetch beside those that the steps to run need.
    pub blobs: Vec<Digest>,
}

impl BuiltRecipe {
    /// Checks what a machine boots from against its digests: files and QEMU's root.
    fn verify(&self) -> Result<(), StoreError> {
        let Self { store, plan, built, .. } = self;
        for from in plan.products.iter().map(|product| &product.from).chain(plan.disks.values()) {
            if let Some(blob) = built.blob(from) {
                store.verified_blob(&blob.digest)?;
            }
        }
        if let Some(boot) = plan.boot {
            store.verified_root(&plan.graph.step(boot.step()).digest)?;
        }
        Ok(())
    }
}

/// Whether an object of the store was damaged, which the build then makes again.
fn is_damage(error: &Error) -> bool {
    let store = match error {
        Error::Output(OutputError::Store(error)) | Error::Release(ReleaseError::Store(error)) => error,
        _ => return false,
    };
    matches!(store, StoreError::Damaged(_))
}

pub(super) fn plan_for(recipe: &Recipe, lock: &Lock, wanted: &PlanTargets) -> Result<Plan, Error> {
    if let Some(kind) = wanted.only.iter().find(|kind| !recipe.image.gives(**kind)) {
        let known = recipe.image.outputs.iter().map(|output| output.value.word()).collect();
        return Err(Error::NoOutput(*kind, known));
    }
    Ok(plan(recipe, lock, wanted)?)
}

/// Whether this host can run tools; checked before anything is fetched for them.
pub(super) fn can_run_tools(mode: Option<sandbox::Mode>) -> Result<(), Error> {
    // The sandbox's processes are new instances of this program.
    if !Path::new("/proc/self/exe").exists() {
        let text = "/proc is not mounted here, and tools can't be run without it: mount -t proc proc /proc";
        return Err(Error::Host(text.into()));
    }
    let own = std::fs::read_link("/proc/self").ok();
    if own.is_some_and(|own| own != Path::new(&std::process::id().to_string())) {
        let text = "/proc is that of another PID namespace, and tools can't be run with it: mount this one's, `mount -t \
                    proc proc /proc` (`unshare --mount-proc`)";
        return Err(Error::Host(text.into()));
    }
    Sandbox::detect(mode)?;
    Ok(())
}
