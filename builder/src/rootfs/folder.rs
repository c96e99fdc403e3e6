//! Converts between folders on this machine and trees.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::sys::stat::SFlag;

use super::Pattern;
use crate::beneath::{BeneathError, Dir, DirEntry};
use crate::digest::Digest;
use crate::image::Contents;
use crate::path_error::{FromPathError as _, PathError};
use crate::store::Batch;
use crate::tree::{Entry, Node, Tree, TreePath, capabilities};

/// A folder of the project as a tree, and the path of each content.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// The tree: owned by root, with mode 755 or 644 by the owner's executable bit.
    pub tree: Tree,
    /// Files on this machine by the digest that they had when they were read.
    pub files: HashMap<Digest, PathBuf>,
}

/// A folder that can't be read as a tree.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A name that is not UTF-8.
    #[error("{}: the name is not UTF-8, as names in an image must be", .0.display())]
    Name(PathBuf),
    /// A socket or a device.
    #[error("{}: only folders, files and links are copied from a folder; declare device nodes under `nodes`", .0.display())]
    Kind(PathBuf),
    /// Capabilities of a file in an unknown form.
    #[error("{}: its `security.capability` is neither revision 2 nor revision 3 (capabilities(7))", .0.display())]
    Capabilities(PathBuf),
    /// A path in a folder filled by a tool, longer than any system accepts.
    #[error("`{0}…` contains paths longer than {LONGEST_PATH} bytes")]
    TooDeep(String),
    /// An error in a folder filled by a tool or an archive.
    #[error(transparent)]
    Beneath(#[from] BeneathError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

/// How the modes of a project folder are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modes {
    /// 755 or 644 by the owner's executable bit: git stores no more, and the rest depends on the umask.
    Plain,
    /// Unchanged.
    Keep,
}

/// Reads a folder of the project. Owners and times are not read. Paths that match a pattern of `exclude`, and
/// everything below them, are skipped and not even examined.
pub fn scan(root: &Path, exclude: &[Pattern], modes: Modes) -> Result<Folder, FolderError> {
    let mut folder = Folder::default();
    walk(root, &TreePath::ROOT, &mut |host, path, metadata| {
        if exclude.iter().any(|pattern| pattern.matches(&path)) {
            return Ok(Descend::No);
        }
        let own = metadata.permissions().mode() & 0o7777;
        let mode = match modes {
            Modes::Keep => own,
            Modes::Plain if metadata.is_dir() || own & 0o100 != 0 => 0o755,
            Modes::Plain => 0o644,
        };
        let entry = if metadata.is_dir() {
            Entry::dir(mode)
        } else if metadata.is_symlink() {
            symlink(host)?
        } else if metadata.is_file() {
            let (digest, size) = Digest::of_file(host).map_err(FolderError::io("read", host))?;
            folder.files.insert(digest, host.to_owned());
            Entry::file(digest, size, mode)
        } else {
            return Err(FolderError::Kind(host.to_owned()));
        };
        folder.tree.insert(path, entry);
        Ok(Descend::Yes)
    })?;
    Ok(folder)
}

/// Reads the files that a build installed, with their content into the store: modes, hard links, capabilities and
/// attributes in the `user` namespace. Everything is owned by root: the sandbox has no other user. The other namespaces
/// of attributes belong to this machine, whose labels and default access lists every new file may get.
pub fn read_built(dir: &Dir, batch: &mut Batch) -> Result<Tree, FolderError> {
    let mut tree = Tree::new();
    // Files with several names, by device and inode.
    let mut linked: HashMap<(u64, u64), Entry> = HashMap::new();
    each(dir, &mut |item, path| {
        let mode = item.stat.st_mode & 0o7777;
        let file = (item.stat.st_dev, item.stat.st_ino);
        if let Some(entry) = linked.get(&file) {
            tree.insert(path, entry.clone());
            return Ok(());
        }
        let (major, minor) = (nix::sys::stat::major(item.stat.st_rdev), nix::sys::stat::minor(item.stat.st_rdev));
        let (major, minor) = (major as u32, minor as u32);
        let mut entry = match item.kind() {
            SFlag::S_IFDIR => Entry::dir(mode),
            SFlag::S_IFLNK => Entry::symlink(&link_text(item, &path)?),
            SFlag::S_IFREG => {
                let (digest, size) = batch.add(open(item, &path)?)?;
                Entry::file(digest, size, mode)
            }
            SFlag::S_IFIFO => Entry::of(Node::Fifo, mode),
            SFlag::S_IFCHR => Entry::of(Node::Char { major, minor }, mode),
            SFlag::S_IFBLK => Entry::of(Node::Block { major, minor }, mode),
            _ => return Err(FolderError::Kind(path.as_str().into())),
        };
        entry.xattrs = xattrs(item, &path)?;
        if item.kind() == SFlag::S_IFREG && item.stat.st_nlink > 1 {
            entry.inode = Some(linked.len() as u32 + 1);
            linked.insert(file, entry.clone());
        }
        tree.insert(path, entry);
        Ok(())
    })?;
    tree.settle_links();
    Ok(tree)
}

