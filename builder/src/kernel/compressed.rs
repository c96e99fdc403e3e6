//! Content that is read whole and may be compressed, as its first bytes show: patches, kernel modules.

use std::io::{self, Read};

use crate::archive::{Budget, decompress_with};

/// The largest size of a module, in bytes. The largest modules of distributions have 30 MB.
const MOST: u64 = 256 << 20;

/// Memory limit for decompression: `xz -9` needs 65 MiB.
const MEMORY: u64 = 512 << 20;

/// The content, decompressed if it starts like a gzip, xz, bzip2 or zstd stream. More than [`MOST`] bytes are an error.
pub fn unpack(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    let budget = Budget { memory: MEMORY, ..Budget::USUAL };
    unpack_up_to(bytes, MOST, &budget)?.ok_or_else(|| {
        let what = format!("it unpacks to more than {MOST} bytes, the limit for a module");
        io::Error::new(io::ErrorKind::InvalidData, what)
    })
}

/// As [`unpack`], with a size limit; `None` if the content is longer than `most` bytes.
pub fn unpack_up_to(bytes: Vec<u8>, most: u64, budget: &Budget) -> io::Result<Option<Vec<u8>>> {
    let stream = decompress_with(io::Cursor::new(bytes), "it", 1, budget).map_err(io::Error::other)?;
    let mut plain = Vec::new();
    stream.take(most.saturating_add(1)).read_to_end(&mut plain)?;
    Ok((plain.len() as u64 <= most).then_some(plain))
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
            let up_to = |most| unpack_up_to(packed.clone(), most, &Budget::USUAL).unwrap();
            assert!(up_to(text.len() as u64).unwrap() == text);
            assert!(up_to(text.len() as u64 - 1).is_none());
            assert!(unpack(cut).map_or(true, |plain| plain != text));
        }
    }
}
