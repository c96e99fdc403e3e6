//! El Torito's boot catalog ("El Torito" Bootable CD-ROM Format Specification, 1.0).

use super::super::region::{Region, le16, le32};
use super::{Fault, SECTOR};

/// One entry of the catalog.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct BootImage {
    /// The firmware that it is for.
    pub platform: &'static str,
    /// Whether it boots; otherwise it is only listed.
    pub bootable: bool,
    /// How it is presented: `no emulation`, `hard disk` …
    pub emulation: &'static str,
    /// Where it starts, in sectors of 2,048 bytes.
    pub sector: u32,
    /// What the firmware loads, in sectors of 512 bytes.
    pub load: u16,
}

impl BootImage {
    /// Where it starts, in bytes.
    pub fn offset(&self) -> u64 {
        u64::from(self.sector) * SECTOR
    }
}

/// Reads the catalog at a sector.
pub(super) fn read(image: &Region, sector: u32) -> Result<Vec<BootImage>, Fault> {
    let catalog: [u8; SECTOR as usize] = image.array(u64::from(sector) * SECTOR)?;
    let mut entries = catalog.chunks_exact(32);
    let validation = entries.next().unwrap_or_default();
    // All 16-bit words sum to 0.
    let sum = validation.chunks_exact(2).fold(0_u16, |sum, word| sum.wrapping_add(le16(word, 0)));
    if validation.first() != Some(&1) || validation.get(30..32) != Some(&[0x55, 0xaa]) || sum != 0 {
        return Err(Fault::damaged("its boot catalog has no valid first entry"));
    }
    let mut platform = name(validation[1]);
    let mut images = Vec::new();
    let mut last = false;
    for (index, entry) in entries.enumerate() {
        match entry[0] {
            0x88 | 0x00 if index == 0 || entry[0] == 0x88 => images.push(image_of(entry, platform)),
            0x90 | 0x91 if !last => {
                platform = name(entry[1]);
                last = entry[0] == 0x91;
            }
            // An extension of the entry before.
            0x44 => {}
            _ => break,
        }
    }
    Ok(images)
}

fn image_of(entry: &[u8], platform: &'static str) -> BootImage {
    let emulation = match entry[1] & 0xf {
        0 => "no emulation",
        1 => "diskette of 1.2 MB",
        2 => "diskette of 1.44 MB",
        3 => "diskette of 2.88 MB",
        4 => "hard disk",
        _ => "unknown",
    };
    BootImage { platform, bootable: entry[0] == 0x88, emulation, sector: le32(entry, 8), load: le16(entry, 6) }
}

fn name(platform: u8) -> &'static str {
    match platform {
        0 => "BIOS",
        1 => "PowerPC",
        2 => "Mac",
        0xef => "UEFI",
        _ => "unknown",
    }
}
