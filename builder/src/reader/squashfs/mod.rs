//! squashfs 4.0 (Documentation/filesystems/squashfs.rst).
//!
//! Read by dbco itself: the crate `backhand` gives neither extended attributes nor which names share a file, and both are
//! part of an image's meaning.

mod data;
mod inode;
mod metadata;
mod table;

use std::collections::BTreeMap;

use super::codec::Codec;
use super::filesystem::{Content, Filesystem};
use super::limits::Allowance;
use super::region::{le, le16, le32};
use super::{Entry, Fault, Kind, Limits, Listing, Region, StoredAs};
use data::{FileReader, Fragments};
use inode::{Inode, InodeKind};
use metadata::{Metadata, Reference};

/// `hsqs`, little-endian; the big-endian variant ended with version 3.
pub(crate) const MAGIC: &[u8; 4] = b"hsqs";
/// Bytes of a super block.
const SUPERBLOCK: usize = 96;
/// A table that does not exist.
const NONE: u64 = u64::MAX;

/// A squashfs image, opened for reading.
pub struct Squashfs {
    listing: Listing,
    image: Region,
    limits: Limits,
    /// Its super block.
    pub info: SquashfsInfo,
    fragments: Fragments,
    /// Files by [`Entry::content`].
    files: Vec<data::FileData>,
}

/// The super block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SquashfsInfo {
    /// Compression of data and metadata; `None` for one that is unknown.
    pub codec: Option<Codec>,
    /// Bytes in a block of data.
    pub block: u32,
    /// Number of inodes.
    pub inodes: u32,
    /// When it was made, in seconds since 1970.
    pub time: u32,
    /// Bytes in use; files are padded to 4 KiB.
    pub size: u64,
}

impl Squashfs {
    /// Reads everything but the files' content.
    pub(crate) fn open(image: &Region, limits: &Limits) -> Result<Self, Fault> {
        let block: [u8; SUPERBLOCK] = image.array(0)?;
        if &block[..4] != MAGIC {
            return Err(Fault::damaged("it is not a squashfs"));
        }
        let version = (le16(&block, 28), le16(&block, 30));
        if version != (4, 0) {
            return Err(Fault::Unsupported(format!("squashfs {}.{} is not supported, only 4.0", version.0, version.1)));
        }
        let codec = match le16(&block, 20) {
            1 => Some(Codec::Gzip),
            2 => Some(Codec::Lzma),
            3 => Some(Codec::Lzo),
            4 => Some(Codec::Xz),
            5 => Some(Codec::Lz4),
            6 => Some(Codec::Zstd),
            _ => None,
        };
        let info = SquashfsInfo {
            codec,
            block: le32(&block, 12),
            inodes: le32(&block, 4),
            time: le32(&block, 8),
            size: le(&block, 40, 8),
        };
        // SQUASHFS_FILE_MAX_SIZE.
        if !info.block.is_power_of_two() || !(4096..=1 << 20).contains(&info.block) {
            return Err(Fault::Damaged(format!("it states a block size of {}", info.block)));
        }
        let [ids, xattrs, inodes, folders, fragments] = [48, 56, 64, 72, 80].map(|offset| le(&block, offset, 8));
        let meta = |start| Metadata::new(image, start, codec, limits);
        let tables = Tables {
            ids: table::ids(image, ids, le16(&block, 26), codec, limits)?,
            xattrs: if xattrs == NONE {
                table::Xattrs::none()
            } else {
                table::Xattrs::open(image, xattrs, codec, limits)?
            },
        };
        let fragments = if fragments == NONE {
            Vec::new()
        } else {
            table::fragments(image, fragments, le32(&block, 16), codec, limits)?
        };
        let mut walk = Walk {
            inodes: meta(inodes),
            folders: meta(folders),
            tables,
            block: info.block,
            allowance: Allowance::new(limits),
            entries: Vec::new(),
            files: Vec::new(),
        };
        let root = walk.inode(Reference(le(&block, 32, 8)))?;
        walk.add(Vec::new(), root, 0)?;
        let Walk { entries, files, .. } = walk;
        Ok(Self {
            listing: Listing::new(entries),
            image: image.clone(),
            limits: *limits,
            fragments: Fragments::new(fragments, &files, info.block),
            info,
            files,
        })
    }
}

impl Filesystem for Squashfs {
    fn listing(&self) -> &Listing {
        &self.listing
    }

