//! ISO 9660 (ECMA-119) with Rock Ridge (IEEE P1282) or Joliet, and El Torito.
//!
//! Read by dbco itself: no crate for it is kept and gives owners, links and boot images of a hostile image safely.

pub mod eltorito;
mod rockridge;

use super::filesystem::Stored;
use super::limits::Allowance;
use super::region::{le16, le32};
use super::{Entry, Fault, Kind, Limits, Listing, Region};
pub use eltorito::BootImage;
use rockridge::Attributes;

/// Bytes in a sector.
pub(crate) const SECTOR: u64 = 2048;
/// The offset of the first volume descriptor's identifier.
pub(crate) const MAGIC: (u64, &[u8; 5]) = (16 * SECTOR + 1, b"CD001");

/// An ISO image, opened for reading.
pub struct Iso {
    pub(crate) stored: Stored,
    /// The volume's name.
    pub label: String,
    /// The program that made it, as it says.
    pub application: String,
    /// Where names and modes come from.
    pub names: NameSource,
    /// Bytes of the volume, as its descriptor states them.
    pub size: u64,
    /// El Torito's entries.
    pub boot: Vec<BootImage>,
}

/// The extension that the names of an ISO come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameSource {
    /// POSIX names, modes, owners, links.
    RockRidge,
    /// Long names only.
    Joliet,
    /// The short names of ISO 9660 itself.
    Plain,
}

/// A directory record.
struct Record {
    name: Vec<u8>,
    extent: u32,
    size: u32,
    folder: bool,
    /// The file goes on in the next record (larger than 4 GiB).
    continued: bool,
    time: Option<i64>,
    system_use: Vec<u8>,
}

impl Iso {
    /// Reads the tree and the boot catalog.
    pub(crate) fn open(image: &Region, limits: &Limits) -> Result<Self, Fault> {
        let (mut primary, mut joliet, mut catalog) = (None, None, None);
        // The set of descriptors ends with one of type 255; more than a few dozen are not plausible.
        for number in 16..80 {
            let block: [u8; SECTOR as usize] = image.array(number * SECTOR)?;
            if &block[1..6] != MAGIC.1 {
                break;
            }
            match block[0] {
                0 if block[7..39].starts_with(b"EL TORITO SPECIFICATION") => catalog = Some(le32(&block, 71)),
                1 if primary.is_none() => primary = Some(block),
                // Joliet's escape sequences.
                2 if matches!(&block[88..91], b"%/@" | b"%/C" | b"%/E") => joliet = Some(block),
                255 => break,
                _ => {}
            }
        }
        let primary = primary.ok_or_else(|| Fault::damaged("it has no primary volume descriptor"))?;
        if le16(&primary, 128) != SECTOR as u16 {
            return Err(Fault::Unsupported(format!("blocks of {} bytes are not supported", le16(&primary, 128))));
        }
        let root = |descriptor: &[u8]| Record::read(&descriptor[156..190]).map(|found| found.0);
        let mut walk = Walk::new(image, limits);
        let root_record = root(&primary)?;
        walk.skip = walk.system_use_skip(&root_record)?;
        walk.names = match (walk.skip, &joliet) {
            (Some(_), _) => NameSource::RockRidge,
            (None, Some(_)) => NameSource::Joliet,
            (None, None) => NameSource::Plain,
        };
        let start = match (&joliet, walk.names) {
            (Some(joliet), NameSource::Joliet) => root(joliet)?,
            _ => root_record,
        };
        walk.folder(&[], (start.extent, start.size), 0, true)?;
        let names = walk.names;
        let boot = match catalog {
            Some(sector) => eltorito::read(image, sector)?,
            None => Vec::new(),
        };
        let text = |field: &[u8]| String::from_utf8_lossy(field.trim_ascii_end()).trim_end_matches('\0').to_owned();
        Ok(Self {
            label: text(&primary[40..72]),
            application: text(&primary[574..702]),
            size: u64::from(le32(&primary, 80)) * SECTOR,
            stored: walk.finish(),
            names,
            boot,
        })
    }
}

