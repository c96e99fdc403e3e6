//! `dbco build`.

use std::num::NonZero;
use std::time::Instant;

use anyhow::anyhow;

use super::session::Session;
use super::{BuildArgs, Outcome, usage};
use crate::build::{Built, build};
use crate::lock::Lock;
use crate::output;
use crate::plan::{Plan, StepId, Wanted, plan};
use crate::recipe::Recipe;
use crate::recipe::image::OutputKind;
use crate::store::Store;

/// A build that is done.
pub struct Done {
    pub recipe: Recipe,
    pub store: Store,
    pub plan: Plan,
    pub built: Built,
}

pub fn run(session: &Session<'_>, args: &BuildArgs, only: &[OutputKind]) -> Outcome {
    let begin = Instant::now();
    let wanted = Wanted { only: only.to_vec(), ..Wanted::default() };
    let done = prepare(session, args, &wanted)?;
    let folder = args.output.join(&done.recipe.image.name.value);
    let report = output::write(&folder, &done.plan, &done.built, &done.store)?;
    session.face.outputs(&report, done.built.ran.len(), begin.elapsed().as_secs_f64());
    Ok(())
}

/// Loads, locks, plans, fetches and builds what is wanted.
pub fn prepare(session: &Session<'_>, args: &BuildArgs, wanted: &Wanted) -> Result<Done, super::Failure> {
    let recipe = session.recipe(&args.recipe)?;
    let store = session.store()?;
    let lock = session.lock(&recipe, args, &store)?;
    let plan = plan_for(&recipe, &lock, wanted, &store)?;
    let targets = targets(&plan);
    session.fetch_for(&recipe, &plan, &targets, &lock, &store, args.offline)?;
    let built = build(&plan, &targets, &store, jobs(args), session.face)?;
    Ok(Done { recipe, store, plan, built })
}

fn plan_for(recipe: &Recipe, lock: &Lock, wanted: &Wanted, store: &Store) -> Result<Plan, super::Failure> {
    for kind in &wanted.only {
        if !recipe.image.outputs.iter().any(|output| output.value == *kind) {
            let name =
                crate::recipe::image::OUTPUTS.iter().find(|(_, known)| known == kind).map_or("", |(name, _)| name);
            return Err(usage(anyhow!("--only {name}: the recipe's `outputs` do not hold it")));
        }
    }
    plan(recipe, lock, wanted, store).map_err(usage)
}

fn targets(plan: &Plan) -> Vec<StepId> {
    let products = plan.products.iter().map(|product| product.from.step);
    let disks = plan.disks.values().map(|disk| disk.step);
    products.chain(disks).chain(plan.rootfs.iter().map(|rootfs| rootfs.step)).chain(plan.boot).collect()
}

/// How many processes may run side by side.
pub fn jobs(args: &BuildArgs) -> usize {
    args.jobs.filter(|jobs| *jobs > 0).unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZero::get))
}
