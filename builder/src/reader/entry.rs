//! What a file system or an archive contains: entries, the same for every format.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

/// The type of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A symbolic link, with its target.
    Symlink(Vec<u8>),
    /// A character device: major and minor number; `None` if the reader can't tell them.
    Char(Option<(u32, u32)>),
    /// A block device.
    Block(Option<(u32, u32)>),
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl Kind {
    /// The letter of ls(1).
    pub fn letter(&self) -> char {
        match self {
            Self::File => '-',
            Self::Dir => 'd',
            Self::Symlink(_) => 'l',
            Self::Char(_) => 'c',
            Self::Block(_) => 'b',
            Self::Fifo => 'p',
            Self::Socket => 's',
        }
    }

    /// For messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Dir => "a folder",
            Self::Symlink(_) => "a symbolic link",
            Self::Char(_) => "a character device",
            Self::Block(_) => "a block device",
            Self::Fifo => "a named pipe",
            Self::Socket => "a socket",
        }
    }

    /// From the type bits of a mode (inode(7)); `device` and `target` are for the types that have them.
    pub(crate) fn of_mode(mode: u32, device: Option<(u32, u32)>, target: impl FnOnce() -> Vec<u8>) -> Option<Self> {
        Some(match mode & 0o170_000 {
            0o100_000 => Self::File,
            0o040_000 => Self::Dir,
            0o120_000 => Self::Symlink(target()),
            0o020_000 => Self::Char(device),
            0o060_000 => Self::Block(device),
            0o010_000 => Self::Fifo,
            0o140_000 => Self::Socket,
            _ => return None,
        })
    }
}

/// One path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As stored, without `/` and `./` at the start and `/` at the end; empty for the root. It may contain `..` and any
    /// byte but NUL: for output use `printable`, for writing files `beneath`.
    pub path: Vec<u8>,
    /// The type.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner. 0 for formats without owners, as for the group.
    pub uid: i64,
    /// Group.
    pub gid: i64,
    /// Modification time in seconds since 1970; `None` for formats without it.
    pub mtime: Option<i64>,
    /// Bytes of content; 0 if it is not a file.
    pub size: u64,
    /// A number shared by the names of one file, if it has several.
    pub inode: Option<u64>,
    /// Extended attributes by full name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The segment of an initrd that it is in, from 0; 0 for other formats.
    pub segment: usize,
    /// What its reader finds the content by.
    pub(crate) content: u64,
}

impl Entry {
    /// An entry of root, without time, attributes and content.
    pub(crate) fn new(path: Vec<u8>, kind: Kind, mode: u32) -> Self {
        let xattrs = BTreeMap::new();
        Self {
            path,
            kind,
            mode: mode & 0o7777,
            uid: 0,
            gid: 0,
            mtime: None,
            size: 0,
            inode: None,
            xattrs,
            segment: 0,
            content: 0,
        }
    }

    /// The last component.
    pub fn name(&self) -> &[u8] {
        self.path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
    }

    /// Whether this is a folder.
    pub fn is_dir(&self) -> bool {
        self.kind == Kind::Dir
    }

    /// Whether this is a regular file.
    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }

    /// Type and permissions as ls(1) shows them: `drwxr-xr-t`.
    pub fn permissions(&self) -> String {
        let mut text = String::from(self.kind.letter());
        for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
            let bits = self.mode >> shift;
            let execute = match (bits & 1 != 0, self.mode & special != 0) {
                (true, true) => letter,
                (false, true) => letter.to_ascii_uppercase(),
                (true, false) => 'x',
                (false, false) => '-',
            };
            let _ = write!(
                text,
                "{}{}{execute}",
                if bits & 4 != 0 { 'r' } else { '-' },
                if bits & 2 != 0 { 'w' } else { '-' }
            );
        }
        text
    }
}

/// A stored name as [`Entry::path`] holds it: without `/` and `.` where they mean nothing; `..` is kept.
pub(crate) fn normal(path: &[u8]) -> Vec<u8> {
    let parts = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.collect::<Vec<_>>().join(&b'/')
}

/// Entries in the order of their container, found by path.
#[derive(Debug, Default)]
pub struct Listing {
    entries: Vec<Entry>,
    by_path: HashMap<Vec<u8>, usize>,
}

