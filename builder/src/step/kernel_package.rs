//! A distribution's kernel, from its packages.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::package::{package_blobs, package_rows};
use super::{Action, Blob, Graph, OutputName, Outputs, PackageFile, StepError, StepId, Work};
use crate::archive::tar;
use crate::beneath::Dir;
use crate::digest::Digest;
use crate::kernel::modules::load_order;
use crate::rootfs::{AssemblyError, scan_unpacked};
use crate::store::Key;
use crate::tree::{Entry, Tree, TreePath};

/// Takes a kernel from a package, or from the several packages that it is split into.
#[derive(Clone, Debug)]
pub struct KernelPackageStep {
    /// The packages, the requested one first.
    pub packages: Vec<PackageFile>,
    /// Modules by name.
    pub modules: Vec<String>,
    /// Path of the modules in the image: `system/lib/modules`.
    pub folder: String,
}

impl KernelPackageStep {
    /// The kernel.
    pub const KERNEL: OutputName<Self, Blob> = OutputName::new("bzImage");
    /// Its configuration, if the packages contain it.
    pub const CONFIG: OutputName<Self, Blob> = OutputName::new("config");
    /// Its symbols, if the packages contain them.
    pub const SYSTEM_MAP: OutputName<Self, Blob> = OutputName::new("System.map");
    /// The modules for the image.
    pub const MODULES: OutputName<Self, Tree> = OutputName::new("modules");
}

impl Action for KernelPackageStep {
    fn label(&self) -> String {
        format!("kernel {}", self.packages.first().map_or("", |package| &package.name))
    }

    /// | row | why |
    /// |---|---|
    /// | `package <n>` | the content |
    /// | `module <n>` | which modules are taken, in which order they are loaded |
    /// | `folder` | where they stand |
    fn key(&self, _: &Graph) -> Key {
        Key::new("kernel-package", 4)
            .rows(package_rows(&self.packages))
            .row("folder", &self.folder)
            .rows(self.modules.iter().enumerate().map(|(index, name)| (format!("module {index}"), name)))
    }

    fn inputs(&self) -> Vec<StepId> {
        Vec::new()
    }

    fn blobs(&self) -> Vec<Digest> {
        package_blobs(&self.packages)
    }

    /// The packages are first laid out as files: they contain thousands of modules, of which the image needs a few.
    fn run(&self, work: &Work<'_>) -> Result<Outputs, StepError> {
        let folder = work.store().work_dir()?;
        let dir = work.dir(&folder)?;
        for PackageFile { name, blob, format } in &self.packages {
            work.line(&format!("unpacking {name}"));
            let data = format.files(
                Box::new(work.store().open_blob(blob)?),
                name,
                work.context.resources.jobs,
                work.budget(),
            )?;
            tar::unpack_to_dir(data, name, work.budget(), &dir)?;
        }
        let kernel = match of_kernel(&dir, "vmlinuz")? {
            Some(path) => work.keep(&dir, &path)?,
            None => return Err(no_kernel(work, &self.packages)?),
        };
        let modules = work.store().add_tree(&self.modules(work, &dir)?)?;
        let mut outputs = BTreeMap::from([Self::KERNEL.of(kernel), Self::MODULES.of(modules)]);
        for (file, name) in [("config", Self::CONFIG), ("System.map", Self::SYSTEM_MAP)] {
            if let Some(path) = of_kernel(&dir, file)?
                && !is_placeholder(&dir, &path)
            {
                outputs.extend([name.of(work.keep(&dir, &path)?)]);
            }
        }
        Ok(outputs)
    }
}

impl KernelPackageStep {
    /// The requested modules with their dependencies, and the list `load` that the early init reads.
    fn modules(&self, work: &Work<'_>, dir: &Dir) -> Result<Tree, StepError> {
        let mut tree = Tree::new();
        if self.modules.is_empty() {
            return Ok(tree);
        }
        let all = scan_unpacked(dir)?;
        let read = |blob: &Digest| {
            let mut bytes = Vec::new();
            let path = all.files.get(blob).ok_or(io::ErrorKind::NotFound)?;
            dir.open_file(path).map_err(io::Error::other)?.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let path = |text: &str| TreePath::new(text).map_err(AssemblyError::from);
        let base = path(&self.folder)?;
        let order = load_order(&self.modules, &all.tree, &read)?;
        for name in &order.built_in {
            work.line(&format!("module {name} is built into the kernel"));
        }
        let mut list = String::new();
        let mut batch = work.store().batch()?;
        for file in order.files {
            let (blob, size) = batch.add(dir.open_file(file.as_str())?)?;
            let below = file.as_str().strip_prefix("usr/").unwrap_or(file.as_str());
            let below = below.strip_prefix("lib/modules/").unwrap_or(below);
            let inside = base.join(&path(below)?);
            list.push_str(&format!("{inside}\n"));
            tree.insert(inside, Entry::file(blob, size, 0o644));
        }
        let (blob, size) = batch.add(list.as_bytes())?;
        batch.commit()?;
        tree.insert(base.join(&path("load")?), Entry::file(blob, size, 0o644));
        tree.complete();
        Ok(tree)
    }
}

/// The error for packages without a kernel: the dependencies of a metapackage name the real ones.
fn no_kernel(work: &Work<'_>, packages: &[PackageFile]) -> Result<StepError, StepError> {
    let mut depends = Vec::new();
    for package in packages {
        depends.extend(work.control(package)?.0.depends());
    }
    depends.retain(|name| ["image", "kernel", "binary"].iter().any(|part| name.contains(part)));
    Ok(StepError::NoKernel { packages: packages.iter().map(|package| package.name.clone()).collect(), depends })
}

/// Paths of a kernel's file in unpacked packages: `boot/<name>-<release>`, or since 2026
/// `usr/lib/modules/<release>/<name>`.
fn of_kernel(dir: &Dir, name: &str) -> Result<Option<String>, StepError> {
    let names = |folder: &str| match dir.list(folder) {
        Err(error) if error.is_missing() => Ok(Vec::new()),
        other => other.map(|items| items.iter().filter_map(|item| Some(item.name.to_str()?.to_owned())).collect()),
    };
    let prefix = format!("{name}-");
    if let Some(file) = names("boot")?.iter().find(|file| file.starts_with(&prefix)) {
        return Ok(Some(format!("boot/{file}")));
    }
    for folder in ["usr/lib/modules", "lib/modules"] {
        let files = names(folder)?.into_iter().map(|release| format!("{folder}/{release}/{name}"));
        if let Some(file) = files.into_iter().find(|file| dir.has_file(file)) {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Debian's kernel packages contain a `System.map` of one line, which says that the real one is in the `-dbg` package.
fn is_placeholder(dir: &Dir, path: &str) -> bool {
    dir.read_text(path, 4096).is_ok_and(|text| text.contains("The real System.map is in"))
}
