//! How many bytes of an image each of its files takes.

use std::collections::BTreeSet;
use std::io::Read;

use super::codec::{Codec, Decoder, Streams};
use super::{Fault, Format, Image, Limits, Region};

/// How the content of a file is stored in its container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredAs {
    /// In one piece, at an offset of the container's bytes, or of the bytes of its segment.
    Piece {
        /// The offset.
        offset: u64,
        /// Its length in bytes.
        size: u64,
    },
    /// In blocks or extents of this many bytes together, where these are is not known.
    Bytes(u64),
    /// In blocks, each list of which may be that of other files as well.
    Blocks(Vec<Blocks>),
}

/// Blocks that hold content of a file, and perhaps the same content of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// The same for the same content: where it is.
    pub place: (u64, u64),
    /// Bytes that the content takes.
    pub bytes: u64,
}

/// Unpacked bytes between two looks at the position in a compressed stream.
const STEP: usize = 4096;

/// Which part of a compressed stream the parts of its content come from.
///
/// A compressor makes blocks; within one of them each byte of content counts the same.
#[derive(Debug)]
struct PackedMap {
    /// Offsets in the content and in the stream, both ascending.
    points: Vec<(u64, u64)>,
}

/// A decoder, and its position in the compressed data.
trait Positioned: Read {
    fn position(&self) -> u64;
}

impl Positioned for Decoder {
    fn position(&self) -> u64 {
        Self::position(self)
    }
}

impl Positioned for Streams {
    fn position(&self) -> u64 {
        Self::position(self)
    }
}

impl PackedMap {
    fn of(mut decoder: impl Positioned) -> Result<Self, Fault> {
        let mut points = vec![(0, 0)];
        let (mut unpacked, mut packed) = (0, 0);
        let mut buffer = [0; STEP];
        loop {
            let count = decoder.read(&mut buffer)?;
            let position = decoder.position();
            // The content so far is that of what was consumed before the next block.
            if position != packed && unpacked > 0 {
                points.push((unpacked, packed));
            }
            packed = position;
            if count == 0 {
                break;
            }
            unpacked += count as u64;
        }
        points.push((unpacked, packed));
        Ok(Self { points })
    }

    /// The bytes of the stream that hold a piece of the content.
    fn share(&self, offset: u64, size: u64) -> u64 {
        self.at(offset.saturating_add(size)).saturating_sub(self.at(offset))
    }

    fn at(&self, unpacked: u64) -> u64 {
        let next = self.points.partition_point(|(content, _)| *content <= unpacked);
        let Some((to, packed_to)) = self.points.get(next) else {
            return self.points.last().map_or(0, |(_, packed)| *packed);
        };
        let (from, packed_from) = next.checked_sub(1).map_or((0, 0), |before| self.points[before]);
        let part = u128::from(unpacked - from) * u128::from(packed_to - packed_from) / u128::from((to - from).max(1));
        packed_from + part as u64
    }
}

impl Image {
    /// The bytes of the file that the content of each entry takes, in the order of its listing; none if it is not a
    /// container. Names of one file after the first have none, nor have files whose content is stored with that of an earlier one. The rest of the file is what the format needs: headers, tables,
    /// padding.
    ///
    /// Of a compressed archive these are the parts of the stream that the files are unpacked from. Of formats whose
    /// reader gives no lengths (erofs, ext4, FAT) they are the files' sizes, made smaller in proportion if the image is.
    ///
    /// `file` has the bytes that the image was opened from.
    pub fn shares(&self, file: &Region, limits: &Limits) -> Result<Vec<u64>, Fault> {
        let Some(filesystem) = self.filesystem() else { return Ok(Vec::new()) };
        let maps = self.maps(file, limits)?;
        let (mut seen, mut places) = (BTreeSet::new(), BTreeSet::new());
        let mut shares = Vec::new();
        for entry in filesystem.listing().entries() {
            let first = entry.is_file()
                && !entry.beside
                && (entry.inode.is_none() || seen.insert((entry.segment, entry.inode)));
            let stored = first.then(|| filesystem.stored(entry)).flatten();
            shares.push(match stored {
                None => 0,
                Some(StoredAs::Bytes(bytes)) => bytes,
                Some(StoredAs::Blocks(blocks)) => {
                    let new = blocks.iter().filter(|blocks| blocks.bytes > 0 && places.insert(blocks.place));
                    new.map(|blocks| blocks.bytes).sum()
                }
                Some(StoredAs::Piece { offset, size }) => match maps.get(entry.segment) {
                    Some(Some(map)) => map.share(offset, size),
                    _ => size,
                },
            });
        }
        let sum: u128 = shares.iter().map(|&bytes| u128::from(bytes)).sum();
        let most = u128::from(file.len());
        if sum > most {
            shares.iter_mut().for_each(|bytes| *bytes = (u128::from(*bytes) * most / sum) as u64);
        }
        Ok(shares)
    }

    /// A map for each segment that is compressed.
    fn maps(&self, file: &Region, limits: &Limits) -> Result<Vec<Option<PackedMap>>, Fault> {
        let of_segment = |offset: u64, codec: Option<Codec>| {
            codec.map(|codec| PackedMap::of(codec.decoder(file.from(offset).cursor(), limits)?)).transpose()
        };
        match (&self.format, self.codec) {
            (Format::Initrd { segments, .. }, _) => {
                segments.iter().map(|segment| of_segment(segment.offset, segment.codec)).collect()
            }
            (_, Some(codec)) => Ok(vec![Some(PackedMap::of(Streams::new(codec, file, limits))?)]),
            (_, None) => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Bytes that do not compress.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = ::tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = ::tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *content).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn a_compressed_archive_is_shared_by_what_each_file_costs() {
        let (noise, zeros) = (noise(600_000), vec![0; 600_000]);
        let archive = tar(&[("noise", &noise), ("zeros", &zeros), ("half", &noise[..300_000])]);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&archive).unwrap();
        let mut xz = xz2::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&archive).unwrap();
        let packed = [zstd::encode_all(&archive[..], 1).unwrap(), gzip.finish().unwrap(), xz.finish().unwrap()];
        for packed in packed {
            let file = Region::of_bytes(packed);
            let image = Image::open(&file, &Limits::USUAL).unwrap();
            let shares = image.shares(&file, &Limits::USUAL).unwrap();
            let [noise, zeros, half] = shares[..] else { panic!("{shares:?}") };
            // The end of a file is in one block with the start of the next: up to 128 KiB of zstd's.
            assert!((560_000..=610_000).contains(&noise), "{shares:?}");
            assert!(zeros < 60_000, "{shares:?}");
            // The last file may refer to the first one, if that is near enough.
            assert!(half < 310_000, "{shares:?}");
            assert!(shares.iter().sum::<u64>() <= file.len(), "{shares:?} of {}", file.len());
        }
    }

    #[test]
    fn an_archive_that_is_not_compressed_has_the_files_as_they_are() {
        let archive = tar(&[("a", &[1; 1000]), ("b", &[2; 10])]);
        let file = Region::of_bytes(archive);
        let image = Image::open(&file, &Limits::USUAL).unwrap();
        assert_eq!(image.shares(&file, &Limits::USUAL).unwrap(), [1000, 10]);
    }

    #[test]
    fn a_map_is_linear_between_its_points() {
        let map = PackedMap { points: vec![(0, 0), (100, 50), (200, 60)] };
        let shares =
            [(0, 100), (50, 50), (100, 100), (150, 100), (0, 200), (500, 1)].map(|(at, size)| map.share(at, size));
        assert_eq!(shares, [50, 25, 10, 5, 60, 0]);
    }
}
