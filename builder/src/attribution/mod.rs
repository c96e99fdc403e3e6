//! Which part of a recipe brought each file of its images.
//!
//! Results do not record it: it is determined again from what a build made, by the steps themselves
//! ([`Action::origins`](crate::step::Action::origins)).

mod explain;
mod known;
mod package;
mod rebuilt;

use crate::build::{self, Built};
use crate::plan::Plan;
use crate::rootfs::Origins;
use crate::step::{StepError, StepId};
use crate::store::Store;
use crate::tree::Tree;

pub use explain::{ComponentOrigin, Explainer, Explanation, NoSuchPath};
pub use known::KnownContent;
pub use package::PackageReasons;
pub use rebuilt::{Difference, Rebuilt, rebuilt};

/// A root filesystem that a build made, with the origin of each path.
#[derive(Debug)]
pub struct AttributedRoot {
    /// Its step, which the steps that pack it name ([`Action::packs`](crate::step::Action::packs)).
    pub step: StepId,
    /// The step's label: `rootfs`, `initramfs`.
    pub label: String,
    /// Its content.
    pub tree: Tree,
    /// Which part brought each path.
    pub origins: Origins,
}

/// The root filesystems that a plan's products contain. The results of all steps have to be in `built`
/// ([`PlanTargets::every_step`](crate::plan::PlanTargets::every_step)).
pub fn roots(plan: &Plan, built: &Built, store: &Store) -> Result<Vec<AttributedRoot>, StepError> {
    let products = plan.products.iter().map(|product| product.from.step);
    let needed = plan.needed_for(products);
    let packed: Vec<StepId> =
        needed.iter().filter_map(|id| Some(plan.graph.step(*id).action.packs()?.step())).collect();
    let mut roots = Vec::new();
    for id in needed.into_iter().filter(|id| packed.contains(id)) {
        let Some(origins) = build::origins(&plan.graph, built, store, id)? else { continue };
        let Some(tree) = built.only_tree(id) else { continue };
        let label = plan.graph.step(id).label.clone();
        roots.push(AttributedRoot { step: id, label, tree: store.tree(&tree)?, origins });
    }
    Ok(roots)
}
