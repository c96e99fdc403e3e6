//! The output folder: either completely new, or the old one unchanged. Nothing that dbco did not write is changed or
//! removed.
//!
//! A folder of dbco's holds a mark (`.dbco-outputs`) with the digest of each of its files. Before a folder is replaced
//! its files are read and compared with the mark: an edited file, or anything that the mark does not list, is an error
//! that names it. Unfinished folders are beside it as `.dbco-outputs-*`, locked and with a mark. Logs and reports of
//! tests are replaced one by one, by the same rule ([`LogFolder`]).

mod folder;
mod logs;
mod mark;
mod replace;
mod sign;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::build::Built;
use crate::digest::Digest;
use crate::inherited;
use crate::path_error::{FromPathError as _, PathError};
use crate::plan::Plan;
use crate::step::Blob;
use crate::store::{Store, StoreError};

use folder::{FolderScanner, FolderState};
use replace::{StagingFolder, sweep};

pub use logs::{LogFolder, LogWriter};
pub use mark::{FileDigests, MARK, SUMS, parse as parse_mark, parse_sums};
pub use sign::{SignError, add_signatures};

/// A file of the outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Its path.
    pub path: PathBuf,
    /// Length in bytes.
    pub size: u64,
    /// Digest of its content.
    pub digest: Digest,
    /// Bytes of the file of this name that was there before, unless it was edited.
    pub before: Option<u64>,
}

/// The result of [`OutputFolder::write`].
#[derive(Clone, Debug)]
pub struct WriteReport {
    /// The folder.
    pub folder: PathBuf,
    /// Its files, without `SHA256SUMS` and the mark.
    pub files: Vec<WrittenFile>,
    /// Whether the folder already held exactly this.
    pub unchanged: bool,
    /// The folder to which edited files of the old folder were moved, if there were any.
    pub kept: Option<PathBuf>,
}

/// Why outputs can't be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The name of a recipe or product that is not a single component of a path.
    #[error("`{}` can't be the name of an output", .0.escape_debug())]
    Name(String),
    /// A file that the build did not produce.
    #[error("the build produced no {0}")]
    Lacking(String),
    /// Something that is not a folder.
    #[error("{} is {what}, not a folder of outputs: move it away, or choose another location with --output", path.display())]
    InTheWay {
        /// Its path.
        path: PathBuf,
        /// `a file`, `a symbolic link`.
        what: &'static str,
    },
    /// Something in a folder of dbco's that dbco did not write.
    #[error(
        "can't replace {}: it contains {}, which dbco did not write: move the folder away, or choose another location with --output",
        folder.display(), list(names)
    )]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// Its foreign entries.
        names: Vec<String>,
    },
    /// A folder that nothing marks as written by dbco.
    #[error(
        "can't replace {}: it contains {}, and no valid `{MARK}` that lists what dbco wrote: move the folder away, or choose another \
         location with --output",
        folder.display(), list(names)
    )]
    Unmarked {
        /// The folder.
        folder: PathBuf,
        /// Its content.
        names: Vec<String>,
    },
    /// Outputs that were edited.
    #[error(
        "can't replace {}: {} changed since dbco wrote it: move it away, or pass --overwrite, which keeps it in {}.edited",
        folder.display(), list(names), folder.display()
    )]
    Edited {
        /// The folder.
        folder: PathBuf,
        /// The edited files.
        names: Vec<String>,
    },
    /// Outputs that can't be read.
    #[error(
        "can't replace {}: {} can't be read ({reason}), and may have changed since dbco wrote it: make it readable, move it away, or \
         pass --overwrite, which keeps it in {}.edited",
        folder.display(), list(names), folder.display()
    )]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// The files.
        names: Vec<String>,
        /// The reason for the first of them.
        reason: String,
    },
    /// Files that would be replaced but that dbco did not write, or that were edited since.
    #[error(
        "can't write to {}: {} there was not written by dbco or was edited: move it away, or choose another location with --output",
        folder.display(), list(names)
    )]
    Taken {
        /// The folder.
        folder: PathBuf,
        /// The files.
        names: Vec<String>,
    },
    /// Another process is writing there.
    #[error("another dbco process is writing to {}: wait until it exits, or choose another location with --output", .0.display())]
    Busy(PathBuf),
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A product could not be read from the store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The first few names, quoted.
fn list(names: &[String]) -> String {
    const MOST: usize = 5;
    let shown: Vec<_> = names.iter().take(MOST).map(|name| format!("`{}`", name.escape_debug())).collect();
    let more = if names.len() > MOST { format!(" and {} more", names.len() - MOST) } else { String::new() };
    shown.join(", ") + &more
}

