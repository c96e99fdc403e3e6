//! EFI programs: PE files, and among them unified kernel images (UAPI.5) with their sections.

use object::pe::{IMAGE_NT_OPTIONAL_HDR32_MAGIC, ImageDosHeader, ImageNtHeaders32, ImageNtHeaders64};
use object::read::pe::{ImageNtHeaders, optional_header_magic};

use super::filesystem::Stored;
use super::{Entry, Fault, Kind, Listing, Region};

/// One section of a PE file.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Offset in the file.
    pub offset: u64,
    /// Bytes of content, without padding.
    pub size: u64,
}

/// Bytes of the file's start that have the headers.
const HEADERS: u64 = 64 << 10;

/// Whether the start of a file is that of a PE file.
pub(crate) fn is_pe(start: &[u8]) -> bool {
    start.starts_with(b"MZ")
        && start.get(0x3c..0x40).is_some_and(|at| {
            let at = super::region::le32(at, 0) as usize;
            start.get(at..at.saturating_add(4)) == Some(b"PE\0\0")
        })
}

/// The sections; each one is a file with its name.
pub(crate) fn open(image: &Region) -> Result<(Vec<Section>, Stored), Fault> {
    let start = image.bytes(0, image.len().min(HEADERS) as usize)?;
    let damaged = |error: object::read::Error| Fault::Damaged(error.to_string());
    let rows = match optional_header_magic(&start[..]).map_err(damaged)? {
        IMAGE_NT_OPTIONAL_HDR32_MAGIC => rows::<ImageNtHeaders32>(&start),
        _ => rows::<ImageNtHeaders64>(&start),
    };
    let (mut sections, mut entries, mut regions) = (Vec::new(), Vec::new(), Vec::new());
    for (name, offset, size) in rows.map_err(damaged)? {
        let region = image.slice(offset, size)?;
        let mut entry = Entry::new(super::entry::normal(&name), Kind::File, 0o444);
        (entry.size, entry.content) = (size, regions.len() as u64);
        sections.push(Section { name: String::from_utf8_lossy(&name).into_owned(), offset, size });
        entries.push(entry);
        regions.push(region);
    }
    Ok((sections, Stored { listing: Listing::new(entries), regions }))
}

/// Names, offsets and sizes.
fn rows<Header: ImageNtHeaders>(start: &[u8]) -> object::read::Result<Vec<(Vec<u8>, u64, u64)>> {
    let mut offset = ImageDosHeader::parse(start)?.nt_headers_offset().into();
    let (headers, _) = Header::parse(start, &mut offset)?;
    let sections = headers.sections(start, offset)?;
    let row = |section: &object::pe::ImageSectionHeader| {
        let (offset, stored) = section.pe_file_range();
        // The stored size is padded; the size in memory is exact, or larger for data that is all zeros.
        let size = stored.min(section.virtual_size.get(object::LittleEndian));
        (section.raw_name().to_vec(), u64::from(offset), u64::from(size))
    };
    Ok(sections.iter().map(row).collect())
}
