//! Releases: the documents beside the outputs, and that they are those of a commit.

use std::collections::BTreeMap;
use std::path::Path;

use super::build::{BuiltRecipe, Options, ReleaseOptions};
use super::locks::Locks;
use super::{Error, Session};
use crate::lock::Lock;
use crate::plan::{Plan, PlanTargets, plan};
use crate::recipe::Recipe;
use crate::release::{ProjectCommit, ReleaseError, ReleaseInput, check_out, documents};
use crate::step::Blob;
use crate::store::Store;

impl Session<'_> {
    /// The commit that a recipe is part of, if a build of the work tree is one of the commit: nothing differs from the
    /// commit, and each step that the commit gives has the same key as in the work tree.
    pub(super) fn commit_of(
        &self,
        recipe: &Recipe,
        release: &ReleaseOptions,
        options: &Options,
        store: &Store,
    ) -> Result<ProjectCommit, Error> {
        let lock = self.lock(recipe, options, store)?;
        let project = ProjectCommit::of(&recipe.project, release.source_url.as_deref()).map_err(ReleaseError::from)?;
        let locks = Locks::open(recipe, options.lock.as_deref())?;
        let (lock_path, _) = locks.current()?;
        let lock_name = project.relative(lock_path);
        let recipe_name = project.relative(&recipe.path);
        for path in [&recipe_name, &lock_name] {
            if !project.has(path) {
                return Err(not_in_commit(&project, path));
            }
        }
        let here = plan(recipe, &lock, &PlanTargets::for_release())?;
        let work = store.work_dir()?;
        let folder = work.path().join("commit");
        std::fs::create_dir(&folder).map_err(|error| ReleaseError::read(&folder, error))?;
        check_out(&project.top.display().to_string(), &project.commit, &folder).map_err(ReleaseError::from)?;
        let there = self.load(&folder.join(&recipe_name), &recipe.settings)?;
        let lock = Lock::load(&folder.join(&lock_name))?;
        let wanted = there.requests();
        if !lock.fits(&wanted) {
            return Err(not_in_commit(&project, &lock_name));
        }
        let there = plan(&there, &lock.only(&wanted), &PlanTargets::for_release())?;
        same_steps(&project, &here, &there)?;
        Ok(project)
    }

    /// Makes and stores the documents of a release that was built.
    pub(super) fn documents(
        &self,
        done: &BuiltRecipe,
        project: &ProjectCommit,
        options: &Options,
    ) -> Result<BTreeMap<String, Blob>, Error> {
        let BuiltRecipe { recipe, store, plan, built } = done;
        let locks = Locks::open(recipe, options.lock.as_deref())?;
        let (lock_path, lock) = locks.current()?;
        let lock = lock.only(&recipe.requests());
        Ok(documents(&ReleaseInput { recipe, lock: &lock, lock_path, plan, built, store, project })?)
    }
}

fn not_in_commit(project: &ProjectCommit, path: &str) -> Error {
    ReleaseError::NotInCommit { path: path.to_owned(), commit: project.commit.clone() }.into()
}

/// Compares the plan of the work tree with that of the commit, in the order of the steps: inputs come first.
fn same_steps(project: &ProjectCommit, here: &Plan, there: &Plan) -> Result<(), Error> {
    let [own, other] = [here, there].map(|plan| plan.target_steps().map(|(_, step)| step).collect::<Vec<_>>());
    let different = own.iter().zip(&other).find(|(own, other)| own.digest != other.digest);
    if different.is_none() && own.len() == other.len() {
        return Ok(());
    }
    let (step, rows) = match different {
        Some((own, other)) => (own.label.clone(), own.key.differences(&other.key)),
        None => ("the number of steps".to_owned(), vec![format!("{} and {}", own.len(), other.len())]),
    };
    Err(ReleaseError::CommitDiffers { commit: project.commit.clone(), step, rows }.into())
}

/// Whether a path of a statement stays inside a work tree.
pub(super) fn is_inside(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)))
}