/// The folder of a recipe's outputs.
#[derive(Debug)]
pub struct OutputFolder {
    looker: FolderScanner,
    overwrite: bool,
}

impl OutputFolder {
    /// The folder `name` in `parent`, if it may be replaced: it does not exist, is empty, or holds nothing but what
    /// dbco wrote. With `overwrite` files of dbco's may have been edited; they are kept when the folder is replaced.
    pub fn new(parent: &Path, name: &str, overwrite: bool, store: &Store) -> Result<Self, OutputError> {
        if !mark::is_name(name) {
            return Err(OutputError::Name(name.to_owned()));
        }
        let looker = FolderScanner::new(&parent.join(name));
        let mut target = Self { looker, overwrite };
        target.look(store)?;
        Ok(target)
    }

    /// The files in the folder that dbco wrote and that are unchanged, with digest and length in bytes; without
    /// `SHA256SUMS` and signatures. Nothing is written.
    pub fn present(&mut self, store: &Store) -> Result<FileDigests, OutputError> {
        let found = self.look(store)?.unchanged;
        let is_product = |name: &String| *name != SUMS && !mark::is_signature(name, &found);
        Ok(found.iter().filter(|(name, _)| is_product(name)).map(|(name, content)| (name.clone(), *content)).collect())
    }

    fn look(&mut self, store: &Store) -> Result<FolderState, OutputError> {
        let found = self.looker.look(store)?;
        let folder = || self.looker.path().to_owned();
        if !found.foreign.is_empty() {
            let (folder, names) = (folder(), found.foreign);
            return Err(match found.marked {
                true => OutputError::Foreign { folder, names },
                false => OutputError::Unmarked { folder, names },
            });
        }
        if !found.edited.is_empty() && !self.overwrite {
            return Err(OutputError::Edited { folder: folder(), names: found.edited });
        }
        if let Some((_, reason)) = found.unreadable.first().filter(|_| !self.overwrite) {
            let names = found.unreadable.iter().map(|(name, _)| name.clone()).collect();
            return Err(OutputError::Unreadable { folder: folder(), names, reason: reason.clone() });
        }
        Ok(found)
    }

    /// Writes a plan's products and the documents beside them into the folder, which is replaced atomically
    /// (renameat2(2) with `RENAME_EXCHANGE`).
    pub fn write(
        &mut self,
        plan: &Plan,
        built: &Built,
        documents: &BTreeMap<String, Blob>,
        store: &Store,
    ) -> Result<WriteReport, OutputError> {
        let documents = documents.iter().map(|(name, blob)| (name.clone(), (blob.digest, blob.size)));
        let mut products: FileDigests = documents.collect();
        for product in &plan.products {
            match built.blob(&product.from) {
                Some(Blob { digest, size }) => {
                    products.insert(product.name.clone(), (digest, size));
                }
                None if product.optional => {}
                None => return Err(OutputError::Lacking(product.name.clone())),
            }
        }
        self.put(&products, store)
    }

    fn put(&mut self, products: &FileDigests, store: &Store) -> Result<WriteReport, OutputError> {
        if let Some(name) = products.keys().find(|name| !mark::is_name(name) || *name == SUMS) {
            return Err(OutputError::Name(name.clone()));
        }
        let folder = self.looker.path().to_owned();
        let parent = folder.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
        inherited::for_user(|| fs::create_dir_all(parent)).map_err(OutputError::io("make", parent))?;
        sweep(parent);
        let found = self.look(store)?;
        let unchanged = holds(&found, products);
        let kept = match unchanged {
            true => {
                // Nothing is read from the store, but the objects must be intact for its next reader.
                for digest in products.values().map(|(digest, _)| digest) {
                    store.verified_blob(digest)?;
                }
                None
            }
            false => StagingFolder::fill(parent, products, store)?.move_into_place(&mut self.looker, store)?,
        };
        let given = |(name, (digest, size)): (&String, &(Digest, u64))| WrittenFile {
            path: folder.join(name),
            size: *size,
            digest: *digest,
            before: found.unchanged.get(name).map(|(_, size)| *size),
        };
        let files = products.iter().map(given).collect();
        Ok(WriteReport { folder, files, unchanged, kept })
    }
}

/// Whether a folder that dbco wrote holds exactly these files.
fn holds(found: &FolderState, products: &FileDigests) -> bool {
    let text = mark::sums(products);
    let mut all = products.clone();
    all.insert(SUMS.to_owned(), (Digest::of(&text), text.len() as u64));
    // Signatures of what is there are still valid.
    let unsigned = found.unchanged.iter().filter(|(name, _)| !mark::is_signature(name, &all));
    found.marked && found.edited.is_empty() && unsigned.eq(all.iter())
}
