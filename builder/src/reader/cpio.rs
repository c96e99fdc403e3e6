//! cpio archives in the `newc` format and its variant with checksums: Documentation/driver-api/early-userspace/
//! buffer-format.rst of the kernel, cpio(5).

use std::collections::HashMap;

use super::entry::normal;
use super::limits::Allowance;
use super::region::Region;
use super::{Entry, Fault, Kind};

const HEADER: u64 = 110;
/// `PATH_MAX`, which the kernel applies to names and to link targets.
const PATH_MAX: u64 = 4096;

/// The signatures of both variants.
pub(crate) fn is_cpio(start: &[u8]) -> bool {
    start.starts_with(b"070701") || start.starts_with(b"070702")
}

/// Archives of one segment, which follow each other, perhaps with zeros in between.
pub(crate) struct Segment<'a> {
    pub entries: &'a mut Vec<Entry>,
    pub regions: &'a mut Vec<Region>,
    pub allowance: &'a mut Allowance,
    /// The segment's number.
    pub number: usize,
}

/// The names of a file so far, and which of them has the content.
type Links = HashMap<(u64, u64, u64), Vec<usize>>;

impl Segment<'_> {
    /// Reads archives from an offset to the first byte that belongs to none of them; gives its offset. The last archive
    /// may lack its trailer if the data ends there.
    pub fn read(&mut self, data: &Region, offset: u64) -> Result<u64, Fault> {
        let mut at = offset;
        let mut links = Links::new();
        loop {
            let start = self.zeros(data, at)?;
            let mut magic = [0; 6];
            let count = data.read_at(start, &mut magic)?;
            // As in the kernel's unpacker, an archive starts at a multiple of 4.
            if !is_cpio(&magic[..count]) || !(start - offset).is_multiple_of(4) {
                self.settle(links);
                return Ok(start);
            }
            at = self.entry(data, start, &mut links)?;
        }
    }

    /// The offset of the next byte that is not zero.
    fn zeros(&self, data: &Region, mut at: u64) -> Result<u64, Fault> {
        let mut block = [0; 64 * 1024];
        loop {
            crate::interrupt::check()?;
            let count = data.read_at(at, &mut block[..])?;
            match block[..count].iter().position(|&byte| byte != 0) {
                Some(index) => return Ok(at + index as u64),
                None if count == 0 => return Ok(data.len()),
                None => at += count as u64,
            }
        }
    }

    fn entry(&mut self, data: &Region, at: u64, links: &mut Links) -> Result<u64, Fault> {
        let header: [u8; HEADER as usize] = data.array(at)?;
        let field = |index: usize| -> Result<u64, Fault> {
            let text = &header[6 + 8 * index..14 + 8 * index];
            let digits =
                std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
            digits
                .and_then(|text| u64::from_str_radix(text, 16).ok())
                .ok_or_else(|| Fault::Damaged(format!("the header at {at} has `{}` for a number", text.escape_ascii())))
        };
        let name_size = field(11)?;
        if name_size == 0 || name_size > PATH_MAX {
            return Err(Fault::Damaged(format!("the header at {at} states a name of {name_size} bytes")));
        }
        let name = data.bytes(at + HEADER, name_size as usize)?;
        let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
        let begin = (at + HEADER + name_size).next_multiple_of(4);
        let size = field(6)?;
        let content = data.slice(begin, size)?;
        let next = (begin + size).next_multiple_of(4);
        let mode = field(1)? as u32;
        if name == b"TRAILER!!!" {
            // Hard links are between names of one archive.
            self.settle(std::mem::take(links));
            return Ok(next);
        }
        let mut target = Vec::new();
        if mode & 0o170_000 == 0o120_000 {
            if size > PATH_MAX {
                return Err(Fault::Damaged(format!("the link at {at} has a target of {size} bytes")));
            }
            target = content.bytes(0, size as usize)?;
            // Some archivers end it with a NUL byte.
            let length = target.iter().position(|&byte| byte == 0).unwrap_or(target.len());
            target.truncate(length);
        }
        self.allowance.entry(name.len() + target.len())?;
        let device = Some((field(9)? as u32, field(10)? as u32));
        let kind = Kind::of_mode(mode, device, || target)
            .ok_or_else(|| Fault::Damaged(format!("the header at {at} has the unknown type {mode:o}")))?;
        let mut entry = Entry::new(normal(name), kind, mode);
        entry.uid = field(2)? as i64;
        entry.gid = field(3)? as i64;
        entry.mtime = Some(field(5)? as i64);
        entry.segment = self.number;
        if entry.is_file() {
            entry.size = size;
            entry.content = self.regions.len() as u64;
            self.regions.push(content);
            if field(4)? > 1 {
                links.entry((field(0)?, field(7)?, field(8)?)).or_default().push(self.entries.len());
            }
        }
        self.entries.push(entry);
        Ok(next)
    }

    /// Gives each name of a file its content, which is with one of them, mostly the last.
    fn settle(&mut self, links: Links) {
        let mut files: Vec<Vec<usize>> = links.into_values().filter(|names| names.len() > 1).collect();
        files.sort();
        for names in files {
            let full = names.iter().rev().find(|&&at| self.entries[at].size > 0).copied();
            let inode = Some(names[0] as u64 + 1);
            for at in names {
                if let Some(full) = full {
                    (self.entries[at].size, self.entries[at].content) =
                        (self.entries[full].size, self.entries[full].content);
                }
                self.entries[at].inode = inode;
            }
        }
    }
}
