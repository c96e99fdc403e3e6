//! From trees to the files that a machine boots: archives, file systems, GRUB's files, the ISO.
//!
//! Everything written here is a pure function of its arguments: all times are the recipe's epoch, and all orders are
//! the tree's. Archives are streamed in constant memory. What third-party tools have to make is returned as an
//! [`Execution`](crate::execution::Execution); this module runs none.

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
        /// The file's path in the tree.
        path: TreePath,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A file's content does not match its tree: it changed after it was read.
    #[error("{path} changed while it was read: expected {size} bytes with sha256 {want}, got {got}")]
    Changed {
        /// The file's path in the tree.
        path: TreePath,
        /// The digest in the tree.
        want: Digest,
        /// The length in the tree.
        size: u64,
        /// What was read instead.
        got: String,
    },
    /// The format can't represent something in the tree.
    #[error("{format} can't store {path}: {what}")]
    CantHold {
        /// The format: `cpio newc`, `tar`, …
        format: &'static str,
        /// Its path in the tree.
        path: TreePath,
        /// What can't be represented, and what to do.
        what: String,
    },
    /// A path whose parent is not a folder.
    #[error("{path} is below {parent}, which is not a folder in the tree")]
    NoParent {
        /// The path in the tree.
        path: TreePath,
        /// The missing folder.
        parent: TreePath,
    },
    /// A time that the format can't represent.
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
    /// A file in a folder that tools work in could not be created or read.
    #[error(transparent)]
    Beneath(#[from] BeneathError),
    /// Text that GRUB can't accept as it is.
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

/// All entries with the root first, even if the tree does not state it.
///
/// An entry whose folder is missing is an error: the kernel's unpacker silently skips such entries.
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

/// The longest file name that Linux accepts (`NAME_MAX`).
pub(crate) const NAME_MAX: usize = 255;
/// The longest path or link text that Linux accepts, in bytes, including the terminating NUL.
pub(crate) const PATH_MAX: usize = 4096;

/// Rejects names and link texts that the format, or Linux when it reads it, would truncate or skip.
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

/// The S_IFMT bits of inode(7), which are the same for cpio, debugfs and stat(2).
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
