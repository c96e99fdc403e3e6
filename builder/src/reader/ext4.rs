//! ext2, ext3 and ext4, by the crate `ext4-view`, which does not tell extended attributes, inode numbers and the numbers of
//! devices.

use std::error::Error;
use std::io::{self, Read};

use ext4_view::{Ext4, Ext4Error, Ext4Read, File, FileType, Metadata, PathBuf};

use super::filesystem::{Content, Filesystem};
use super::limits::Allowance;
use super::{Entry, Fault, Kind, Limits, Listing, Region};

/// The offset of the super block's magic number, and that number.
pub(crate) const MAGIC: (u64, &[u8; 2]) = (1024 + 56, &[0x53, 0xef]);

/// An ext4 file system, opened for reading.
pub struct ExtFs {
    listing: Listing,
    image: Ext4,
    /// The volume's name.
    pub label: String,
}

impl Ext4Read for Region {
    fn read(&mut self, start: u64, buffer: &mut [u8]) -> Result<(), Box<dyn Error + Send + Sync>> {
        crate::interrupt::check()?;
        match self.read_at(start, buffer)? {
            count if count == buffer.len() => Ok(()),
            _ => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }
}

impl From<Ext4Error> for Fault {
    fn from(error: Ext4Error) -> Self {
        match error {
            Ext4Error::Io(error) => match error.downcast::<io::Error>() {
                Ok(error) => (*error).into(),
                Err(other) => Self::Damaged(other.to_string()),
            },
            Ext4Error::Incompatible(what) => Self::Unsupported(what.to_string()),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl ExtFs {
    /// Reads everything but the files' content.
    pub(crate) fn open(image: &Region, limits: &Limits) -> Result<Self, Fault> {
        let image = Ext4::load(Box::new(image.clone()))?;
        let mut allowance = Allowance::new(limits);
        let root = PathBuf::new("/");
        let mut entries = vec![entry(&image, Vec::new(), &root, &image.metadata(&root)?)?];
        let mut folders = vec![(Vec::new(), root, 0)];
        while let Some((path, there, depth)) = folders.pop() {
            allowance.depth(depth)?;
            for found in image.read_dir(&there)? {
                let found = found?;
                let name = found.file_name();
                let name: &[u8] = name.as_ref();
                if name == b"." || name == b".." {
                    continue;
                }
                let path = if path.is_empty() { name.to_vec() } else { [&path[..], b"/", name].concat() };
                let there = found.path();
                let entry = entry(&image, path.clone(), &there, &found.metadata()?)?;
                allowance.entry(path.len() + there.as_ref().len())?;
                if entry.is_dir() {
                    folders.push((path, there, depth + 1));
                }
                entries.push(entry);
            }
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let label = String::from_utf8_lossy(image.label().as_bytes()).trim_end_matches('\0').to_owned();
        Ok(Self { listing: Listing::new(entries), image, label })
    }
}

fn entry(image: &Ext4, path: Vec<u8>, there: &PathBuf, metadata: &Metadata) -> Result<Entry, Fault> {
    let kind = match metadata.file_type() {
        FileType::Regular => Kind::File,
        FileType::Directory => Kind::Dir,
        FileType::Symlink => {
            let target = image.read_link(there)?;
            let target: &[u8] = target.as_ref();
            Kind::Symlink(target.to_vec())
        }
        FileType::CharacterDevice => Kind::Char(None),
        FileType::BlockDevice => Kind::Block(None),
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
    };
    let mut entry = Entry::new(path, kind, metadata.mode().into());
    (entry.uid, entry.gid) = (metadata.uid().into(), metadata.gid().into());
    entry.mtime = Some(metadata.modified().seconds());
    if entry.is_file() {
        entry.size = metadata.len();
    }
    Ok(entry)
}

impl Filesystem for ExtFs {
    fn listing(&self) -> &Listing {
        &self.listing
    }

    fn open(&self, entry: &Entry) -> Result<Content<'_>, Fault> {
        let path =
            PathBuf::try_from([b"/", &entry.path[..]].concat()).map_err(|error| Fault::Damaged(error.to_string()))?;
        Ok(Content::Stream(Box::new(Reader(self.image.open(&path)?))))
    }
}

struct Reader(File);

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_bytes(buffer).map_err(|error| Fault::from(error).into())
    }
}
