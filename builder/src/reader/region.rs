//! Bytes with random access: a file, a part of one, or memory.

use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::Fault;
use crate::interrupt;

/// A range of a file or of memory. A clone refers to the same bytes.
#[derive(Clone, Debug)]
pub struct Region {
    source: Arc<Source>,
    start: u64,
    length: u64,
}

#[derive(Debug)]
enum Source {
    File(File),
    Memory(Vec<u8>),
}

impl Region {
    /// The whole of a file.
    pub fn of_file(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { source: Arc::new(Source::File(file)), start: 0, length })
    }

    /// Bytes in memory.
    pub fn of_bytes(bytes: Vec<u8>) -> Self {
        let length = bytes.len() as u64;
        Self { source: Arc::new(Source::Memory(bytes)), start: 0, length }
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Its offset in the file or the memory that it is a part of.
    pub(crate) fn offset(&self) -> u64 {
        self.start
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether both are the same place of the same source, whatever their lengths.
    pub fn starts_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source) && self.start == other.start
    }

    /// A part of it, which must lie inside.
    pub fn slice(&self, offset: u64, length: u64) -> Result<Self, Fault> {
        match offset.checked_add(length) {
            Some(end) if end <= self.length => {
                Ok(Self { source: Arc::clone(&self.source), start: self.start + offset, length })
            }
            _ => {
                Err(Fault::Damaged(format!("{length} bytes at {offset} are beyond its end, at {} bytes", self.length)))
            }
        }
    }

    /// Everything from an offset on; empty if it lies beyond the end.
    pub fn from(&self, offset: u64) -> Self {
        let offset = offset.min(self.length);
        Self { source: Arc::clone(&self.source), start: self.start + offset, length: self.length - offset }
    }

    /// Reads up to `buffer.len()` bytes at an offset; fewer only at the end.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(offset);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..most];
        let at = self.start.saturating_add(offset);
        match &*self.source {
            Source::Memory(bytes) => {
                if most > 0 {
                    let at = at as usize;
                    buffer.copy_from_slice(&bytes[at..at + most]);
                }
                Ok(most)
            }
            Source::File(file) => {
                let mut count = 0;
                while count < most {
                    match file.read_at(&mut buffer[count..], at + count as u64) {
                        // The file became shorter meanwhile.
                        Ok(0) => break,
                        Ok(more) => count += more,
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(count)
            }
        }
    }

    /// `length` bytes at an offset. They are only allocated if the region has them.
    pub fn bytes(&self, offset: u64, length: usize) -> Result<Vec<u8>, Fault> {
        let part = self.slice(offset, length as u64)?;
        let mut bytes = vec![0; length];
        if part.read_at(0, &mut bytes)? < length {
            return Err(Fault::damaged("it ends too early"));
        }
        Ok(bytes)
    }

    /// `N` bytes at an offset.
    pub fn array<const N: usize>(&self, offset: u64) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        match self.read_at(offset, &mut bytes)? {
            count if count == N => Ok(bytes),
            _ => Err(Fault::damaged("it ends too early")),
        }
    }

    /// Whether these bytes are at the offset.
    pub fn has(&self, offset: u64, bytes: &[u8]) -> bool {
        let mut found = vec![0; bytes.len()];
        self.read_at(offset, &mut found).is_ok_and(|count| count == bytes.len()) && found == bytes
    }

    /// A reader at its start, which tells its position.
    pub fn cursor(&self) -> Cursor {
        Cursor { region: self.clone(), position: 0, buffer: Vec::new(), at: 0 }
    }
}

/// Bytes read from a [`Region`] at a time.
const BUFFER: usize = 128 * 1024;

/// Reads a region from its start to its end; stops at a signal.
#[derive(Debug)]
pub struct Cursor {
    region: Region,
    /// The position of the buffer's end.
    position: u64,
    buffer: Vec<u8>,
    at: usize,
}

impl Cursor {
    /// The number of bytes consumed so far.
    pub fn position(&self) -> u64 {
        self.position - (self.buffer.len() - self.at) as u64
    }
}

impl BufRead for Cursor {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.buffer.len() {
            interrupt::check()?;
            self.buffer.resize(BUFFER, 0);
            let count = self.region.read_at(self.position, &mut self.buffer)?;
            self.buffer.truncate(count);
            self.position += count as u64;
            self.at = 0;
        }
        Ok(&self.buffer[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.buffer.len());
    }
}

impl Read for Cursor {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(into.len());
        into[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.region.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.position().checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        (self.buffer, self.at) = (Vec::new(), 0);
        Ok(self.position)
    }
}

/// A little-endian number in a structure of foreign bytes; 0 if the structure is too short, which callers exclude.
pub(crate) fn le(bytes: &[u8], offset: usize, length: usize) -> u64 {
    let field = bytes.get(offset..offset + length).unwrap_or_default();
    field.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// As [`le`], of 2 bytes.
pub(crate) fn le16(bytes: &[u8], offset: usize) -> u16 {
    le(bytes, offset, 2) as u16
}

/// As [`le`], of 4 bytes.
pub(crate) fn le32(bytes: &[u8], offset: usize) -> u32 {
    le(bytes, offset, 4) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_never_reaches_beyond_its_whole() {
        let all = Region::of_bytes((0..200).collect());
        let part = all.slice(10, 20).unwrap();
        assert_eq!(part.bytes(18, 2).unwrap(), [28, 29]);
        assert!(part.bytes(18, 3).is_err());
        assert!(part.slice(0, 21).is_err());
        assert!(all.slice(u64::MAX, 2).is_err());
        assert_eq!(part.read_at(u64::MAX, &mut [0; 4]).unwrap(), 0);
        let mut cursor = part.cursor();
        cursor.read_exact(&mut [0; 5]).unwrap();
        assert_eq!(cursor.position(), 5);
        let mut rest = Vec::new();
        cursor.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, (15..30).collect::<Vec<u8>>());
    }
}
