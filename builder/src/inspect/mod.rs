//! What an image means: how it boots, what it consists of. Data for people and programs, from what [`crate::reader`] reads.

mod grub;
mod packages;
mod report;
mod sbom;

pub use grub::{GrubEntry, entries as grub_entries};
pub use packages::{Packages, dpkg_status};
pub use report::{Report, Totals, examine};
pub use sbom::{Sbom, parse as parse_sbom};

use std::io::Read;

use crate::reader::{Entry, Fault, Filesystem};

/// The content of a small file. More than `most` bytes are an error.
pub fn small(filesystem: &dyn Filesystem, entry: &Entry, most: u64) -> Result<Vec<u8>, Fault> {
    let mut content = Vec::new();
    filesystem.open(entry)?.reader().take(most + 1).read_to_end(&mut content)?;
    match content.len() as u64 > most {
        true => Err(Fault::Limit(format!("it has more than {most} bytes"))),
        false => Ok(content),
    }
}
