//! Content that may be compressed, told by its first bytes: patches, kernel modules.

use std::io::{self, Read};

/// Bytes of a patch or a module. The largest modules of distributions have 30 MB.
pub const MOST: u64 = 256 << 20;

/// Memory that unpacking may take: `xz -9` takes 65 MiB.
const MEMORY: u64 = 512 << 20;

/// The content, decompressed where it starts as a gzip, xz, bzip2 or zstd stream does. More than [`MOST`] bytes are
/// refused.
pub fn unpack(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    unpack_up_to(bytes, MOST)
}

fn unpack_up_to(bytes: Vec<u8>, most: u64) -> io::Result<Vec<u8>> {
    let stream: Box<dyn Read + '_> = match bytes.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(&bytes[..])),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            let stream = xz2::stream::Stream::new_stream_decoder(MEMORY, xz2::stream::CONCATENATED)?;
            Box::new(xz2::bufread::XzDecoder::new_stream(&bytes[..], stream))
        }
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(&bytes[..])),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::stream::read::Decoder::with_buffer(&bytes[..])?),
        _ => return Ok(bytes),
    };
    let mut plain = Vec::new();
    stream.take(most + 1).read_to_end(&mut plain)?;
    if plain.len() as u64 > most {
        let what = format!("it unpacks to more than {most} bytes, the most that a patch or a module may have");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn each_format_is_known_by_its_first_bytes() {
        let text = b"diff -u\n".repeat(1000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let mut xz = xz2::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&text).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&text).unwrap();
        let zstd = zstd::encode_all(&text[..], 1).unwrap();
        for packed in [gzip.finish().unwrap(), xz.finish().unwrap(), bzip2.finish().unwrap(), zstd, text.clone()] {
            let cut = packed[..packed.len() / 2].to_vec();
            let compressed = packed != text;
            assert!(unpack_up_to(packed.clone(), text.len() as u64).unwrap() == text);
            if compressed {
                let error = unpack_up_to(packed, text.len() as u64 - 1).unwrap_err().to_string();
                assert!(error.contains("it unpacks to more than 7999 bytes"), "{error}");
            }
            assert!(unpack(cut).map_or(true, |plain| plain != text));
        }
    }
}
