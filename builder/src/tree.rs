//! A tree as data: every path with its type, owner, mode and content, independent of the host.
//!
//! One type is used for everything passed between steps: the install tree of a component, the content of a package, and
//! the whole root filesystem of an image. Owners and device nodes are fields, so that no step needs root to create
//! them.

pub mod capabilities;
pub mod contested;
mod find;
mod links;
mod pattern;
pub mod usrmerge;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Write};
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

pub use links::HardLinks;
pub use pattern::{Pattern, exclude};

/// A path inside a tree: absolute without the leading `/`, no empty, `.` or `..` component. The root itself is `""`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TreePath(String);

/// A path that can't be in a tree.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadPath {
    /// `..` would leave the tree.
    #[error("`{0}` contains `..`")]
    Climbs(String),
    /// Names in a tree are UTF-8.
    #[error("`{0}` is not UTF-8")]
    NotUtf8(String),
    /// A NUL byte ends a path for the kernel.
    #[error("`{0}` contains a NUL byte")]
    Nul(String),
}

impl TreePath {
    /// The root of the tree.
    pub const ROOT: Self = Self(String::new());

    /// Normalises `text`: a leading `/` or `./`, doubled and trailing slashes are removed; `..` is rejected.
    pub fn new(text: &str) -> Result<Self, BadPath> {
        if text.contains('\0') {
            return Err(BadPath::Nul(text.replace('\0', "\\0")));
        }
        let mut path = String::with_capacity(text.len());
        for part in text.split('/') {
            match part {
                "" | "." => continue,
                ".." => return Err(BadPath::Climbs(text.to_owned())),
                part => {
                    if !path.is_empty() {
                        path.push('/');
                    }
                    path.push_str(part);
                }
            }
        }
        Ok(Self(path))
    }

