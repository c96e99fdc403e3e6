//! Packages unpacked into one tree, as by dpkg.

mod dpkg;

use std::collections::BTreeMap;

use super::package::{package_blobs, package_name, package_rows};
use super::{Action, Graph, Materials, OutputName, Outputs, PackageFile, StepError, StepId, Work};
use crate::archive::tar;
use crate::digest::Digest;
use crate::rootfs::{Layer, Origins, Pattern, merge};
use crate::store::{Batch, Key};
use crate::tree::{Tree, exclude};
use dpkg::{Unpacked, settle};

pub(super) use dpkg::remedy;
pub use dpkg::{Diversion, Diverting};

/// Unpacks packages into one tree.
#[derive(Clone, Debug)]
pub struct PackagesStep {
    /// The packages.
    pub packages: Vec<PackageFile>,
    /// Paths that the image does not need; everything below them is left out, too.
    pub exclude: Vec<Pattern>,
    /// Paths that maintainer scripts would have diverted.
    pub diversions: Vec<Diversion>,
}

impl PackagesStep {
    /// Their content.
    pub const TREE: OutputName<Self, Tree> = OutputName::new("tree");
}

impl Action for PackagesStep {
    fn label(&self) -> String {
        "packages".into()
    }

    /// | row | why |
    /// |---|---|
    /// | `package <n>` | the content |
    /// | `exclude <n>` | what is left out of it |
    /// | `diversion <n>` | what goes elsewhere |
    fn key(&self, _: &Graph) -> Key {
        let diversion = |Diversion { from, to, by, place: _ }: &Diversion| format!("{from} to {to} by {by:?}");
        let exclude = self.exclude.iter().enumerate();
        let diversions = self.diversions.iter().enumerate();
        Key::new("packages", 4)
            .rows(package_rows(&self.packages))
            .rows(exclude.map(|(index, pattern)| (format!("exclude {index}"), pattern.as_str())))
            .rows(diversions.map(|(index, stated)| (format!("diversion {index}"), diversion(stated))))
    }

    fn inputs(&self) -> Vec<StepId> {
        Vec::new()
    }

    fn blobs(&self) -> Vec<Digest> {
        package_blobs(&self.packages)
    }

    fn materials(&self) -> Materials<'_> {
        Materials::Packages(&self.packages)
    }

    fn run(&self, work: &Work<'_>) -> Result<Outputs, StepError> {
        let mut batch = work.store().batch()?;
        let Unpacking { packages, unused } = self.unpack(work, &mut batch)?;
        batch.commit()?;
        for pattern in unused {
            work.warn(&format!("`exclude` has {}, which matches nothing in these packages", pattern.as_str()));
        }
        let diverting = packages.iter().filter(|package| package.diverts).map(|package| Diverting {
            package: package.control.package.clone(),
            origin: package.layer.origin.to_string(),
        });
        let diverting = diverting.collect();
        let (layers, unused) = settle(packages, &self.diversions);
        for Diversion { from, by, place, .. } in unused {
            let who = by.as_ref().map_or("no package".to_owned(), |by| format!("no package but `{by}`"));
            work.warn(&format!("{place}: the diversion of {from} has no effect: {who} contains that path"));
        }
        let merged = merge(layers, &[]).map_err(|conflicts| StepError::Packages { conflicts, diverting })?;
        Ok(BTreeMap::from([Self::TREE.of(work.store().add_tree(&merged.tree)?)]))
    }

    fn input_name(&self, row: &str) -> Option<String> {
        package_name(&self.packages, row)
    }

    /// The packages are unpacked again, and nothing of that is kept.
    fn origins(&self, work: &Work<'_>) -> Result<Option<Origins>, StepError> {
        let Unpacking { packages, .. } = self.unpack(work, &mut work.store().batch()?)?;
        let (layers, _) = settle(packages, &self.diversions);
        // The step made a tree of them, so there are no conflicts.
        Ok(merge(layers, &[]).ok().map(|merged| merged.origins))
    }
}

/// The packages of a step, unpacked.
struct Unpacking<'a> {
    packages: Vec<Unpacked>,
    /// Patterns of `exclude` that match nothing.
    unused: Vec<&'a Pattern>,
}

impl PackagesStep {
    fn unpack(&self, work: &Work<'_>, batch: &mut Batch) -> Result<Unpacking<'_>, StepError> {
        let mut used = vec![false; self.exclude.len()];
        let mut packages = Vec::new();
        for package in &self.packages {
            let PackageFile { name, blob, format } = package;
            work.line(&format!("unpacking {name}"));
            let data = format.files(Box::new(work.store().open_blob(blob)?), name, 1, work.budget())?;
            let mut tree = tar::read_tree(data, name, work.budget(), batch)?;
            for (used, here) in used.iter_mut().zip(exclude(&mut tree, &self.exclude)) {
                *used |= here;
            }
            let (control, diverts) = work.control(package)?;
            packages.push(Unpacked { control, layer: Layer::new(format!("package {name}"), tree), diverts });
        }
        let unused = self.exclude.iter().zip(&used).filter(|(_, used)| !**used).map(|(pattern, _)| pattern);
        Ok(Unpacking { packages, unused: unused.collect() })
    }
}
