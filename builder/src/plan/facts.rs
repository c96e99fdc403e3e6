//! Planning to read what packages and crates state about themselves.

use super::planner::Planner;
use crate::step::{FactsStep, Materials};

impl Planner<'_> {
    /// Adds a step for the packages or the crates of each step that is planned.
    pub(super) fn facts(&mut self) {
        let of = |materials: Materials<'_>| {
            let (packages, crates) = match materials {
                Materials::Packages(packages) => (packages.to_vec(), Vec::new()),
                Materials::Kernel(kernel) => (kernel.packages.clone(), Vec::new()),
                Materials::Toolchain(toolchain) => (toolchain.packages.clone(), Vec::new()),
                Materials::Component(component) => {
                    (component.source.packages().to_vec(), component.crates.clone().unwrap_or_default())
                }
                Materials::BootLoader(_) | Materials::None => return None,
            };
            Some(FactsStep { packages, crates })
        };
        let products: Vec<_> = self.plan.products.iter().map(|product| product.from.step).collect();
        let needed = self.plan.needed_for(products);
        let steps = needed.into_iter().map(|id| self.plan.graph.step(id));
        let steps: Vec<FactsStep> = steps.filter_map(|step| of(step.action.materials())).collect();
        for step in steps.into_iter().filter(|step| !step.packages.is_empty() || !step.crates.is_empty()) {
            let facts = self.plan.graph.add(step).output(FactsStep::FACTS);
            self.plan.facts.push(facts);
        }
    }
}
