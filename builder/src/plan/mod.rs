//! Recipe, lock and local files to a DAG of steps. Nothing runs and nothing is fetched: local files are read and hashed.

mod component;
mod initrd;
mod outputs;
mod packages;
mod planner;
mod rootfs;

use std::collections::BTreeMap;

use crate::recipe::OutputKind;
use crate::step::{Blob, Graph, Id, Ref, StepId, ToolchainStep};
use crate::tree::Tree;

pub use planner::{PlanError, PlanTargets, plan};

/// A file for `out/`.
#[derive(Clone, Debug)]
pub struct Product {
    /// Its name there.
    pub name: String,
    /// Which output of the recipe it belongs to.
    pub kind: OutputKind,
    /// Where it comes from.
    pub from: Ref<Blob>,
    /// Whether the step may leave it out (a kernel without `System.map`).
    pub optional: bool,
}

/// Everything that has to be done for the outputs that were asked for.
#[derive(Debug, Default)]
pub struct Plan {
    /// The steps.
    pub graph: Graph,
    /// The files to give.
    pub products: Vec<Product>,
    /// The livefs's tree, for the audit.
    pub rootfs: Option<Ref<Tree>>,
    /// The root of QEMU and its firmware, if the plan has it.
    pub boot: Option<Id<ToolchainStep>>,
    /// Disks of boot tests, by the test's name and their place in it; blank ones are not made.
    pub disks: BTreeMap<(String, usize), Ref<Blob>>,
    /// What looks wrong and hinders nothing, each with its place.
    pub warnings: Vec<String>,
}

impl Plan {
    /// The steps that give what was asked for.
    pub fn targets(&self) -> Vec<StepId> {
        let products = self.products.iter().map(|product| product.from.step);
        let disks = self.disks.values().map(|disk| disk.step);
        let boot = self.boot.map(Id::step);
        products.chain(disks).chain(self.rootfs.iter().map(|rootfs| rootfs.step)).chain(boot).collect()
    }
}

#[cfg(test)]
mod tests;
