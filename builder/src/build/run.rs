//! The order of things: what is needed, what may run now, and who waits for whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex};
use std::time::Instant;

use super::{BuildError, Context, Event, Observer, Outputs, StepError, Work};
use crate::plan::{Action, Plan, Ref, StepId};
use crate::store::{Output, StepResult, Store};

/// The results of a build.
#[derive(Debug)]
pub struct Built {
    outputs: BTreeMap<StepId, Outputs>,
    /// Steps that ran, with their seconds.
    pub ran: Vec<(String, f64)>,
}

impl Built {
    /// One output, if its step gave it.
    pub fn output(&self, from: &Ref) -> Option<Output> {
        self.outputs.get(&from.step)?.get(&from.output).copied()
    }
}

/// How many steps that can keep all cores busy run side by side. Two: while one configures, on one core, the other compiles.
const HEAVY: usize = 2;

/// Makes everything that a plan's targets need.
pub fn build(
    plan: &Plan,
    targets: &[StepId],
    store: &Store,
    jobs: usize,
    observer: &dyn Observer,
) -> Result<Built, BuildError> {
    let context = Context::new(plan, store, jobs, observer);
    let missing = missing(&context, targets)?;
    let cached = context.results.values().filter(|result| result.get().is_some()).count();
    observer.event(&Event::Planned { cached, to_run: missing.len() });
    let queue = Queue::new(plan, &missing);
    let workers = missing.len().min(jobs.max(2));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| work(&context, &queue));
        }
    });
    let state = queue.state.into_inner().unwrap_or_else(|e| e.into_inner());
    if let Some(error) = state.failed {
        return Err(error);
    }
    let outputs = context.results.into_iter().filter_map(|(id, result)| Some((id, result.into_inner()?))).collect();
    Ok(Built { outputs, ran: state.ran })
}

/// The steps that have to run. Inputs of what the store has are not looked at.
fn missing(context: &Context<'_>, targets: &[StepId]) -> Result<BTreeSet<StepId>, BuildError> {
    let mut missing = BTreeSet::new();
    let mut queue = targets.to_vec();
    let mut seen = BTreeSet::new();
    while let Some(id) = queue.pop() {
        if !seen.insert(id) {
            continue;
        }
        let step = context.plan.step(id);
        let fail = |source: crate::store::StoreError| BuildError {
            label: step.label.clone(),
            log: None,
            source: Box::new(source.into()),
        };
        match context.store.result(&step.digest).map_err(fail)? {
            Some(result) => {
                let _ = context.results[&id].set(result.outputs);
            }
            None => {
                missing.insert(id);
                queue.extend(step.action.inputs());
            }
        }
    }
    Ok(missing)
}

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Steps not begun yet, with the inputs that they wait for.
    waiting: BTreeMap<StepId, BTreeSet<StepId>>,
    heavy: usize,
    ran: Vec<(String, f64)>,
    failed: Option<BuildError>,
}

impl Queue {
    fn new(plan: &Plan, missing: &BTreeSet<StepId>) -> Self {
        let inputs =
            |id: &StepId| plan.step(*id).action.inputs().into_iter().filter(|id| missing.contains(id)).collect();
        let waiting = missing.iter().map(|id| (*id, inputs(id))).collect();
        let state = State { waiting, heavy: 0, ran: Vec::new(), failed: None };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The next step that may run; waits for one. `None` when nothing is left to begin.
    fn next(&self, plan: &Plan) -> Option<StepId> {
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        loop {
            if state.failed.is_some() || state.waiting.is_empty() {
                return None;
            }
            let heavy = state.heavy;
            let free = |id: StepId| heavy < HEAVY || !plan.step(id).action.is_heavy();
            let ready = state.waiting.iter().find(|(id, inputs)| inputs.is_empty() && free(**id)).map(|(id, _)| *id);
            if let Some(id) = ready {
                state.waiting.remove(&id);
                state.heavy += usize::from(plan.step(id).action.is_heavy());
                return Some(id);
            }
            state = self.changed.wait(state).unwrap_or_else(|e| e.into_inner());
        }
    }

    fn done(&self, plan: &Plan, id: StepId, outcome: Result<f64, BuildError>) {
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        state.heavy -= usize::from(plan.step(id).action.is_heavy());
        match outcome {
            Ok(seconds) => {
                state.ran.push((plan.step(id).label.clone(), seconds));
                state.waiting.values_mut().for_each(|inputs| {
                    inputs.remove(&id);
                });
            }
            Err(error) => {
                state.failed.get_or_insert(error);
            }
        }
        self.changed.notify_all();
    }
}

fn work(context: &Context<'_>, queue: &Queue) {
    while let Some(id) = queue.next(context.plan) {
        let step = context.plan.step(id);
        let outcome = run(context, id).map_err(|source| {
            context.observer.event(&Event::Failed { step });
            let log = context.store.log_path(&step.digest);
            BuildError { label: step.label.clone(), log: log.exists().then_some(log), source: Box::new(source) }
        });
        queue.done(context.plan, id, outcome);
    }
}

/// Runs one step, unless another process has made it while we waited for its lock.
fn run(context: &Context<'_>, id: StepId) -> Result<f64, StepError> {
    let step = context.plan.step(id);
    let name = step.digest.to_string();
    let lock = match context.store.try_lock(&name)? {
        Some(lock) => lock,
        None => {
            context.observer.event(&Event::Waiting { step });
            context.store.lock(&name)?
        }
    };
    if let Some(result) = context.store.result(&step.digest)? {
        let _ = context.results[&id].set(result.outputs);
        return Ok(0.0);
    }
    let changed = context.store.differences(&step.label, &step.key)?;
    context.observer.event(&Event::Started { step, changed: &changed });
    let log = context.store.log_path(&step.digest);
    let _ = std::fs::remove_file(&log);
    let work = Work { context, step, log };
    let begin = Instant::now();
    let outputs = perform(&work)?;
    let seconds = begin.elapsed().as_secs_f64();
    let result = StepResult { label: step.label.clone(), key: step.key.clone(), outputs, seconds };
    context.store.record(&result)?;
    drop(lock);
    let _ = context.results[&id].set(result.outputs);
    context.observer.event(&Event::Finished { step, seconds });
    Ok(seconds)
}

fn perform(work: &Work<'_>) -> Result<Outputs, StepError> {
    match &work.step.action {
        Action::Toolchain(action) => work.toolchain(action),
        Action::Component(action) => work.component(action),
        Action::KernelPackage(action) => work.kernel_package(action),
        Action::Packages(action) => work.packages(action),
        Action::Assemble(action) => work.assemble(action),
        Action::Squashfs(action) => work.squashfs(action),
        Action::Initrd(action) => work.initrd(action),
        Action::GrubMenu(action) => work.grub_menu(action),
        Action::Iso(action) => work.iso(action),
        Action::Disk(action) => work.disk(action),
        Action::Template(action) => work.template(action),
    }
}
