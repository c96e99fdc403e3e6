//! LZ4's legacy frame (doc/lz4_Frame_format.md, "Legacy frame"), as lib/decompress_unlz4.c of the kernel reads it.

use std::io::{self, Read};

use super::region::Cursor;

/// The magic number.
const MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];

/// Unpacked bytes of each block but the last.
const BLOCK: usize = 8 << 20;

/// The content of one frame.
///
/// A frame has no end mark: it ends at the end of the file, at a block of length 0 (padding between segments of an
/// initrd), at another magic number, or after a block that is not full.
pub(crate) struct Legacy {
    cursor: Cursor,
    started: bool,
    ended: bool,
    block: Vec<u8>,
    at: usize,
}

impl Legacy {
    pub fn new(cursor: Cursor) -> Self {
        Self { cursor, started: false, ended: false, block: Vec::new(), at: 0 }
    }

    pub fn get_ref(&self) -> &Cursor {
        &self.cursor
    }

    pub fn into_inner(self) -> Cursor {
        self.cursor
    }

    fn next_block(&mut self) -> io::Result<()> {
        if !self.started {
            self.started = true;
            self.cursor.read_exact(&mut [0; MAGIC.len()])?;
        }
        let mut length = [0; 4];
        let before = self.cursor.position();
        let mut count = 0;
        while count < 4 {
            match self.cursor.read(&mut length[count..])? {
                0 => break,
                more => count += more,
            }
        }
        let length = u32::from_le_bytes(length) as usize;
        // Not a block: the longest has the size of one that could not be compressed.
        if count < 4 || length == 0 || length > lz4_flex::block::get_maximum_output_size(BLOCK) {
            io::Seek::seek(&mut self.cursor, io::SeekFrom::Start(before))?;
            self.ended = true;
            return Ok(());
        }
        let mut packed = Vec::new();
        self.cursor.by_ref().take(length as u64).read_to_end(&mut packed)?;
        if packed.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.block.resize(BLOCK, 0);
        let count = lz4_flex::block::decompress_into(&packed, &mut self.block)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        self.block.truncate(count);
        self.at = 0;
        self.ended = count < BLOCK;
        Ok(())
    }
}

impl Read for Legacy {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() {
            if self.ended {
                return Ok(0);
            }
            (self.at, self.block) = (0, Vec::new());
            self.next_block()?;
        }
        let count = buffer.len().min(self.block.len() - self.at);
        buffer[..count].copy_from_slice(&self.block[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
