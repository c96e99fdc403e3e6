//! Building the targets of a recipe.

use std::path::{Path, PathBuf};

use super::notice::Notice;
use super::stated::stated;
use super::{Error, OutputsState, Session};
use crate::build::{Built, build, repair, steps_to_run};
use crate::lock::Lock;
use crate::output::{OutputError, OutputFolder, WriteReport};
use crate::plan::{Plan, PlanTargets, plan};
use crate::recipe::{OutputKind, Recipe};
use crate::sandbox::Sandbox;
use crate::step::StepId;
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
}

impl Options {
    /// The number of parallel processes.
    pub fn jobs(&self) -> usize {
        if self.jobs == 0 { crate::threads::processors() } else { self.jobs }
    }
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
        let wanted = PlanTargets { only: outputs.only.clone(), ..PlanTargets::default() };
        let mut done = self.build_once(recipe, store, &outputs.options, &wanted)?;
        let mut round = 0;
        let report = loop {
            self.reporter.outputs(OutputsState::Writing);
            match target.write(&done.plan, &done.built, &done.store) {
                Err(OutputError::Store(StoreError::Damaged(_))) if round < ROUNDS => round += 1,
                other => break other?,
            }
            self.reporter.outputs(OutputsState::Before);
            self.report_damages(&done.store);
            done = self.build_once(done.recipe, done.store, &outputs.options, &wanted)?;
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
        let mut round = 0;
        loop {
            let known = store.damages().len();
            let plan = plan_for(&recipe, &lock, wanted, &store)?;
            let targets = plan.targets();
            if round == 0 {
                plan.warnings.iter().for_each(|warning| self.reporter.notice(&Notice::Plan(warning)));
            }
            can_run_tools(&plan, &targets, &store)?;
            let fetched = self.fetch_for((&recipe, &lock), &plan, &targets, &store, options.offline);
            self.report_damages(&store);
            fetched?;
            let built = build(&plan.graph, &targets, &store, options.jobs(), self.reporter);
            if built.is_err() && round < ROUNDS && !self.cancel.is_cancelled() {
                repair(&plan.graph, &store)?;
            }
            self.report_damages(&store);
            match built {
                Ok(built) => return Ok(BuiltRecipe { recipe, store, plan, built }),
                Err(_) if round < ROUNDS && store.damages().len() > known => round += 1,
                Err(error) => return Err(Error::Build { stated: stated(&recipe, &error), error }),
            }
        }
    }
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

fn plan_for(recipe: &Recipe, lock: &Lock, wanted: &PlanTargets, store: &Store) -> Result<Plan, Error> {
    if let Some(kind) = wanted.only.iter().find(|kind| !recipe.image.gives(**kind)) {
        return Err(Error::NoOutput(*kind));
    }
    Ok(plan(recipe, lock, wanted, store)?)
}

/// Whether this host can run the tools of the steps to run; checked before anything is fetched for them.
fn can_run_tools(plan: &Plan, targets: &[StepId], store: &Store) -> Result<(), Error> {
    if !steps_to_run(&plan.graph, targets, store)?.iter().any(|step| step.action.runs_tools()) {
        return Ok(());
    }
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
    Sandbox::detect()?;
    Ok(())
}
