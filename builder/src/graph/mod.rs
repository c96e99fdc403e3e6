//! The plan for people: which steps a recipe's outputs are made by, what each needs, and whether the store has its result.
//!
//! [`PlanGraph`] is the data, of which each format is a function: a tree as text ([`text`]), [DOT](dot) for Graphviz, and an
//! SVG image ([`svg`]) that a browser shows without anything else.

mod dot;
mod lanes;
mod svg;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use crate::build::StepState;
use crate::digest::Digest;
use crate::plan::Plan;
use crate::step::StepId;
use crate::store::{StepTime, Store};

pub use dot::dot;
pub use svg::svg;
pub use text::text;

/// A step of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphNode {
    /// Its kind: `component`.
    pub kind: String,
    /// Its label without the kind: `busybox`.
    pub name: String,
    /// Its label: `component busybox`.
    pub label: String,
    /// The digest of its key.
    pub key: Digest,
    /// What a build does about it.
    pub state: StepState,
    /// The steps that it needs, by their places in [`PlanGraph::nodes`]: all of them precede it. Each once.
    pub inputs: Vec<usize>,
    /// The files of the output folder that it makes.
    pub files: Vec<String>,
    /// How long the last step with its label took.
    pub last: Option<StepTime>,
}

impl GraphNode {
    /// Label and kind: `component busybox`; the kind follows in parentheses if the label does not have it.
    pub fn title(&self) -> String {
        // `kernel linux-image-1` is of the kind `kernel-package`, `grub menu` of the kind `grub-menu`.
        let first = self.label.split(' ').next();
        if first == self.kind.split('-').next() {
            return self.label.clone();
        }
        format!("{} ({})", self.label, self.kind)
    }

    /// Its state, for people.
    pub fn state_text(&self) -> &'static str {
        match self.state {
            StepState::Cached => "cached",
            StepState::Runs => "will run",
            StepState::Unneeded => "not needed",
        }
    }
}

/// The steps that some outputs need, inputs first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlanGraph {
    /// The steps.
    pub nodes: Vec<GraphNode>,
}

impl PlanGraph {
    /// The steps that the targets of a plan need; `states` has one state for each step of its graph.
    pub fn of(plan: &Plan, states: &[StepState], store: &Store) -> Self {
        let needed = plan.needed_for(plan.targets());
        let places: BTreeMap<StepId, usize> = needed.iter().enumerate().map(|(place, id)| (*id, place)).collect();
        let node = |id: &StepId| {
            let step = plan.graph.step(*id);
            let inputs: BTreeSet<usize> = step.action.inputs().iter().map(|input| places[input]).collect();
            let files = plan.products.iter().filter(|product| product.from.step == *id);
            GraphNode {
                kind: step.key.kind().to_owned(),
                name: step.name().to_owned(),
                label: step.label.clone(),
                key: step.digest,
                state: states[id.0],
                inputs: inputs.into_iter().collect(),
                files: files.map(|product| product.name.clone()).collect(),
                last: store.last_time(&step.label),
            }
        };
        Self { nodes: needed.iter().map(node).collect() }
    }

    /// The place of the step with a key.
    pub fn place(&self, key: &Digest) -> Option<usize> {
        self.nodes.iter().position(|node| node.key == *key)
    }

    /// The steps that need a step directly, by their places.
    pub fn users(&self, place: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(move |other| self.nodes[*other].inputs.contains(&place))
    }

    /// One step and all that it needs, or with `reverse` all that needs it, directly or through others. Inputs outside of
    /// the part are left out.
    pub fn part(&self, place: usize, reverse: bool) -> Self {
        let (mut kept, mut open) = (BTreeSet::new(), vec![place]);
        while let Some(next) = open.pop() {
            if kept.insert(next) {
                match reverse {
                    true => open.extend(self.users(next)),
                    false => open.extend(&self.nodes[next].inputs),
                }
            }
        }
        let places: BTreeMap<usize, usize> = kept.iter().enumerate().map(|(new, old)| (*old, new)).collect();
        let node = |old: &usize| {
            let node = &self.nodes[*old];
            let inputs = node.inputs.iter().filter_map(|input| places.get(input).copied()).collect();
            GraphNode { inputs, ..node.clone() }
        };
        Self { nodes: kept.iter().map(node).collect() }
    }

    /// How many steps are in a state.
    pub fn count(&self, state: StepState) -> usize {
        self.nodes.iter().filter(|node| node.state == state).count()
    }
}

#[cfg(test)]
mod tests;
