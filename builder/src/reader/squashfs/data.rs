//! The content of files: blocks, each compressed by itself, and a fragment with the end.

use std::io::{self, Read};
use std::sync::{Arc, Mutex};

use super::super::Blocks;
use super::super::region::Region;
use super::metadata::decompress;
use super::{Fault, Limits, SquashfsInfo};

/// Where a file's content is.
pub struct FileData {
    /// Offset of its first block.
    pub start: u64,
    /// Bytes of content.
    pub size: u64,
    /// Stored sizes; 0 for a hole, [`PLAIN`] is set if a block is not compressed.
    pub blocks: Vec<u32>,
    /// The fragment that contains its end: number, and offset in it.
    pub fragment: Option<(u32, u32)>,
}

impl FileData {
    /// Its blocks, and its part of the fragment, in which each byte counts the same. `block` is the size of a block, unpacked.
    pub fn stored(&self, fragments: &Fragments, block: u32) -> Vec<Blocks> {
        let bytes = self.blocks.iter().map(|stored| u64::from(stored & !PLAIN)).sum();
        let mut stored = vec![Blocks { place: (self.start, self.blocks.len() as u64), bytes }];
        if let Some((index, offset)) = self.fragment
            && let (Some((_, packed)), Some(unpacked)) =
                (fragments.rows.get(index as usize), fragments.unpacked.get(index as usize))
        {
            let bytes = self.end(block) * u64::from(packed & !PLAIN) / unpacked.max(&1);
            // No block starts there.
            stored.push(Blocks { place: (u64::MAX - u64::from(index), offset.into()), bytes });
        }
        stored
    }

    /// The bytes of its content that are in the fragment.
    fn end(&self, block: u32) -> u64 {
        self.size.saturating_sub(self.blocks.len() as u64 * u64::from(block))
    }
}

/// The bit of a stored size that means "not compressed".
const PLAIN: u32 = 1 << 24;

/// The blocks with the ends of files: offsets and stored sizes. The last one that was read is kept, as files with their ends
/// in the same block mostly follow each other.
pub struct Fragments {
    rows: Vec<(u64, u32)>,
    /// The unpacked size of each, as far as files use it.
    unpacked: Vec<u64>,
    last: Mutex<Option<(u32, Arc<Vec<u8>>)>>,
}

impl Fragments {
    /// The rows of their table, and the files that refer to them; `block` is the size of a block, unpacked.
    pub fn new(rows: Vec<(u64, u32)>, files: &[FileData], block: u32) -> Self {
        let mut unpacked = vec![0; rows.len()];
        for file in files {
            let Some((index, offset)) = file.fragment else { continue };
            if let Some(size) = unpacked.get_mut(index as usize) {
                *size = (u64::from(offset) + file.end(block)).max(*size);
            }
        }
        Self { rows, unpacked, last: Mutex::new(None) }
    }

    /// The fragment of a number, unpacked by `read`.
    fn get(&self, index: u32, read: impl FnOnce(u64, u32) -> Result<Vec<u8>, Fault>) -> Result<Arc<Vec<u8>>, Fault> {
        let mut last = self.last.lock().unwrap_or_else(|error| error.into_inner());
        if let Some((_, bytes)) = last.as_ref().filter(|(number, _)| *number == index) {
            return Ok(Arc::clone(bytes));
        }
        let &(at, stored) = self
            .rows
            .get(index as usize)
            .ok_or_else(|| Fault::Damaged(format!("fragment {index} is not in its table")))?;
        let bytes = Arc::new(read(at, stored)?);
        *last = Some((index, Arc::clone(&bytes)));
        Ok(bytes)
    }
}

/// Reads a file from start to end.
pub struct FileReader<'a> {
    file: &'a FileData,
    image: &'a Region,
    fragments: &'a Fragments,
    info: &'a SquashfsInfo,
    limits: &'a Limits,
    next: usize,
    offset: u64,
    left: u64,
    block: Vec<u8>,
    at: usize,
}

impl<'a> FileReader<'a> {
    pub fn new(
        file: &'a FileData,
        image: &'a Region,
        fragments: &'a Fragments,
        info: &'a SquashfsInfo,
        limits: &'a Limits,
    ) -> Self {
        let (next, offset, left) = (0, file.start, file.size);
        Self { file, image, fragments, info, limits, next, offset, left, block: Vec::new(), at: 0 }
    }

    fn load(&mut self) -> Result<(), Fault> {
        crate::interrupt::check()?;
        let most = u64::from(self.info.block).min(self.left) as usize;
        self.at = 0;
        if let Some(&stored) = self.file.blocks.get(self.next) {
            self.next += 1;
            if stored == 0 {
                self.block = vec![0; most];
            } else {
                self.block = self.stored(self.offset, stored)?;
                self.offset += u64::from(stored & !PLAIN);
            }
        } else {
            let (index, offset) = self.file.fragment.ok_or_else(|| Fault::damaged("a file without its end"))?;
            let fragment = self.fragments.get(index, |at, stored| self.stored(at, stored))?;
            let part = (offset as usize).checked_add(most).and_then(|end| fragment.get(offset as usize..end));
            self.block = part.ok_or_else(|| Fault::damaged("a file's end lies beyond its fragment"))?.to_vec();
        }
        if self.block.len() < most {
            return Err(Fault::damaged("a block is shorter than its part of the file"));
        }
        self.block.truncate(most);
        self.left -= most as u64;
        Ok(())
    }

    fn stored(&self, at: u64, size: u32) -> Result<Vec<u8>, Fault> {
        let length = (size & !PLAIN) as usize;
        if length > self.info.block as usize {
            return Err(Fault::Damaged(format!("a block of {length} bytes")));
        }
        let bytes = self.image.bytes(at, length)?;
        match size & PLAIN != 0 {
            true => Ok(bytes),
            false => decompress(self.info.codec, &bytes, self.info.block as usize, self.limits),
        }
    }
}

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() && self.left > 0 {
            self.load()?;
        }
        let count = buffer.len().min(self.block.len() - self.at);
        buffer[..count].copy_from_slice(&self.block[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
