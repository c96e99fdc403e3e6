//! Detects the file system on a device by its superblock. Layouts: ext2-4 from the kernel's
//! Documentation/filesystems/ext4/super.rst, FAT from Microsoft's fatgen103, ISO 9660 from ECMA-119, squashfs from
//! Documentation/filesystems/squashfs.rst, swap from include/linux/swap.h.

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use crate::platform::PAGE;

/// The recognized kinds of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ContentKind {
    Ext2,
    Ext3,
    Ext4,
    Vfat,
    Iso9660,
    Squashfs,
    Swap,
}

impl ContentKind {
    /// Its usual name, as in blkid and mount.
    pub fn name(self) -> &'static str {
        match self {
            ContentKind::Ext2 => "ext2",
            ContentKind::Ext3 => "ext3",
            ContentKind::Ext4 => "ext4",
            ContentKind::Vfat => "vfat",
            ContentKind::Iso9660 => "iso9660",
            ContentKind::Squashfs => "squashfs",
            ContentKind::Swap => "swap",
        }
    }
}

/// The state in an ext superblock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtState {
    /// It was cleanly unmounted, and no error was found in it.
    pub clean: bool,
    /// The kernel found an error in it, which its journal does not fix.
    pub errors: bool,
    /// It has a journal, so that mounting it after a power cut is safe.
    pub journal: bool,
    /// It was created with project quota.
    pub project_quota: bool,
}

/// A superblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Its type.
    pub kind: ContentKind,
    /// Its label; none if empty.
    pub label: Option<String>,
    /// Its UUID in lower case, in the form that blkid prints: for vfat a serial number, for ISO 9660 a date.
    pub uuid: Option<String>,
    /// Only for ext2-4.
    pub ext: Option<ExtState>,
}

impl fmt::Display for Superblock {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if let Some(label) = &self.label {
            write!(f, " LABEL={label}")?;
        }
        if let Some(uuid) = &self.uuid {
            write!(f, " UUID={uuid}")?;
        }
        Ok(())
    }
}

/// Examines the first 34 KiB of a device or an image. None if nothing is recognized there.
///
/// # Errors
/// Only errors of reading; a short device is not an error.
pub fn probe(source: &mut (impl Read + Seek)) -> io::Result<Option<Superblock>> {
    // Two reads rather than one: the first is enough for many devices, and CDs are slow.
    let start = read_at(source, 0, PAGE)?;
    if let Some(found) = ext(&start).or_else(|| squashfs(&start)).or_else(|| swap(&start)).or_else(|| vfat(&start)) {
        return Ok(Some(found));
    }
    Ok(iso9660(&read_at(source, 32768, 2048)?))
}

fn read_at(source: &mut (impl Read + Seek), offset: u64, length: u64) -> io::Result<Vec<u8>> {
    source.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    source.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn bytes(block: &[u8], at: usize, length: usize) -> Option<&[u8]> {
    block.get(at..at.checked_add(length)?)
}

fn u16_at(block: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes(block, at, 2)?.try_into().ok()?))
}

fn u32_at(block: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes(block, at, 4)?.try_into().ok()?))
}

/// A label that is padded with zeros or spaces.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(&bytes[..end]).trim_end().to_owned();
    (!text.is_empty()).then_some(text)
}

fn uuid(bytes: &[u8]) -> Option<String> {
    if bytes.iter().all(|byte| *byte == 0) {
        return None;
    }
    let mut uuid = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            uuid.push('-');
        }
        uuid.push_str(&format!("{byte:02x}"));
    }
    Some(uuid)
}

