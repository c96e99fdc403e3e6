//! Tables of owners, fragments and extended attributes: metadata blocks, found by a list of their offsets.

use std::collections::BTreeMap;

use super::super::codec::Codec;
use super::super::region::{Region, le, le16, le32};
use super::metadata::{BLOCK, Metadata, Reference};
use super::{Fault, Limits};

/// The bytes of a table of `count` rows of `row` bytes each.
fn table(
    image: &Region,
    list: u64,
    count: usize,
    row: usize,
    codec: Option<Codec>,
    limits: &Limits,
) -> Result<Vec<u8>, Fault> {
    let size = count.checked_mul(row).filter(|size| *size as u64 <= limits.names);
    let size = size.ok_or_else(|| Fault::Limit(format!("it states a table of {count} rows")))?;
    let mut bytes = Vec::new();
    for block in 0..size.div_ceil(BLOCK) {
        let at = le(&image.array::<8>(list.saturating_add(8 * block as u64))?, 0, 8);
        bytes.extend(Metadata::new(image, at, codec, limits).bytes((size - bytes.len()).min(BLOCK))?);
    }
    Ok(bytes)
}

/// User and group numbers by index.
pub fn ids(image: &Region, list: u64, count: u16, codec: Option<Codec>, limits: &Limits) -> Result<Vec<u32>, Fault> {
    let bytes = table(image, list, count.into(), 4, codec, limits)?;
    Ok(bytes.chunks_exact(4).map(|id| le32(id, 0)).collect())
}

/// Blocks with the ends of several files: offset, and stored size.
pub fn fragments(
    image: &Region,
    list: u64,
    count: u32,
    codec: Option<Codec>,
    limits: &Limits,
) -> Result<Vec<(u64, u32)>, Fault> {
    let bytes = table(image, list, count as usize, 16, codec, limits)?;
    Ok(bytes.chunks_exact(16).map(|row| (le(row, 0, 8), le32(row, 8))).collect())
}

/// Sets of extended attributes by index.
pub struct Xattrs(Option<Sets>);

struct Sets {
    content: Metadata,
    /// Where each set starts, and the number of its attributes.
    rows: Vec<(Reference, u32)>,
    /// The most bytes that one value may have: XATTR_SIZE_MAX.
    most: u32,
}

impl Xattrs {
    /// For an image without attributes.
    pub fn none() -> Self {
        Self(None)
    }

    pub fn open(image: &Region, at: u64, codec: Option<Codec>, limits: &Limits) -> Result<Self, Fault> {
        let header: [u8; 16] = image.array(at)?;
        let bytes = table(image, at.saturating_add(16), le32(&header, 8) as usize, 16, codec, limits)?;
        let rows = bytes.chunks_exact(16).map(|row| (Reference(le(row, 0, 8)), le32(row, 8))).collect();
        let content = Metadata::new(image, le(&header, 0, 8), codec, limits);
        Ok(Self(Some(Sets { content, rows, most: 64 << 10 })))
    }

    /// One set.
    pub fn get(&mut self, index: u32) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, Fault> {
        let Some(sets) = &mut self.0 else {
            return Err(Fault::damaged("extended attributes without a table"));
        };
        let &(at, count) = sets
            .rows
            .get(index as usize)
            .ok_or_else(|| Fault::Damaged(format!("attributes {index} are not in its table")))?;
        // A list of names has at most XATTR_LIST_MAX bytes.
        if count > 65536 / 2 {
            return Err(Fault::Damaged(format!("{count} extended attributes of one file")));
        }
        let content = &mut sets.content;
        content.seek(at)?;
        let mut all = BTreeMap::new();
        let mut total = 0_u64;
        for _ in 0..count {
            let key: [u8; 4] = content.array()?;
            let kind = le16(&key, 0);
            let prefix: &[u8] = match kind & 0xff {
                0 => b"user.",
                1 => b"trusted.",
                2 => b"security.",
                other => return Err(Fault::Damaged(format!("an attribute of type {other}"))),
            };
            let name = [prefix, &content.bytes(usize::from(le16(&key, 2)))?].concat();
            let mut size = le32(&content.array::<4>()?, 0);
            let value = if kind & 0x100 != 0 {
                // Out of line: a reference to the value, which is stored once for several files.
                let there = Reference(le(&content.array::<8>()?, 0, 8));
                let mut elsewhere = content.elsewhere();
                elsewhere.seek(there)?;
                size = le32(&elsewhere.array::<4>()?, 0);
                elsewhere.bytes(size.min(sets.most + 1) as usize)?
            } else {
                content.bytes(size.min(sets.most + 1) as usize)?
            };
            total += u64::from(size);
            if size > sets.most || total > 16 * u64::from(sets.most) {
                return Err(Fault::Damaged(format!("an attribute of {size} bytes")));
            }
            all.insert(name, value);
        }
        Ok(all)
    }
}
