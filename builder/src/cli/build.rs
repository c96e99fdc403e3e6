//! `dbco build`.

use std::io;
use std::num::NonZero;
use std::path::Path;
use std::time::Instant;

use anyhow::anyhow;
use nix::unistd::AccessFlags;

use super::failed::stated;
use super::interrupt::Outputs;
use super::session::Session;
use super::{BuildArgs, Outcome, usage};
use crate::build::{Built, build, repair, steps_to_run};
use crate::lock::Lock;
use crate::output::{OutputError, Target};
use crate::plan::{Plan, Wanted, plan};
use crate::recipe::{OutputKind, Recipe};
use crate::sandbox::Sandbox;
use crate::step::StepId;
use crate::store::{Store, StoreError};

/// A build that is done.
pub struct Done {
    pub recipe: Recipe,
    pub store: Store,
    pub plan: Plan,
    pub built: Built,
}

pub fn run(session: &Session<'_>, args: &BuildArgs, only: &[OutputKind], overwrite: bool) -> Outcome {
    let begin = Instant::now();
    session.interrupt.outputs(Outputs::Before);
    let wanted = Wanted { only: only.to_vec(), ..Wanted::default() };
    let (recipe, store) = (session.recipe(&args.recipe)?, session.store()?);
    // Said before the work: what is in the way of the outputs.
    writable(&args.output)?;
    if !args.output.join(&*recipe.image.name.value).exists() {
        session.face.is_new();
    }
    let mut target = Target::new(&args.output, &recipe.image.name.value, overwrite, &store)?;
    let mut made = make(session, args, &wanted, recipe, store)?;
    let mut round = 0;
    let report = loop {
        session.interrupt.outputs(Outputs::Writing);
        match target.write(&made.plan, &made.built, &made.store) {
            Err(OutputError::Store(StoreError::Damaged(_))) if round < ROUNDS => round += 1,
            other => break other?,
        }
        session.interrupt.outputs(Outputs::Before);
        session.say_damages(&made.store);
        made = make(session, args, &wanted, made.recipe, made.store)?;
    };
    session.interrupt.outputs(Outputs::Complete);
    session.face.outputs(&report, made.built.ran.len(), begin.elapsed().as_secs_f64());
    Ok(())
}

/// How often damage in the store may be mended in one build. More means that the disk changes what is written.
const ROUNDS: usize = 3;

/// Loads, locks, plans, fetches and builds what is wanted, for use straight from the store.
pub fn prepare(session: &Session<'_>, args: &BuildArgs, wanted: &Wanted) -> Result<Done, super::Failure> {
    make_verified(session, args, wanted, session.recipe(&args.recipe)?, session.store()?)
}

/// As [`prepare`], from a recipe that is loaded.
pub fn make_verified(
    session: &Session<'_>,
    args: &BuildArgs,
    wanted: &Wanted,
    recipe: Recipe,
    store: Store,
) -> Result<Done, super::Failure> {
    let mut done = make(session, args, wanted, recipe, store)?;
    for _ in 0..ROUNDS {
        match verify(&done) {
            Err(StoreError::Damaged(_)) => {
                session.say_damages(&done.store);
                done = make(session, args, wanted, done.recipe, done.store)?;
            }
            other => return Ok(other.map(|()| done)?),
        }
    }
    Ok(verify(&done).map(|()| done)?)
}

/// Holds what a machine is started with against its names: files and QEMU's root.
fn verify(done: &Done) -> Result<(), StoreError> {
    let Done { store, plan, built, .. } = done;
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

/// Locks, plans, fetches and builds what is wanted. Where the store turns out to be damaged, what is damaged is put aside
/// and made or fetched again.
fn make(
    session: &Session<'_>,
    args: &BuildArgs,
    wanted: &Wanted,
    recipe: Recipe,
    store: Store,
) -> Result<Done, super::Failure> {
    let lock = session.lock(&recipe, args, &store)?;
    let mut round = 0;
    loop {
        let known = store.damages().len();
        let plan = plan_for(&recipe, &lock, wanted, &store)?;
        let targets = plan.targets();
        if round == 0 {
            plan.warnings.iter().for_each(|warning| session.face.note(&format!("warning: {warning}")));
        }
        can_run_tools(&plan, &targets, &store)?;
        let fetched = session.fetch_for(&recipe, &plan, &targets, &lock, &store, args.offline);
        session.say_damages(&store);
        fetched?;
        let built = build(&plan.graph, &targets, &store, jobs(args), session.face);
        if built.is_err() && round < ROUNDS && !session.interrupt.cancel.is_cancelled() {
            repair(&plan.graph, &store)?;
        }
        session.say_damages(&store);
        match built {
            Ok(built) => return Ok(Done { recipe, store, plan, built }),
            Err(_) if round < ROUNDS && store.damages().len() > known => round += 1,
            Err(error) => return Err(stated(&recipe, error).into()),
        }
    }
}

fn plan_for(recipe: &Recipe, lock: &Lock, wanted: &Wanted, store: &Store) -> Result<Plan, super::Failure> {
    for kind in &wanted.only {
        if !recipe.image.gives(*kind) {
            return Err(usage(anyhow!("--only {}: the recipe's `outputs` do not hold it", kind.word())));
        }
    }
    plan(recipe, lock, wanted, store).map_err(usage)
}

/// Whether a folder can be written to, or made where it is not there yet.
pub fn writable(folder: &Path) -> Outcome {
    let absolute = std::path::absolute(folder)?;
    let there = absolute.ancestors().find(|path| path.symlink_metadata().is_ok()).unwrap_or(Path::new("/"));
    let writable = if there.is_dir() {
        nix::unistd::access(there, AccessFlags::W_OK | AccessFlags::X_OK)
    } else {
        Err(nix::errno::Errno::ENOTDIR)
    };
    let failed = |errno: nix::errno::Errno| {
        anyhow!(io::Error::from(errno)).context(format!("can't write to {}", there.display()))
    };
    writable.map_err(|errno| usage(failed(errno).context(format!("--output {} can't be used", folder.display()))))
}

/// Whether this host can run the tools of the steps to run; said before anything is fetched for them.
fn can_run_tools(plan: &Plan, targets: &[StepId], store: &Store) -> Outcome {
    if !steps_to_run(&plan.graph, targets, store)?.iter().any(|step| step.action.runs_tools()) {
        return Ok(());
    }
    // The sandbox's processes are this program started anew.
    if !Path::new("/proc/self/exe").exists() {
        return Err(
            anyhow!("/proc is not mounted here, and tools can't be run without it: mount -t proc proc /proc").into()
        );
    }
    let own = std::fs::read_link("/proc/self").ok();
    if own.is_some_and(|own| own != Path::new(&std::process::id().to_string())) {
        return Err(anyhow!(
            "/proc is that of another PID namespace, and tools can't be run with it: mount this one's, `mount -t proc proc \
             /proc` (`unshare --mount-proc`)"
        )
        .into());
    }
    Sandbox::detect()?;
    Ok(())
}

/// How many processes may run side by side.
pub fn jobs(args: &BuildArgs) -> usize {
    args.jobs.map_or_else(crate::threads::processors, NonZero::get)
}
