//! The content of an output folder: which files dbco wrote and whether they are unchanged, and which are foreign.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::OutputError;
use super::mark::{self, FileDigests, MARK, SUMS};
use crate::digest::Digest;
use crate::path_error::FromPathError as _;
use crate::store::{Stamp, Store, open_regular};

/// A larger mark can't be dbco's.
const MOST_BYTES: u64 = 1 << 20;

/// The state of the folder's path.
#[derive(Debug, Default, PartialEq)]
pub struct FolderState {
    /// Whether the folder exists.
    pub exists: bool,
    /// Whether it has a mark; one without is empty or was written by an earlier version.
    pub marked: bool,
    /// Unchanged files that dbco wrote, without the mark.
    pub unchanged: FileDigests,
    /// Files that dbco wrote and whose content has changed.
    pub edited: Vec<String>,
    /// Files that dbco wrote and that can't be read now, each with the reason.
    pub unreadable: Vec<(String, String)>,
    /// Entries that dbco did not write.
    pub foreign: Vec<String>,
}

/// The state of a file that dbco wrote.
enum FileState {
    /// A regular file of this digest and length in bytes.
    Is((Digest, u64)),
    /// Anything else.
    Other,
    /// A file that can't be read, and the reason.
    Unreadable(String),
}

/// Examines a folder, and remembers the digests of its files: a file whose stamp is unchanged is not read again.
#[derive(Debug)]
pub struct FolderScanner {
    path: PathBuf,
    known: BTreeMap<String, (Stamp, Digest)>,
}

impl FolderScanner {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), known: BTreeMap::new() }
    }

    /// The output folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Examines the output folder. One without a mark that holds exactly what an earlier version wrote, all of it still
    /// in the store, counts as dbco's.
    pub fn look(&mut self, store: &Store) -> Result<FolderState, OutputError> {
        let path = self.path.clone();
        let which = || fs::symlink_metadata(&path).map(|metadata| (metadata.dev(), metadata.ino())).ok();
        loop {
            let before = which();
            let found = self.look_at(&path, store);
            // Otherwise another writer has replaced the folder meanwhile, and the result is a mixture of both.
            if which() == before {
                return found;
            }
        }
    }

    /// As [`FolderScanner::look`], after the folder was moved to `at`.
    pub fn look_at(&mut self, at: &Path, store: &Store) -> Result<FolderState, OutputError> {
        match fs::symlink_metadata(at) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FolderState::default()),
            Err(error) => return Err(OutputError::io("read", at)(error)),
            Ok(metadata) if metadata.is_dir() => {}
            Ok(metadata) => {
                let what = if metadata.is_symlink() { "a symbolic link" } else { "a file" };
                return Err(OutputError::InTheWay { path: at.to_owned(), what });
            }
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(at).map_err(OutputError::io("read", at))? {
            names.push(entry.map_err(OutputError::io("read", at))?.file_name());
        }
        names.sort();
        let mut found = FolderState { exists: true, ..FolderState::default() };
        let mark = read_text(&at.join(MARK)).and_then(|text| mark::parse(&text));
        found.marked = mark.is_some();
        let adopted = if found.marked { None } else { self.adopt(at, names.len(), store)? };
        let ours = mark.or(adopted).unwrap_or_default();
        for name in names {
            match name.to_str() {
                Some(MARK) if found.marked => {}
                Some(text) if ours.contains_key(text) => {
                    let stated = ours[text];
                    match self.content(at, text, stated.1)? {
                        FileState::Is(content) if content == stated => {
                            found.unchanged.insert(text.to_owned(), stated);
                        }
                        FileState::Is(_) | FileState::Other => found.edited.push(text.to_owned()),
                        FileState::Unreadable(reason) => found.unreadable.push((text.to_owned(), reason)),
                    }
                }
                _ => found.foreign.push(name.display().to_string()),
            }
        }
        Ok(found)
    }

    /// The state of a file. One whose length differs from the stated one is not read.
    fn content(&mut self, at: &Path, name: &str, length: u64) -> Result<FileState, OutputError> {
        let path = at.join(name);
        let file = match open_regular(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Ok(FileState::Unreadable(error.to_string()));
            }
            Err(_) => return Ok(FileState::Other),
        };
        let metadata = file.metadata().map_err(OutputError::io("read", &path))?;
        if length != metadata.len() {
            return Ok(FileState::Other);
        }
        let stamp = Stamp::of(&metadata);
        if let Some((known, digest)) = self.known.get(name)
            && *known == stamp
        {
            return Ok(FileState::Is((*digest, metadata.len())));
        }
        self.known.remove(name);
        let settled = stamp.is_settled(SystemTime::now());
        // Data that is appended meanwhile is not read to its end either.
        let content = Digest::of_reader(file.take(metadata.len().saturating_add(1)));
        let content = content.map_err(OutputError::io("read", &path))?;
        if settled {
            self.known.insert(name.to_owned(), (stamp, content.0));
        }
        Ok(FileState::Is(content))
    }

    /// The files of a folder written by a version of dbco without marks: its list of digests names all of them and
    /// matches each, and the store holds each as well. A matching list alone is not enough, as anyone can make one.
    fn adopt(&mut self, at: &Path, entries: usize, store: &Store) -> Result<Option<FileDigests>, OutputError> {
        let text = read_text(&at.join(SUMS)).unwrap_or_default();
        let Some(stated) = mark::parse_sums(&text) else { return Ok(None) };
        if stated.is_empty() || stated.len() + 1 != entries || stated.contains_key(SUMS) {
            return Ok(None);
        }
        let mut files = FileDigests::from([(SUMS.to_owned(), (Digest::of(&text), text.len() as u64))]);
        for (name, digest) in stated {
            // Files that the store lacks are not read: they may be large, and somebody else's.
            let Ok(blob) = fs::metadata(store.blob_path(&digest)) else { return Ok(None) };
            match self.content(at, &name, blob.len())? {
                FileState::Is(content) if content.0 == digest && store.has_blob(&digest) => files.insert(name, content),
                _ => return Ok(None),
            };
        }
        Ok(Some(files))
    }
}

/// The text of a small regular file.
pub fn read_text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let count = open_regular(path).ok()?.take(MOST_BYTES + 1).read_to_string(&mut text).ok()?;
    (count as u64 <= MOST_BYTES).then_some(text)
}
