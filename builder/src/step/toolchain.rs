//! A toolchain's root: packages laid out as a folder, in which tools are run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::package::{package_blobs, package_name, package_rows};
use super::{Action, Graph, Materials, Outputs, PackageFile, StepError, StepId, Work};
use crate::digest::Digest;
use crate::sandbox::root;
use crate::store::{Key, Output, StoreError};

/// Lays out a toolchain's root.
#[derive(Clone, Debug)]
pub struct ToolchainStep {
    /// Its name.
    pub name: String,
    /// Its packages.
    pub packages: Vec<PackageFile>,
    /// Links that maintainer scripts would have made.
    pub links: BTreeMap<String, String>,
    /// Files that maintainer scripts would have made.
    pub files: BTreeMap<String, String>,
}

impl Action for ToolchainStep {
    fn label(&self) -> String {
        format!("toolchain {}", self.name)
    }

    /// | row | why |
    /// |---|---|
    /// | `package <n>` | the content, in the order it is laid out |
    /// | `link <path>`, `file <path>` | what the toolchain states beside its packages |
    fn key(&self, _: &Graph) -> Key {
        Key::new("toolchain", 2)
            .rows(package_rows(&self.packages))
            .rows(self.links.iter().map(|(path, target)| (format!("link {path}"), target)))
            .rows(self.files.iter().map(|(path, text)| (format!("file {path}"), text)))
    }

    fn inputs(&self) -> Vec<StepId> {
        Vec::new()
    }

    fn blobs(&self) -> Vec<Digest> {
        package_blobs(&self.packages)
    }

    fn is_heavy(&self) -> bool {
        true
    }

    fn materials(&self) -> Materials<'_> {
        Materials::Toolchain(self)
    }

    fn input_name(&self, row: &str) -> Option<String> {
        package_name(&self.packages, row)
    }

    fn run(&self, work: &Work<'_>) -> Result<Outputs, StepError> {
        let (links, files, budget) = (&self.links, &self.files, work.budget());
        // Control files are only read if two packages differ at a path; one that can't be read provides no information.
        let control = |index: usize| work.control(&self.packages[index]).ok().map(|(control, _)| control);
        let replaces = |one, other| control(one).zip(control(other)).is_some_and(|(one, other)| one.replaces(&other));
        let layout = root::RootLayout { packages: &self.packages, links, files, budget, replaces: &replaces };
        root::lay_out(work.store(), &work.step.digest, layout, &|package| work.line(&format!("unpacking {package}")))?;
        work.laid_out();
        Ok(BTreeMap::from([("root".to_owned(), Output::Root)]))
    }
}

impl Work<'_> {
    /// A toolchain's root by the digest of its step's key; its content is the laid-out folder.
    pub(super) fn root(&self, key: &Digest) -> Result<PathBuf, StoreError> {
        let mut sound = self.context.sound.lock().unwrap_or_else(|e| e.into_inner());
        if !sound.contains(key) {
            self.store().verified_root(key)?;
            sound.insert(*key);
        }
        Ok(self.store().root_path(key))
    }

    /// Notes that this build has laid out its root itself.
    pub(super) fn laid_out(&self) {
        self.context.sound.lock().unwrap_or_else(|e| e.into_inner()).insert(self.step.digest);
    }
}