impl Record {
    /// The record at the start of `bytes`, and its length.
    fn read(bytes: &[u8]) -> Result<(Self, usize), Fault> {
        let length = usize::from(bytes.first().copied().unwrap_or(0));
        let record = bytes.get(..length).filter(|_| length >= 34);
        let record = record.ok_or_else(|| Fault::Damaged(format!("a directory record of {length} bytes")))?;
        let name_length = usize::from(record[32]);
        let name = record.get(33..33 + name_length).ok_or_else(|| Fault::damaged("a name beyond its record"))?;
        // The name is padded to an even offset.
        let system_use = (33 + name_length).next_multiple_of(2);
        let found = Self {
            name: name.to_vec(),
            extent: le32(record, 2).saturating_add(record[1].into()),
            size: le32(record, 10),
            folder: record[25] & 2 != 0,
            continued: record[25] & 0x80 != 0,
            time: time(&record[18..25]),
            system_use: record.get(system_use..).unwrap_or_default().to_vec(),
        };
        Ok((found, length))
    }
}

/// A time of 7 bytes (ECMA-119, 9.1.5) in seconds since 1970; `None` if it is not a valid date.
fn time(field: &[u8]) -> Option<i64> {
    let [month, day, hour, minute, second] = [1, 2, 3, 4, 5].map(|at| field[at] as i8);
    let date = jiff::civil::DateTime::new(1900 + i16::from(field[0]), month, day, hour, minute, second, 0).ok()?;
    let local = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    // The last byte is the offset from UTC in quarters of an hour.
    Some(local - i64::from(field[6] as i8) * 900)
}

struct Walk<'a> {
    image: &'a Region,
    allowance: Allowance,
    /// Bytes to skip in each system use field (SUSP, 5.3); `None` without Rock Ridge.
    skip: Option<usize>,
    names: NameSource,
    entries: Vec<Entry>,
    regions: Vec<Region>,
    /// Folders moved by Rock Ridge to lie less deep, by extent, are read where they belong.
    budget: u64,
}

impl<'a> Walk<'a> {
    fn new(image: &'a Region, limits: &Limits) -> Self {
        let (entries, regions) = (Vec::new(), Vec::new());
        // All folders' bytes; a damaged image may name the same folder many times.
        let (skip, names, budget) = (None, NameSource::Plain, limits.names);
        Self { image, allowance: Allowance::new(limits), skip, names, entries, regions, budget }
    }

    fn finish(self) -> Stored {
        Stored { listing: Listing::new(self.entries), regions: self.regions }
    }

    /// Whether the root's `.` has SUSP's mark and a Rock Ridge entry: bytes to skip in other records.
    fn system_use_skip(&self, root: &Record) -> Result<Option<usize>, Fault> {
        let start: [u8; SECTOR as usize] = self.image.array(u64::from(root.extent) * SECTOR)?;
        let dot = Record::read(&start)?.0;
        match dot.system_use.get(..7) {
            Some([b'S', b'P', 7, 1, 0xbe, 0xef, skip]) => {
                let attributes = Attributes::read(self.image, &dot.system_use)?;
                Ok(attributes.mode.is_some().then_some(usize::from(*skip)))
            }
            _ => Ok(None),
        }
    }

    fn attributes(&self, record: &Record, dot: bool) -> Result<Attributes, Fault> {
        match self.skip {
            // The root's own `.` starts with the mark itself, nothing is skipped there.
            Some(skip) => {
                Attributes::read(self.image, record.system_use.get(if dot { 0 } else { skip }..).unwrap_or_default())
            }
            None => Ok(Attributes::default()),
        }
    }

    fn folder(&mut self, path: &[u8], (extent, size): (u32, u32), depth: usize, top: bool) -> Result<(), Fault> {
        self.allowance.depth(depth)?;
        self.budget = self
            .budget
            .checked_sub(u64::from(size).max(SECTOR))
            .ok_or_else(|| Fault::Limit("its folders have more bytes in total than any plausible image".into()))?;
        let bytes = self.image.bytes(u64::from(extent) * SECTOR, size as usize)?;
        let mut parts: Vec<Record> = Vec::new();
        for block in bytes.chunks(SECTOR as usize) {
            let mut rest = block;
            // A record does not cross a sector; zeros fill it up.
            while rest.first().is_some_and(|&length| length > 0) {
                let (record, length) = Record::read(rest)?;
                rest = &rest[length..];
                match record.name[..] {
                    [0] if top => self.root(&record)?,
                    [0] | [1] => {}
                    _ if record.continued => parts.push(record),
                    _ => {
                        parts.push(record);
                        self.record(path, std::mem::take(&mut parts), depth)?;
                    }
                }
                if parts.len() > 4096 {
                    return Err(Fault::damaged("a file of more than 4096 parts"));
                }
            }
        }
        Ok(())
    }

