//! Partition tables: MBR with its extended partitions, and GPT (UEFI Specification, chapter 5).
//!
//! Read by dbco itself: hybrid ISOs have both at once, and one that is not quite valid is shown, not refused.

use super::filesystem::Stored;
use super::region::{Region, le, le16, le32};
use super::{Entry, Fault, Kind, Listing};

/// A partition table.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PartitionTable {
    /// `MBR`, `GPT`, or `GPT and MBR` if the MBR has more than its protective partition.
    pub kind: &'static str,
    /// Bytes in a sector.
    pub sector: u64,
    /// The GUID of a GPT, or the MBR's disk signature.
    pub id: String,
    /// Partitions of the GPT if there is one.
    pub partitions: Vec<Partition>,
    /// Partitions of the MBR beside a GPT, apart from a protective one over the whole disk.
    pub hybrid: Vec<Partition>,
    /// What is wrong with it.
    pub faults: Vec<String>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Partition {
    /// As in the kernel's name: from 1, logical ones of an MBR from 5.
    pub number: u32,
    /// Offset in bytes.
    pub start: u64,
    /// Length in bytes.
    pub size: u64,
    /// The type: two hexadecimal digits, or a GUID.
    pub kind: String,
    /// The type's name; empty if it is not a common one.
    pub kind_name: &'static str,
    /// The name in a GPT.
    pub name: String,
    /// The unique GUID in a GPT.
    pub id: String,
    /// Marked as active (MBR), or as bootable by a BIOS (GPT).
    pub active: bool,
}

/// Partitions of a GPT and of chains of logical ones that are read.
const MOST: u32 = 256;

/// Reads the table at the start of a disk; `None` if there is none.
pub(crate) fn read(disk: &Region) -> Result<Option<PartitionTable>, Fault> {
    let mut block = [0; 512];
    let has_mbr = disk.read_at(0, &mut block)? == 512 && block[510..] == [0x55, 0xaa];
    let sector = [512_u64, 4096, 2048].into_iter().find(|sector| disk.has(*sector, b"EFI PART"));
    let mut faults = Vec::new();
    let primary = if has_mbr { mbr(disk, &block, &mut faults)? } else { Vec::new() };
    let Some(sector) = sector else {
        let plausible = block.chunks_exact(16).len() > 0 && (0..4).all(|at| matches!(block[446 + 16 * at], 0 | 0x80));
        if !has_mbr || !plausible || primary.is_empty() {
            return Ok(None);
        }
        let id = format!("{:08x}", le32(&block, 440));
        return Ok(Some(PartitionTable {
            kind: "MBR",
            sector: 512,
            id,
            partitions: primary,
            hybrid: Vec::new(),
            faults,
        }));
    };
    let hybrid: Vec<Partition> = primary.into_iter().filter(|partition| partition.kind != "ee").collect();
    let kind = if hybrid.is_empty() { "GPT" } else { "GPT and MBR" };
    let (id, partitions) = gpt(disk, sector, &mut faults)?;
    Ok(Some(PartitionTable { kind, sector, id, partitions, hybrid, faults }))
}

fn mbr(disk: &Region, block: &[u8; 512], faults: &mut Vec<String>) -> Result<Vec<Partition>, Fault> {
    let mut found = Vec::new();
    let mut extended = None;
    for number in 1..=4 {
        let row = &block[446 + 16 * (number as usize - 1)..][..16];
        if row[4] == 0 || le32(row, 12) == 0 {
            continue;
        }
        if matches!(row[4], 0x05 | 0x0f | 0x85) {
            extended = Some(le32(row, 8));
        }
        found.push(partition(row, number, 0));
    }
    let Some(first) = extended else { return Ok(found) };
    // Each logical partition has a table with itself and the next table, relative to the first.
    let mut next = first;
    for number in 5..5 + MOST {
        let mut block = [0; 512];
        let at = u64::from(next) * 512;
        if disk.read_at(at, &mut block)? < 512 || block[510..] != [0x55, 0xaa] {
            faults.push(format!("logical partition {number} has no table at its place"));
            break;
        }
        if block[450] != 0 && le32(&block, 458) != 0 {
            found.push(partition(&block[446..462], number, at));
        }
        let link = &block[462..478];
        if link[4] == 0 || le32(link, 8) == 0 {
            return Ok(found);
        }
        next = first.saturating_add(le32(link, 8));
    }
    faults.push("its chain of logical partitions does not end".into());
    Ok(found)
}

fn partition(row: &[u8], number: u32, base: u64) -> Partition {
    Partition {
        number,
        start: base + u64::from(le32(row, 8)) * 512,
        size: u64::from(le32(row, 12)) * 512,
        kind: format!("{:02x}", row[4]),
        kind_name: match row[4] {
            0x00 => "empty",
            0x05 | 0x0f | 0x85 => "extended",
            0x01 | 0x04 | 0x06 | 0x0b | 0x0c | 0x0e => "FAT",
            0x07 => "NTFS or exFAT",
            0x17 => "hidden NTFS (used by hybrid ISOs)",
            0x82 => "Linux swap",
            0x83 => "Linux",
            0x8e => "Linux LVM",
            0xcd => "ISO 9660 (used by hybrid ISOs)",
            0xee => "GPT protective",
            0xef => "EFI system",
            _ => "",
        },
        name: String::new(),
        id: String::new(),
        active: row[0] == 0x80,
    }
}

