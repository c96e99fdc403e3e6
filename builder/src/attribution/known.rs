//! What a build knows of its images: which step made a file with a given content, and what brought the paths in it.

use std::collections::BTreeMap;

use super::AttributedRoot;
use crate::build::Built;
use crate::digest::Digest;
use crate::plan::Plan;
use crate::sizes::MadeBy;
use crate::step::StepId;
use crate::store::Output;
use crate::tree::TreePath;

/// The content of images that a build made.
#[derive(Debug)]
pub struct KnownContent<'a> {
    roots: &'a [AttributedRoot],
    /// The files that steps made: their step, and its label.
    files: BTreeMap<Digest, (StepId, String)>,
    /// The step with the tree that a file contains, by the step that made the file.
    packed: BTreeMap<StepId, StepId>,
}

impl<'a> KnownContent<'a> {
    /// The results of a plan's steps, and its root filesystems.
    pub fn new(plan: &Plan, built: &Built, roots: &'a [AttributedRoot]) -> Self {
        let (mut files, mut packed) = (BTreeMap::new(), BTreeMap::new());
        for (index, step) in plan.graph.steps.iter().enumerate() {
            let id = StepId(index);
            packed.extend(step.action.packs().map(|root| (id, root.step())));
            for output in built.outputs(id).into_iter().flat_map(|outputs| outputs.values()) {
                if let Output::Blob { digest, .. } = output {
                    files.entry(*digest).or_insert_with(|| (id, step.label.clone()));
                }
            }
        }
        Self { roots, files, packed }
    }
}

impl MadeBy for KnownContent<'_> {
    fn content(&self, content: &Digest) -> Option<(String, Option<String>)> {
        let (_, label) = self.files.get(content)?;
        Some((label.clone(), None))
    }

    fn path(&self, container: &Digest, path: &[u8]) -> Option<(String, Option<String>)> {
        let (step, _) = self.files.get(container)?;
        let root = self.packed.get(step)?;
        let root = self.roots.iter().find(|one| one.step == *root)?;
        let (origin, _) = root.origins.of(&TreePath::from_bytes(path).ok()?)?;
        Some((origin.name.clone(), origin.place.clone()))
    }
}
