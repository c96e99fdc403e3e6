//! Compression of initrd segments, each in the form that the kernel's unpacker accepts.
//!
//! Every compressor runs in the calling thread alone, so that the bytes do not depend on the number of cores.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

/// How a segment of the initrd is compressed. The kernel needs CONFIG_RD_ZSTD, RD_XZ, RD_GZIP or RD_LZ4 for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
// The `Debug` text is part of the keys of steps: a renamed variant changes them.
pub enum Compression {
    /// Zstandard, level 19: small, and by far the fastest to unpack.
    #[default]
    Zstd,
    /// XZ with a CRC32 check: the smallest.
    Xz,
    /// Gzip, level 9: every kernel has it.
    Gzip,
    /// LZ4's legacy frame, the only one that the kernel reads.
    Lz4,
    /// No compression.
    None,
}

impl std::fmt::Display for Compression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Gzip => "gzip",
            Self::Lz4 => "lz4",
            Self::None => "none",
        })
    }
}

/// lib/decompress_unzstd.c accepts windows of up to 2^27 bytes and allocates the whole window. 2^23 is the default of
/// level 19, and keeps a machine with 64 MiB bootable.
const ZSTD_WINDOW_LOG: u32 = 23;

/// lib/decompress_unxz.c also allocates the whole dictionary.
const XZ_DICTIONARY: u32 = 8 << 20;

/// LZ4_DEFAULT_UNCOMPRESSED_CHUNK_SIZE of lib/decompress_unlz4.c, and the block of `lz4 -l`.
const LZ4_BLOCK: usize = 8 << 20;

/// ARCHIVE_MAGICNUMBER of lib/decompress_unlz4.c.
const LZ4_MAGIC: u32 = 0x184C_2102;

impl Compression {
    /// The suffix of a tar archive with this compression: `tar.gz`.
    pub fn tar(self) -> &'static str {
        match self {
            Self::Zstd => "tar.zst",
            Self::Xz => "tar.xz",
            Self::Gzip => "tar.gz",
            Self::Lz4 => "tar.lz4",
            Self::None => "tar",
        }
    }

    /// A writer that compresses into `out`. The output is complete only after [`Compressor::finish`].
    pub fn writer<W: Write>(self, out: W) -> io::Result<Compressor<W>> {
        Ok(Compressor(match self {
            Self::Zstd => {
                let mut encoder = zstd::Encoder::new(out, 19)?;
                encoder.window_log(ZSTD_WINDOW_LOG)?;
                // The kernel verifies it (XXH64 of the content).
                encoder.include_checksum(true)?;
                Kind::Zstd(encoder)
            }
            Self::Xz => {
                use xz2::stream::{Check, Filters, LzmaOptions, Stream};
                // No x86 filter: the bulk of an initrd is a squashfs, whose blocks are compressed already, and a kernel
                // may lack XZ_DEC_X86. The kernel checks CRC32 only (Documentation/staging/xz.rst).
                let mut options = LzmaOptions::new_preset(9)?;
                options.dict_size(XZ_DICTIONARY);
                let stream = Stream::new_stream_encoder(Filters::new().lzma2(&options), Check::Crc32)?;
                Kind::Xz(xz2::write::XzEncoder::new_stream(out, stream))
            }
            Self::Gzip => {
                // No name and no time; the system is 255, "unknown" in RFC 1952, so that the header does not depend on
                // the host.
                let builder = flate2::GzBuilder::new().mtime(0).operating_system(255);
                Kind::Gzip(builder.write(out, flate2::Compression::best()))
            }
            Self::Lz4 => Kind::Lz4(Lz4Legacy::new(out)?),
            Self::None => Kind::None(out),
        }))
    }
}

/// A writer that compresses; see [`Compression::writer`].
///
/// `flush` does nothing: flushing in the middle would make the compressor's blocks depend on the caller's buffer sizes.
pub struct Compressor<W: Write>(Kind<W>);

enum Kind<W: Write> {
    Zstd(zstd::Encoder<'static, W>),
    Xz(xz2::write::XzEncoder<W>),
    Gzip(flate2::write::GzEncoder<W>),
    Lz4(Lz4Legacy<W>),
    None(W),
}

impl<W: Write> Compressor<W> {
    /// Writes the remaining buffered data and the end of the format.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Kind::Zstd(encoder) => encoder.finish(),
            Kind::Xz(encoder) => encoder.finish(),
            Kind::Gzip(encoder) => encoder.finish(),
            Kind::Lz4(encoder) => encoder.finish(),
            Kind::None(out) => Ok(out),
        }
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Zstd(encoder) => encoder.write(bytes),
            Kind::Xz(encoder) => encoder.write(bytes),
            Kind::Gzip(encoder) => encoder.write(bytes),
            Kind::Lz4(encoder) => encoder.write(bytes),
            Kind::None(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The legacy frame of doc/lz4_Frame_format.md: the magic number, then blocks of 8 MiB, each preceded by its compressed
/// length.
struct Lz4Legacy<W> {
    out: W,
    block: Vec<u8>,
    packed: Vec<u8>,
}

impl<W: Write> Lz4Legacy<W> {
    fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&LZ4_MAGIC.to_le_bytes())?;
        let packed = vec![0; lz4_flex::block::get_maximum_output_size(LZ4_BLOCK)];
        Ok(Self { out, block: Vec::with_capacity(LZ4_BLOCK), packed })
    }

    fn emit(&mut self) -> io::Result<()> {
        let length = lz4_flex::block::compress_into(&self.block, &mut self.packed).map_err(io::Error::other)?;
        let prefix = u32::try_from(length).map_err(io::Error::other)?;
        self.out.write_all(&prefix.to_le_bytes())?;
        self.out.write_all(&self.packed[..length])?;
        self.block.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<W> {
        if !self.block.is_empty() {
            self.emit()?;
        }
        Ok(self.out)
    }
}

impl<W: Write> Write for Lz4Legacy<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(LZ4_BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..count]);
        if self.block.len() == LZ4_BLOCK {
            self.emit()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
