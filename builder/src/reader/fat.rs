//! FAT12, FAT16 and FAT32 with long names (Microsoft's "FAT: General Overview of On-Disk Format", 1.03).
//!
//! Read by dbco itself: the crate `fatfs` takes a device that can be written, and follows a chain in a circle forever.

use std::io::{self, Read};

use super::filesystem::{Content, Filesystem};
use super::limits::Allowance;
use super::region::{le16, le32};
use super::{Entry, Fault, Kind, Limits, Listing, Region};

/// A FAT file system, opened for reading.
pub struct Fat {
    listing: Listing,
    volume: Volume,
    /// `FAT12`, `FAT16` or `FAT32`.
    pub variant: &'static str,
    /// The volume's name.
    pub label: String,
    /// The volume's serial number.
    pub serial: u32,
}

struct Volume {
    image: Region,
    bits: u8,
    table: Region,
    /// Offset of cluster 2.
    data: u64,
    /// Bytes in a cluster.
    cluster: u64,
    clusters: u32,
}

/// Whether a boot sector is one of FAT: a plausible BIOS parameter block.
pub(crate) fn is_fat(boot: &[u8]) -> bool {
    let Some(boot) = boot.first_chunk::<512>() else { return false };
    let jump = (boot[0] == 0xeb && boot[2] == 0x90) || boot[0] == 0xe9;
    let sector = le16(boot, 11);
    jump && matches!(sector, 512 | 1024 | 2048 | 4096)
        && boot[13].is_power_of_two()
        && le16(boot, 14) > 0
        && matches!(boot[16], 1 | 2)
        && (boot[21] == 0xf0 || boot[21] >= 0xf8)
        && boot[510..] == [0x55, 0xaa]
}

/// A folder's location.
enum Folder {
    /// FAT12 and FAT16: a fixed region.
    Root(Region),
    Chain(u32),
}

impl Fat {
    /// Reads everything but the files' content.
    pub(crate) fn open(image: &Region, limits: &Limits) -> Result<Self, Fault> {
        let boot: [u8; 512] = image.array(0)?;
        if !is_fat(&boot) {
            return Err(Fault::damaged("it has no boot sector of FAT"));
        }
        let sector = u64::from(le16(&boot, 11));
        let either = |short: u16, long: u32| if short != 0 { u64::from(short) } else { u64::from(long) };
        let table_sectors = either(le16(&boot, 22), le32(&boot, 36));
        let all = either(le16(&boot, 19), le32(&boot, 32));
        let (reserved, tables) = (u64::from(le16(&boot, 14)), u64::from(boot[16]));
        let root_sectors = (u64::from(le16(&boot, 17)) * 32).div_ceil(sector);
        let data = reserved + tables * table_sectors + root_sectors;
        let clusters = all.checked_sub(data).ok_or_else(|| Fault::damaged("its tables are larger than the volume"))?;
        let clusters = u32::try_from(clusters / u64::from(boot[13])).unwrap_or(u32::MAX);
        let (bits, variant) = match clusters {
            ..4085 => (12, "FAT12"),
            4085..65525 => (16, "FAT16"),
            _ => (32, "FAT32"),
        };
        let volume = Volume {
            image: image.clone(),
            bits,
            table: image.slice(reserved * sector, table_sectors * sector)?,
            data: data * sector,
            cluster: sector * u64::from(boot[13]),
            clusters,
        };
        let extended = if bits == 32 { 64 } else { 36 };
        let label = String::from_utf8_lossy(boot[extended + 7..extended + 18].trim_ascii_end()).into_owned();
        let root = match bits {
            32 => Folder::Chain(le32(&boot, 44)),
            _ => Folder::Root(image.slice((data - root_sectors) * sector, root_sectors * sector)?),
        };
        let mut walk = Walk {
            volume: &volume,
            entries: vec![Entry::new(Vec::new(), Kind::Dir, 0o755)],
            allowance: Allowance::new(limits),
            label: None,
        };
        walk.folder(&[], root, 0)?;
        let (entries, own) = (walk.entries, walk.label);
        Ok(Self {
            listing: Listing::new(entries),
            variant,
            label: own.unwrap_or(label),
            serial: le32(&boot, extended + 3),
            volume,
        })
    }
}

