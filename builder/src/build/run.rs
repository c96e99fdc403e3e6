//! Scheduling: which steps are needed, which may run now, and which wait for others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use super::needed::look;
use super::{BuildError, BuildEvent, Observer, SilentObserver};
use crate::digest::Digest;
use crate::interrupt;
use crate::rootfs::Origins;
use crate::step::{Blob, Context, Graph, Listener, Outputs, Ref, Resources, Step, StepError, StepId, Work};
use crate::store::{Output, StepResult, Store, StoreError};
use crate::threads;
use crate::tree::Tree;

/// The results of a build.
#[derive(Debug)]
pub struct Built {
    outputs: BTreeMap<StepId, Outputs>,
    /// Steps that ran, with their seconds.
    pub ran: Vec<(String, f64)>,
}

impl Built {
    /// A file, if its step produced it.
    pub fn blob(&self, from: &Ref<Blob>) -> Option<Blob> {
        match self.output(from)? {
            Output::Blob { digest, size } => Some(Blob { digest, size }),
            _ => None,
        }
    }

    /// The digest of a tree, if its step produced it.
    pub fn tree(&self, from: &Ref<Tree>) -> Option<Digest> {
        match self.output(from)? {
            Output::Tree { digest } => Some(digest),
            _ => None,
        }
    }

    /// The digest of the tree of a step that has no other outputs.
    pub fn only_tree(&self, step: StepId) -> Option<Digest> {
        match self.outputs.get(&step)?.values().collect::<Vec<_>>()[..] {
            [Output::Tree { digest }] => Some(*digest),
            _ => None,
        }
    }

    /// The outputs of a step, if the build needed them.
    pub fn outputs(&self, step: StepId) -> Option<&Outputs> {
        self.outputs.get(&step)
    }

    fn output<T>(&self, from: &Ref<T>) -> Option<Output> {
        self.outputs.get(&from.step)?.get(from.name()).copied()
    }
}

/// How many steps that can keep all cores busy run in parallel. Two: while one configures, on one core, the other
/// compiles.
const HEAVY: usize = 2;

/// How often to check whether another process has finished a step.
const TURN: Duration = Duration::from_millis(50);

/// Passes on the messages of steps as events.
struct StepObserver<'a>(&'a dyn Observer);

impl Listener for StepObserver<'_> {
    fn line(&self, step: &Step, line: &str) {
        self.0.event(&BuildEvent::Line { step, line });
    }

    fn warning(&self, step: &Step, text: &str) {
        self.0.event(&BuildEvent::Warning { step, text });
    }
}

/// The state of a running build.
struct BuildRun<'a> {
    context: Context<'a>,
    observer: &'a dyn Observer,
}

/// Runs everything that the targets need.
pub fn build(
    graph: &Graph,
    targets: &[StepId],
    store: &Store,
    resources: Resources,
    observer: &dyn Observer,
) -> Result<Built, BuildError> {
    let relay = StepObserver(observer);
    let run = BuildRun { context: Context::new(graph, store, resources, &relay), observer };
    let missing = run.missing(targets)?;
    let cached = run.context.results().count();
    observer.event(&BuildEvent::Planned { cached, to_run: missing.len() });
    let queue = Queue::new(graph, &missing);
    let workers = missing.len().min(resources.jobs.max(2));
    threads::side_by_side(workers, &|| run.work(&queue));
    let state = queue.state.into_inner().unwrap_or_else(|e| e.into_inner());
    if let Some(error) = state.failed {
        return Err(error);
    }
    if let Some(id) = state.waiting.keys().next() {
        return Err(interrupted(graph.step(*id)));
    }
    let outputs = run.context.results().map(|(id, outputs)| (id, outputs.clone())).collect();
    Ok(Built { outputs, ran: state.ran })
}

/// See [`Action::origins`](crate::step::Action::origins). The results of all steps that the step's tree is made from have
/// to be in `built`.
pub fn origins(graph: &Graph, built: &Built, store: &Store, id: StepId) -> Result<Option<Origins>, StepError> {
    let resources = Resources { jobs: threads::processors(), sandbox: None };
    let relay = StepObserver(&SilentObserver);
    let context = Context::new(graph, store, resources, &relay);
    built.outputs.iter().for_each(|(id, outputs)| context.done(*id, outputs.clone()));
    let step = graph.step(id);
    step.action.origins(&Work { context: &context, step, log: PathBuf::new() })
}

struct Queue {
    state: Mutex<RunState>,
    changed: Condvar,
}

struct RunState {
    /// Steps that have not started, with the inputs that they wait for.
    waiting: BTreeMap<StepId, BTreeSet<StepId>>,
    heavy: usize,
    ran: Vec<(String, f64)>,
    failed: Option<BuildError>,
}

