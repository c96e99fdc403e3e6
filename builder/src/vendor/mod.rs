//! Vendored sources: everything that a lock names in one folder or archive, from which builds need no network.
//!
//! The layout is that of [`crate::source::Vendored`], which reads it. Contents are stored by digest, so a reader needs
//! only the lock, and a file that several requests name is stored once. Debian packages are also listed under the names that
//! they have on a mirror, as hard links, with an index for apt: the folder is a flat repository for `apt` (sources.list(5)), and
//! its `debian` and `debian-security` are mirrors for `--mirror`.
//!
//! A folder is changed in place: a file appears under its name after it is complete, and the manifest is written last. The same
//! selection always gives the same archive.

mod apt;
mod archive;
mod folder;
mod manifest;
mod verify;

use std::io;
use std::path::PathBuf;

use crate::archive::ArchiveError;
use crate::beneath::BeneathError;
use crate::image::ImageError;
use crate::path_error::PathError;
use crate::store::StoreError;

pub use archive::{ArchiveFormat, write_archive};
pub use folder::{FolderReport, write_folder};
pub use manifest::{Manifest, Selection, VendoredFile};
pub use verify::{Verified, verify};

/// Why sources could not be vendored or verified.
#[derive(Debug, thiserror::Error)]
pub enum VendorError {
    /// Something else is at that path.
    #[error("{}: {what}; nothing was changed", path.display())]
    NotOurs {
        /// The folder or file.
        path: PathBuf,
        /// What it is, and what is expected.
        what: String,
    },
    /// Another process changes the folder.
    #[error("{}: another dbco process is writing to it", .0.display())]
    Busy(PathBuf),
    /// A system call on a path failed.
    #[error(transparent)]
    Io(#[from] PathError),
    /// Something below the folder.
    #[error("{}: {error}", path.display())]
    Below {
        /// The folder.
        path: PathBuf,
        /// The error.
        #[source]
        error: BeneathError,
    },
    /// The manifest is invalid.
    #[error("{}: {message}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// The error.
        message: String,
    },
    /// A package or an archive can't be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The archive can't be written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A signal arrived.
    #[error("interrupted")]
    Interrupted(#[source] io::Error),
}