fn xattrs(item: &DirEntry, path: &TreePath) -> Result<BTreeMap<String, Vec<u8>>, FolderError> {
    let found = item.xattrs().map_err(BeneathError::of("read the attributes of", Path::new(path.as_str())))?;
    let mut kept = BTreeMap::new();
    for (name, value) in found {
        let Some(name) = name.to_str() else { return Err(FolderError::Name(path.as_str().into())) };
        if name == capabilities::XATTR {
            let value = capabilities::without_namespace(&value)
                .ok_or_else(|| FolderError::Capabilities(path.as_str().into()))?;
            kept.insert(name.to_owned(), value);
        } else if name.starts_with("user.") {
            kept.insert(name.to_owned(), value);
        }
    }
    Ok(kept)
}

/// Reads the files of an unpacked archive as a tree, with each content's path below `dir`.
pub fn scan_unpacked(dir: &Dir) -> Result<Folder, FolderError> {
    let mut folder = Folder::default();
    each(dir, &mut |item, path| {
        if item.kind() == SFlag::S_IFREG {
            let read = Digest::of_reader(open(item, &path)?);
            let (digest, size) = read.map_err(FolderError::io("read", Path::new(path.as_str())))?;
            folder.files.insert(digest, path.as_str().into());
            folder.tree.insert(path, Entry::file(digest, size, item.stat.st_mode & 0o7777));
        }
        Ok(())
    })?;
    Ok(folder)
}

fn open(item: &DirEntry, path: &TreePath) -> Result<File, FolderError> {
    Ok(item.open().map_err(BeneathError::of("open", Path::new(path.as_str())))?)
}

fn link_text(item: &DirEntry, path: &TreePath) -> Result<String, FolderError> {
    let text = item.read_link().map_err(FolderError::io("read", Path::new(path.as_str())))?;
    text.into_string().map_err(|_| FolderError::Name(path.as_str().into()))
}

/// Longer paths can't exist in an image: the kernel does not accept them (`PATH_MAX`).
const LONGEST_PATH: usize = 4095;

/// Calls `visit` for everything below a folder with untrusted content, folders before their content.
fn each(dir: &Dir, visit: &mut dyn FnMut(&DirEntry, TreePath) -> Result<(), FolderError>) -> Result<(), FolderError> {
    let mut folders = vec![TreePath::ROOT];
    while let Some(folder) = folders.pop() {
        for item in dir.list(folder.as_str())? {
            let name = Path::new(&item.name);
            let unusable = || FolderError::Name(Path::new(folder.as_str()).join(name));
            let path = TreePath::new(name.to_str().ok_or_else(unusable)?).map_err(|_| unusable())?;
            let path = folder.join(&path);
            if path.as_str().len() > LONGEST_PATH {
                return Err(FolderError::TooDeep(folder.as_str().chars().take(80).collect()));
            }
            if item.kind() == SFlag::S_IFDIR {
                folders.push(path.clone());
            }
            visit(&item, path)?;
        }
    }
    Ok(())
}

fn symlink(host: &Path) -> Result<Entry, FolderError> {
    let target = fs::read_link(host).map_err(FolderError::io("read", host))?;
    let target = target.to_str().ok_or_else(|| FolderError::Name(host.to_owned()))?;
    Ok(Entry::symlink(target))
}

/// Whether to descend into the folder.
#[derive(PartialEq)]
enum Descend {
    Yes,
    No,
}

type Visit<'a> = &'a mut dyn FnMut(&Path, TreePath, &fs::Metadata) -> Result<Descend, FolderError>;

/// Calls `visit` for everything below a folder, not for the folder itself. The order is the host's: trees sort.
fn walk(host: &Path, path: &TreePath, visit: Visit<'_>) -> Result<(), FolderError> {
    for entry in fs::read_dir(host).map_err(FolderError::io("read", host))? {
        let entry = entry.map_err(FolderError::io("read", host))?;
        let below = entry.path();
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| FolderError::Name(below.clone()))?;
        let inside = TreePath::new(name).map(|name| path.join(&name)).map_err(|_| FolderError::Name(below.clone()))?;
        let metadata = entry.metadata().map_err(FolderError::io("read", &below))?;
        let descend = visit(&below, inside.clone(), &metadata)?;
        if metadata.is_dir() && descend == Descend::Yes {
            walk(&below, &inside, visit)?;
        }
    }
    Ok(())
}

/// The modification time of laid-out files.
pub type Times = std::time::SystemTime;

/// Lays a tree out as plain folders, files and links for a build to read, all with the same time. Owners are not kept.
pub fn lay_out(tree: &Tree, contents: &dyn Contents, to: &Dir, time: Times) -> Result<(), FolderError> {
    for (path, entry) in &tree.entries {
        let inside = Path::new(path.as_str());
        match &entry.node {
            Node::Dir => drop(to.make_dir(inside)?),
            Node::Symlink { target } => to.symlink(target.as_ref(), inside)?,
            Node::File { blob, .. } => {
                let mut from = contents.open(blob).map_err(FolderError::io("read", inside))?;
                let mut file = to.create(inside)?;
                crate::digest::copy(&mut from, &mut file).map_err(FolderError::io("read", inside))?;
                let mode = fs::Permissions::from_mode(entry.mode & 0o777 | 0o600);
                file.set_permissions(mode)
                    .and_then(|()| file.set_modified(time))
                    .map_err(FolderError::io("read", inside))?;
            }
            _ => return Err(FolderError::Kind(inside.to_owned())),
        }
    }
    Ok(())
}