impl Listing {
    /// If several entries have a path, the last one counts: archives are unpacked in order.
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        let by_path = entries.iter().enumerate().map(|(at, entry)| (entry.path.clone(), at)).collect();
        Self { entries, by_path }
    }

    /// All entries, in the order of their container.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries, to change them.
    pub(crate) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// The entry at exactly this path; links are not followed.
    pub fn get(&self, path: &[u8]) -> Option<&Entry> {
        self.by_path.get(path).map(|&at| &self.entries[at])
    }

    /// The entry at a path, with the links followed as after chroot(2) into the tree; the last component only if
    /// `follow`. `None` if there is nothing, or if the links lead in a circle.
    pub fn find(&self, path: &[u8], follow: bool) -> Option<&Entry> {
        let mut links = 0;
        let mut done: Vec<u8> = Vec::new();
        let mut left: Vec<Vec<u8>> = parts(path);
        while let Some(part) = left.pop() {
            if part == b".." {
                let end = done.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                done.truncate(end);
                continue;
            }
            let parent = done.len();
            if !done.is_empty() {
                done.push(b'/');
            }
            done.extend_from_slice(&part);
            if left.is_empty() && !follow {
                break;
            }
            if let Some(Entry { kind: Kind::Symlink(target), .. }) = self.get(&done) {
                links += 1;
                // MAXSYMLINKS of the kernel.
                if links > 40 {
                    return None;
                }
                done.truncate(if target.starts_with(b"/") { 0 } else { parent });
                left.extend(parts(target));
            }
        }
        self.get(&done)
    }

    /// Whether anything lies below a path, which itself need not be listed.
    pub fn has_below(&self, folder: &[u8]) -> bool {
        self.entries.iter().any(|entry| is_below(&entry.path, folder))
    }
}

/// Components, the first one last.
fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.rev().map(<[u8]>::to_vec).collect()
}

/// Whether a path lies below a folder; everything but the root lies below the root, which is `""`.
pub fn is_below(path: &[u8], folder: &[u8]) -> bool {
    match folder.is_empty() {
        true => !path.is_empty(),
        false => path.strip_prefix(folder).is_some_and(|rest| rest.starts_with(b"/")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(entries: &[(&str, Kind)]) -> Listing {
        Listing::new(
            entries.iter().map(|(path, kind)| Entry::new(path.as_bytes().to_vec(), kind.clone(), 0o755)).collect(),
        )
    }

    #[test]
    fn links_are_followed_inside_the_tree() {
        let link = |target: &str| Kind::Symlink(target.as_bytes().to_vec());
        let tree = listing(&[
            ("bin", link("usr/bin")),
            ("usr/bin", Kind::Dir),
            ("usr/bin/sh", link("/bin/dash")),
            ("usr/bin/dash", Kind::File),
            ("out", link("../../../usr")),
            ("a", link("b")),
            ("b", link("a")),
        ]);
        let found = |path: &str, follow| {
            tree.find(path.as_bytes(), follow).map(|entry| String::from_utf8_lossy(&entry.path).into_owned())
        };
        assert_eq!(found("/bin/sh", true).as_deref(), Some("usr/bin/dash"));
        assert_eq!(found("bin/sh", false).as_deref(), Some("usr/bin/sh"));
        assert_eq!(found("out/bin/../bin/dash", true).as_deref(), Some("usr/bin/dash"));
        assert_eq!(found("bin", false).as_deref(), Some("bin"));
        assert_eq!(found("a", true), None);
        assert_eq!(found("none", true), None);
    }

    #[test]
    fn permissions_are_shown_as_by_ls() {
        for (kind, mode, shown) in [
            (Kind::File, 0o4755, "-rwsr-xr-x"),
            (Kind::Dir, 0o1777, "drwxrwxrwt"),
            (Kind::File, 0o2644, "-rw-r-Sr--"),
            (Kind::Fifo, 0o1600, "prw------T"),
            (Kind::Char(Some((5, 1))), 0o600, "crw-------"),
        ] {
            assert_eq!(Entry::new(Vec::new(), kind, mode).permissions(), shown);
        }
    }
}