    fn open(&self, entry: &Entry) -> Result<Content<'_>, Fault> {
        let file = usize::try_from(entry.content).ok().and_then(|index| self.files.get(index));
        let file = file.ok_or_else(|| Fault::damaged("a file without content"))?;
        Ok(Content::Stream(Box::new(FileReader::new(file, &self.image, &self.fragments, &self.info, &self.limits))))
    }

    fn stored(&self, entry: &Entry) -> Option<StoredAs> {
        let file = self.files.get(usize::try_from(entry.content).ok()?)?;
        Some(StoredAs::Blocks(file.stored(&self.fragments, self.info.block)))
    }
}

struct Tables {
    ids: Vec<u32>,
    xattrs: table::Xattrs,
}

struct Walk {
    inodes: Metadata,
    folders: Metadata,
    tables: Tables,
    block: u32,
    allowance: Allowance,
    entries: Vec<Entry>,
    files: Vec<data::FileData>,
}

impl Walk {
    fn inode(&mut self, at: Reference) -> Result<Inode, Fault> {
        Inode::read(&mut self.inodes, at, self.block, &mut self.allowance)
    }

    fn add(&mut self, path: Vec<u8>, inode: Inode, depth: usize) -> Result<(), Fault> {
        self.allowance.depth(depth)?;
        let owner = |index: u16| {
            let id = self.tables.ids.get(usize::from(index));
            id.copied().ok_or_else(|| Fault::Damaged(format!("owner {index} is not in its table")))
        };
        let mut entry = Entry::new(path, Kind::File, u32::from(inode.mode));
        (entry.uid, entry.gid) = (owner(inode.uid)?.into(), owner(inode.gid)?.into());
        entry.mtime = Some(inode.time.into());
        entry.xattrs = match inode.xattrs {
            Some(index) => self.tables.xattrs.get(index)?,
            None => BTreeMap::new(),
        };
        let attributes: usize = entry.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.allowance.entry(entry.path.len() + attributes)?;
        if inode.links > 1 && !matches!(inode.kind, InodeKind::Dir { .. }) {
            entry.inode = Some(inode.number.into());
        }
        let mut folder = None;
        entry.kind = match inode.kind {
            InodeKind::File(data) => {
                entry.size = data.size;
                entry.content = self.files.len() as u64;
                self.files.push(data);
                Kind::File
            }
            InodeKind::Dir { at, size } => {
                folder = Some((at, size));
                Kind::Dir
            }
            InodeKind::Symlink(target) => Kind::Symlink(target),
            InodeKind::Char(device) => Kind::Char(Some(device)),
            InodeKind::Block(device) => Kind::Block(Some(device)),
            InodeKind::Fifo => Kind::Fifo,
            InodeKind::Socket => Kind::Socket,
        };
        let path = entry.path.clone();
        self.entries.push(entry);
        let Some((at, size)) = folder else { return Ok(()) };
        for (name, reference) in self.folder(at, size)? {
            let child = self.inode(reference)?;
            let path = if path.is_empty() { name } else { [&path[..], b"/", &name].concat() };
            self.add(path, child, depth + 1)?;
        }
        Ok(())
    }

    /// The names in a folder, with their inodes.
    fn folder(&mut self, at: Reference, size: u32) -> Result<Vec<(Vec<u8>, Reference)>, Fault> {
        let mut names = Vec::new();
        // The size counts `.` and `..`, which are not stored, as 3 bytes.
        let Some(mut left) = size.checked_sub(3).filter(|left| *left > 0) else { return Ok(names) };
        self.folders.seek(at)?;
        while left > 0 {
            let header: [u8; 12] = self.folders.array()?;
            let count = le32(&header, 0).saturating_add(1);
            // SQUASHFS_DIR_COUNT.
            if count > 256 {
                return Err(Fault::Damaged(format!("a folder's header states {count} entries")));
            }
            left = left.checked_sub(12).ok_or_else(|| Fault::damaged("a folder ends inside a header"))?;
            for _ in 0..count {
                let entry: [u8; 8] = self.folders.array()?;
                let length = usize::from(le16(&entry, 6)) + 1;
                if length > 256 {
                    return Err(Fault::Damaged(format!("a name of {length} bytes")));
                }
                let name = self.folders.bytes(length)?;
                if name.contains(&b'/') || name.contains(&0) || name == b"." || name == b".." {
                    return Err(Fault::Damaged(format!("the name `{}`", name.escape_ascii())));
                }
                self.allowance.bytes(length)?;
                names.push((name, Reference::new(le32(&header, 4), le16(&entry, 0))));
                left = left
                    .checked_sub(8 + length as u32)
                    .ok_or_else(|| Fault::damaged("a folder ends inside an entry"))?;
            }
        }
        Ok(names)
    }
}
