//! A GUID partition table (UEFI specification 2.10, section 5) with the three partitions of an installed disk.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use flate2::Crc;

/// Sector size in bytes. Disks with larger sectors are rejected.
pub const SECTOR: u64 = 512;
/// Entries of the table, and bytes of each.
const ENTRIES: usize = 128;
const ENTRY: usize = 128;
/// Sectors that the entries take.
const TABLE: u64 = (ENTRIES * ENTRY) as u64 / SECTOR;
/// Partitions start at a MiB.
const MIB: u64 = (1 << 20) / SECTOR;

/// The name in the table of the partition that is the systems' disk.
pub const NAME: &str = "dbcolinux";

/// A partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Its first sector.
    pub first: u64,
    /// Its last sector.
    pub last: u64,
}

impl Partition {
    /// Its length in sectors.
    pub fn sectors(self) -> u64 {
        self.last - self.first + 1
    }
}

/// The partitions of an installed disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionLayout {
    /// GRUB's core for BIOS.
    pub bios: Partition,
    /// The EFI system partition.
    pub esp: Partition,
    /// The systems' disk.
    pub systems: Partition,
    /// Sectors of the whole disk.
    pub sectors: u64,
}

/// Partition type GUIDs in on-disk form (the first three fields little-endian).
const BIOS_BOOT: [u8; 16] = *b"Hah!IdontNeedEFI";
const EFI_SYSTEM: [u8; 16] =
    [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];
const LINUX: [u8; 16] =
    [0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4];

impl PartitionLayout {
    /// For a disk with this number of sectors: 1 MiB for BIOS, 40 MiB for EFI, the rest for systems. None: it is too
    /// small for that and 64 MiB of systems.
    pub fn of(sectors: u64) -> Option<PartitionLayout> {
        let part = |first: u64, mib: u64| Partition { first, last: first + mib * MIB - 1 };
        let bios = part(MIB, 1);
        // FAT32 has at least 65,525 clusters (Microsoft's fatgen103), which firmware insists on; busybox makes them of
        // one sector.
        let esp = part(bios.last + 1, 40);
        // The copy of the table is at the end.
        let end = sectors.checked_sub(TABLE + 2)? / MIB * MIB;
        let systems = Partition { first: esp.last + 1, last: end.checked_sub(1)? };
        (systems.last > systems.first + 64 * MIB).then_some(PartitionLayout { bios, esp, systems, sectors })
    }

    /// Erases what identifies the disk's content: the beginnings of the file systems at the places of the new
    /// partitions, then both copies of a table and the boot code. An interruption in between never leaves something
    /// that looks complete.
    ///
    /// # Errors
    /// Errors of writing.
    pub fn erase(&self, disk: &mut File) -> io::Result<()> {
        // Superblocks of any kind; the first partition follows the table's MiB.
        let zeros = vec![0; 1 << 20];
        for first in [self.systems.first, self.esp.first] {
            disk.write_all_at(&zeros, first * SECTOR)?;
        }
        disk.sync_all()?;
        disk.write_all_at(&zeros, 0)?;
        disk.write_all_at(&zeros[..((TABLE + 1) * SECTOR) as usize], (self.sectors - TABLE - 1) * SECTOR)?;
        disk.sync_all()
    }

    fn entries(&self, guid: &dyn Fn(u8) -> [u8; 16]) -> Vec<u8> {
        let mut all = vec![0; ENTRIES * ENTRY];
        let list = [(self.bios, BIOS_BOOT, "BIOS"), (self.esp, EFI_SYSTEM, "EFI"), (self.systems, LINUX, NAME)];
        for (index, (partition, kind, name)) in list.into_iter().enumerate() {
            let entry = &mut all[index * ENTRY..][..ENTRY];
            entry[..16].copy_from_slice(&kind);
            entry[16..32].copy_from_slice(&guid(index as u8 + 1));
            entry[32..40].copy_from_slice(&partition.first.to_le_bytes());
            entry[40..48].copy_from_slice(&partition.last.to_le_bytes());
            for (place, unit) in name.encode_utf16().enumerate() {
                entry[56 + 2 * place..][..2].copy_from_slice(&unit.to_le_bytes());
            }
        }
        all
    }

