//! What is made of packages: toolchain roots, trees, a distribution's kernel.

use std::collections::BTreeMap;
use std::io::Read;

use super::{Outputs, StepError, Work};
use crate::archive::{deb, tar};
use crate::kernel::modules::load_order;
use crate::plan::{KernelPackageAction, Package, PackagesAction, ToolchainAction};
use crate::rootfs::{Layer, Pattern, merge, scan};
use crate::sandbox::root;
use crate::store::{Output, StoreError};
use crate::tree::{Entry, Tree, TreePath};

impl Work<'_> {
    pub(super) fn toolchain(&self, action: &ToolchainAction) -> Result<Outputs, StepError> {
        let named = |package: &Package| root::Package { name: package.name.clone(), blob: package.blob };
        let packages: Vec<_> = action.packages.iter().map(named).collect();
        let layout = root::Layout { packages: &packages, links: &action.links, files: &action.files };
        root::lay_out(self.store(), &self.step.digest, layout, &|package| self.line(&format!("unpacking {package}")))?;
        Ok(BTreeMap::from([("root".to_owned(), Output::Root)]))
    }

    pub(super) fn packages(&self, action: &PackagesAction) -> Result<Outputs, StepError> {
        let exclude = action.exclude.iter().filter_map(|text| Pattern::new(text).ok()).collect::<Vec<_>>();
        let mut batch = self.store().batch()?;
        let mut layers = Vec::new();
        for Package { name, blob } in &action.packages {
            self.line(&format!("unpacking {name}"));
            let data = deb::data(self.store().open_blob(blob)?, name, 1)?;
            let mut tree = tar::read_tree(data, name, &mut batch)?;
            tree.entries.retain(|path, _| !exclude.iter().any(|pattern| pattern.matches(path)));
            layers.push(Layer { origin: format!("package {name}"), tree });
        }
        batch.commit()?;
        let tree = merge(layers, &[]).map_err(crate::rootfs::AssemblyError::Conflicts)?;
        let digest = self.store().add_tree(&tree)?;
        Ok(BTreeMap::from([("tree".to_owned(), Output::Tree { digest })]))
    }

    /// The package is laid out as files first: it holds thousands of modules, the image takes a few.
    pub(super) fn kernel_package(&self, action: &KernelPackageAction) -> Result<Outputs, StepError> {
        let Package { name, blob } = &action.package;
        let work = self.store().work_dir()?;
        self.line(&format!("unpacking {name}"));
        let data = deb::data(self.store().open_blob(blob)?, name, self.context.jobs)?;
        tar::unpack_to_dir(data, name, work.path(), tar::Options::default())?;
        let boot = |prefix: &str| {
            let folder = std::fs::read_dir(work.path().join("boot")).ok()?;
            let mut files = folder.flatten().map(|entry| entry.path());
            files.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
        };
        let mut outputs = BTreeMap::new();
        let kernel = boot("vmlinuz-").ok_or_else(|| StepError::NoKernel(name.clone()))?;
        outputs.insert("bzImage".to_owned(), self.blob(&kernel)?);
        for (prefix, output) in [("config-", "config"), ("System.map-", "System.map")] {
            if let Some(path) = boot(prefix).filter(|path| !is_placeholder(path)) {
                outputs.insert(output.to_owned(), self.blob(&path)?);
            }
        }
        let modules = self.modules(action, work.path())?;
        outputs.insert("modules".to_owned(), Output::Tree { digest: self.store().add_tree(&modules)? });
        Ok(outputs)
    }

    /// The wanted modules with what they depend on, and the list `load` that the early init reads.
    fn modules(&self, action: &KernelPackageAction, folder: &std::path::Path) -> Result<Tree, StepError> {
        let mut tree = Tree::new();
        if action.modules.is_empty() {
            return Ok(tree);
        }
        let all = scan(folder, &[])?;
        let read = |blob: &crate::digest::Digest| {
            let mut bytes = Vec::new();
            let path = all.files.get(blob).ok_or(std::io::ErrorKind::NotFound)?;
            std::fs::File::open(path)?.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let path = |text: &str| TreePath::new(text).map_err(crate::rootfs::AssemblyError::from);
        let base = path(&action.folder)?;
        let order = load_order(&action.modules, &all.tree, &read)?;
        for name in &order.built_in {
            self.line(&format!("module {name} is part of the kernel itself"));
        }
        let mut list = String::new();
        let mut batch = self.store().batch()?;
        for file in order.files {
            let host = folder.join(file.as_str());
            let (blob, size) = batch.add(std::fs::File::open(&host).map_err(StoreError::io("open", &host))?)?;
            let below = file.as_str().strip_prefix("lib/modules/").unwrap_or(file.as_str());
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

/// Debian's kernel packages hold a `System.map` of one line, which says that the real one is in the `-dbg` package.
fn is_placeholder(path: &std::path::Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.len() < 4096)
        && std::fs::read_to_string(path).is_ok_and(|text| text.contains("The real System.map is in"))
}
