//! Content that may be compressed, told by its first bytes: patches, kernel modules.

use std::io::{self, Read};

/// The content, decompressed where it starts as a gzip, xz, bzip2 or zstd stream does.
pub fn unpack(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    match bytes.as_slice() {
        [0x1f, 0x8b, ..] => flate2::bufread::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain)?,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
            xz2::bufread::XzDecoder::new_multi_decoder(&bytes[..]).read_to_end(&mut plain)?
        }
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => {
            bzip2::bufread::MultiBzDecoder::new(&bytes[..]).read_to_end(&mut plain)?
        }
        [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            zstd::stream::read::Decoder::with_buffer(&bytes[..])?.read_to_end(&mut plain)?
        }
        _ => return Ok(bytes),
    };
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
            assert!(unpack(packed).unwrap() == text);
            assert!(unpack(cut).map_or(true, |plain| plain != text));
        }
    }
}