impl Queue {
    fn new(graph: &Graph, missing: &BTreeSet<StepId>) -> Self {
        let inputs =
            |id: &StepId| graph.step(*id).action.inputs().into_iter().filter(|id| missing.contains(id)).collect();
        let waiting = missing.iter().map(|id| (*id, inputs(id))).collect();
        let state = RunState { waiting, heavy: 0, ran: Vec::new(), failed: None };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// The next step that may run; waits until there is one. `None` if nothing is left to start, or nothing may be
    /// started.
    fn next(&self, graph: &Graph) -> Option<StepId> {
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        loop {
            if state.failed.is_some() || state.waiting.is_empty() || interrupt::raised().is_some() {
                return None;
            }
            let heavy = state.heavy;
            let free = |id: StepId| heavy < HEAVY || !graph.step(id).action.is_heavy();
            let ready = state.waiting.iter().find(|(id, inputs)| inputs.is_empty() && free(**id)).map(|(id, _)| *id);
            if let Some(id) = ready {
                state.waiting.remove(&id);
                state.heavy += usize::from(graph.step(id).action.is_heavy());
                return Some(id);
            }
            state = self.changed.wait(state).unwrap_or_else(|e| e.into_inner());
        }
    }

    fn done(&self, graph: &Graph, id: StepId, outcome: Result<f64, BuildError>) {
        let mut state = self.state.lock().unwrap_or_else(|e| e.into_inner());
        state.heavy -= usize::from(graph.step(id).action.is_heavy());
        match outcome {
            Ok(seconds) => {
                state.ran.push((graph.step(id).label.clone(), seconds));
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

impl BuildRun<'_> {
    /// The steps that have to run; the results of the others are recorded.
    fn missing(&self, targets: &[StepId]) -> Result<BTreeSet<StepId>, BuildError> {
        let Context { store, graph, .. } = &self.context;
        let mut missing = BTreeSet::new();
        let looked = look(graph, targets, store, |id, result| match result {
            Some(result) => {
                store.note_use(&graph.step(id).digest);
                self.context.done(id, result.outputs);
            }
            None => {
                missing.insert(id);
            }
        });
        let failed = |(id, source): (StepId, StoreError)| BuildError {
            label: graph.step(id).label.clone(),
            log: None,
            source: Box::new(source.into()),
        };
        looked.map(|()| missing).map_err(failed)
    }

    fn work(&self, queue: &Queue) {
        let Context { store, graph, .. } = &self.context;
        while let Some(id) = queue.next(graph) {
            let step = graph.step(id);
            let outcome = self.run(id).map_err(|source| {
                // Whatever the apparent reason, such as killed tools or files that could not be written, the signal is
                // the cause.
                if interrupt::raised().is_some() {
                    return interrupted(step);
                }
                self.observer.event(&BuildEvent::Failed { step });
                let log = store.log_path(&step.digest);
                BuildError { label: step.label.clone(), log: log.exists().then_some(log), source: Box::new(source) }
            });
            queue.done(graph, id, outcome);
        }
    }

    /// Runs one step, unless another process has finished it while this one waited for its lock.
    fn run(&self, id: StepId) -> Result<f64, StepError> {
        let Context { store, graph, .. } = &self.context;
        let step = graph.step(id);
        let name = step.digest.to_string();
        let lock = match store.try_lock(&name)? {
            Some(lock) => lock,
            None => {
                self.observer.event(&BuildEvent::Waiting { step });
                loop {
                    if interrupt::wait(TURN) {
                        return Err(StepError::Interrupted);
                    }
                    if let Some(lock) = store.try_lock(&name)? {
                        break lock;
                    }
                }
            }
        };
        if let Some(result) = store.result(&step.digest)? {
            self.context.done(id, result.outputs);
            return Ok(0.0);
        }
        let changed = store.differences(&step.label, &step.key);
        self.observer.event(&BuildEvent::Started { step, changed: &changed });
        let log = store.log_path(&step.digest);
        let _ = std::fs::remove_file(&log);
        let begin = Instant::now();
        let outputs = step.action.run(&Work { context: &self.context, step, log })?;
        let seconds = begin.elapsed().as_secs_f64();
        let result = StepResult { label: step.label.clone(), key: step.key.clone(), outputs, seconds };
        store.record(&result)?;
        store.note_time(&step.label, seconds, self.context.resources.jobs);
        drop(lock);
        self.context.done(id, result.outputs);
        self.observer.event(&BuildEvent::Finished { step, seconds });
        Ok(seconds)
    }
}

fn interrupted(step: &Step) -> BuildError {
    BuildError { label: step.label.clone(), log: None, source: Box::new(StepError::Interrupted) }
}