fn ext(start: &[u8]) -> Option<Superblock> {
    const STATE_CLEAN: u16 = 1;
    const STATE_ERRORS: u16 = 2;
    const COMPAT_JOURNAL: u32 = 4;
    const INCOMPAT_RECOVER: u32 = 4;
    const INCOMPAT_JOURNAL_DEVICE: u32 = 8;
    // Those that ext3's code supports: filetype, recover, meta_bg; sparse_super, large_file, btree_dir.
    const INCOMPAT_EXT3: u32 = 0x2 | 0x4 | 0x10;
    const RO_COMPAT_EXT3: u32 = 0x1 | 0x2 | 0x4;
    const RO_COMPAT_QUOTA: u32 = 0x100;
    const RO_COMPAT_PROJECT: u32 = 0x2000;

    let block = bytes(start, 1024, 1024)?;
    if u16_at(block, 0x38)? != 0xef53 {
        return None;
    }
    let state = u16_at(block, 0x3a)?;
    let (compat, incompat, ro_compat) = (u32_at(block, 0x5c)?, u32_at(block, 0x60)?, u32_at(block, 0x64)?);
    if incompat & INCOMPAT_JOURNAL_DEVICE != 0 {
        return None;
    }
    let journal = compat & COMPAT_JOURNAL != 0;
    let kind = if incompat & !INCOMPAT_EXT3 != 0 || ro_compat & !RO_COMPAT_EXT3 != 0 {
        ContentKind::Ext4
    } else if journal {
        ContentKind::Ext3
    } else {
        ContentKind::Ext2
    };
    let errors = state & STATE_ERRORS != 0;
    let ext = ExtState {
        clean: state & STATE_CLEAN != 0 && !errors && incompat & INCOMPAT_RECOVER == 0,
        errors,
        journal,
        project_quota: ro_compat & RO_COMPAT_QUOTA != 0 && ro_compat & RO_COMPAT_PROJECT != 0,
    };
    Some(Superblock { kind, label: text(bytes(block, 0x78, 16)?), uuid: uuid(bytes(block, 0x68, 16)?), ext: Some(ext) })
}

fn squashfs(start: &[u8]) -> Option<Superblock> {
    let plain = bytes(start, 0, 4)? == b"hsqs" && u16_at(start, 28)? == 4;
    plain.then_some(Superblock { kind: ContentKind::Squashfs, label: None, uuid: None, ext: None })
}

fn swap(start: &[u8]) -> Option<Superblock> {
    // The signature is at the end of the first page.
    if bytes(start, PAGE as usize - 10, 10)? != b"SWAPSPACE2" {
        return None;
    }
    let (uuid, label) = (uuid(bytes(start, 1036, 16)?), text(bytes(start, 1052, 16)?));
    Some(Superblock { kind: ContentKind::Swap, label, uuid, ext: None })
}

fn vfat(start: &[u8]) -> Option<Superblock> {
    if bytes(start, 510, 2)? != [0x55, 0xaa] {
        return None;
    }
    // A partition table has the same ending; a boot sector also names the file system, though the name is not binding.
    let (serial, label) = if bytes(start, 82, 8)? == b"FAT32   " {
        (67, 71)
    } else if [&b"FAT12   "[..], b"FAT16   "].contains(&bytes(start, 54, 8)?) {
        (39, 43)
    } else {
        return None;
    };
    let serial = u32_at(start, serial)?;
    // mkfs and fatlabel keep this copy of the root folder's label up to date.
    let label = text(bytes(start, label, 11)?).filter(|label| label != "NO NAME");
    let uuid = Some(format!("{:04x}-{:04x}", serial >> 16, serial & 0xffff));
    Some(Superblock { kind: ContentKind::Vfat, label, uuid, ext: None })
}

fn iso9660(block: &[u8]) -> Option<Superblock> {
    if bytes(block, 0, 6)? != b"\x01CD001" {
        return None;
    }
    let date = |at| {
        let digits = bytes(block, at, 16)?;
        let set = digits.iter().all(u8::is_ascii_digit) && digits.iter().any(|digit| *digit != b'0');
        let digits = String::from_utf8_lossy(digits);
        let part = |from, to| digits.get(from..to).unwrap_or_default().to_owned();
        set.then(|| {
            [part(0, 4), part(4, 6), part(6, 8), part(8, 10), part(10, 12), part(12, 14), part(14, 16)].join("-")
        })
    };
    // The modification time, otherwise the creation time.
    let uuid = date(830).or_else(|| date(813));
    Some(Superblock { kind: ContentKind::Iso9660, label: text(bytes(block, 40, 32)?), uuid, ext: None })
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
