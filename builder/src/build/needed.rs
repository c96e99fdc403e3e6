//! What a build has to run, and which contents it needs.

use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::step::{Graph, Step, StepId};
use crate::store::{StepResult, Store, StoreError};

/// Visits the targets and, if they have no result, their inputs, each once. Inputs of steps with a result are not
/// visited. The error comes with its step.
pub(super) fn look(
    graph: &Graph,
    targets: &[StepId],
    store: &Store,
    mut seen: impl FnMut(StepId, Option<StepResult>),
) -> Result<(), (StepId, StoreError)> {
    let mut known = BTreeSet::new();
    let mut queue = targets.to_vec();
    while let Some(id) = queue.pop() {
        if !known.insert(id) {
            continue;
        }
        let step = graph.step(id);
        let result = store.result(&step.digest).map_err(|error| (id, error))?;
        if result.is_none() {
            queue.extend(step.action.inputs());
        }
        seen(id, result);
    }
    Ok(())
}

/// What a build does about a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepState {
    /// The store has its result.
    Cached,
    /// It runs.
    Runs,
    /// The store has no result of it, but has those of all steps that need it.
    Unneeded,
}

impl StepState {
    /// The state in one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::Runs => "runs",
            Self::Unneeded => "unneeded",
        }
    }
}

/// What a build of the targets does about each step of the graph, in its order.
pub fn step_states(graph: &Graph, targets: &[StepId], store: &Store) -> Result<Vec<StepState>, StoreError> {
    let mut states = Vec::with_capacity(graph.steps.len());
    for step in &graph.steps {
        states.push(if store.result(&step.digest)?.is_some() { StepState::Cached } else { StepState::Unneeded });
    }
    let looked = look(graph, targets, store, |id, result| {
        if result.is_none() {
            states[id.0] = StepState::Runs;
        }
    });
    looked.map(|()| states).map_err(|(_, error)| error)
}

/// The steps that have to run for the targets.
pub fn steps_to_run<'g>(graph: &'g Graph, targets: &[StepId], store: &Store) -> Result<Vec<&'g Step>, StoreError> {
    let mut steps = Vec::new();
    let looked = look(graph, targets, store, |id, result| {
        if result.is_none() {
            steps.push(graph.step(id));
        }
    });
    looked.map(|()| steps).map_err(|(_, error)| error)
}

/// The contents from outside that the steps to run start from, except for those of the project.
pub fn needed_blobs(graph: &Graph, targets: &[StepId], store: &Store) -> Result<BTreeSet<Digest>, StoreError> {
    let steps = steps_to_run(graph, targets, store)?;
    let blobs = steps.iter().flat_map(|step| step.action.blobs());
    Ok(blobs.filter(|blob| !graph.files.contains_key(blob)).collect())
}
