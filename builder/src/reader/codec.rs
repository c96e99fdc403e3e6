//! Single compressed streams, detected by their first bytes. In an image a stream is followed by other data, so the
//! decoders consume exactly the bytes of one stream.

use std::fmt;
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};

use super::region::Cursor;
use super::{Fault, Limits, Region, lz4};

/// A compression format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// RFC 1952.
    Gzip,
    /// The .xz file format.
    Xz,
    /// The older format of lzma(1), "LZMA alone".
    Lzma,
    /// RFC 8878.
    Zstd,
    /// bzip2(1).
    Bzip2,
    /// The legacy frame of LZ4, the only one that the kernel reads.
    Lz4,
    /// lzop(1); recognised, not read.
    Lzo,
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Lz4 => "lz4",
            Self::Lzo => "lzo",
        })
    }
}

impl Codec {
    /// The format whose signature the bytes start with: the table of lib/decompress.c in the kernel.
    pub fn detect(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            // Properties lc=3 lp=0 pb=2, a dictionary that is a power of two of at least 4 KiB, and a size below 2^40
            // or "unknown": without them almost any data would be taken for this format.
            [0x5d, 0, size @ .., _] if lzma_header(size) => Some(Self::Lzma),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..] => Some(Self::Bzip2),
            [0x02, 0x21, 0x4c, 0x18, ..] => Some(Self::Lz4),
            [0x89, b'L', b'Z', b'O', 0, 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some(Self::Lzo),
            _ => None,
        }
    }

    /// The format of the stream at an offset.
    pub(crate) fn at(region: &Region, offset: u64) -> io::Result<Option<Self>> {
        let mut start = [0; 16];
        let count = region.read_at(offset, &mut start)?;
        Ok(Self::detect(&start[..count]))
    }

    /// Reads one stream, at the cursor's position; [`Decoder::into_cursor`] gives the cursor after its last byte.
    pub(crate) fn decoder(self, cursor: Cursor, limits: &Limits) -> Result<Decoder, Fault> {
        let xz = |stream: Result<xz2::stream::Stream, xz2::stream::Error>| {
            stream.map_err(|error| Fault::from(io::Error::from(error)))
        };
        Ok(Decoder(match self {
            Self::Gzip => Kind::Gzip(flate2::bufread::GzDecoder::new(cursor)),
            Self::Xz => {
                let stream = xz(xz2::stream::Stream::new_stream_decoder(limits.memory, 0))?;
                Kind::Xz(xz2::bufread::XzDecoder::new_stream(cursor, stream))
            }
            Self::Lzma => {
                let stream = xz(xz2::stream::Stream::new_lzma_decoder(limits.memory))?;
                Kind::Xz(xz2::bufread::XzDecoder::new_stream(cursor, stream))
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(cursor)?.single_frame();
                decoder.window_log_max(limits.memory.max(1).ilog2().clamp(10, 31))?;
                Kind::Zstd(decoder)
            }
            Self::Bzip2 => Kind::Bzip2(bzip2::bufread::BzDecoder::new(cursor)),
            Self::Lz4 => Kind::Lz4(lz4::Legacy::new(cursor)),
            Self::Lzo => return Err(Fault::Unsupported("LZO is not supported".into())),
        }))
    }
}

/// Whether bytes 2 to 15 of an LZMA header are plausible.
fn lzma_header(rest: &[u8]) -> bool {
    let Some(dictionary) = rest.first_chunk::<3>() else { return false };
    // The lowest byte of the dictionary's size is the 0 before.
    let dictionary = u32::from_le_bytes([0, dictionary[0], dictionary[1], dictionary[2]]);
    let Some(size) = rest.get(3..11) else { return false };
    let known = size[5..] == [0; 3];
    dictionary >= 4096 && dictionary.is_power_of_two() && (known || *size == [0xff; 8])
}

/// Gives the content of one stream.
pub(crate) struct Decoder(Kind);

enum Kind {
    Gzip(flate2::bufread::GzDecoder<Cursor>),
    Xz(xz2::bufread::XzDecoder<Cursor>),
    Zstd(zstd::stream::read::Decoder<'static, Cursor>),
    Bzip2(bzip2::bufread::BzDecoder<Cursor>),
    Lz4(lz4::Legacy),
}

impl Decoder {
    /// The number of compressed bytes consumed so far.
    pub fn position(&self) -> u64 {
        let cursor = match &self.0 {
            Kind::Gzip(decoder) => decoder.get_ref(),
            Kind::Xz(decoder) => decoder.get_ref(),
            Kind::Zstd(decoder) => decoder.get_ref(),
            Kind::Bzip2(decoder) => decoder.get_ref(),
            Kind::Lz4(decoder) => decoder.get_ref(),
        };
        cursor.position()
    }

    /// The cursor, after the last byte of the stream if that was read to its end.
    pub fn into_cursor(self) -> Cursor {
        match self.0 {
            Kind::Gzip(decoder) => decoder.into_inner(),
            Kind::Xz(decoder) => decoder.into_inner(),
            Kind::Zstd(decoder) => decoder.finish(),
            Kind::Bzip2(decoder) => decoder.into_inner(),
            Kind::Lz4(decoder) => decoder.into_inner(),
        }
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Gzip(decoder) => decoder.read(buffer),
            Kind::Xz(decoder) => decoder.read(buffer),
            Kind::Zstd(decoder) => decoder.read(buffer),
            Kind::Bzip2(decoder) => decoder.read(buffer),
            Kind::Lz4(decoder) => decoder.read(buffer),
        }
    }
}

/// Unpacked data up to this size is kept in memory; more goes to an unnamed temporary file.
const IN_MEMORY: usize = 16 << 20;

