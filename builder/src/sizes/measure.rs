//! Measuring an image: containers inside each other, and the bytes of the outermost file that each file takes.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Part, PartKind};
use crate::digest::Digest;
use crate::input;
use crate::interrupt;
use crate::printable::printable;
use crate::reader::{Fault, Format, Image, Limits, Region};

/// Why an image can't be measured.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", printable(place))]
pub struct MeasureError {
    /// The image's address: `live.iso//boot/initrd.img`.
    pub place: Vec<u8>,
    /// What is wrong.
    #[source]
    pub fault: Fault,
}

/// What is known of the content of images that a build made.
pub trait MadeBy {
    /// The origin of a file with a given content, wherever it is.
    fn content(&self, content: &Digest) -> Option<(String, Option<String>)>;

    /// The origin of a path in a container with a given content.
    fn path(&self, container: &Digest, path: &[u8]) -> Option<(String, Option<String>)>;
}

/// Nothing is known.
impl MadeBy for () {
    fn content(&self, _: &Digest) -> Option<(String, Option<String>)> {
        None
    }

    fn path(&self, _: &Digest, _: &[u8]) -> Option<(String, Option<String>)> {
        None
    }
}

/// Smaller files are not searched for files in them.
const CONTAINER: u64 = 4096;

/// Measures a file of the host.
pub fn measure(file: &Path, known: &dyn MadeBy, limits: &Limits) -> Result<Part, MeasureError> {
    let name = file.file_name().unwrap_or_default().as_encoded_bytes().to_vec();
    let at = |fault| MeasureError { place: file.as_os_str().as_encoded_bytes().to_vec(), fault };
    let data = input::open(file).and_then(Region::of_file).map_err(|error| at(Fault::Io(error)))?;
    let measuring = Measuring { known, limits };
    let place = file.as_os_str().as_encoded_bytes().to_vec();
    measuring.part(name, &data, data.len(), &place, 0)
}

struct Measuring<'a> {
    known: &'a dyn MadeBy,
    limits: &'a Limits,
}

impl Measuring<'_> {
    /// A file that takes `bytes` of the outermost one.
    fn part(&self, path: Vec<u8>, data: &Region, bytes: u64, place: &[u8], depth: usize) -> Result<Part, MeasureError> {
        let at = |fault| MeasureError { place: place.to_vec(), fault };
        let (digest, _) = Digest::of_reader(data.cursor()).map_err(|error| at(error.into()))?;
        let (origin, stated) = self.known.content(&digest).unzip();
        let mut part = Part {
            path,
            kind: PartKind::File,
            bytes,
            size: data.len(),
            origin,
            place: stated.flatten(),
            parts: Vec::new(),
        };
        if data.len() < CONTAINER || depth > self.limits.nested {
            return Ok(part);
        }
        let image = match Image::open(data, self.limits) {
            Ok(image) => image,
            // A file in an image may be anything; the image itself has to be right.
            Err(_) if depth > 0 => return Ok(part),
            Err(fault) => return Err(at(fault)),
        };
        // A kernel is one program, whatever is packed in it.
        if image.filesystem().is_none() || matches!(image.format, Format::Kernel(_) | Format::EfiProgram(_)) {
            return Ok(part);
        }
        match self.parts(&image, (data, &digest, bytes), place, depth) {
            Ok(parts) => {
                part.kind = PartKind::Container(image.format.describe());
                part.parts = parts;
            }
            // As above.
            Err(_) if depth > 0 && interrupt::raised().is_none() => {}
            Err(error) => return Err(error),
        }
        Ok(part)
    }

    fn parts(
        &self,
        image: &Image,
        (data, digest, bytes): (&Region, &Digest, u64),
        place: &[u8],
        depth: usize,
    ) -> Result<Vec<Part>, MeasureError> {
        let at = |fault| MeasureError { place: place.to_vec(), fault };
        let shares = image.shares(data, self.limits).map_err(at)?;
        let Some(filesystem) = image.filesystem() else { return Ok(Vec::new()) };
        let mut parts: BTreeMap<Vec<u8>, Part> = BTreeMap::new();
        let mut left = bytes;
        for (entry, share) in filesystem.listing().entries().iter().zip(shares) {
            if !entry.is_file() || entry.beside {
                continue;
            }
            // Of the bytes that the container itself takes of the outermost file.
            let own = (u128::from(share) * u128::from(bytes) / u128::from(data.len().max(1))) as u64;
            let own = own.min(left);
            left -= own;
            let inner = [place, b"//", &entry.path].concat();
            let mut part = if entry.size >= CONTAINER {
                let content = filesystem.open(entry).and_then(|content| content.region(self.limits)).map_err(at)?;
                self.part(entry.path.clone(), &content, own, &inner, depth + 1)?
            } else {
                Part {
                    path: entry.path.clone(),
                    kind: PartKind::File,
                    bytes: own,
                    size: entry.size,
                    origin: None,
                    place: None,
                    parts: Vec::new(),
                }
            };
            if part.origin.is_none() {
                let (origin, stated) = self.known.path(digest, &entry.path).unzip();
                (part.origin, part.place) = (origin, stated.flatten());
            }
            // A later entry of the same path replaces an earlier one, which still takes its bytes.
            match parts.entry(entry.path.clone()) {
                std::collections::btree_map::Entry::Vacant(free) => _ = free.insert(part),
                std::collections::btree_map::Entry::Occupied(mut taken) => {
                    let mut later = part;
                    let earlier = taken.get().bytes;
                    later.bytes += earlier;
                    if !later.parts.is_empty() && earlier > 0 {
                        later.parts.push(structure(earlier));
                    }
                    taken.insert(later);
                }
            }
        }
        let mut parts: Vec<Part> = parts.into_values().collect();
        if left > 0 && !parts.is_empty() {
            parts.push(structure(left));
        }
        Ok(parts)
    }
}

/// What a container has beside its files.
fn structure(bytes: u64) -> Part {
    let (origin, place) = (None, None);
    Part { path: Vec::new(), kind: PartKind::Structure, bytes, size: bytes, origin, place, parts: Vec::new() }
}
