//! The files of a source, as far as reading its Kconfig needs them: in a folder, or in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use nix::sys::stat::SFlag;

use crate::beneath::{Dir, Links, Refusal};

/// The files of a source.
#[derive(Clone, Debug)]
pub enum SourceFiles {
    /// A folder with content from elsewhere; links are followed as long as they stay inside.
    Folder(Dir),
    /// Texts by path, relative to the source's root.
    Texts(Arc<BTreeMap<String, String>>),
}

/// Why a file can't be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It has more bytes than permitted.
    #[error("it is too large")]
    TooLarge,
    /// A folder's file.
    #[error(transparent)]
    Refused(Refusal),
    /// There is no such text.
    #[error("No such file or directory (os error 2)")]
    Missing,
}

/// What a folder contains.
pub(super) struct FileItem {
    /// The name, without the folder's.
    pub(super) name: String,
    /// Whether it is a folder; otherwise it is a regular file.
    pub(super) is_folder: bool,
}

impl From<&Dir> for SourceFiles {
    fn from(dir: &Dir) -> Self {
        Self::Folder(dir.following(Links::Within))
    }
}

impl SourceFiles {
    /// The content of a file of at most `most` bytes.
    pub fn read(&self, path: &str, most: u64) -> Result<Vec<u8>, Unreadable> {
        match self {
            Self::Folder(dir) => dir.read(path, most).map_err(|error| match error.refusal {
                Refusal::TooLarge(_) => Unreadable::TooLarge,
                refusal => Unreadable::Refused(refusal),
            }),
            Self::Texts(texts) => match texts.get(path) {
                None => Err(Unreadable::Missing),
                Some(text) if text.len() as u64 > most => Err(Unreadable::TooLarge),
                Some(text) => Ok(text.clone().into_bytes()),
            },
        }
    }

    /// Whether there is a regular file at a path.
    pub fn has_file(&self, path: &str) -> bool {
        match self {
            Self::Folder(dir) => dir.has_file(path),
            Self::Texts(texts) => texts.contains_key(path),
        }
    }

    /// The folders and regular files in a folder, those that can be named as text; `""` is the root. None if it does not
    /// exist.
    pub(super) fn list(&self, folder: &str) -> Vec<FileItem> {
        match self {
            Self::Folder(dir) => {
                let items = dir.list(folder).unwrap_or_default();
                let item = |item: crate::beneath::DirEntry| match item.kind() {
                    SFlag::S_IFDIR => Some(FileItem { name: item.name.to_str()?.to_owned(), is_folder: true }),
                    SFlag::S_IFREG => Some(FileItem { name: item.name.to_str()?.to_owned(), is_folder: false }),
                    _ => None,
                };
                items.into_iter().filter_map(item).collect()
            }
            Self::Texts(texts) => {
                let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
                let mut items: Vec<FileItem> = Vec::new();
                let inside = texts.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
                for rest in inside.map(|(path, _)| &path[prefix.len()..]) {
                    let (name, is_folder) = rest.split_once('/').map_or((rest, false), |(name, _)| (name, true));
                    if items.last().is_none_or(|last| last.name != name) {
                        items.push(FileItem { name: name.to_owned(), is_folder });
                    }
                }
                items
            }
        }
    }
}
