//! What a file is, by its content.

use super::codec::{Codec, unpack};
use super::disk::{self, PartitionTable};
use super::erofs::{self, Erofs};
use super::ext4::{self, ExtFs};
use super::fat::{Fat, is_fat};
use super::filesystem::{Filesystem, Stored};
use super::initrd::{Initrd, InitrdSegment};
use super::iso::{self, BootImage, Iso, NameSource};
use super::kernel::{self, KernelInfo};
use super::pe::{self, Section};
use super::region::Region;
use super::squashfs::{self, Squashfs, SquashfsInfo};
use super::{Fault, Limits, Listing, cpio, tar};

/// A file, and what it contains.
pub struct Image {
    /// What it is; of a compressed file, what it contains.
    pub format: Format,
    /// The compression around it, other than of an initrd's segments.
    pub codec: Option<Codec>,
    /// Bytes of the file.
    pub size: u64,
    /// The bytes that the format describes: unpacked.
    pub data: Region,
    filesystem: Option<Box<dyn Filesystem>>,
}

/// What an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// A Linux kernel.
    Kernel(KernelInfo),
    /// A unified kernel image: its sections.
    Uki(Vec<Section>),
    /// Another EFI program: its sections.
    EfiProgram(Vec<Section>),
    /// One or more cpio archives.
    Initrd {
        /// In the order in which they are unpacked.
        segments: Vec<InitrdSegment>,
        /// Offset and size of bytes after them that the kernel would not unpack.
        rest: Option<(u64, u64)>,
    },
    /// A tar archive.
    Tar,
    /// squashfs.
    Squashfs(SquashfsInfo),
    /// erofs.
    Erofs,
    /// ext2, ext3 or ext4.
    Ext {
        /// The volume's name.
        label: String,
    },
    /// ISO 9660.
    Iso(IsoInfo),
    /// FAT.
    Fat {
        /// `FAT12`, `FAT16` or `FAT32`.
        variant: &'static str,
        /// The volume's name.
        label: String,
        /// Its serial number.
        serial: u32,
    },
    /// A disk with partitions.
    Disk(PartitionTable),
    /// A disk image of QEMU, which is recognised, not read.
    Qcow2 {
        /// Bytes of the disk.
        disk: u64,
    },
    /// Something else.
    Unknown,
}

/// An ISO image.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct IsoInfo {
    /// The volume's name.
    pub label: String,
    /// The program that made it, as it says.
    pub application: String,
    /// Where its names come from.
    pub names: NameSource,
    /// Bytes of the volume, as its descriptor states them.
    pub volume: u64,
    /// El Torito's entries.
    pub boot: Vec<BootImage>,
    /// The partition table of a hybrid image.
    pub table: Option<PartitionTable>,
}

/// Bytes that tell the format: the last magic number is that of ISO 9660.
const START: usize = 512;

impl Image {
    /// Finds out what the bytes are, and reads everything but the content of files.
    pub fn open(data: &Region, limits: &Limits) -> Result<Self, Fault> {
        let mut start = [0; START];
        let count = data.read_at(0, &mut start)?;
        let start = &start[..count];
        let Some(codec) = Codec::detect(start) else { return Self::plain(data, start, limits) };
        // An initrd has more segments after the first, so it is not unpacked as a whole.
        let mut head = Vec::new();
        let decoder = codec.decoder(data.cursor(), limits)?;
        std::io::Read::read_to_end(&mut std::io::Read::take(decoder, 6), &mut head)?;
        if cpio::is_cpio(&head) {
            return Self::initrd(data, limits);
        }
        let (content, _) = unpack(codec, data, limits)?;
        let mut start = [0; START];
        let count = content.read_at(0, &mut start)?;
        let inner = Self::plain(&content, &start[..count], limits)?;
        Ok(Self { codec: Some(codec), size: data.len(), ..inner })
    }

    fn plain(data: &Region, start: &[u8], limits: &Limits) -> Result<Self, Fault> {
        if cpio::is_cpio(start) {
            return Self::initrd(data, limits);
        }
        // Headers of kernels are longer than a sector.
        let mut head = vec![0; 4096];
        let count = data.read_at(0, &mut head)?;
        head.truncate(count);
        if pe::is_pe(&head) && head.get(4..8).is_none_or(|mark| mark != b"zimg") {
            let (sections, stored) = pe::open(data)?;
            if sections.iter().any(|section| section.name == ".linux") {
                return Ok(Self::new(data, Format::Uki(sections), stored));
            }
            if !kernel::is_kernel(&head) {
                return Ok(Self::new(data, Format::EfiProgram(sections), stored));
            }
        }
        if kernel::is_kernel(&head) {
            return Ok(match kernel::open(data, limits)? {
                Some((info, stored)) => Self::new(data, Format::Kernel(info), stored),
                None => Self::unknown(data, Format::Unknown),
            });
        }
        if start.starts_with(squashfs::MAGIC) {
            let squashfs = Squashfs::open(data, limits)?;
            return Ok(Self::new(data, Format::Squashfs(squashfs.info.clone()), squashfs));
        }
        if start.starts_with(b"QFI\xfb") {
            let disk: [u8; 8] = data.array(24)?;
            return Ok(Self::unknown(data, Format::Qcow2 { disk: u64::from_be_bytes(disk) }));
        }
        if data.has(iso::MAGIC.0, iso::MAGIC.1) {
            let iso = Iso::open(data, limits)?;
            let Iso { stored, label, application, names, size, boot } = iso;
            let info = IsoInfo { label, application, names, volume: size, boot, table: disk::read(data)? };
            let stored = with_boot_images(stored, data, &info);
            return Ok(Self::new(data, Format::Iso(info), stored));
        }
        if data.has(erofs::MAGIC.0, erofs::MAGIC.1) {
            return Ok(Self::new(data, Format::Erofs, Erofs::open(data, limits)?));
        }
        if data.has(ext4::MAGIC.0, ext4::MAGIC.1) {
            let ext4 = ExtFs::open(data, limits)?;
            return Ok(Self::new(data, Format::Ext { label: ext4.label.clone() }, ext4));
        }
        if tar::is_tar(start) {
            return Ok(Self::new(data, Format::Tar, tar::open(data, limits)?));
        }
        if is_fat(start) {
            let fat = Fat::open(data, limits)?;
            let format = Format::Fat { variant: fat.variant, label: fat.label.clone(), serial: fat.serial };
            return Ok(Self::new(data, format, fat));
        }
        if let Some(table) = disk::read(data)? {
            let stored = disk::partitions(data, &table);
            return Ok(Self::new(data, Format::Disk(table), stored));
        }
        Ok(Self::unknown(data, Format::Unknown))
    }

