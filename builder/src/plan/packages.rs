//! Planning what is made from packages: toolchain roots, package trees, a distribution's kernel.

use super::planner::{PlanError, Planner};
use crate::lock::{LockEntry, LockedFile};
use crate::recipe::decode::At;
use crate::recipe::rootfs::{Layout, Rootfs, StatedDiversion};
use crate::recipe::{Toolchain, rootfs};
use crate::rootfs::Pattern;
use crate::source::{Request, SourceContent};
use crate::step::{self, Id, KernelPackageStep, PackageFile, PackagesStep, ToolchainStep};
use crate::tree::TreePath;

/// The packages of a lock's entry.
pub(super) fn packages(entry: &LockEntry) -> Vec<PackageFile> {
    let SourceContent::Packages(format) = entry.request.kind().content() else { return Vec::new() };
    let package = |file: &LockedFile| PackageFile {
        name: match &file.version {
            Some(version) => format!("{} {version}", file.name),
            None => file.name.clone(),
        },
        blob: file.sha256,
        format,
    };
    entry.files.iter().map(package).collect()
}

impl Planner<'_> {
    /// A toolchain's root.
    pub fn toolchain(&mut self, toolchain: &Toolchain) -> Result<Id<ToolchainStep>, PlanError> {
        let step = self.plan.graph.add(ToolchainStep {
            name: toolchain.name.clone(),
            packages: packages(self.entry(&toolchain.packages)?),
            links: toolchain.links.clone(),
            files: toolchain.files.clone(),
        });
        self.limited(step, &toolchain.limits);
        Ok(step)
    }

    /// Packages of a root filesystem.
    pub fn packages(&mut self, request: &Request, rootfs: &Rootfs) -> Result<Id<PackagesStep>, PlanError> {
        let step = PackagesStep {
            packages: packages(self.entry(request)?),
            exclude: patterns(&rootfs.exclude)?,
            diversions: self.diversions(&rootfs.diversions)?,
        };
        Ok(self.plan.graph.add(step))
    }

    fn diversions(&self, stated: &[StatedDiversion]) -> Result<Vec<step::Diversion>, PlanError> {
        let one = |stated: &rootfs::StatedDiversion| {
            let path = |text: &str| TreePath::new(text).map_err(PlanError::Path);
            let place = self.recipe.files.locate(stated.from.span);
            let (from, to) = (path(&stated.from)?, path(&stated.to)?);
            Ok(step::Diversion { from, to, by: stated.by.clone(), place })
        };
        stated.iter().map(one).collect()
    }

    /// A distribution's kernel with its modules.
    pub fn kernel_package(
        &mut self,
        request: &Request,
        modules: &[String],
    ) -> Result<Id<KernelPackageStep>, PlanError> {
        let entry = self.entry(request)?;
        let mut packages = packages(entry);
        if let Some(name) = request.packages().first()
            && let Some(index) = entry.files.iter().position(|file| file.name == *name)
        {
            packages[..=index].rotate_right(1);
        }
        if packages.is_empty() {
            return Err(PlanError::NotLocked(Box::new(request.clone())));
        }
        let folder = match self.recipe.image.rootfs.layout {
            Layout::Split => "system/lib/modules",
            Layout::Fhs | Layout::App => "lib/modules",
        };
        let step = KernelPackageStep { packages, modules: modules.to_vec(), folder: folder.to_owned() };
        Ok(self.plan.graph.add(step))
    }
}

/// Patterns of the recipe, which its checks have validated.
pub(super) fn patterns(texts: &[At<String>]) -> Result<Vec<Pattern>, PlanError> {
    texts.iter().map(|text| Pattern::new(text).map_err(PlanError::Pattern)).collect()
}
