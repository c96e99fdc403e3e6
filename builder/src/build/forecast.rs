//! What a build would do, and how long it takes by the times of earlier builds.

use std::collections::BTreeMap;

use super::needed::{StepState, step_states};
use crate::step::{Graph, StepId};
use crate::store::{StepTime, Store, StoreError};

/// A step that a build would run.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedStep {
    /// The step.
    pub id: StepId,
    /// How long the last step with its label took; `None` if there was none.
    pub last: Option<StepTime>,
}

/// What a build of some targets would do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forecast {
    /// The number of steps whose results the build takes from the store. Those that only these were made from don't count.
    pub cached: usize,
    /// The steps to run. Inputs precede the steps that need them.
    pub steps: Vec<ExpectedStep>,
    /// The seconds of all steps that use every processor by themselves, as if they ran one after another.
    pub heavy: f64,
    /// The seconds of the longest chain of steps of which each needs the one before it.
    pub chain: f64,
}

impl Forecast {
    /// What a build of the targets would do.
    pub fn of(graph: &Graph, targets: &[StepId], store: &Store) -> Result<Self, StoreError> {
        let states = step_states(graph, targets, store)?;
        let mut forecast = Self::default();
        // When each step ends if nothing but its inputs delays it.
        let mut ends: BTreeMap<StepId, f64> = BTreeMap::new();
        for (id, step) in graph.steps.iter().enumerate().map(|(place, step)| (StepId(place), step)) {
            if states[id.0] != StepState::Runs {
                continue;
            }
            let last = store.last_time(&step.label);
            let seconds = last.as_ref().map_or(0.0, |last| last.seconds);
            let ready = step.action.inputs().iter().filter_map(|input| ends.get(input)).copied().fold(0.0, f64::max);
            ends.insert(id, ready + seconds);
            forecast.chain = forecast.chain.max(ready + seconds);
            forecast.heavy += if step.action.is_heavy() { seconds } else { 0.0 };
            forecast.steps.push(ExpectedStep { id, last });
        }
        forecast.cached = used(graph, targets, &states);
        Ok(forecast)
    }

    /// An estimate of the time in seconds without downloads: the longer of [`heavy`](Self::heavy) and [`chain`](Self::chain).
    /// Steps of which no time is known count as nothing. `None` if no time is known of any step.
    pub fn seconds(&self) -> Option<f64> {
        let known = self.steps.is_empty() || self.steps.iter().any(|step| step.last.is_some());
        known.then(|| self.heavy.max(self.chain))
    }

    /// The number of steps of which no time is known.
    pub fn unknown(&self) -> usize {
        self.steps.iter().filter(|step| step.last.is_none()).count()
    }
}

/// How many results a build takes from the store: those of targets, and of the inputs of steps that run.
fn used(graph: &Graph, targets: &[StepId], states: &[StepState]) -> usize {
    let runs = |id: &StepId| states[id.0] == StepState::Runs;
    let all = (0..states.len()).map(StepId).filter(runs).flat_map(|id| graph.step(id).action.inputs());
    let wanted: std::collections::BTreeSet<StepId> = all.chain(targets.iter().copied()).collect();
    wanted.iter().filter(|id| !runs(id)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::step::{Action, Outputs, StepError, Work};
    use crate::store::Key;

    /// A step that is never run.
    #[derive(Debug)]
    struct Stub {
        name: &'static str,
        inputs: Vec<StepId>,
        heavy: bool,
    }

    impl Action for Stub {
        fn label(&self) -> String {
            self.name.to_owned()
        }

        fn key(&self, _: &Graph) -> Key {
            Key::new("stub", 1).row("name", self.name)
        }

        fn inputs(&self) -> Vec<StepId> {
            self.inputs.clone()
        }

        fn blobs(&self) -> Vec<Digest> {
            Vec::new()
        }

        fn is_heavy(&self) -> bool {
            self.heavy
        }

        fn run(&self, _: &Work<'_>) -> Result<Outputs, StepError> {
            unreachable!("nothing is run")
        }
    }

    #[test]
    fn the_estimate_is_the_longer_of_heavy_steps_and_chain() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut graph = Graph::default();
        let mut add = |name, inputs: &[StepId], heavy| graph.add(Stub { name, inputs: inputs.to_vec(), heavy }).step();
        let first = add("first", &[], false);
        let left = add("left", &[first], true);
        let right = add("right", &[first], true);
        let last = add("last", &[left, right], false);
        add("other", &[], true);
        let forecast = || Forecast::of(&graph, &[last], &store).unwrap();
        assert_eq!((forecast().seconds(), forecast().unknown()), (None, 4));
        store.note_time("first", 1.0, 2);
        store.note_time("left", 10.0, 2);
        store.note_time("right", 20.0, 2);
        let seen = forecast();
        assert_eq!((seen.heavy, seen.chain, seen.seconds(), seen.unknown()), (30.0, 21.0, Some(30.0), 1));
        store.note_time("last", 100.0, 2);
        assert_eq!(forecast().seconds(), Some(121.0));
        assert_eq!(forecast().steps.iter().map(|step| step.id).collect::<Vec<_>>(), [first, left, right, last]);
        // A step with a result needs nothing before it.
        let result = |id: StepId| crate::store::StepResult {
            label: graph.step(id).label.clone(),
            key: graph.step(id).key.clone(),
            outputs: BTreeMap::new(),
            seconds: 1.0,
        };
        store.record(&result(left)).unwrap();
        assert_eq!((forecast().heavy, forecast().cached, forecast().steps.len()), (20.0, 1, 3));
        store.record(&result(last)).unwrap();
        assert_eq!((forecast().seconds(), forecast().cached), (Some(0.0), 1));
        let states = step_states(&graph, &[last], &store).unwrap();
        let words: Vec<&str> = states.iter().map(|state| state.word()).collect();
        assert_eq!(words, ["unneeded", "cached", "unneeded", "cached", "unneeded"]);
    }
}
