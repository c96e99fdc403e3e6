//! The initrd: cpio archives in the `newc` form, one after another.
//!
//! The format is that of cpio(5) and the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`. The
//! kernel's unpacker (`init/initramfs.c`) silently skips what it can't create, so anything that it could not handle is
//! an error here.

use std::collections::HashMap;
use std::io::{self, Write};

use cpio::newc::{Builder, trailer};

use super::compress::Compressor;
use super::content::copy_checked;
use super::{Compression, Contents, ImageError, NAME_MAX, PATH_MAX, check_lengths, file_type, rooted};
use crate::tree::{Entry, HardLinks, Node, Tree, TreePath};

const FORMAT: &str = "cpio newc";

/// GNU cpio's block size, which some readers require; the kernel only needs segments at multiples of 4.
const BLOCK: u64 = 512;

/// One archive of an initrd.
#[derive(Clone, Copy)]
pub struct Segment<'a> {
    /// Its content.
    pub tree: &'a Tree,
    /// Its compression. Early microcode must not be compressed: the kernel looks for it before it can decompress
    /// (Documentation/arch/x86/microcode.rst).
    pub compression: Compression,
}

/// Writes segments one after another. Each archive is padded to whole blocks; so is each compressed segment but the
/// last, since decompressors other than the kernel's complain about zeros at the end.
///
/// Later segments override earlier ones. Inode numbers continue from one segment to the next.
pub fn write_initrd(
    segments: &[Segment<'_>],
    contents: &dyn Contents,
    epoch: u64,
    out: impl Write,
) -> Result<(), ImageError> {
    let mut out = Counter { out, count: 0 };
    let mut inode = 0;
    for (index, segment) in segments.iter().enumerate() {
        let compressor = segment.compression.writer(&mut out).map_err(ImageError::Write)?;
        let mut archive = Counter { out: compressor, count: 0 };
        write_archive(segment.tree, contents, epoch, &mut inode, &mut archive)?;
        archive.padded().and_then(Compressor::finish).map_err(ImageError::Write)?;
        if index + 1 < segments.len() {
            out.pad().map_err(ImageError::Write)?;
        }
    }
    out.flush().map_err(ImageError::Write)
}

/// Writes one uncompressed archive with its trailer.
pub fn write_cpio(tree: &Tree, contents: &dyn Contents, epoch: u64, out: impl Write) -> Result<(), ImageError> {
    write_initrd(&[Segment { tree, compression: Compression::None }], contents, epoch, out)
}

fn write_archive(
    tree: &Tree,
    contents: &dyn Contents,
    epoch: u64,
    inode: &mut u32,
    out: &mut dyn Write,
) -> Result<(), ImageError> {
    let mtime = u32::try_from(epoch).map_err(|_| ImageError::Epoch { format: FORMAT, epoch })?;
    let links = tree.hard_links();
    let mut shared: HashMap<u32, u32> = HashMap::new();
    for item in rooted(tree) {
        let (path, entry) = item?;
        let mut fresh = || {
            *inode += 1;
            *inode
        };
        let number = match entry.inode {
            Some(file) => *shared.entry(file).or_insert_with(fresh),
            None => fresh(),
        };
        write_entry(&path, &entry, &links, contents, mtime, number, out)?;
    }
    trailer(out).map_err(ImageError::Write)?;
    Ok(())
}

fn write_entry(
    path: &TreePath,
    entry: &Entry,
    links: &HardLinks<'_>,
    contents: &dyn Contents,
    mtime: u32,
    inode: u32,
    out: &mut dyn Write,
) -> Result<(), ImageError> {
    let mut size = check(path, entry)?;
    let (major, minor) = match entry.node {
        Node::Char { major, minor } | Node::Block { major, minor } => (major, minor),
        _ => (0, 0),
    };
    // The link count of a folder depends on the host, so it is always 2, as for a folder without subfolders. The kernel
    // and GNU cpio recognise the names of one file by device (0:0), inode and a link count above 1; the content is
    // stored with the last name, as cpio does.
    let names = links.names(entry);
    let nlink = if entry.is_dir() { 2 } else { names.len().max(1) as u32 };
    let content = names.last().is_none_or(|last| *last == path);
    if !content {
        size = 0;
    }
    let header = Builder::new(if path.is_root() { "." } else { path.as_str() })
        .ino(inode)
        .mode(file_type(&entry.node) | entry.mode)
        .uid(entry.uid)
        .gid(entry.gid)
        .nlink(nlink)
        .mtime(mtime)
        .rdev_major(major)
        .rdev_minor(minor);
    let mut body = header.write(&mut *out, size);
    match &entry.node {
        Node::File { blob, size } if content => copy_checked(contents, path, blob, *size, &mut body)?,
        Node::Symlink { target } => body.write_all(target.as_bytes()).map_err(ImageError::Write)?,
        _ => {}
    }
    body.finish().map_err(ImageError::Write)?;
    Ok(())
}

/// The length of the entry's body; an error if newc or the kernel can't handle the entry.
fn check(path: &TreePath, entry: &Entry) -> Result<u32, ImageError> {
    let refuse = |what: String| Err(ImageError::CantHold { format: FORMAT, path: path.clone(), what });
    if path.as_str().len() >= PATH_MAX {
        return refuse(format!("its path has {} bytes, the kernel accepts {}", path.as_str().len(), PATH_MAX - 1));
    }
    check_lengths(FORMAT, path, entry, NAME_MAX)?;
    if path.as_str() == "TRAILER!!!" {
        return refuse("its name is reserved for the end of an archive".into());
    }
    if let Some(name) = entry.xattrs.keys().next() {
        return refuse(format!("it has the extended attribute `{name}`; use a squashfs for it"));
    }
    match &entry.node {
        Node::File { size, .. } => match u32::try_from(*size) {
            Ok(size) => Ok(size),
            Err(_) => refuse(format!("it has {size} bytes, a file must be smaller than 4 GiB; use a squashfs for it")),
        },
        Node::Symlink { target } => Ok(target.len() as u32),
        _ => Ok(0),
    }
}

/// Counts the bytes that pass through.
struct Counter<W> {
    out: W,
    count: u64,
}

impl<W: Write> Counter<W> {
    /// Pads the block with zeros.
    fn pad(&mut self) -> io::Result<()> {
        let padding = (BLOCK - self.count % BLOCK) % BLOCK;
        self.write_all(&[0; BLOCK as usize][..padding as usize])
    }

    /// Pads the block with zeros and returns the inner writer.
    fn padded(mut self) -> io::Result<W> {
        self.pad()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Counter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