/// Copies a stream, so that it can be read at any position. More than `limit` bytes are an error.
pub(crate) fn spool(mut stream: impl Read, limit: u64) -> Result<Region, Fault> {
    let mut memory = Vec::new();
    stream.by_ref().take((IN_MEMORY as u64).min(limit).saturating_add(1)).read_to_end(&mut memory)?;
    if memory.len() as u64 > limit {
        return Err(too_large(limit));
    }
    if memory.len() <= IN_MEMORY {
        return Ok(Region::of_bytes(memory));
    }
    let mut file = tempfile::tempfile()?;
    file.write_all(&memory)?;
    let rest = limit - memory.len() as u64;
    drop(memory);
    if io::copy(&mut stream.take(rest.saturating_add(1)), &mut file)? > rest {
        return Err(too_large(limit));
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(Region::of_file(file)?)
}

fn too_large(limit: u64) -> Fault {
    Fault::Limit(format!("it unpacks to more than {limit} bytes; raise the limit with --max-unpacked"))
}

/// Unpacks the stream at the start of a region, with further streams of the same format that follow it directly, as the
/// formats' own tools do. Gives the content, and the position after the last stream.
pub(crate) fn unpack(codec: Codec, packed: &Region, limits: &Limits) -> Result<(Region, u64), Fault> {
    let mut streams = Streams::new(codec, packed, limits);
    let content = spool(&mut streams, limits.unpacked)?;
    Ok((content, streams.position()))
}

/// Several streams of one format as one.
pub(crate) struct Streams {
    codec: Codec,
    limits: Limits,
    decoder: Option<Decoder>,
    cursor: Option<Cursor>,
}

impl Streams {
    /// The streams at the start of a region.
    pub fn new(codec: Codec, packed: &Region, limits: &Limits) -> Self {
        Self { codec, limits: *limits, decoder: None, cursor: Some(packed.cursor()) }
    }

    /// The number of compressed bytes consumed so far.
    pub fn position(&self) -> u64 {
        match (&self.cursor, &self.decoder) {
            (Some(cursor), _) => cursor.position(),
            (None, Some(decoder)) => decoder.position(),
            (None, None) => 0,
        }
    }
}

impl Read for Streams {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty() {
            if let Some(mut cursor) = self.cursor.take() {
                if Codec::detect(cursor.fill_buf()?) != Some(self.codec) {
                    self.cursor = Some(cursor);
                    return Ok(0);
                }
                self.decoder = Some(self.codec.decoder(cursor, &self.limits)?);
            }
            let Some(decoder) = &mut self.decoder else { return Ok(0) };
            let count = decoder.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            self.cursor = self.decoder.take().map(Decoder::into_cursor);
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_ends_where_the_next_data_begins() {
        let text = b"0123456789abcdef".repeat(5000);
        let packed = |codec| -> Vec<u8> {
            let mut out = Vec::new();
            match codec {
                Codec::Gzip => {
                    let mut encoder = flate2::write::GzEncoder::new(&mut out, flate2::Compression::fast());
                    encoder.write_all(&text).unwrap();
                    encoder.finish().unwrap();
                }
                Codec::Bzip2 => {
                    let mut encoder = bzip2::write::BzEncoder::new(&mut out, bzip2::Compression::fast());
                    encoder.write_all(&text).unwrap();
                    encoder.finish().unwrap();
                }
                Codec::Zstd => out = zstd::encode_all(&text[..], 1).unwrap(),
                Codec::Xz => {
                    let mut encoder = xz2::write::XzEncoder::new(&mut out, 1);
                    encoder.write_all(&text).unwrap();
                    encoder.finish().unwrap();
                }
                Codec::Lzma => {
                    let options = xz2::stream::LzmaOptions::new_preset(1).unwrap();
                    let stream = xz2::stream::Stream::new_lzma_encoder(&options).unwrap();
                    let mut encoder = xz2::write::XzEncoder::new_stream(&mut out, stream);
                    encoder.write_all(&text).unwrap();
                    encoder.finish().unwrap();
                }
                Codec::Lz4 | Codec::Lzo => {
                    let block = lz4_flex::block::compress(&text);
                    out = [&[2, 0x21, 0x4c, 0x18][..], &(block.len() as u32).to_le_bytes(), &block].concat();
                }
            }
            out
        };
        for codec in [Codec::Gzip, Codec::Bzip2, Codec::Zstd, Codec::Xz, Codec::Lzma, Codec::Lz4] {
            let stream = packed(codec);
            assert_eq!(Codec::detect(&stream), Some(codec));
            // Zeros, as between segments of an initrd.
            let region = Region::of_bytes([&stream[..], &[0; 8], b"after"].concat());
            let (content, end) = unpack(codec, &region, &Limits::USUAL).unwrap();
            assert_eq!(end, stream.len() as u64, "{codec}");
            assert!(content.bytes(0, text.len()).unwrap() == text && content.len() == text.len() as u64, "{codec}");
            // A cursor that has read nothing yet, as at an initrd's segment.
            let mut decoder = codec.decoder(region.cursor(), &Limits::USUAL).unwrap();
            let mut content = Vec::new();
            decoder.read_to_end(&mut content).unwrap();
            assert!(content == text && decoder.into_cursor().position() == stream.len() as u64, "{codec}");
            let cut = Region::of_bytes(stream[..stream.len() / 2].to_vec());
            assert!(unpack(codec, &cut, &Limits::USUAL).is_err(), "{codec}");
            let small = Limits { unpacked: 1000, ..Limits::USUAL };
            assert!(matches!(unpack(codec, &region, &small), Err(Fault::Limit(_))), "{codec}");
        }
    }
}
