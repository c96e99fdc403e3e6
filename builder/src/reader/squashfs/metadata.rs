//! Metadata blocks: at most 8 KiB of content each, mostly compressed.

use super::super::codec::Codec;
use super::super::region::{Region, le16};
use super::{Fault, Limits};

/// Bytes in a metadata block, unpacked.
pub const BLOCK: usize = 8192;

/// A position in metadata: the block's offset from the table's start, and the offset in the unpacked block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference(pub u64);

impl Reference {
    pub fn new(block: u32, offset: u16) -> Self {
        Self(u64::from(block) << 16 | u64::from(offset))
    }

    fn block(self) -> u64 {
        self.0 >> 16
    }

    fn offset(self) -> usize {
        (self.0 & 0xffff) as usize
    }
}

/// Reads a sequence of metadata blocks.
pub struct Metadata {
    image: Region,
    start: u64,
    codec: Option<Codec>,
    limits: Limits,
    /// Where the current block starts, and where the next one does.
    current: Option<u64>,
    next: u64,
    block: Vec<u8>,
    at: usize,
}

impl Metadata {
    pub fn new(image: &Region, start: u64, codec: Option<Codec>, limits: &Limits) -> Self {
        Self {
            image: image.clone(),
            start,
            codec,
            limits: *limits,
            current: None,
            next: start,
            block: Vec::new(),
            at: 0,
        }
    }

    /// Continues at a reference.
    pub fn seek(&mut self, to: Reference) -> Result<(), Fault> {
        let at = self.start.checked_add(to.block()).ok_or_else(|| Fault::damaged("a reference beyond its end"))?;
        if self.current != Some(at) {
            self.next = at;
            self.load()?;
        }
        self.at = to.offset();
        match self.at > self.block.len() {
            true => Err(Fault::damaged("a reference beyond a metadata block")),
            false => Ok(()),
        }
    }

    fn load(&mut self) -> Result<(), Fault> {
        crate::interrupt::check()?;
        let at = self.next;
        let (block, next) = read_block(&self.image, at, self.codec, &self.limits)?;
        (self.block, self.next, self.current, self.at) = (block, next, Some(at), 0);
        match self.block.is_empty() {
            true => Err(Fault::damaged("an empty metadata block")),
            false => Ok(()),
        }
    }

    /// A second reader of the same table.
    pub fn elsewhere(&self) -> Self {
        Self::new(&self.image, self.start, self.codec, &self.limits)
    }

    /// The next bytes.
    pub fn bytes(&mut self, length: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            if self.at == self.block.len() {
                self.load()?;
            }
            let count = (length - bytes.len()).min(self.block.len() - self.at);
            bytes.extend_from_slice(&self.block[self.at..self.at + count]);
            self.at += count;
        }
        Ok(bytes)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let bytes = self.bytes(N)?;
        bytes.try_into().map_err(|_| Fault::damaged("it ends too early"))
    }
}

/// The content of a metadata block, and the offset after it.
fn read_block(image: &Region, at: u64, codec: Option<Codec>, limits: &Limits) -> Result<(Vec<u8>, u64), Fault> {
    let header = le16(&image.array::<2>(at)?, 0);
    let length = usize::from(header & 0x7fff);
    let stored = image.bytes(at + 2, length)?;
    let next = at + 2 + length as u64;
    let plain = if header & 0x8000 != 0 { stored } else { decompress(codec, &stored, BLOCK, limits)? };
    match plain.len() > BLOCK {
        true => Err(Fault::damaged("a metadata block of more than 8 KiB")),
        false => Ok((plain, next)),
    }
}

/// Unpacks a block of data or metadata; more than `most` bytes are an error.
pub fn decompress(codec: Option<Codec>, packed: &[u8], most: usize, limits: &Limits) -> Result<Vec<u8>, Fault> {
    use std::io::Read;
    let bounded = |reader: &mut dyn Read| -> Result<Vec<u8>, Fault> {
        let mut plain = Vec::new();
        reader.take(most as u64 + 1).read_to_end(&mut plain)?;
        match plain.len() > most {
            true => Err(Fault::damaged("a block unpacks to more than its size")),
            false => Ok(plain),
        }
    };
    let xz = |stream: Result<xz2::stream::Stream, xz2::stream::Error>| -> Result<Vec<u8>, Fault> {
        let stream = stream.map_err(std::io::Error::from)?;
        bounded(&mut xz2::bufread::XzDecoder::new_stream(packed, stream))
    };
    match codec {
        // "gzip" is zlib's format here.
        Some(Codec::Gzip) => bounded(&mut flate2::bufread::ZlibDecoder::new(packed)),
        Some(Codec::Xz) => xz(xz2::stream::Stream::new_stream_decoder(limits.memory, 0)),
        Some(Codec::Lzma) => xz(xz2::stream::Stream::new_lzma_decoder(limits.memory)),
        Some(Codec::Zstd) => bounded(&mut zstd::stream::read::Decoder::with_buffer(packed)?),
        Some(Codec::Lz4) => {
            let mut plain = vec![0; most];
            let count = lz4_flex::block::decompress_into(packed, &mut plain)
                .map_err(|error| Fault::Damaged(error.to_string()))?;
            plain.truncate(count);
            Ok(plain)
        }
        Some(other) => Err(Fault::Unsupported(format!("its compression, {other}, is not supported"))),
        None => Err(Fault::Unsupported("its compression is unknown".into())),
    }
}
