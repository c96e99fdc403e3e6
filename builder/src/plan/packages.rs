//! Planning what is made of packages: toolchain roots, package trees, a distribution's kernel.

use std::collections::BTreeMap;

use super::{Action, Plan, StepId};
use crate::digest::Digest;
use crate::lock::Entry;
use crate::recipe::Toolchain;
use crate::store::Key;

/// A package's file.
#[derive(Clone, Debug)]
pub struct Package {
    /// Name and version, for messages.
    pub name: String,
    /// The file.
    pub blob: Digest,
}

/// The packages of a lock's entry.
pub(super) fn packages(entry: &Entry) -> Vec<Package> {
    let package = |file: &crate::lock::LockedFile| Package {
        name: match &file.version {
            Some(version) => format!("{} {version}", file.name),
            None => file.name.clone(),
        },
        blob: file.sha256,
    };
    entry.files.iter().map(package).collect()
}

/// Packages in the lock's order, which is part of the key: it decides which of two equal files is written.
fn package_rows(packages: &[Package]) -> impl Iterator<Item = (String, Digest)> {
    packages.iter().enumerate().map(|(index, package)| (format!("package {index}"), package.blob))
}

/// Lays out a toolchain's root.
#[derive(Clone, Debug)]
pub struct ToolchainAction {
    /// Its packages.
    pub packages: Vec<Package>,
    /// Links that maintainer scripts would have made.
    pub links: BTreeMap<String, String>,
    /// Files that maintainer scripts would have made.
    pub files: BTreeMap<String, String>,
}

/// | row | why |
/// |---|---|
/// | `package <n>` | the content, in the order it is laid out |
/// | `link <path>`, `file <path>` | what the toolchain states beside its packages |
pub(super) fn toolchain(plan: &mut Plan, toolchain: &Toolchain, entry: &Entry) -> StepId {
    let action =
        ToolchainAction { packages: packages(entry), links: toolchain.links.clone(), files: toolchain.files.clone() };
    let key = Key::new("toolchain", 1)
        .rows(package_rows(&action.packages))
        .rows(action.links.iter().map(|(path, target)| (format!("link {path}"), target)))
        .rows(action.files.iter().map(|(path, text)| (format!("file {path}"), text)));
    plan.add(format!("toolchain {}", toolchain.name), key, Action::Toolchain(action))
}

/// Unpacks packages into one tree (output `tree`).
#[derive(Clone, Debug)]
pub struct PackagesAction {
    /// The packages.
    pub packages: Vec<Package>,
    /// Paths that the image does not want, as patterns.
    pub exclude: Vec<String>,
}

/// | row | why |
/// |---|---|
/// | `package <n>` | the content |
/// | `exclude <n>` | what is left out of it |
pub(super) fn unpacked(plan: &mut Plan, entry: &Entry, exclude: &[String]) -> StepId {
    let action = PackagesAction { packages: packages(entry), exclude: exclude.to_vec() };
    let key = Key::new("packages", 1)
        .rows(package_rows(&action.packages))
        .rows(exclude.iter().enumerate().map(|(index, pattern)| (format!("exclude {index}"), pattern)));
    plan.add("packages".into(), key, Action::Packages(action))
}

/// Takes a kernel from a package: outputs `bzImage`, `config`, `System.map` and the tree `modules`.
#[derive(Clone, Debug)]
pub struct KernelPackageAction {
    /// The package.
    pub package: Package,
    /// Modules by name.
    pub modules: Vec<String>,
    /// Where modules stand in the image: `system/lib/modules`.
    pub folder: String,
}

/// | row | why |
/// |---|---|
/// | `package` | the content |
/// | `module <n>` | which modules are taken, in which order they are loaded |
/// | `folder` | where they stand |
pub(super) fn kernel(plan: &mut Plan, entry: &Entry, modules: &[String], folder: &str) -> Option<StepId> {
    let package = packages(entry).into_iter().next()?;
    let key = Key::new("kernel-package", 2)
        .row("package", package.blob)
        .row("folder", folder)
        .rows(modules.iter().enumerate().map(|(index, name)| (format!("module {index}"), name)));
    let label = format!("kernel {}", package.name);
    let action = KernelPackageAction { package, modules: modules.to_vec(), folder: folder.to_owned() };
    Some(plan.add(label, key, Action::KernelPackage(action)))
}