impl Volume {
    /// The cluster after one; `None` at the end of the chain.
    fn next(&self, cluster: u32) -> Result<Option<u32>, Fault> {
        let (value, end) = match self.bits {
            12 => {
                let pair = le16(&self.table.array::<2>(u64::from(cluster) * 3 / 2)?, 0);
                (u32::from(if cluster % 2 == 1 { pair >> 4 } else { pair & 0xfff }), 0xff8)
            }
            16 => (le16(&self.table.array::<2>(u64::from(cluster) * 2)?, 0).into(), 0xfff8),
            _ => (le32(&self.table.array::<4>(u64::from(cluster) * 4)?, 0) & 0xfff_ffff, 0xfff_fff8),
        };
        match value {
            end_mark if end_mark >= end => Ok(None),
            next => self.checked(next).map(Some),
        }
    }

    fn checked(&self, cluster: u32) -> Result<u32, Fault> {
        match cluster >= 2 && cluster - 2 < self.clusters {
            true => Ok(cluster),
            false => Err(Fault::Damaged(format!("a chain leads to cluster {cluster}, of {}", self.clusters))),
        }
    }

    fn bytes(&self, cluster: u32) -> Result<Vec<u8>, Fault> {
        self.image.bytes(self.data + u64::from(cluster - 2) * self.cluster, self.cluster as usize)
    }
}

struct Walk<'a> {
    volume: &'a Volume,
    entries: Vec<Entry>,
    allowance: Allowance,
    label: Option<String>,
}

/// The most that a folder may have: 65,536 entries of 32 bytes.
const FOLDER: usize = 65_536 * 32;

impl Walk<'_> {
    fn folder(&mut self, path: &[u8], at: Folder, depth: usize) -> Result<(), Fault> {
        self.allowance.depth(depth)?;
        let content = match at {
            Folder::Root(region) => region.bytes(0, region.len() as usize)?,
            Folder::Chain(first) => {
                let mut content = Vec::new();
                let mut next = Some(self.volume.checked(first)?);
                while let Some(cluster) = next {
                    self.allowance.bytes(self.volume.cluster as usize)?;
                    content.extend(self.volume.bytes(cluster)?);
                    if content.len() > FOLDER + self.volume.cluster as usize {
                        return Err(Fault::damaged("a folder of more than 65,536 entries"));
                    }
                    next = self.volume.next(cluster)?;
                }
                content
            }
        };
        let mut long = LongName::default();
        for record in content.chunks_exact(32) {
            match (record[0], record[11]) {
                (0, _) => break,
                (0xe5, _) => long = LongName::default(),
                (_, attributes) if attributes & 0x3f == 0x0f => long.add(record),
                (_, attributes) if attributes & 8 != 0 => {
                    self.label = Some(String::from_utf8_lossy(record[..11].trim_ascii_end()).into_owned());
                    long = LongName::default();
                }
                _ => {
                    let long = std::mem::take(&mut long).name(record);
                    self.record(path, record, long, depth)?;
                }
            }
        }
        Ok(())
    }

    fn record(&mut self, path: &[u8], record: &[u8], long: Option<Vec<u8>>, depth: usize) -> Result<(), Fault> {
        let name = long.unwrap_or_else(|| short_name(record));
        if name == b"." || name == b".." {
            return Ok(());
        }
        if name.is_empty() || name.contains(&b'/') || name.contains(&0) {
            return Err(Fault::Damaged(format!("the name `{}`", name.escape_ascii())));
        }
        let path = if path.is_empty() { name } else { [path, b"/", &name].concat() };
        self.allowance.entry(path.len())?;
        let first = u32::from(le16(record, 20)) << 16 | u32::from(le16(record, 26));
        let first = if self.volume.bits == 32 { first } else { first & 0xffff };
        let folder = record[11] & 0x10 != 0;
        let mut entry = match folder {
            true => Entry::new(path.clone(), Kind::Dir, 0o755),
            false => Entry::new(path.clone(), Kind::File, 0o755),
        };
        entry.mtime = time(le16(record, 24), le16(record, 22));
        if !folder {
            entry.size = le32(record, 28).into();
            entry.content = first.into();
        }
        self.entries.push(entry);
        match folder {
            true => self.folder(&path, Folder::Chain(first), depth + 1),
            false => Ok(()),
        }
    }
}