    fn header(&self, own: u64, other: u64, table: u64, entries: &[u8], disk: [u8; 16]) -> Vec<u8> {
        let mut header = vec![0; SECTOR as usize];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"EFI PART");
        put(8, &[0, 0, 1, 0]);
        put(12, &92_u32.to_le_bytes());
        put(24, &own.to_le_bytes());
        put(32, &other.to_le_bytes());
        put(40, &(2 + TABLE).to_le_bytes());
        put(48, &(self.sectors - TABLE - 2).to_le_bytes());
        put(56, &disk);
        put(72, &table.to_le_bytes());
        put(80, &(ENTRIES as u32).to_le_bytes());
        put(84, &(ENTRY as u32).to_le_bytes());
        put(88, &crc(entries).to_le_bytes());
        let sum = crc(&header[..92]);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        header
    }

    /// Writes both copies of the table, and a boot sector that marks the disk as having one: its code is `boot`, up to
    /// 440 bytes. `random` is used for the GUIDs of the disk and its partitions.
    ///
    /// # Errors
    /// Errors of writing.
    pub fn write(&self, disk: &mut (impl Write + Seek), boot: &[u8], random: [u8; 16]) -> io::Result<()> {
        let guid = |index: u8| guid(random, index);
        let entries = self.entries(&guid);
        let last = self.sectors - 1;
        let mut sector = vec![0; SECTOR as usize];
        let code = &boot[..boot.len().min(440)];
        sector[..code.len()].copy_from_slice(code);
        // One partition of type 0xee over the whole disk (section 5.2.3). Some BIOSes only boot from a disk with an
        // active one.
        let length = u32::try_from(last).unwrap_or(u32::MAX);
        sector[446..462].copy_from_slice(&[0x80, 0, 2, 0, 0xee, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0]);
        sector[458..462].copy_from_slice(&length.to_le_bytes());
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        let mut put = |at: u64, bytes: &[u8]| {
            disk.seek(SeekFrom::Start(at * SECTOR))?;
            disk.write_all(bytes)
        };
        // The copy first: after an interruption at any point, one of the two is complete.
        put(last - TABLE, &entries)?;
        put(last, &self.header(last, 1, last - TABLE, &entries, guid(0)))?;
        put(2, &entries)?;
        put(1, &self.header(1, last, 2, &entries, guid(0)))?;
        put(0, &sector)
    }
}

/// The GUID of the disk (0) or of one of its partitions, in on-disk form: of version 4 and variant 1 (RFC 9562). The
/// version's byte is the high one of a little-endian field.
fn guid(random: [u8; 16], index: u8) -> [u8; 16] {
    let mut guid = random;
    guid[15] ^= index;
    guid[7] = guid[7] & 0x0f | 0x40;
    guid[8] = guid[8] & 0x3f | 0x80;
    guid
}

/// The same as text, for the kernel's `root=PARTUUID=`.
pub fn guid_text(random: [u8; 16], index: u8) -> String {
    let g = guid(random, index);
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::new();
    for (place, index) in order.into_iter().enumerate() {
        if [4, 6, 8, 10].contains(&place) {
            text.push('-');
        }
        text += &format!("{:02x}", g[index]);
    }
    text
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_begin_at_a_mebibyte_and_small_disks_are_refused() {
        let layout = PartitionLayout::of(1 << 21).unwrap();
        for part in [layout.bios, layout.esp, layout.systems] {
            assert_eq!((part.first % MIB, (part.last + 1) % MIB), (0, 0));
        }
        assert_eq!(layout.bios.sectors() * SECTOR, 1 << 20);
        assert!(layout.systems.last < layout.sectors - TABLE - 1);
        assert_eq!(PartitionLayout::of(64 * MIB), None);
        assert_eq!(PartitionLayout::of(0), None);
    }

    #[test]
    fn what_is_erased_tells_nothing_any_more() {
        let layout = PartitionLayout::of(1 << 19).unwrap();
        let mut disk = tempfile::tempfile().unwrap();
        disk.set_len(layout.sectors * SECTOR).unwrap();
        layout.write(&mut disk, &[0x90; 512], [7; 16]).unwrap();
        disk.write_all_at(&[0x53, 0xef], layout.systems.first * SECTOR + 1024 + 0x38).unwrap();
        disk.write_all_at(b"FAT32   ", layout.esp.first * SECTOR + 82).unwrap();
        layout.erase(&mut disk).unwrap();
        let mut bytes = Vec::new();
        disk.seek(SeekFrom::Start(0)).unwrap();
        io::Read::read_to_end(&mut disk, &mut bytes).unwrap();
        assert!(bytes.iter().all(|byte| *byte == 0));
    }

    /// Checked by util-linux's sfdisk, if the host has it; CI installs it.
    #[test]
    fn sfdisk_accepts_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("disk");
        let layout = PartitionLayout::of(1 << 21).unwrap();
        // Sparse.
        let mut image = std::fs::File::create(&path).unwrap();
        image.set_len(1 << 30).unwrap();
        layout.write(&mut image, &[0x90; 512], [7; 16]).unwrap();
        let program = ["/usr/sbin/sfdisk", "/sbin/sfdisk"].into_iter().find(|path| std::path::Path::new(path).exists());
        let program = program.expect("sfdisk is missing: install fdisk");
        let run = |option: &str| {
            let output = crate::process::command(program).arg(option).arg(&path).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
        };
        let listed = run("--dump");
        assert!(listed.contains("label: gpt") && listed.contains("name=\"dbcolinux\""), "{listed}");
        assert!(listed.contains("21686148-6449-6E6F-744E-656564454649"), "BIOS boot: {listed}");
        assert!(listed.contains("C12A7328-F81F-11D2-BA4B-00A0C93EC93B"), "EFI system: {listed}");
        assert!(listed.to_lowercase().contains(&format!("uuid={}", guid_text([7; 16], 3))), "{listed}");
        assert!(run("--verify").contains("No errors detected"), "{}", run("--verify"));
    }
}
