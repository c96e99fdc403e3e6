//! erofs (Documentation/filesystems/erofs.rst), by the crate `erofs-rs`.

use std::future::Future;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use erofs_rs::r#async::{EroFS, File};
use erofs_rs::backend::AsyncImage;

use super::filesystem::{Content, Filesystem};
use super::limits::Allowance;
use super::{Entry, Fault, Kind, Limits, Listing, Region};

/// The offset of the super block, and its first bytes.
pub(crate) const MAGIC: (u64, &[u8; 4]) = (1024, &[0xe2, 0xe1, 0xf5, 0xe0]);

/// An erofs image, opened for reading.
pub struct Erofs {
    listing: Listing,
    image: EroFS<Region>,
}

/// The crate's asynchronous interface is used, as its other one requires the image to be in memory. Nothing ever waits.
impl AsyncImage for Region {
    async fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> erofs_rs::Result<()> {
        crate::interrupt::check()?;
        match self.read_at(offset, buffer)? {
            count if count == buffer.len() => Ok(()),
            _ => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }
}

/// The value of a future that does not wait.
fn now<T>(future: impl Future<Output = erofs_rs::Result<T>>) -> Result<T, Fault> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result.map_err(Fault::from),
        Poll::Pending => Err(Fault::damaged("its reader waits for something")),
    }
}

impl From<erofs_rs::Error> for Fault {
    fn from(error: erofs_rs::Error) -> Self {
        match error {
            erofs_rs::Error::Io(error) => error.into(),
            erofs_rs::Error::NotSupported(what) => Self::Unsupported(format!("{what} is not supported")),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl Erofs {
    /// Reads everything but the files' content.
    pub(crate) fn open(image: &Region, limits: &Limits) -> Result<Self, Fault> {
        let image = now(EroFS::new(image.clone()))?;
        let mut allowance = Allowance::new(limits);
        let root = now(image.get_inode(image.super_block().root_inode_id()))?;
        let mut entries = vec![entry(&image, Vec::new(), root, &mut allowance)?];
        let mut walk = now(image.walk_dir("/"))?;
        while let Some(found) = now(async { walk.next_entry().await.transpose() })? {
            allowance.depth(found.depth)?;
            let path = super::entry::normal(found.dir_entry.path().as_bytes());
            entries.push(entry(&image, path, found.inode, &mut allowance)?);
        }
        drop(walk);
        Ok(Self { listing: Listing::new(entries), image })
    }
}

fn entry(
    image: &EroFS<Region>,
    path: Vec<u8>,
    inode: erofs_rs::types::Inode,
    allowance: &mut Allowance,
) -> Result<Entry, Fault> {
    let mut target = Vec::new();
    if inode.is_symlink() {
        // PATH_MAX.
        if inode.data_size() > 4096 {
            return Err(Fault::Damaged(format!("a link with a target of {} bytes", inode.data_size())));
        }
        target = now(image.read_link_inode(inode))?.as_bytes().to_vec();
    }
    let kind = Kind::of_mode(inode.file_type().as_raw_mode(), inode.device(), || target)
        .ok_or_else(|| Fault::damaged("an inode of an unknown type"))?;
    let mut entry = Entry::new(path, kind, inode.permissions().mode());
    (entry.uid, entry.gid, entry.mtime) = (inode.uid().into(), inode.gid().into(), Some(inode.modified_unix().0));
    entry.xattrs = now(image.xattrs_inode(inode))?;
    if entry.is_file() {
        entry.size = inode.data_size();
    }
    if inode.nlink() > 1 && !entry.is_dir() {
        entry.inode = Some(inode.id());
    }
    entry.content = inode.id();
    let attributes: usize = entry.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
    allowance.entry(entry.path.len() + attributes)?;
    Ok(entry)
}

impl Filesystem for Erofs {
    fn listing(&self) -> &Listing {
        &self.listing
    }

    fn open(&self, entry: &Entry) -> Result<Content<'_>, Fault> {
        let inode = now(self.image.get_inode(entry.content))?;
        Ok(Content::Stream(Box::new(Reader(self.image.open_inode_file(inode)?))))
    }
}

struct Reader<'a>(File<'a, Region>);

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(now(self.0.read(buffer))?)
    }
}
