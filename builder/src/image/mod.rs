//! From trees to the files that a machine boots: archives, file systems, GRUB's own files, the ISO.
//!
//! What is written here is a pure function of its arguments: every time is the recipe's epoch, every order is the
//! tree's. Archives stream in constant memory; what foreign tools make is given as an
//! [`Execution`](crate::execution::Execution), and this module runs none.

pub mod compress;
pub mod content;
pub mod cpio;
pub mod disk;
pub mod grub;
pub mod iso;
pub mod serial;
pub mod squashfs;
pub mod tar;

use std::io;

use crate::beneath::BeneathError;
use crate::digest::Digest;
use crate::tree::{Entry, Node, Tree, TreePath};

pub use compress::Compression;
pub use content::{Contents, LocalFiles};

/// Why an image could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// A file's content could not be read.
    #[error("can't read the content of {path}")]
    Content {
        /// Where the file stands in the tree.
        path: TreePath,
        /// What reading said.
        #[source]
        source: io::Error,
    },
    /// A file's content is not what its tree says: it changed after it was looked at.
    #[error("{path} changed while it was read: expected {size} bytes with sha256 {want}, got {got}")]
    Changed {
        /// Where the file stands in the tree.
        path: TreePath,
        /// The tree's digest of it.
        want: Digest,
        /// The tree's length of it.
        size: u64,
        /// What came instead.
        got: String,
    },
    /// The format has no place for what the tree holds.
    #[error("{format} can't store {path}: {what}")]
    CantHold {
        /// The format: `cpio newc`, `tar`, …
        format: &'static str,
        /// Where it stands in the tree.
        path: TreePath,
        /// What has no place, and what to do.
        what: String,
    },
    /// A path below something that is no folder.
    #[error("{path} is below {parent}, which is not a folder in the tree")]
    NoParent {
        /// Where it stands in the tree.
        path: TreePath,
        /// Its missing folder.
        parent: TreePath,
    },
    /// A time that the format can't hold.
    #[error("{format} can't store the time {epoch} s after 1970")]
    Epoch {
        /// The format.
        format: &'static str,
        /// Seconds since 1970-01-01T00:00Z.
        epoch: u64,
    },
    /// The output could not be written.
    #[error("can't write the image")]
    Write(#[source] io::Error),
    /// A file of a folder that tools work in could not be made or read.
    #[error(transparent)]
    Beneath(#[from] BeneathError),
    /// Text that GRUB can't take as it is.
    #[error("GRUB does not support {what} `{text}`: {why}")]
    Grub {
        /// `the title`, `the command line` …
        what: &'static str,
        /// The text.
        text: String,
        /// The reason.
        why: &'static str,
    },
}

/// All entries with the root first, whether the tree states it or not.
///
/// An entry whose folder is missing is an error: the kernel's unpacker skips such entries in silence.
pub(crate) fn rooted(tree: &Tree) -> impl Iterator<Item = Result<(TreePath, Entry), ImageError>> {
    let root = tree.get(&TreePath::ROOT).cloned().unwrap_or_else(|| Entry::dir(0o755));
    let below = tree.entries.iter().filter(|(path, _)| !path.is_root()).map(|(path, entry)| match path.parent() {
        Some(parent) if !parent.is_root() && !tree.get(&parent).is_some_and(Entry::is_dir) => {
            Err(ImageError::NoParent { path: path.clone(), parent })
        }
        _ => Ok((path.clone(), entry.clone())),
    });
    std::iter::once(Ok((TreePath::ROOT, root))).chain(below)
}

/// The longest name that Linux takes (`NAME_MAX`).
pub(crate) const NAME_MAX: usize = 255;
/// Bytes of a path or a link's text that Linux takes, the NUL at the end included.
pub(crate) const PATH_MAX: usize = 4096;

/// Refuses names and link texts that the format, or Linux when it reads it, would cut or leave out.
pub(crate) fn check_lengths(
    format: &'static str,
    path: &TreePath,
    entry: &Entry,
    longest: usize,
) -> Result<(), ImageError> {
    let refuse = |what: String| Err(ImageError::CantHold { format, path: path.clone(), what });
    if path.name().len() > longest {
        return refuse(format!("its name has {} bytes, the limit is {longest}", path.name().len()));
    }
    match &entry.node {
        Node::Symlink { target } if target.is_empty() || target.len() >= PATH_MAX => {
            refuse(format!("the link target has {} bytes, the kernel accepts 1 to {}", target.len(), PATH_MAX - 1))
        }
        _ => Ok(()),
    }
}

/// The S_IFMT bits of inode(7), which cpio, debugfs and stat(2) share.
pub(crate) fn file_type(node: &Node) -> u32 {
    match node {
        Node::Fifo => 0o010000,
        Node::Char { .. } => 0o020000,
        Node::Dir => 0o040000,
        Node::Block { .. } => 0o060000,
        Node::File { .. } => 0o100000,
        Node::Symlink { .. } => 0o120000,
    }
}
