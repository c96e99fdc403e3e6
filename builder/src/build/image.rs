//! What is made of trees.

use std::collections::BTreeMap;

use super::toolbox::Toolbox;
use super::{Outputs, StepError, Work};
use crate::image::cpio::{Segment, write_initrd};
use crate::image::disk::Disk;
use crate::image::grub::Images;
use crate::image::iso::Iso;
use crate::image::squashfs::Squashfs;
use crate::image::tar::write_tar;
use crate::image::{Compression, ImageError, Tools};
use crate::plan::{
    AssembleAction, DiskAction, GrubMenuAction, InitrdAction, IsoAction, LayerFrom, Ref, SquashfsAction, TemplateAction,
};
use crate::rootfs::{Layer, assemble};
use crate::store::Output;
use crate::tree::{Entry, Tree, TreePath};

/// By this file GRUB knows the medium that it was started from.
const MARKER: &str = "boot/grub/dbco.marker";

impl Work<'_> {
    pub(super) fn assemble(&self, action: &AssembleAction) -> Result<Outputs, StepError> {
        let layers = action.layers.iter().map(|from| self.layer(from)).collect::<Result<Vec<_>, _>>()?;
        let tree = assemble(&action.assembly, layers, self.store())?;
        let digest = self.store().add_tree(&tree)?;
        Ok(BTreeMap::from([("tree".to_owned(), Output::Tree { digest })]))
    }

    fn layer(&self, from: &LayerFrom) -> Result<Layer, StepError> {
        Ok(match from {
            LayerFrom::Tree { origin, from } => Layer { origin: origin.clone(), tree: self.context.tree(from)? },
            LayerFrom::Folder { origin, tree } => Layer { origin: origin.clone(), tree: (**tree).clone() },
            LayerFrom::File { origin, from, path } => {
                let mut tree = Tree::new();
                if let Some((blob, size)) = self.context.blob(from) {
                    tree.insert(path.clone(), Entry::file(blob, size, 0o644));
                }
                Layer { origin: origin.clone(), tree }
            }
        })
    }

    pub(super) fn squashfs(&self, action: &SquashfsAction) -> Result<Outputs, StepError> {
        let work = self.store().work_dir()?;
        let tools = Toolbox::new(self, action.toolchain, work.path())?;
        let tree = self.context.tree(&Ref::new(action.root, "tree"))?;
        let squashfs = Squashfs { packing: action.packing, block: action.block, epoch: action.epoch };
        squashfs.write(&tree, &self.context.contents(), &tools, "livefs.squashfs")?;
        self.single("squashfs", &tools, "livefs.squashfs")
    }

    pub(super) fn initrd(&self, action: &InitrdAction) -> Result<Outputs, StepError> {
        let tree = self.context.tree(&Ref::new(action.root, "tree"))?;
        let mut segments = Vec::new();
        if !action.early.entries.is_empty() {
            segments.push(Segment { tree: &action.early, compression: Compression::None });
        }
        segments.push(Segment { tree: &tree, compression: action.compression });
        let mut blob = self.store().blob_writer()?;
        write_initrd(&segments, &self.context.contents(), action.epoch, &mut blob)?;
        let (digest, size) = blob.commit()?;
        Ok(BTreeMap::from([("initrd".to_owned(), Output::Blob { digest, size })]))
    }

    pub(super) fn grub_menu(&self, action: &GrubMenuAction) -> Result<Outputs, StepError> {
        let digest = self.store().add_bytes(action.text.as_bytes())?;
        let size = action.text.len() as u64;
        Ok(BTreeMap::from([("grub.cfg".to_owned(), Output::Blob { digest, size })]))
    }

    pub(super) fn iso(&self, action: &IsoAction) -> Result<Outputs, StepError> {
        let work = self.store().work_dir()?;
        let tools = Toolbox::new(self, action.toolchain, work.path())?;
        Images { marker: &format!("/{MARKER}"), epoch: action.epoch }.write(&tools)?;
        let mut tree = Tree::new();
        let files = [
            ("boot/bzImage", &action.kernel),
            ("boot/initrd.img", &action.initrd),
            ("boot/grub/grub.cfg", &action.menu),
        ];
        for (path, from) in files {
            if let (Ok(path), Some((blob, size))) = (TreePath::new(path), self.context.blob(from)) {
                tree.insert(path, Entry::file(blob, size, 0o644));
            }
        }
        tree.complete();
        let iso = Iso { volume: &action.volume, epoch: action.epoch, marker: MARKER };
        iso.write(&tree, &self.context.contents(), &tools, "image.iso")?;
        self.single("iso", &tools, "image.iso")
    }

    pub(super) fn disk(&self, action: &DiskAction) -> Result<Outputs, StepError> {
        let work = self.store().work_dir()?;
        let tools = Toolbox::new(self, action.toolchain, work.path())?;
        let tree = self.context.tree(&Ref::new(action.root, "tree"))?;
        let mut files = Tree::new();
        if let Some((path, from)) = &action.template
            && let Some((blob, size)) = self.context.blob(from)
        {
            files.insert(path.clone(), Entry::file(blob, size, 0o644));
        }
        let (size, label, epoch) = (action.size, action.label.as_str(), action.epoch);
        let disk = Disk { folders: &action.folders, files: &files, size, label, epoch };
        disk.write(&tree, &self.context.contents(), &tools, "disk.img")?;
        self.single("disk", &tools, "disk.img")
    }

    pub(super) fn template(&self, action: &TemplateAction) -> Result<Outputs, StepError> {
        let tree = self.context.tree(&Ref::new(action.root, "tree"))?;
        let mut out = action.compression.writer(self.store().blob_writer()?).map_err(ImageError::Write)?;
        write_tar(&tree, &self.context.contents(), action.epoch, &mut out)?;
        let (digest, size) = out.finish().map_err(ImageError::Write)?.commit()?;
        Ok(BTreeMap::from([("template".to_owned(), Output::Blob { digest, size })]))
    }

    fn single(&self, name: &str, tools: &Toolbox<'_>, file: &str) -> Result<Outputs, StepError> {
        Ok(BTreeMap::from([(name.to_owned(), self.blob(&tools.folder().join(file))?)]))
    }
}