    fn root(&mut self, dot: &Record) -> Result<(), Fault> {
        let attributes = self.attributes(dot, true)?;
        let mut entry = Entry::new(Vec::new(), Kind::Dir, attributes.mode.unwrap_or(0o555));
        (entry.uid, entry.gid, entry.mtime) = (attributes.uid, attributes.gid, attributes.time.or(dot.time));
        self.entries.push(entry);
        Ok(())
    }

    /// A file of one or more parts, or a folder.
    fn record(&mut self, path: &[u8], parts: Vec<Record>, depth: usize) -> Result<(), Fault> {
        let [.., record] = &parts[..] else { return Ok(()) };
        let attributes = self.attributes(record, false)?;
        // A folder that lies elsewhere is read there where its name is.
        if attributes.relocated {
            return Ok(());
        }
        let name = match (self.names, attributes.name) {
            (NameSource::RockRidge, Some(name)) => name,
            (NameSource::Joliet, _) => joliet(&record.name),
            _ => plain(&record.name),
        };
        if name.is_empty() || name.contains(&b'/') || name.contains(&0) {
            return Err(Fault::Damaged(format!("the name `{}`", name.escape_ascii())));
        }
        let path = if path.is_empty() { name } else { [path, b"/", &name].concat() };
        let folder = record.folder || attributes.child.is_some();
        let default = if folder { 0o040_555 } else { 0o100_444 };
        let mode = attributes.mode.unwrap_or(default);
        let mode = if attributes.child.is_some() { mode & 0o7777 | 0o040_000 } else { mode };
        self.allowance.entry(path.len() + attributes.target.len())?;
        let kind = Kind::of_mode(mode, attributes.device, || attributes.target)
            .ok_or_else(|| Fault::Damaged(format!("the unknown type {mode:o}")))?;
        let mut entry = Entry::new(path, kind, mode);
        (entry.uid, entry.gid, entry.mtime) = (attributes.uid, attributes.gid, attributes.time.or(record.time));
        if attributes.links > 1 && !folder {
            entry.inode = attributes.serial;
        }
        if entry.is_file() {
            entry.size = parts.iter().map(|part| u64::from(part.size)).sum();
            entry.content = self.regions.len() as u64;
            self.regions.push(self.extent(&parts)?);
        }
        let path = entry.path.clone();
        let is_folder = entry.is_dir();
        self.entries.push(entry);
        if is_folder {
            let (extent, size) = match attributes.child {
                Some(child) => (child, self.folder_size(child)?),
                None => (record.extent, record.size),
            };
            self.folder(&path, (extent, size), depth + 1, false)?;
        }
        Ok(())
    }

    /// The size of the folder at an extent, from its `.`.
    fn folder_size(&self, extent: u32) -> Result<u32, Fault> {
        let start: [u8; SECTOR as usize] = self.image.array(u64::from(extent) * SECTOR)?;
        Ok(Record::read(&start)?.0.size)
    }

    /// The bytes of a file, whose parts have to follow each other.
    fn extent(&self, parts: &[Record]) -> Result<Region, Fault> {
        let start = u64::from(parts[0].extent) * SECTOR;
        let mut end = start;
        for part in parts {
            if part.size > 0 && u64::from(part.extent) * SECTOR != end {
                return Err(Fault::Unsupported("a file in parts that don't follow each other is not supported".into()));
            }
            end += u64::from(part.size);
        }
        match end == start {
            // Its extent may be anything.
            true => Ok(Region::of_bytes(Vec::new())),
            false => self.image.slice(start, end - start),
        }
    }
}

/// UCS-2, big-endian.
fn joliet(name: &[u8]) -> Vec<u8> {
    let units = name.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    let text: String = char::decode_utf16(units).map(|unit| unit.unwrap_or('\u{fffd}')).collect();
    text.strip_suffix(";1").unwrap_or(&text).as_bytes().to_vec()
}

/// As Linux shows them: lower case, without a version and without an empty extension.
fn plain(name: &[u8]) -> Vec<u8> {
    let name = name.split(|&byte| byte == b';').next().unwrap_or_default();
    name.strip_suffix(b".").unwrap_or(name).to_ascii_lowercase()
}