    /// As [`TreePath::new`], from the bytes of an archive's header.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadPath> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::new(text),
            Err(_) => Err(BadPath::NotUtf8(String::from_utf8_lossy(bytes).into_owned())),
        }
    }

    /// Without the leading slash; `""` for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root of the tree.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The folder that holds this path; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        match self.0.rsplit_once('/') {
            Some((parent, _)) => Some(Self(parent.to_owned())),
            None if self.is_root() => None,
            None => Some(Self::ROOT),
        }
    }

    /// The last component; `""` for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The first component; `""` for the root.
    pub fn top(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// Whether this path is `folder` or lies below it.
    pub fn is_within(&self, folder: &TreePath) -> bool {
        folder.is_root()
            || self.0.strip_prefix(folder.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// This path with `below` appended.
    pub fn join(&self, below: &TreePath) -> Self {
        match (self.is_root(), below.is_root()) {
            (true, _) => below.clone(),
            (_, true) => self.clone(),
            _ => Self(format!("{}/{}", self.0, below.0)),
        }
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for TreePath {
    type Error = BadPath;

    fn try_from(text: String) -> Result<Self, BadPath> {
        Self::new(&text)
    }
}

impl From<TreePath> for String {
    fn from(path: TreePath) -> Self {
        path.0
    }
}

/// The node at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Node {
    /// A folder.
    Dir,
    /// A regular file: the digest of its content and its length in bytes.
    File {
        /// Digest of the content.
        blob: Digest,
        /// Length in bytes.
        size: u64,
    },
    /// A symbolic link and its target.
    Symlink {
        /// The target, as readlink(2) gives it.
        target: String,
    },
    /// A character device.
    Char {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

impl Node {
    /// For messages: `a folder`, `a link to busybox` …
    pub fn kind(&self) -> String {
        match self {
            Self::Dir => "a folder".to_owned(),
            Self::File { .. } => "a file".to_owned(),
            Self::Symlink { target } => format!("a link to {target}"),
            Self::Char { major, minor } => format!("character device {major}:{minor}"),
            Self::Block { major, minor } => format!("block device {major}:{minor}"),
            Self::Fifo => "a pipe".to_owned(),
        }
    }
}

/// One path's node and attributes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Type and content.
    #[serde(flatten)]
    pub node: Node,
    /// Permission bits with setuid, setgid and sticky: 0 to 0o7777. Symbolic links hold 0o777.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Extended attributes by full name (`security.capability`), values as raw bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, Vec<u8>>,
    /// A number shared by the names of one file, if it has several: from 1, in the order of first names. See
    /// [`Tree::settle_links`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inode: Option<u32>,
}

impl Entry {
    /// A folder owned by root.
    pub fn dir(mode: u32) -> Self {
        Self::of(Node::Dir, mode)
    }

    /// A file owned by root.
    pub fn file(blob: Digest, size: u64, mode: u32) -> Self {
        Self::of(Node::File { blob, size }, mode)
    }

    /// A symbolic link owned by root.
    pub fn symlink(target: impl Into<String>) -> Self {
        Self::of(Node::Symlink { target: target.into() }, 0o777)
    }

    /// Any node, owned by root.
    pub fn of(node: Node, mode: u32) -> Self {
        Self { node, mode, uid: 0, gid: 0, xattrs: BTreeMap::new(), inode: None }
    }

    /// Whether both are equal, apart from their other names.
    pub fn same(&self, other: &Self) -> bool {
        let Self { node, mode, uid, gid, xattrs, inode: _ } = self;
        (node, mode, uid, gid, xattrs) == (&other.node, &other.mode, &other.uid, &other.gid, &other.xattrs)
    }

    /// Whether this is a folder.
    pub fn is_dir(&self) -> bool {
        self.node == Node::Dir
    }
}

/// A tree: paths in byte order, each with its [`Entry`]. The root may be absent; it is then a folder owned by root,
/// with mode 755.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// Entries by path; a folder sorts before its content.
    pub entries: BTreeMap<TreePath, Entry>,
}

/// First line of an encoded tree: the version of the encoding.
const HEADER: &str = "dbco tree 1";
/// The same for trees with files that have several names.
const HEADER_LINKS: &str = "dbco tree 2";

impl Tree {
    /// A tree without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// The entry at a path.
    pub fn get(&self, path: &TreePath) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Whether an entry lies below a path, which itself need not be listed.
    pub fn has_below(&self, folder: &TreePath) -> bool {
        // Other names that begin as the folder's sort before it and what it holds: `a-b` before `a/b`.
        let first = match folder.is_root() {
            true => Bound::Excluded(TreePath::ROOT),
            false => Bound::Included(TreePath(format!("{}/", folder.0))),
        };
        self.entries.range((first, Bound::Unbounded)).next().is_some_and(|(path, _)| path.is_within(folder))
    }

    /// Adds or replaces one entry.
    pub fn insert(&mut self, path: TreePath, entry: Entry) {
        self.entries.insert(path, entry);
    }

    /// Adds every missing parent folder, owned by root with mode 755, including the root.
    pub fn complete(&mut self) {
        let mut missing = vec![TreePath::ROOT];
        for path in self.entries.keys() {
            let mut at = path.parent();
            while let Some(parent) = at {
                if self.entries.contains_key(&parent) {
                    break;
                }
                at = parent.parent();
                missing.push(parent);
            }
        }
        for path in missing {
            self.entries.entry(path).or_insert_with(|| Entry::dir(0o755));
        }
    }

    /// Sum of the files' lengths in bytes.
    pub fn size(&self) -> u64 {
        let length = |entry: &Entry| match entry.node {
            Node::File { size, .. } => size,
            _ => 0,
        };
        self.entries.values().map(length).sum()
    }

    /// Writes the canonical encoding: a header line, then a JSON line `[path, entry]` for each entry, in path order.
    pub fn encode(&self, out: &mut impl Write) -> io::Result<()> {
        let links = self.entries.values().any(|entry| entry.inode.is_some());
        writeln!(out, "{}", if links { HEADER_LINKS } else { HEADER })?;
        for pair in &self.entries {
            serde_json::to_writer(&mut *out, &pair)?;
            writeln!(out)?;
        }
        Ok(())
    }

    /// Reads what [`Tree::encode`] wrote.
    pub fn decode(input: impl BufRead) -> io::Result<Self> {
        let bad = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut lines = input.lines();
        match lines.next().transpose()? {
            Some(line) if line == HEADER || line == HEADER_LINKS => {}
            other => return Err(bad(format!("not an encoded tree: {other:?}"))),
        }
        let mut entries = BTreeMap::new();
        for line in lines {
            let (path, entry): (TreePath, Entry) = serde_json::from_str(&line?)?;
            entries.insert(path, entry);
        }
        Ok(Self { entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text).unwrap()
    }

    #[test]
    fn paths_are_normalised_and_never_climb() {
        assert_eq!(path("./usr//bin/").as_str(), "usr/bin");
        assert_eq!(path("/").as_str(), "");
        assert_eq!(TreePath::new("a/../b"), Err(BadPath::Climbs("a/../b".into())));
        assert!(TreePath::from_bytes(b"a\xff").is_err());
        assert!(path("usr/bin").is_within(&path("usr")));
        assert!(!path("usrbin").is_within(&path("usr")));
    }

    #[test]
    fn a_tree_survives_its_encoding() {
        let mut tree = Tree::new();
        tree.insert(path("dev/console"), Entry::of(Node::Char { major: 5, minor: 1 }, 0o600));
        tree.insert(path("etc/系统"), Entry::file(Digest::of("x"), 1, 0o644));
        tree.insert(path("bin"), Entry::symlink("usr/bin"));
        tree.complete();
        assert!(tree.get(&path("etc")).unwrap().is_dir());
        let mut bytes = Vec::new();
        tree.encode(&mut bytes).unwrap();
        assert_eq!(Tree::decode(bytes.as_slice()).unwrap(), tree);
    }
}