/// A long name, whose parts come last to first, before the short one.
#[derive(Default)]
struct LongName {
    units: Vec<u16>,
    checksum: u8,
    expected: u8,
}

impl LongName {
    fn add(&mut self, record: &[u8]) {
        let order = record[0];
        if order & 0x40 != 0 {
            *self = Self { units: Vec::new(), checksum: record[13], expected: order & 0x3f };
        }
        if self.expected == 0 || order & 0x3f != self.expected || record[13] != self.checksum {
            *self = Self::default();
            return;
        }
        self.expected -= 1;
        let fields = [1..11, 14..26, 28..32];
        let part = fields.into_iter().flat_map(|field| record[field].chunks_exact(2).map(|unit| le16(unit, 0)));
        self.units.splice(0..0, part);
    }

    /// The name, if its parts are complete and belong to this short name.
    fn name(self, record: &[u8]) -> Option<Vec<u8>> {
        let sum = record[..11].iter().fold(0_u8, |sum, &byte| sum.rotate_right(1).wrapping_add(byte));
        if self.units.is_empty() || self.expected != 0 || sum != self.checksum {
            return None;
        }
        let units = self.units.into_iter().take_while(|unit| *unit != 0);
        let text: String = char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}')).collect();
        Some(text.into_bytes())
    }
}

fn short_name(record: &[u8]) -> Vec<u8> {
    let mut base = record[..8].trim_ascii_end().to_vec();
    if base.first() == Some(&5) {
        base[0] = 0xe5;
    }
    let mut extension = record[8..11].trim_ascii_end().to_vec();
    // Windows NT's flags for lower case.
    if record[12] & 8 != 0 {
        base.make_ascii_lowercase();
    }
    if record[12] & 0x10 != 0 {
        extension.make_ascii_lowercase();
    }
    if extension.is_empty() { base } else { [&base[..], b".", &extension].concat() }
}

/// A local time, of which the zone is unknown: taken as UTC.
fn time(date: u16, time: u16) -> Option<i64> {
    let part = |value: u16| value as i8;
    let (year, month, day) = (1980 + (date >> 9) as i16, part(date >> 5 & 15), part(date & 31));
    let (hour, minute, second) = (part(time >> 11), part(time >> 5 & 63), part((time & 31) * 2));
    let date = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

impl Filesystem for Fat {
    fn listing(&self) -> &Listing {
        &self.listing
    }

    fn open(&self, entry: &Entry) -> Result<Content<'_>, Fault> {
        let next = match entry.size {
            0 => None,
            _ => Some(self.volume.checked(entry.content as u32)?),
        };
        Ok(Content::Stream(Box::new(Chain { volume: &self.volume, next, left: entry.size, block: Vec::new(), at: 0 })))
    }
}

/// Reads a file; its size bounds the chain.
struct Chain<'a> {
    volume: &'a Volume,
    next: Option<u32>,
    left: u64,
    block: Vec<u8>,
    at: usize,
}

impl Read for Chain<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() && self.left > 0 {
            crate::interrupt::check()?;
            let cluster = self.next.ok_or_else(|| Fault::damaged("a file's chain is shorter than the file"))?;
            self.block = self.volume.bytes(cluster)?;
            self.block.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= self.block.len() as u64;
            self.at = 0;
            self.next = if self.left > 0 { self.volume.next(cluster)? } else { None };
        }
        let count = buffer.len().min(self.block.len() - self.at);
        buffer[..count].copy_from_slice(&self.block[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
