//! Inodes: basic and extended ones of each type.

use super::super::limits::Allowance;
use super::super::region::{le, le16, le32};
use super::Fault;
use super::data::FileData;
use super::metadata::{Metadata, Reference};

/// One inode.
pub struct Inode {
    pub mode: u16,
    /// Indexes into the table of owners.
    pub uid: u16,
    pub gid: u16,
    /// Seconds since 1970.
    pub time: u32,
    pub number: u32,
    pub links: u32,
    /// Index into the table of extended attributes.
    pub xattrs: Option<u32>,
    pub kind: InodeKind,
}

pub enum InodeKind {
    File(FileData),
    Dir { at: Reference, size: u32 },
    Symlink(Vec<u8>),
    Char((u32, u32)),
    Block((u32, u32)),
    Fifo,
    Socket,
}

/// No extended attributes, and no fragment.
const NONE: u32 = u32::MAX;

impl Inode {
    /// Reads the inode at a reference. `block` is the size of a data block in bytes.
    pub fn read(from: &mut Metadata, at: Reference, block: u32, allowance: &mut Allowance) -> Result<Self, Fault> {
        from.seek(at)?;
        let common: [u8; 16] = from.array()?;
        let number = le32(&common, 12);
        let extended = |index: u32| Some(index).filter(|index| *index != NONE);
        let (mut links, mut xattrs) = (1, None);
        let kind = match le16(&common, 0) {
            1 => {
                let rest: [u8; 16] = from.array()?;
                let at = Reference::new(le32(&rest, 0), le16(&rest, 10));
                InodeKind::Dir { at, size: le16(&rest, 8).into() }
            }
            8 => {
                let rest: [u8; 24] = from.array()?;
                xattrs = extended(le32(&rest, 20));
                InodeKind::Dir { at: Reference::new(le32(&rest, 8), le16(&rest, 18)), size: le32(&rest, 4) }
            }
            2 => {
                let rest: [u8; 16] = from.array()?;
                let (start, size) = (le32(&rest, 0).into(), le32(&rest, 12).into());
                let fragment = extended(le32(&rest, 4)).map(|index| (index, le32(&rest, 8)));
                InodeKind::File(blocks(from, start, size, fragment, block, allowance)?)
            }
            9 => {
                let rest: [u8; 40] = from.array()?;
                links = le32(&rest, 24);
                xattrs = extended(le32(&rest, 36));
                let (start, size) = (le(&rest, 0, 8), le(&rest, 8, 8));
                let fragment = extended(le32(&rest, 28)).map(|index| (index, le32(&rest, 32)));
                InodeKind::File(blocks(from, start, size, fragment, block, allowance)?)
            }
            kind @ (3 | 10) => {
                let rest: [u8; 8] = from.array()?;
                links = le32(&rest, 0);
                let size = le32(&rest, 4);
                // PATH_MAX.
                if size > 4096 {
                    return Err(Fault::Damaged(format!("a link with a target of {size} bytes")));
                }
                allowance.bytes(size as usize)?;
                let target = from.bytes(size as usize)?;
                if kind == 10 {
                    xattrs = extended(le32(&from.array::<4>()?, 0));
                }
                InodeKind::Symlink(target)
            }
            kind @ (4 | 5 | 11 | 12) => {
                let rest: [u8; 8] = from.array()?;
                links = le32(&rest, 0);
                if kind > 7 {
                    xattrs = extended(le32(&from.array::<4>()?, 0));
                }
                // new_decode_dev of include/linux/kdev_t.h.
                let device = le32(&rest, 4);
                let device = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xf_ff00);
                if matches!(kind, 4 | 11) { InodeKind::Block(device) } else { InodeKind::Char(device) }
            }
            kind @ (6 | 7 | 13 | 14) => {
                links = le32(&from.array::<4>()?, 0);
                if kind > 7 {
                    xattrs = extended(le32(&from.array::<4>()?, 0));
                }
                if matches!(kind, 6 | 13) { InodeKind::Fifo } else { InodeKind::Socket }
            }
            other => return Err(Fault::Damaged(format!("an inode of type {other}"))),
        };
        let [mode, uid, gid] = [2, 4, 6].map(|offset| le16(&common, offset));
        Ok(Self { mode, uid, gid, time: le32(&common, 8), number, links, xattrs, kind })
    }
}

/// The sizes of a file's blocks, which follow its inode.
fn blocks(
    from: &mut Metadata,
    start: u64,
    size: u64,
    fragment: Option<(u32, u32)>,
    block: u32,
    allowance: &mut Allowance,
) -> Result<FileData, Fault> {
    let count = match fragment {
        Some(_) => size / u64::from(block),
        None => size.div_ceil(u64::from(block)),
    };
    let mut blocks = Vec::new();
    for _ in 0..count {
        // Each takes memory here, and a sparse file's blocks take almost none in the image.
        allowance.bytes(4)?;
        blocks.push(le32(&from.array::<4>()?, 0));
    }
    Ok(FileData { start, size, blocks, fragment })
}
