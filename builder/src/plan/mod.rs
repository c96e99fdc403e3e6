//! Turns recipe, lock and local files into a DAG of steps. Nothing is run or fetched: local files are read and hashed.

mod component;
mod facts;
mod find;
mod initrd;
mod outputs;
mod packages;
mod planner;
mod rootfs;

use std::collections::{BTreeMap, BTreeSet};

use crate::recipe::OutputKind;
use crate::step::{Blob, Graph, Id, Ref, Step, StepId, ToolchainStep};
use crate::tree::Tree;

pub use find::FindStepError;
pub use planner::{PlanError, PlanTargets, plan};

/// A file for `out/`.
#[derive(Clone, Debug)]
pub struct Product {
    /// Its file name there.
    pub name: String,
    /// The output of the recipe that it belongs to.
    pub kind: OutputKind,
    /// Where its content comes from.
    pub from: Ref<Blob>,
    /// Whether the step may omit it (a kernel without `System.map`).
    pub optional: bool,
}

/// Everything that has to be done for the requested outputs.
#[derive(Debug, Default)]
pub struct Plan {
    /// The steps.
    pub graph: Graph,
    /// The files to write.
    pub products: Vec<Product>,
    /// The tree of the livefs, for the audit.
    pub rootfs: Option<Ref<Tree>>,
    /// The root with QEMU and its firmware, if the plan has it.
    pub boot: Option<Id<ToolchainStep>>,
    /// Disks of boot tests, by the name of their machine ([`Test::machines`](crate::recipe::test::Test::machines)) and their
    /// position in it; blank ones are not built.
    pub disks: BTreeMap<(String, usize), Ref<Blob>>,
    /// The configuration of the kernel that is part of the outputs.
    pub kernel_config: Option<Ref<Blob>>,
    /// What packages and crates state about themselves, if the targets include it.
    pub facts: Vec<Ref<Blob>>,
    /// Whether all steps that the products are made from are targets, also those whose results only other steps need.
    pub every_step: bool,
    /// Suspicious findings that do not prevent a build, each with its location.
    pub warnings: Vec<String>,
}

impl Plan {
    /// The steps that produce what was requested.
    pub fn targets(&self) -> Vec<StepId> {
        let products = self.products.iter().map(|product| product.from.step);
        let disks = self.disks.values().map(|disk| disk.step);
        let boot = self.boot.map(Id::step);
        let facts = self.facts.iter().map(|facts| facts.step);
        let requested =
            products.chain(disks).chain(self.rootfs.iter().map(|rootfs| rootfs.step)).chain(boot).chain(facts);
        if self.every_step { self.needed_for(requested).into_iter().collect() } else { requested.collect() }
    }

    /// These steps and all that they are made from, in the order of the graph. Other steps may have been planned for an
    /// output that then did not need them.
    pub fn needed_for(&self, steps: impl IntoIterator<Item = StepId>) -> BTreeSet<StepId> {
        let (mut needed, mut open) = (BTreeSet::new(), Vec::from_iter(steps));
        while let Some(step) = open.pop() {
            if needed.insert(step) {
                open.extend(self.graph.step(step).action.inputs());
            }
        }
        needed
    }

    /// The steps that are targets, with their places in the graph.
    pub fn target_steps(&self) -> impl Iterator<Item = (StepId, &Step)> {
        self.targets().into_iter().map(|id| (id, self.graph.step(id)))
    }
}

#[cfg(test)]
mod tests;
