//! A tar archive's header block, with its fields read as GNU tar reads them (tar(5)): ustar, GNU and older formats.

use std::ops::Range;

/// Bytes in a block.
pub const BLOCK: usize = 512;

const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK: Range<usize> = 157..257;
const MAGIC: Range<usize> = 257..263;
const MAJOR: Range<usize> = 329..337;
const MINOR: Range<usize> = 337..345;
const PREFIX: Range<usize> = 345..500;

/// One header block.
#[derive(Clone, Debug)]
pub struct Header([u8; BLOCK]);

impl Header {
    /// `None` if the checksum does not match: the sum of all bytes, with the checksum's own bytes counted as spaces.
    /// Some old archivers summed signed bytes.
    pub fn new(block: [u8; BLOCK]) -> Option<Self> {
        let bytes = || block.iter().enumerate().map(|(at, &byte)| if CHECKSUM.contains(&at) { b' ' } else { byte });
        let unsigned: i128 = bytes().map(i128::from).sum();
        let signed: i128 = bytes().map(|byte| i128::from(byte as i8)).sum();
        let stated = number(&block[CHECKSUM]).ok().flatten()?;
        (stated == unsigned || stated == signed).then_some(Self(block))
    }

    /// The type of this member.
    pub fn kind(&self) -> u8 {
        self.0[TYPE]
    }

    /// The name, including its prefix.
    pub fn name(&self) -> Vec<u8> {
        // In POSIX a version follows the magic; GNU tar and dpkg ignore it. With GNU's own magic, `ustar ` and one more
        // space, the prefix field holds times.
        match text(&self.0[PREFIX]) {
            prefix if !prefix.is_empty() && &self.0[MAGIC] == b"ustar\0" => {
                [prefix, b"/", text(&self.0[NAME])].concat()
            }
            _ => text(&self.0[NAME]).to_owned(),
        }
    }

    /// The target of a symbolic or hard link.
    pub fn link(&self) -> &[u8] {
        text(&self.0[LINK])
    }

    /// Bytes of content.
    pub fn size(&self) -> Result<u64, String> {
        let blank = || "its size is blank".to_owned();
        self.number("size", SIZE).and_then(|size| size.ok_or_else(blank))
    }

    /// Permission bits with setuid, setgid and sticky.
    pub fn mode(&self) -> Result<u32, String> {
        let mode: Option<i128> = self.number("mode", MODE)?;
        Ok((mode.unwrap_or(0) & 0o7777) as u32)
    }

    /// Owner; 0 if not given, as in cargo's crates.
    pub fn uid(&self) -> Result<i64, String> {
        self.number("uid", UID).map(Option::unwrap_or_default)
    }

    /// Group; 0 if not given.
    pub fn gid(&self) -> Result<i64, String> {
        self.number("gid", GID).map(Option::unwrap_or_default)
    }

    /// Modification time in seconds since 1970.
    pub fn mtime(&self) -> Result<i64, String> {
        self.number("mtime", MTIME).map(Option::unwrap_or_default)
    }

    /// Major and minor number of a device; `None` if the format has none.
    pub fn device(&self) -> Result<Option<(u32, u32)>, String> {
        if !self.0[MAGIC].starts_with(b"ustar") {
            return Ok(None);
        }
        let part = |what, field| self.number(what, field).map(Option::unwrap_or_default);
        Ok(Some((part("major number", MAJOR)?, part("minor number", MINOR)?)))
    }

    fn number<N: TryFrom<i128>>(&self, what: &str, field: Range<usize>) -> Result<Option<N>, String> {
        let bytes = &self.0[field];
        let wrong = |why| format!("its {what} `{}` {why}", super::shown(text(bytes)));
        let Some(value) = number(bytes).map_err(wrong)? else { return Ok(None) };
        value.try_into().map(Some).map_err(|_| wrong("is out of range"))
    }
}

/// A field's text, up to its first NUL.
pub fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A field's number: octal, or base 256 if its first bit is set, in two's complement without that bit. `None` if it is
/// only spaces; an empty field is 0.
fn number(field: &[u8]) -> Result<Option<i128>, &'static str> {
    // Some archivers put a NUL before it.
    let field = field.strip_prefix(b"\0").unwrap_or(field).trim_ascii_start();
    match field {
        [] => Ok(None),
        [0, ..] => Ok(Some(0)),
        [first @ 0x80..=0xff, rest @ ..] => {
            let high = i128::from(first & 0x3f) - i128::from(first & 0x40);
            Ok(Some(rest.iter().fold(high, |value, &byte| (value << 8) + i128::from(byte))))
        }
        [b'+' | b'-', ..] => Err("is in base 64, which is obsolete and not supported"),
        _ => {
            let digits = field.iter().take_while(|byte| matches!(byte, b'0'..=b'7')).count();
            let ends = field.get(digits).is_none_or(|byte| *byte == 0 || byte.is_ascii_whitespace());
            if digits == 0 || !ends {
                return Err("is not an octal number");
            }
            Ok(Some(field[..digits].iter().fold(0, |value, digit| value * 8 + i128::from(digit - b'0'))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected values are those of GNU tar 1.35.
    #[test]
    fn numbers_are_octal_or_base_256() {
        for (field, expected) in [
            (&b"00000000005\0"[..], Ok(Some(5))),
            (b"000000000005", Ok(Some(5))),
            (b"777777777777", Ok(Some((1 << 36) - 1))),
            (b"    644 ", Ok(Some(0o644))),
            (b"5\x009999999999", Ok(Some(5))),
            (b"5 7\0\0\0\0\0", Ok(Some(5))),
            (b"\x000000644", Ok(Some(0o644))),
            (b"\0\0\0\0\0\0\0\0", Ok(Some(0))),
            (b"        ", Ok(None)),
            (b"\x80\0\0\0\0\0\0\x05", Ok(Some(5))),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Ok(Some(-2))),
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\x05", Ok(Some((1 << 64) + 5))),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfc\x18", Ok(Some(-1000))),
            (b"00000000008\0", Err(())),
            (b"5junk\0\0\0\0\0\0\0", Err(())),
            (b"0x5\0\0\0\0\0\0\0\0\0", Err(())),
            (b"+0000000005\0", Err(())),
            (b"-0000000005\0", Err(())),
            (b"+AAAAAAAAAAF", Err(())),
            (b"rwxr-xr-", Err(())),
        ] {
            assert_eq!(number(field).map_err(|_| ()), expected, "{}", field.escape_ascii());
        }
    }
}
