//! Archives from outside, read as streams in constant memory: compressed tar files and Debian packages.
//!
//! Input from outside is not trusted to be well-formed. An entry that would be placed outside the target folder is an
//! error; so is an archive that ends early, or an entry of a type that can't be represented.

mod budget;
pub mod deb;
mod decompress;
mod entries;
mod header;
mod package;
mod pax;
mod streams;
pub mod tar;

use std::io;

pub use budget::{ALWAYS, Budget, Exceeded};
pub use decompress::{ahead, decompress, decompress_with};
pub use entries::{Entries, Member, MemberKind};
pub use package::{Deb, PackageFile, PackageFormat};

/// Why an archive could not be read or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Not in the expected format.
    #[error("{archive} is not {expected}")]
    NotAnArchive {
        /// The archive.
        archive: String,
        /// `a tar archive`, `a Debian package` …
        expected: &'static str,
    },
    /// The file ends before the archive does.
    #[error("{archive} is truncated: it ends inside {inside}")]
    Truncated {
        /// The archive.
        archive: String,
        /// The entry or part that is cut off.
        inside: String,
    },
    /// Malformed data.
    #[error("{archive} is damaged: {what}")]
    Damaged {
        /// The archive.
        archive: String,
        /// What is wrong with it.
        what: String,
    },
    /// An entry that would be placed outside the target folder.
    #[error("{archive}: entry `{entry}` leads outside the target folder: {how}")]
    Climbs {
        /// The archive.
        archive: String,
        /// The entry's name as stored in the archive.
        entry: String,
        /// How it would escape.
        how: String,
    },
    /// A well-formed entry that can't be represented.
    #[error("{archive}: entry `{entry}`: {why}")]
    Entry {
        /// The archive.
        archive: String,
        /// The entry's name.
        entry: String,
        /// The reason.
        why: String,
    },
    /// The archive exceeds a budget.
    #[error("{archive} is rejected: {exceeded}")]
    Budget {
        /// The archive.
        archive: String,
        /// The budget, and the key that raises it.
        exceeded: Exceeded,
    },
    /// More of something than any legitimate archive needs.
    #[error("{archive} is rejected: {what}")]
    Excessive {
        /// The archive.
        archive: String,
        /// What it has too much of, and the limit.
        what: String,
    },
    /// A system call failed; the archive is not at fault.
    #[error("{archive}: can't {action} `{entry}`")]
    Io {
        /// The archive.
        archive: String,
        /// The current entry.
        entry: String,
        /// The action that failed.
        action: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The store rejected the unpacked data.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

impl ArchiveError {
    /// Whether the disk is full (or the quota used up).
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Store(error) => error.is_disk_full(),
            _ => false,
        }
    }

    /// An error while reading `archive`, within `inside`: an early end, or content that does not decode.
    fn reading(archive: &str, inside: &str, error: io::Error) -> Self {
        let (archive, inside) = (archive.to_owned(), inside.to_owned());
        if let Some(exceeded) = error.get_ref().and_then(|error| error.downcast_ref::<Exceeded>()) {
            return Self::Budget { archive, exceeded: exceeded.clone() };
        }
        if error.get_ref().is_some_and(|error| error.is::<crate::interrupt::Interrupted>()) {
            return Self::Io { archive, entry: inside, action: "read", source: error };
        }
        // From liblzma, which has no errno.
        if matches!(error.get_ref().and_then(|error| error.downcast_ref()), Some(xz2::stream::Error::Mem)) {
            let source = io::Error::from(nix::errno::Errno::ENOMEM);
            return Self::Io { archive, entry: inside, action: "read", source };
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated { archive, inside },
            // What decoders report about content that does not decode.
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
                Self::Damaged { archive, what: format!("{error}, inside {inside}") }
            }
            _ => Self::Io { archive, entry: inside, action: "read", source: error },
        }
    }
}

/// Bytes of a name as a path.
pub(crate) fn os_path(bytes: &[u8]) -> &std::path::Path {
    std::path::Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes))
}

/// Bytes of a name for display.
fn shown(bytes: &[u8]) -> String {
    crate::printable::printable(bytes).to_string()
}
