//! The system use fields of Rock Ridge (IEEE P1282) in the form of SUSP (IEEE P1281).

use super::super::region::{Region, le32};
use super::{Fault, SECTOR};

/// What the fields of one record say.
#[derive(Default)]
pub struct Attributes {
    pub name: Option<Vec<u8>>,
    /// With the bits for the type.
    pub mode: Option<u32>,
    pub links: u32,
    pub uid: i64,
    pub gid: i64,
    /// The serial number, which names of the same file share.
    pub serial: Option<u64>,
    pub device: Option<(u32, u32)>,
    pub target: Vec<u8>,
    pub time: Option<i64>,
    /// The extent of a folder that was moved elsewhere (`CL`).
    pub child: Option<u32>,
    /// This is such a folder (`RE`).
    pub relocated: bool,
}

/// Continuation areas of one record that are followed.
const CONTINUATIONS: usize = 32;

/// Bytes of a name or a link's target: NAME_MAX, PATH_MAX.
const MOST: usize = 4096;

impl Attributes {
    /// Reads a record's system use field, with its continuations.
    pub fn read(image: &Region, field: &[u8]) -> Result<Self, Fault> {
        let mut found = Self::default();
        let mut text = Texts::default();
        let mut next = Some(field.to_vec());
        let mut followed = 0;
        while let Some(area) = next.take() {
            let mut rest = &area[..];
            // Less than a header is padding.
            while let [a, b, length, _, ..] = *rest {
                let length = usize::from(length);
                if length < 4 || length > rest.len() {
                    break;
                }
                let (entry, after) = rest.split_at(length);
                rest = after;
                match &[a, b] {
                    b"CE" if length >= 28 => {
                        followed += 1;
                        if followed > CONTINUATIONS {
                            return Err(Fault::damaged("a record with too many continuations"));
                        }
                        let offset = u64::from(le32(entry, 4)) * SECTOR + u64::from(le32(entry, 12));
                        let size = (le32(entry, 20) as usize).min(SECTOR as usize * 4);
                        next = Some(image.bytes(offset, size)?);
                    }
                    b"ST" => break,
                    signature => found.entry(signature, entry, &mut text)?,
                }
            }
        }
        found.name = text.name;
        found.target = text.target.unwrap_or_default();
        Ok(found)
    }

    fn entry(&mut self, signature: &[u8; 2], entry: &[u8], text: &mut Texts) -> Result<(), Fault> {
        let length = entry.len();
        match signature {
            b"PX" if length >= 36 => {
                self.mode = Some(le32(entry, 4));
                self.links = le32(entry, 12);
                (self.uid, self.gid) = (le32(entry, 20).into(), le32(entry, 28).into());
                if length >= 44 {
                    self.serial = Some(le32(entry, 36).into());
                }
            }
            b"PN" if length >= 20 => {
                // Of the high half, older writers leave 0 and store a 16-bit number in the low one.
                let (high, low) = (le32(entry, 4), le32(entry, 12));
                self.device = Some(match high {
                    0 => (low >> 8, low & 0xff),
                    high => (high, low),
                });
            }
            b"NM" if length > 5 => text.add_name(entry[4], &entry[5..])?,
            b"SL" if length > 5 => text.add_target(&entry[5..])?,
            b"TF" if length > 5 => self.time = modified(entry[4], &entry[5..]),
            b"CL" if length >= 12 => self.child = Some(le32(entry, 4)),
            b"RE" => self.relocated = true,
            _ => {}
        }
        Ok(())
    }
}

/// Name and link target, each of which may be split over several entries.
#[derive(Default)]
struct Texts {
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    /// The target's last component goes on.
    open: bool,
}

impl Texts {
    fn add_name(&mut self, flags: u8, part: &[u8]) -> Result<(), Fault> {
        let name = self.name.get_or_insert_default();
        match flags & 6 {
            0 => name.extend_from_slice(part),
            2 => *name = b".".to_vec(),
            _ => *name = b"..".to_vec(),
        }
        match name.len() > MOST {
            true => Err(Fault::damaged("a name of more than 4096 bytes")),
            false => Ok(()),
        }
    }

    fn add_target(&mut self, mut parts: &[u8]) -> Result<(), Fault> {
        let target = self.target.get_or_insert_default();
        while let [flags, length, rest @ ..] = parts {
            let (text, rest) = rest
                .split_at_checked(usize::from(*length))
                .ok_or_else(|| Fault::damaged("a link's component beyond its field"))?;
            parts = rest;
            if !self.open && !target.is_empty() && !target.ends_with(b"/") {
                target.push(b'/');
            }
            match flags & 0xe {
                2 => target.push(b'.'),
                4 => target.extend_from_slice(b".."),
                8 => *target = b"/".to_vec(),
                _ => target.extend_from_slice(text),
            }
            self.open = flags & 1 != 0;
            if target.len() > MOST {
                return Err(Fault::damaged("a link with a target of more than 4096 bytes"));
            }
        }
        Ok(())
    }
}

/// The modification time among those that the flags announce, in seconds since 1970.
fn modified(flags: u8, times: &[u8]) -> Option<i64> {
    if flags & 2 == 0 {
        return None;
    }
    // The creation time comes before. Bit 7: times of 17 digits instead of 7 bytes.
    let before = usize::from(flags & 1);
    if flags & 0x80 == 0 {
        return super::time(times.get(7 * before..7 * before + 7)?);
    }
    let text = std::str::from_utf8(times.get(17 * before..17 * before + 16)?).ok()?;
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i16>().ok();
    let part = |from: usize| number(from, from + 2).map(|value| value as i8);
    let date = jiff::civil::DateTime::new(number(0, 4)?, part(4)?, part(6)?, part(8)?, part(10)?, part(12)?, 0).ok()?;
    let zone = i64::from(*times.get(17 * before + 16)? as i8);
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second() - zone * 900)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_put_together_from_components() {
        let link = |parts: &[&[u8]]| {
            let body = parts.concat();
            let entry = [b"SL", &[5 + body.len() as u8, 1][..], &[0], &body].concat();
            Attributes::read(&Region::of_bytes(Vec::new()), &entry).unwrap().target
        };
        assert_eq!(link(&[b"\x00\x03usr", b"\x00\x03bin"]), b"usr/bin");
        assert_eq!(link(&[b"\x08\x00", b"\x00\x03bin"]), b"/bin");
        assert_eq!(link(&[b"\x04\x00", b"\x01\x02li", b"\x00\x01b"]), b"../lib");
    }
}