    fn initrd(data: &Region, limits: &Limits) -> Result<Self, Fault> {
        let Initrd { stored, segments, rest } = Initrd::open(data, limits)?;
        Ok(Self::new(data, Format::Initrd { segments, rest }, stored))
    }

    fn new(data: &Region, format: Format, filesystem: impl Filesystem + 'static) -> Self {
        Self { format, codec: None, size: data.len(), data: data.clone(), filesystem: Some(Box::new(filesystem)) }
    }

    fn unknown(data: &Region, format: Format) -> Self {
        Self { format, codec: None, size: data.len(), data: data.clone(), filesystem: None }
    }

    /// What it contains; `None` if it is not a container.
    pub fn filesystem(&self) -> Option<&dyn Filesystem> {
        self.filesystem.as_deref()
    }

    /// Its entries; none if it is not a container.
    pub fn listing(&self) -> Option<&Listing> {
        self.filesystem().map(Filesystem::listing)
    }
}

impl Format {
    /// For messages and reports: `a kernel (bzImage)`, `an ISO 9660 image` …
    pub fn describe(&self) -> String {
        match self {
            Self::Kernel(info) => format!("a Linux kernel ({})", info.format),
            Self::Uki(_) => "a unified kernel image".into(),
            Self::EfiProgram(_) => "an EFI program".into(),
            Self::Initrd { segments, .. } if segments.len() == 1 => "a cpio archive (initrd)".into(),
            Self::Initrd { segments, .. } => format!("an initrd of {} segments", segments.len()),
            Self::Tar => "a tar archive".into(),
            Self::Squashfs(_) => "a squashfs".into(),
            Self::Erofs => "an erofs".into(),
            Self::Ext { .. } => "an ext2, ext3 or ext4 file system".into(),
            Self::Iso(_) => "an ISO 9660 image".into(),
            Self::Fat { variant, .. } => format!("a {variant} file system"),
            Self::Disk(table) => format!("a disk with a partition table ({})", table.kind),
            Self::Qcow2 { .. } => "a qcow2 disk image".into(),
            Self::Unknown => "of an unknown format".into(),
        }
    }

    /// A word for JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Kernel(_) => "kernel",
            Self::Uki(_) => "uki",
            Self::EfiProgram(_) => "efi-program",
            Self::Initrd { .. } => "initrd",
            Self::Tar => "tar",
            Self::Squashfs(_) => "squashfs",
            Self::Erofs => "erofs",
            Self::Ext { .. } => "ext",
            Self::Iso(_) => "iso",
            Self::Fat { .. } => "fat",
            Self::Disk(_) => "disk",
            Self::Qcow2 { .. } => "qcow2",
            Self::Unknown => "unknown",
        }
    }
}

/// Boot images and appended partitions, which need not be files of the tree, as `@boot/1` … and `@partition/1` ….
///
/// The size of a boot image is not stated: what the firmware loads may be only its beginning. It is that of the partition or
/// of the file at the same place.
fn with_boot_images(stored: Stored, data: &Region, info: &IsoInfo) -> Stored {
    let Stored { listing, mut regions } = stored;
    let mut entries = listing.into_entries();
    let files = regions.len();
    let mut add = |name: String, offset: u64, size: Option<u64>, otherwise: u64| {
        let rest = data.from(offset);
        // Mostly it is a file of the tree as well, whose length is known.
        let own = regions[..files].iter().find(|file| !file.is_empty() && file.starts_as(&rest)).map(Region::len);
        let length = size.or(own).unwrap_or(otherwise).min(rest.len());
        let region = rest.slice(0, length).unwrap_or(rest);
        let mut entry = super::Entry::new(name.into_bytes(), super::Kind::File, 0o444);
        (entry.beside, entry.size, entry.content) = (true, region.len(), regions.len() as u64);
        regions.push(region);
        entries.push(entry);
    };
    let partitions = || info.table.iter().flat_map(|table| &table.partitions);
    for (index, image) in info.boot.iter().enumerate() {
        let size = partitions().find(|partition| partition.start == image.offset()).map(|partition| partition.size);
        add(format!("@boot/{}", index + 1), image.offset(), size, u64::from(image.load) * 512);
    }
    for partition in partitions() {
        add(format!("@partition/{}", partition.number), partition.start, Some(partition.size), 0);
    }
    Stored { listing: Listing::new(entries), regions }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_else_is_unknown() {
        for bytes in [&b""[..], b"x", b"hello\n", &[0; 8192], &[0xff; 70_000], b"\x7fELF", b"MZ", &[0x5d; 100]] {
            let image = Image::open(&Region::of_bytes(bytes.to_vec()), &Limits::USUAL).unwrap();
            assert_eq!(image.format, Format::Unknown);
            assert!(image.listing().is_none());
        }
    }
}
