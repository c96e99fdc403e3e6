//! An ext4 image with systems, for boot tests.

use std::collections::BTreeMap;

use super::{Action, AssembleStep, Blob, Graph, Id, OutputName, Outputs, Ref, StepError, StepId, ToolchainStep, Work};
use crate::image::disk::Disk;
use crate::store::Key;
use crate::tree::{Entry, Tree, TreePath};

/// Makes an ext4 image that contains a root under one or more folders.
#[derive(Clone, Debug)]
pub struct DiskStep {
    /// The root with mke2fs.
    pub toolchain: Id<ToolchainStep>,
    /// The step whose tree it contains.
    pub root: Id<AssembleStep>,
    /// The folders: `system0`.
    pub folders: Vec<TreePath>,
    /// A template, and its path.
    pub template: Option<(TreePath, Ref<Blob>)>,
    /// Label of the file system.
    pub label: String,
    /// Bytes; None for the size that the content needs.
    pub size: Option<u64>,
    /// Seconds since 1970.
    pub epoch: u64,
}

impl DiskStep {
    /// The image.
    pub const IMAGE: OutputName<Self, Blob> = OutputName::new("disk");
}

impl Action for DiskStep {
    fn label(&self) -> String {
        format!("disk {}", self.label)
    }

    /// | row | why |
    /// |---|---|
    /// | `toolchain`, `root`, `folders`, `template`, `label`, `size`, `epoch` | all there is |
    fn key(&self, graph: &Graph) -> Key {
        let folders = self.folders.iter().map(|folder| folder.to_string()).collect::<Vec<_>>().join("\n");
        let size = self.size.map_or("as needed".to_owned(), |size| size.to_string());
        let template = self.template.as_ref();
        let template = template.map_or("none".into(), |(path, from)| format!("{path} {}", graph.digest_of(from)));
        Key::new("disk", 6)
            .row("toolchain", graph.digest(self.toolchain))
            .row("root", graph.digest(self.root))
            .row("folders", &folders)
            .row("template", template)
            .row("label", &self.label)
            .row("size", size)
            .row("epoch", self.epoch)
    }

    fn inputs(&self) -> Vec<StepId> {
        let template = self.template.as_ref().map(|(_, from)| from.step);
        [self.toolchain.step(), self.root.step()].into_iter().chain(template).collect()
    }

    fn runs_tools(&self) -> bool {
        true
    }

    fn run(&self, work: &Work<'_>) -> Result<Outputs, StepError> {
        let tree = work.get(&self.root.output(AssembleStep::TREE))?;
        let mut files = Tree::new();
        if let Some((path, from)) = &self.template {
            let Blob { digest, size } = work.get(from)?;
            files.insert(path.clone(), Entry::file(digest, size, 0o644));
        }
        let (size, label, epoch) = (self.size, self.label.as_str(), self.epoch);
        let disk = Disk { folders: &self.folders, files: &files, size, label, epoch };
        let image = work.make(disk.execution(work.root_of(self.toolchain), &tree)?)?;
        Ok(BTreeMap::from([Self::IMAGE.of(image)]))
    }
}
