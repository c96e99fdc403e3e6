//! What a build would do. Nothing is locked, fetched, run or written for it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::build::{OutputOptions, plan_for};
use super::{Error, Options, Session};
use crate::build::{Forecast, StepState, needed_blobs, step_states};
use crate::digest::Digest;
use crate::lock::Lock;
use crate::output::OutputFolder;
use crate::plan::{Plan, PlanTargets};
use crate::recipe::Recipe;
use crate::step::StepId;
use crate::store::{Output, Store};

/// A plan, with the states of its steps in the store.
pub struct PlannedRecipe {
    /// The part of the lock that the recipe uses.
    pub lock: Lock,
    /// The plan.
    pub plan: Plan,
    /// What a build of its targets does about each step of its graph.
    pub states: Vec<StepState>,
}

/// Files that a build would fetch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpectedDownloads {
    /// Files of the lock, with their lengths in bytes, by name.
    pub files: Vec<(String, u64)>,
    /// Crates, whose lengths no lock states.
    pub crates: Vec<String>,
}

impl ExpectedDownloads {
    /// The bytes of all files whose lengths are known.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, size)| size).sum()
    }
}

/// What a build would do to a file of the output folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileChange {
    /// Its step runs: the file may become another.
    Built,
    /// The same, for a file that not every result of the step has (a kernel without `System.map`).
    Optional,
    /// It is written from a result that the store has.
    Written,
    /// It is there already.
    Unchanged,
    /// dbco wrote it, and it is not among the outputs any more.
    Removed,
}

impl FileChange {
    /// The change in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::Optional => "optional",
            Self::Written => "written",
            Self::Unchanged => "unchanged",
            Self::Removed => "removed",
        }
    }
}

/// What a build would do.
pub struct DryRun {
    /// The plan.
    pub planned: PlannedRecipe,
    /// The steps to run, and their times.
    pub forecast: Forecast,
    /// What is fetched for them.
    pub downloads: ExpectedDownloads,
    /// The output folder.
    pub folder: PathBuf,
    /// Its files by name.
    pub files: BTreeMap<String, FileChange>,
}

impl Session<'_> {
    /// Plans a recipe by the lock as it is. Nothing is written, and a store that is open for
    /// [reading](crate::store::Sharing::Reading) suffices.
    ///
    /// # Errors
    /// Among others, the lock does not match the recipe.
    pub fn plan_only(
        &self,
        recipe: &Recipe,
        store: &Store,
        options: &Options,
        wanted: &PlanTargets,
    ) -> Result<PlannedRecipe, Error> {
        let lock = self.lock(recipe, &Options { locked: true, ..options.clone() }, store)?;
        let plan = plan_for(recipe, &lock, wanted)?;
        let states = step_states(&plan.graph, &plan.targets(), store)?;
        Ok(PlannedRecipe { lock, plan, states })
    }

    /// What [`Session::outputs`] would do with the same arguments.
    ///
    /// # Errors
    /// Those that a build finds before its work starts.
    pub fn dry_run(&self, recipe: &Recipe, store: &Store, outputs: &OutputOptions) -> Result<DryRun, Error> {
        let mut target = OutputFolder::new(&outputs.folder, &recipe.image.name.value, outputs.overwrite, store)?;
        let wanted = PlanTargets { only: outputs.only.clone(), ..PlanTargets::default() };
        let planned = self.plan_only(recipe, store, &outputs.options, &wanted)?;
        let targets = planned.plan.targets();
        let forecast = Forecast::of(&planned.plan.graph, &targets, store)?;
        let downloads = downloads(recipe, &planned, &targets, store)?;
        let present = target.present(store)?;
        let mut files = BTreeMap::new();
        for product in &planned.plan.products {
            let step = planned.plan.graph.step(product.from.step);
            let change = match planned.states[product.from.step.0] {
                StepState::Runs if product.optional => Some(FileChange::Optional),
                StepState::Runs => Some(FileChange::Built),
                StepState::Cached | StepState::Unneeded => {
                    let result = store.result(&step.digest)?;
                    result.and_then(|result| result.outputs.get(product.from.name()).copied()).map(
                        |output| match output {
                            Output::Blob { digest, size } if present.get(&product.name) == Some(&(digest, size)) => {
                                FileChange::Unchanged
                            }
                            _ => FileChange::Written,
                        },
                    )
                }
            };
            if let Some(change) = change {
                files.insert(product.name.clone(), change);
            }
        }
        for name in present.keys().filter(|name| !planned.plan.products.iter().any(|product| product.name == **name)) {
            files.insert(name.clone(), FileChange::Removed);
        }
        let folder = outputs.folder.join(&*recipe.image.name.value);
        Ok(DryRun { planned, forecast, downloads, folder, files })
    }
}

/// What the steps to run need and the store lacks.
fn downloads(
    recipe: &Recipe,
    planned: &PlannedRecipe,
    targets: &[StepId],
    store: &Store,
) -> Result<ExpectedDownloads, Error> {
    let needed = needed_blobs(&planned.plan.graph, targets, store)?;
    let locked = planned.lock.entries().flat_map(|entry| &entry.files);
    let files: BTreeMap<Digest, (&str, u64)> =
        locked.map(|file| (file.sha256, (file.name.as_str(), file.size))).collect();
    let crates = recipe.cargo_locks().into_iter().flat_map(|lock| &lock.crates);
    let crates: BTreeMap<Digest, String> = crates.map(|one| (one.sha256, one.stem())).collect();
    let mut downloads = ExpectedDownloads::default();
    for blob in needed.iter().filter(|blob| !store.has_blob(blob)) {
        if let Some((name, size)) = files.get(blob) {
            downloads.files.push(((*name).to_owned(), *size));
        } else if let Some(name) = crates.get(blob) {
            downloads.crates.push(name.clone());
        }
    }
    downloads.files.sort();
    downloads.crates.sort();
    Ok(downloads)
}
