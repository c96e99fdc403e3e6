//! An initrd: cpio archives, each compressed in its own way or not at all, with zeros between them
//! (Documentation/driver-api/early-userspace/buffer-format.rst, init/initramfs.c).

use super::codec::{Codec, spool};
use super::cpio::{self, Segment};
use super::filesystem::Stored;
use super::limits::Allowance;
use super::{Fault, Limits, Listing, Region};

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitrdSegment {
    /// Where it starts, in bytes.
    pub offset: u64,
    /// Bytes in the file.
    pub size: u64,
    /// How it is compressed; `None` if it is not.
    pub codec: Option<Codec>,
    /// Bytes when unpacked.
    pub unpacked: u64,
    /// The number of its entries.
    pub entries: usize,
}

/// An initrd, opened for reading.
pub struct Initrd {
    pub(crate) stored: Stored,
    /// Its segments.
    pub segments: Vec<InitrdSegment>,
    /// Bytes after the last segment that the kernel would not unpack, and where they are.
    pub rest: Option<(u64, u64)>,
}

impl Initrd {
    /// Reads all segments.
    pub(crate) fn open(data: &Region, limits: &Limits) -> Result<Self, Fault> {
        let (mut entries, mut regions, mut segments) = (Vec::new(), Vec::new(), Vec::new());
        let mut allowance = Allowance::new(limits);
        let (mut at, mut rest, mut left) = (0, None, limits.unpacked);
        while at < data.len() {
            let before = entries.len();
            let number = segments.len();
            let mut segment =
                Segment { entries: &mut entries, regions: &mut regions, allowance: &mut allowance, number };
            let mut start = [0; 16];
            let count = data.read_at(at, &mut start)?;
            let start = &start[..count];
            let (codec, end, unpacked) = if cpio::is_cpio(start) {
                let end = segment.read(data, at)?;
                (None, end, end - at)
            } else if let Some(codec) = Codec::detect(start) {
                let mut decoder = codec.decoder(data.from(at).cursor(), limits)?;
                let content = spool(&mut decoder, left)?;
                left -= content.len();
                let end = at + decoder.into_cursor().position();
                let known = segment.read(&content, 0)?;
                if known < content.len() || segment.entries.len() == before {
                    return Err(Fault::Damaged(format!(
                        "its segment at {at}, unpacked with {codec}, is not a cpio archive from byte {known} on"
                    )));
                }
                (Some(codec), end, content.len())
            } else {
                rest = Some((at, data.len() - at));
                break;
            };
            segments.push(InitrdSegment {
                offset: at,
                size: end - at,
                codec,
                unpacked,
                entries: entries.len() - before,
            });
            if segments.len() > 1000 {
                return Err(Fault::Limit("it has more than 1000 segments".into()));
            }
            at = skip_zeros(data, end)?;
        }
        if segments.is_empty() {
            return Err(Fault::damaged("it has no cpio archive"));
        }
        Ok(Self { stored: Stored { listing: Listing::new(entries), regions }, segments, rest })
    }
}

/// The offset of the next byte that is not zero.
fn skip_zeros(data: &Region, mut at: u64) -> Result<u64, Fault> {
    let mut block = [0; 4096];
    loop {
        let count = data.read_at(at, &mut block)?;
        match block[..count].iter().position(|&byte| byte != 0) {
            Some(index) => return Ok(at + index as u64),
            None if count == 0 => return Ok(data.len()),
            None => at += count as u64,
        }
        crate::interrupt::check()?;
    }
}
