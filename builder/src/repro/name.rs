//! The meaning of single bytes in files of known formats: what usually differs between builds.

use object::read::elf::SectionHeader as _;
use object::{Endianness, elf};

/// A field: offset and length in bytes, and its meaning.
type Field = (usize, usize, &'static str);

/// RFC 1952, section 2.3.
const GZIP: [Field; 3] = [
    (4, 4, "time in the gzip header"),
    (8, 1, "compression level in the gzip header"),
    (9, 1, "system in the gzip header"),
];

/// Documentation/filesystems/squashfs.rst of Linux, and `struct squashfs_super_block`.
const SQUASHFS: [Field; 1] = [(8, 4, "creation time in the squashfs superblock")];

/// Documentation/filesystems/ext4/super.rst of Linux; the superblock is at 1024.
const EXT4: [Field; 7] = [
    (1024 + 0x2c, 4, "time of the last mount in the ext4 superblock"),
    (1024 + 0x30, 4, "time of the last write in the ext4 superblock"),
    (1024 + 0x40, 4, "time of the last check in the ext4 superblock"),
    (1024 + 0x68, 16, "UUID in the ext4 superblock"),
    (1024 + 0xec, 16, "hash seed in the ext4 superblock"),
    (1024 + 0x108, 4, "creation time in the ext4 superblock"),
    (1024 + 0x3fc, 4, "checksum of the ext4 superblock"),
];

/// ECMA-119, 8.4; the primary volume descriptor is sector 16.
const ISO: [Field; 5] = [
    (32_768 + 40, 32, "volume name of the ISO"),
    (32_768 + 813, 17, "creation date of the ISO"),
    (32_768 + 830, 17, "modification date of the ISO"),
    (32_768 + 847, 17, "expiration date of the ISO"),
    (32_768 + 864, 17, "effective date of the ISO"),
];

/// Microsoft's FAT specification, sections 3.2 and 3.3.
const FAT16: [Field; 2] = [(39, 4, "serial number of the FAT"), (43, 11, "label of the FAT")];
const FAT32: [Field; 2] = [(67, 4, "serial number of the FAT"), (71, 11, "label of the FAT")];

/// The disk signature in a boot sector with a partition table.
const MBR: [Field; 1] = [(440, 4, "disk signature in the master boot record")];

/// ar(5): fields of a member's header.
const AR: [Field; 4] = [(0, 16, "name"), (16, 12, "time"), (28, 12, "owner"), (40, 8, "mode")];

/// What the byte at an offset of a file means.
pub fn name(bytes: &[u8], offset: usize) -> Option<String> {
    let at = |start: usize, magic: &[u8]| bytes.get(start..start + magic.len()) == Some(magic);
    let of = |fields: &[Field]| {
        let field = fields.iter().find(|(start, length, _)| (*start..start + length).contains(&offset));
        field.map(|(_, _, meaning)| (*meaning).to_owned())
    };
    let boot_sector = at(510, &[0x55, 0xaa]);
    if at(0, b"\x7fELF") {
        elf_section(bytes, offset)
    } else if at(0, b"!<arch>\n") {
        ar_member(bytes, offset)
    } else if at(0, &[0x1f, 0x8b]) {
        of(&GZIP)
    } else if at(0, b"hsqs") {
        of(&SQUASHFS)
    } else if boot_sector && at(54, b"FAT") {
        of(&FAT16)
    } else if boot_sector && at(82, b"FAT32") {
        of(&FAT32)
    } else if at(32_769, b"CD001") {
        of(&ISO).or_else(|| boot_sector.then(|| of(&MBR)).flatten())
    } else if at(1024 + 0x38, &[0x53, 0xef]) {
        of(&EXT4)
    } else if at(0, b"MZ") {
        pe_time(bytes, offset)
    } else if boot_sector {
        of(&MBR)
    } else {
        None
    }
}

/// The section of an ELF file that has the byte.
fn elf_section(bytes: &[u8], offset: usize) -> Option<String> {
    let section = match bytes.get(4)? {
        1 => section_of::<elf::FileHeader32<Endianness>>(bytes, offset),
        _ => section_of::<elf::FileHeader64<Endianness>>(bytes, offset),
    }?;
    Some(match section.as_str() {
        ".note.gnu.build-id" => "build id (section .note.gnu.build-id)".to_owned(),
        _ => format!("section {section}"),
    })
}

fn section_of<H: object::read::elf::FileHeader<Endian = Endianness>>(bytes: &[u8], offset: usize) -> Option<String> {
    let header = H::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, bytes).ok()?;
    let offset = offset as u64;
    let here = sections.iter().find(|section| {
        section.file_range(endian).is_some_and(|(start, size)| (start..start.saturating_add(size)).contains(&offset))
    })?;
    Some(String::from_utf8_lossy(sections.section_name(endian, here).ok()?).into_owned())
}

/// The field, or the content, of a member of an ar archive that has the byte.
fn ar_member(bytes: &[u8], offset: usize) -> Option<String> {
    let mut at = 8;
    loop {
        let header = bytes.get(at..at + 60)?;
        let text = |from: usize, to: usize| String::from_utf8_lossy(&header[from..to]).trim().to_owned();
        let size: usize = text(48, 58).parse().ok()?;
        let name = text(0, 16);
        if offset < at + 60 {
            let field = AR.iter().find(|(start, length, _)| (at + start..at + start + length).contains(&offset));
            return Some(format!("{} of the member {name}", field.map_or("header", |(_, _, field)| field)));
        }
        at = at.checked_add(60)?.checked_add(size)?;
        if offset < at {
            return Some(format!("the member {name}"));
        }
        at += at % 2;
    }
}

/// `TimeDateStamp` of PE/COFF, which EFI programs have, and kernels as such.
fn pe_time(bytes: &[u8], offset: usize) -> Option<String> {
    let at = u32::from_le_bytes(bytes.get(0x3c..0x40)?.try_into().ok()?) as usize;
    let is = bytes.get(at..at.checked_add(4)?)? == b"PE\0\0" && (at + 8..at + 12).contains(&offset);
    is.then(|| "time in the PE header".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named() {
        let mut fat = vec![0; 1024];
        fat[54..59].copy_from_slice(b"FAT12");
        fat[510..512].copy_from_slice(&[0x55, 0xaa]);
        assert_eq!(name(&fat, 40).as_deref(), Some("serial number of the FAT"));
        assert_eq!(name(&fat, 100), None);
        let gzip = [0x1f, 0x8b, 8, 0, 1, 2, 3, 4, 0, 3];
        assert_eq!(name(&gzip, 5).as_deref(), Some("time in the gzip header"));
        let ar = b"!<arch>\nx.o/            1700000000  0     0     100644  4         abcd";
        assert_eq!(name(ar, 26).as_deref(), Some("time of the member x.o/"));
        assert_eq!(name(ar, 69).as_deref(), Some("the member x.o/"));
        let own = std::fs::read("/proc/self/exe").unwrap();
        let at = own.windows(4).position(|bytes| bytes == b"GNU\0").unwrap();
        assert!(name(&own, at).unwrap().contains(".note"), "{:?}", name(&own, at));
    }
}
