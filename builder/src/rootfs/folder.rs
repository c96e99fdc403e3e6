//! Between folders of this machine and trees.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Pattern;
use crate::digest::Digest;
use crate::image::Contents;
use crate::store::Batch;
use crate::tree::{Entry, Node, Tree, TreePath};

/// A folder of the project as a tree, and where each content stands.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// The tree: root's, mode 755 or 644 by the executable bit of the owner.
    pub tree: Tree,
    /// Files of this machine by the digest that they had when they were looked at.
    pub files: HashMap<Digest, PathBuf>,
}

/// A folder that can't be read as a tree.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A system call failed.
    #[error("can't read {}", path.display())]
    Io {
        /// On which path.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A name that is not UTF-8.
    #[error("{}: names in an image are UTF-8", .0.display())]
    Name(PathBuf),
    /// A socket or a device.
    #[error("{}: only folders, files and links are taken from a folder; state device nodes under `nodes`", .0.display())]
    Kind(PathBuf),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

impl FolderError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// Reads a folder of the project. Owners, times and the umask's work are no part of it: git does not keep them. Nor is
/// what fits a pattern of `exclude`, and what lies below that; it is not even looked at.
pub fn scan(root: &Path, exclude: &[Pattern]) -> Result<Folder, FolderError> {
    let mut folder = Folder::default();
    walk(root, &TreePath::ROOT, &mut |host, path, metadata| {
        if exclude.iter().any(|pattern| pattern.matches(&path)) {
            return Ok(Descend::No);
        }
        let entry = if metadata.is_dir() {
            Entry::dir(0o755)
        } else if metadata.is_symlink() {
            symlink(host)?
        } else if metadata.is_file() {
            let (digest, size) = Digest::of_file(host).map_err(FolderError::io(host))?;
            folder.files.insert(digest, host.to_owned());
            let mode = if metadata.permissions().mode() & 0o100 != 0 { 0o755 } else { 0o644 };
            Entry::file(digest, size, mode)
        } else {
            return Err(FolderError::Kind(host.to_owned()));
        };
        folder.tree.insert(path, entry);
        Ok(Descend::Yes)
    })?;
    Ok(folder)
}

/// Reads what a build installed, contents into the store. All is root's: inside the sandbox there is nobody else.
pub fn read_built(root: &Path, batch: &mut Batch) -> Result<Tree, FolderError> {
    let mut tree = Tree::new();
    walk(root, &TreePath::ROOT, &mut |host, path, metadata| {
        let mode = metadata.permissions().mode() & 0o7777;
        let kind = metadata.file_type();
        let entry = if metadata.is_dir() {
            Entry::dir(mode)
        } else if metadata.is_symlink() {
            symlink(host)?
        } else if metadata.is_file() {
            let file = File::open(host).map_err(FolderError::io(host))?;
            let (digest, size) = batch.add(file)?;
            Entry::file(digest, size, mode)
        } else if kind.is_fifo() {
            Entry::of(Node::Fifo, mode)
        } else if kind.is_char_device() || kind.is_block_device() {
            let (major, minor) = (nix::sys::stat::major(metadata.rdev()), nix::sys::stat::minor(metadata.rdev()));
            let (major, minor) = (major as u32, minor as u32);
            let node = if kind.is_char_device() { Node::Char { major, minor } } else { Node::Block { major, minor } };
            Entry::of(node, mode)
        } else {
            return Err(FolderError::Kind(host.to_owned()));
        };
        tree.insert(path, entry);
        Ok(Descend::Yes)
    })?;
    Ok(tree)
}

fn symlink(host: &Path) -> Result<Entry, FolderError> {
    let target = fs::read_link(host).map_err(FolderError::io(host))?;
    let target = target.to_str().ok_or_else(|| FolderError::Name(host.to_owned()))?;
    Ok(Entry::symlink(target))
}

/// Whether to look at what lies below.
#[derive(PartialEq)]
enum Descend {
    Yes,
    No,
}

type Visit<'a> = &'a mut dyn FnMut(&Path, TreePath, &fs::Metadata) -> Result<Descend, FolderError>;

/// Calls `visit` for everything below a folder, the folder itself aside. The order is the host's: trees sort.
fn walk(host: &Path, path: &TreePath, visit: Visit<'_>) -> Result<(), FolderError> {
    for entry in fs::read_dir(host).map_err(FolderError::io(host))? {
        let entry = entry.map_err(FolderError::io(host))?;
        let below = entry.path();
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| FolderError::Name(below.clone()))?;
        let inside = TreePath::new(name).map(|name| path.join(&name)).map_err(|_| FolderError::Name(below.clone()))?;
        let metadata = entry.metadata().map_err(FolderError::io(&below))?;
        let descend = visit(&below, inside.clone(), &metadata)?;
        if metadata.is_dir() && descend == Descend::Yes {
            walk(&below, &inside, visit)?;
        }
    }
    Ok(())
}

/// The time that laid out files get.
pub type Times = std::time::SystemTime;

/// Lays a tree out as plain folders, files and links for a build to read, with one time for all. Owners are not kept.
pub fn lay_out(tree: &Tree, contents: &dyn Contents, to: &Path, time: Times) -> Result<(), FolderError> {
    fs::create_dir_all(to).map_err(FolderError::io(to))?;
    for (path, entry) in &tree.entries {
        let host = to.join(path.as_str());
        match &entry.node {
            Node::Dir => fs::create_dir_all(&host).map_err(FolderError::io(&host))?,
            Node::Symlink { target } => std::os::unix::fs::symlink(target, &host).map_err(FolderError::io(&host))?,
            Node::File { blob, .. } => {
                let mut from = contents.open(blob).map_err(FolderError::io(&host))?;
                let mut file = File::create(&host).map_err(FolderError::io(&host))?;
                crate::digest::copy(&mut from, &mut file).map_err(FolderError::io(&host))?;
                let mode = fs::Permissions::from_mode(entry.mode & 0o777 | 0o600);
                file.set_permissions(mode).and_then(|()| file.set_modified(time)).map_err(FolderError::io(&host))?;
            }
            _ => return Err(FolderError::Kind(host)),
        }
    }
    Ok(())
}
