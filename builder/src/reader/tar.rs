//! Tar archives, by the reader that dbco has for sources ([`crate::archive::Entries`]).

use std::collections::HashMap;
use std::io::Read;

use super::entry::normal;
use super::filesystem::Stored;
use super::limits::Allowance;
use super::region::Cursor;
use super::{Entry, Fault, Kind, Limits, Listing, Region};
use crate::archive::{Entries, Member, MemberKind};

/// Whether a block is a tar archive's header: its checksum is right.
pub(crate) fn is_tar(block: &[u8]) -> bool {
    let Some(block) = block.first_chunk::<512>() else { return false };
    let text = block[148..156].split(|&byte| byte == 0).next().unwrap_or_default().trim_ascii();
    let stated = std::str::from_utf8(text).ok().and_then(|text| u32::from_str_radix(text, 8).ok());
    let sum = block.iter().enumerate().map(|(at, &byte)| u32::from(if (148..156).contains(&at) { b' ' } else { byte }));
    stated == Some(sum.sum())
}

/// Counts what the archive's reader has read: where a member's content starts.
struct Counted {
    cursor: Cursor,
    count: std::rc::Rc<std::cell::Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.cursor.read(buffer)?;
        self.count.set(self.count.get() + count as u64);
        Ok(count)
    }
}

/// Reads the headers of an archive, which must be decompressed.
pub(crate) fn open(data: &Region, limits: &Limits) -> Result<Stored, Fault> {
    let position = std::rc::Rc::new(std::cell::Cell::new(0));
    let counted = Counted { cursor: data.cursor(), count: std::rc::Rc::clone(&position) };
    let mut members = Entries::new(counted, "it", &limits.budget());
    let mut allowance = Allowance::new(limits);
    let (mut entries, mut regions) = (Vec::<Entry>::new(), Vec::new());
    let mut by_path = HashMap::new();
    while let Some(member) = members.next_member()? {
        let attributes: usize = member.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum();
        allowance.entry(member.path.len() + member.link.len() + attributes)?;
        let mut entry = entry(&member);
        match member.kind {
            MemberKind::File => {
                entry.size = member.size;
                entry.content = regions.len() as u64;
                regions.push(data.slice(position.get(), member.size)?);
            }
            MemberKind::HardLink => {
                let Some(&first) = by_path.get(&normal(&member.link)) else {
                    return Err(Fault::Damaged(format!(
                        "`{}` is a hard link to `{}`, which did not come before",
                        crate::printable::printable(&member.path),
                        crate::printable::printable(&member.link)
                    )));
                };
                let first: &mut Entry = &mut entries[first];
                let inode = *first.inode.get_or_insert(by_path.len() as u64 + 1);
                entry = Entry { path: entry.path, inode: Some(inode), ..first.clone() };
            }
            _ => {}
        }
        by_path.insert(entry.path.clone(), entries.len());
        entries.push(entry);
    }
    Ok(Stored { listing: Listing::new(entries), regions })
}

fn entry(member: &Member) -> Entry {
    let kind = match member.kind {
        MemberKind::File | MemberKind::HardLink => Kind::File,
        MemberKind::Dir => Kind::Dir,
        MemberKind::Symlink => Kind::Symlink(member.link.clone()),
        MemberKind::Char => Kind::Char(Some(member.device)),
        MemberKind::Block => Kind::Block(Some(member.device)),
        MemberKind::Fifo => Kind::Fifo,
    };
    let mut entry = Entry::new(normal(&member.path), kind, member.mode);
    (entry.uid, entry.gid, entry.mtime) = (member.uid, member.gid, Some(member.mtime));
    entry.xattrs = member.xattrs.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone())).collect();
    entry
}