fn gpt(disk: &Region, sector: u64, faults: &mut Vec<String>) -> Result<(String, Vec<Partition>), Fault> {
    let header: [u8; 92] = disk.array(sector)?;
    let (count, row) = (le32(&header, 80), le32(&header, 84));
    if !(128..=4096).contains(&row) {
        return Err(Fault::Damaged(format!("its GPT has entries of {row} bytes")));
    }
    let mut whole = header;
    whole[16..20].fill(0);
    if le32(&header, 12) == 92 && crc32(&whole) != le32(&header, 16) {
        faults.push("the checksum of its GPT's header is wrong".into());
    }
    if count > MOST {
        faults.push(format!("its GPT states {count} entries; {MOST} are read"));
    }
    let table = disk.bytes(le(&header, 72, 8).saturating_mul(sector), (count.min(MOST) * row) as usize)?;
    if count <= MOST && crc32(&table) != le32(&header, 88) {
        faults.push("the checksum of its GPT's entries is wrong".into());
    }
    // The copy at the end, which tools write back if the first one is damaged.
    let copy = le(&header, 32, 8).saturating_mul(sector);
    if !disk.has(copy, b"EFI PART") {
        faults.push("its GPT has no copy where the header says".into());
    }
    let mut found = Vec::new();
    for (at, row) in table.chunks_exact(row as usize).enumerate() {
        if row[..16] == [0; 16] {
            continue;
        }
        let (first, last) = (le(row, 32, 8), le(row, 40, 8));
        let Some(sectors) = last.checked_sub(first).and_then(|count| count.checked_add(1)) else {
            faults.push(format!("partition {} ends before it starts", at + 1));
            continue;
        };
        let units = row[56..128].chunks_exact(2).map(|unit| le16(unit, 0)).take_while(|unit| *unit != 0);
        let kind = guid(&row[..16]);
        found.push(Partition {
            number: at as u32 + 1,
            start: first.saturating_mul(sector),
            size: sectors.saturating_mul(sector),
            kind_name: guid_name(&kind),
            kind,
            name: char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}')).collect(),
            id: guid(&row[16..32]),
            active: row[48] & 4 != 0,
        });
    }
    Ok((guid(&header[56..72]), found))
}

/// A GUID as text: the first three numbers are little-endian.
fn guid(bytes: &[u8]) -> String {
    let [a, b, c] = [(0, 4), (4, 2), (6, 2)].map(|(at, length)| le(bytes, at, length));
    let rest: String = bytes[8..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{a:08x}-{b:04x}-{c:04x}-{}-{}", &rest[..4], &rest[4..])
}

/// UEFI Specification, table "Defined GPT Partition Entry"; the Discoverable Partitions Specification.
fn guid_name(kind: &str) -> &'static str {
    match kind {
        "c12a7328-f81f-11d2-ba4b-00a0c93ec93b" => "EFI system",
        "21686148-6449-6e6f-744e-656564454649" => "BIOS boot",
        "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7" => "Microsoft basic data (used by hybrid ISOs)",
        "0fc63daf-8483-4772-8e79-3d69d8477de4" => "Linux",
        "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f" => "Linux swap",
        "e6d6d379-f507-44c2-a23c-238f2a3df928" => "Linux LVM",
        "bc13c2ff-59e6-4262-a352-b275fd6f7172" => "Linux extended boot",
        "4f68bce3-e8cd-4db1-96e7-fbcaf984b709" => "Linux root",
        _ => "",
    }
}

/// CRC-32 as in Ethernet.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// The partitions as files `1`, `2` …
pub(crate) fn partitions(disk: &Region, table: &PartitionTable) -> Stored {
    let (mut entries, mut regions) = (Vec::new(), Vec::new());
    for partition in &table.partitions {
        let mut entry = Entry::new(partition.number.to_string().into_bytes(), Kind::File, 0o444);
        // A table may reach beyond a file that was cut off.
        let rest = disk.from(partition.start);
        let region = rest.slice(0, partition.size.min(rest.len())).unwrap_or(rest);
        (entry.size, entry.content) = (region.len(), regions.len() as u64);
        regions.push(region);
        entries.push(entry);
    }
    Stored { listing: Listing::new(entries), regions }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_shown_as_by_other_tools() {
        let bytes = [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];
        assert_eq!(guid_name(&guid(&bytes)), "EFI system");
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_circle_of_logical_partitions_ends() {
        let mut disk = vec![0; 4096];
        disk[446 + 4] = 5;
        disk[446 + 8] = 1;
        disk[446 + 12] = 7;
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        for at in [512, 1024] {
            disk[at + 450] = 0x83;
            disk[at + 458] = 1;
            disk[at + 462 + 4] = 5;
            disk[at + 462 + 8] = 1;
            disk[at + 510..at + 512].copy_from_slice(&[0x55, 0xaa]);
        }
        let table = read(&Region::of_bytes(disk)).unwrap().unwrap();
        assert_eq!(table.kind, "MBR");
        assert_eq!(table.faults, ["its chain of logical partitions does not end"]);
    }
}
