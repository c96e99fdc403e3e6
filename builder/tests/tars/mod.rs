//! Tar archives written header by header, and reading them, for the tests of archives.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::Path;

use dbco::archive::tar::read_tree;
use dbco::archive::{ArchiveError, Budget};
use dbco::beneath::{Dir, Links};
use dbco::store::Store;
use dbco::tree::{Tree, TreePath};
use tar::EntryType;

/// A tar archive, written header by header: the tricks need names that honest writers refuse.
#[derive(Default)]
pub struct Tar(pub Vec<u8>);

impl Tar {
    pub fn add(mut self, kind: EntryType, name: &str, link: &str, mode: u32, content: &[u8]) -> Self {
        let mut header = tar::Header::new_ustar();
        let bytes = header.as_mut_bytes();
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        bytes[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_mtime(1_000_000_000);
        header.set_uid(7);
        header.set_gid(8);
        if matches!(kind, EntryType::Char) {
            header.set_device_major(5).unwrap();
            header.set_device_minor(1).unwrap();
        }
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn file(self, name: &str, content: &str) -> Self {
        self.add(EntryType::Regular, name, "", 0o644, content.as_bytes())
    }

    pub fn dir(self, name: &str) -> Self {
        self.add(EntryType::Directory, name, "", 0o755, b"")
    }

    pub fn link(self, name: &str, target: &str) -> Self {
        self.add(EntryType::Symlink, name, target, 0o777, b"")
    }

    pub fn hard(self, name: &str, target: &str) -> Self {
        self.add(EntryType::Link, name, target, 0o644, b"")
    }

    pub fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// The budget of an archive that nobody raised.
pub const USUAL: Budget = Budget::USUAL;

pub fn dir(path: &Path) -> Dir {
    Dir::open(path, Links::Never).unwrap()
}

pub fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

pub fn tree_of(bytes: &[u8]) -> Result<Tree, ArchiveError> {
    let folder = tempfile::tempdir().unwrap();
    let mut batch = Store::open(folder.path()).unwrap().batch().unwrap();
    read_tree(bytes, "x.tar", &USUAL, &mut batch)
}

/// One extended header of pax with a record for each key.
pub fn pax(kind: u8, records: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut content = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (1..).find(|digits| (rest + digits).to_string().len() == *digits).unwrap() + rest;
        content.extend(format!("{length} {key}=").bytes());
        content.extend(value);
        content.push(b'\n');
    }
    Tar::default().add(EntryType::new(kind), "pax", "", 0o644, &content).0
}
