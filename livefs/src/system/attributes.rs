//! Extended attributes of tar archives: records of extended headers (pax in POSIX.1-2017; `SCHILY.xattr.` by star and GNU tar).
//!
//! The crate `tar` 0.4.46 reads these headers as lines, so a value with a newline, as a capability may have, is an
//! error or misread; and it only sets attributes of regular files. So they are extracted here, before it sees them, by
//! the length in each record.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::rc::Rc;

/// Names and values, in the archive's order.
pub type Attributes = Vec<(OsString, Vec<u8>)>;

/// The attributes of the archive reader's current member.
#[derive(Clone, Default)]
pub struct MemberAttributes(Rc<RefCell<Attributes>>);

impl MemberAttributes {
    /// Takes them.
    pub fn take(&self) -> Attributes {
        self.0.take()
    }
}

const BLOCK: usize = 512;

/// The maximum size of an extended header.
const LONGEST: u64 = 1 << 20;

const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";

/// An archive without its extended attributes, which [`MemberAttributes`] has.
pub struct WithoutAttributes<R> {
    inner: R,
    kept: MemberAttributes,
    /// Attributes of the member whose header comes next.
    next: Attributes,
    /// Its size, if an extended header states it.
    next_size: Option<u64>,
    /// Data to be read before the rest of `inner`.
    ready: io::Cursor<Vec<u8>>,
    /// Bytes of `inner` that are passed through unchanged.
    passed: u64,
}

/// Extracts the extended attributes from an archive.
pub fn without_attributes<R: Read>(inner: R) -> (WithoutAttributes<R>, MemberAttributes) {
    let kept = MemberAttributes::default();
    let reader = WithoutAttributes {
        inner,
        kept: kept.clone(),
        next: Attributes::new(),
        next_size: None,
        ready: io::Cursor::default(),
        passed: 0,
    };
    (reader, kept)
}

impl<R: Read> Read for WithoutAttributes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.ready.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            if self.passed > 0 {
                let most = usize::try_from(self.passed).map_or(buffer.len(), |passed| passed.min(buffer.len()));
                let count = self.inner.read(&mut buffer[..most])?;
                self.passed -= count as u64;
                return Ok(count);
            }
            if !self.header()? {
                return Ok(0);
            }
        }
    }
}

impl<R: Read> WithoutAttributes<R> {
    /// Reads a header and determines how the data after it is read; `false` at the end of the archive's file.
    fn header(&mut self) -> io::Result<bool> {
        let mut block = tar::Header::new_old();
        let mut bytes = Vec::with_capacity(BLOCK);
        self.inner.by_ref().take(BLOCK as u64).read_to_end(&mut bytes)?;
        let whole = bytes.len() == BLOCK && bytes.iter().any(|byte| *byte != 0);
        if !whole {
            // The end of the archive, or of a truncated file: the same for a reader of members.
            self.passed = if bytes.is_empty() { 0 } else { u64::MAX };
            self.ready = io::Cursor::new(bytes);
            return Ok(!self.ready.get_ref().is_empty());
        }
        block.as_mut_bytes().copy_from_slice(&bytes);
        let kind = block.entry_type();
        let Ok(size) = block.entry_size() else {
            // The reader of members reports the error.
            (self.ready, self.passed) = (io::Cursor::new(bytes), u64::MAX);
            return Ok(true);
        };
        if kind.is_pax_local_extensions() {
            self.ready = io::Cursor::new(self.extended(block, size)?);
            return Ok(true);
        }
        let mut content = size;
        if !(kind.is_pax_global_extensions() || kind.is_gnu_longname() || kind.is_gnu_longlink()) {
            *self.kept.0.borrow_mut() = std::mem::take(&mut self.next);
            content = self.next_size.take().unwrap_or(size);
            if kind.is_gnu_sparse() {
                self.sparse_map(&mut bytes, block.as_gnu().is_some_and(tar::GnuHeader::is_extended))?;
            }
        }
        (self.ready, self.passed) = (io::Cursor::new(bytes), padded(content));
        Ok(true)
    }

    /// An extended header without its attributes; empty if there was nothing else in it.
    fn extended(&mut self, mut header: tar::Header, size: u64) -> io::Result<Vec<u8>> {
        if size > LONGEST {
            return Err(damaged(format!("an extended header has {size} bytes, at most {LONGEST} are read")));
        }
        let mut content = vec![0; padded(size) as usize];
        self.inner.read_exact(&mut content)?;
        content.truncate(size as usize);
        let mut left = Vec::new();
        let mut rest = &content[..];
        while !rest.is_empty() {
            let (record, key, value) = record(rest).ok_or_else(|| damaged("malformed extended header".to_owned()))?;
            rest = &rest[record.len()..];
            if let Some(name) = key.strip_prefix(ATTRIBUTE) {
                self.next.push((OsString::from_vec(name.to_vec()), value.to_vec()));
                continue;
            }
            if value.contains(&b'\n') {
                let key = String::from_utf8_lossy(key);
                return Err(damaged(format!(
                    "the record `{key}` has a line break in its value, which is not supported"
                )));
            }
            if key == b"size" {
                self.next_size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            }
            left.extend_from_slice(record);
        }
        if left.is_empty() {
            return Ok(left);
        }
        header.set_size(left.len() as u64);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        left.resize(padded(left.len() as u64) as usize, 0);
        bytes.append(&mut left);
        Ok(bytes)
    }

    /// Reads the further blocks of a sparse file's map.
    fn sparse_map(&mut self, bytes: &mut Vec<u8>, mut more: bool) -> io::Result<()> {
        while more {
            let mut block = tar::GnuExtSparseHeader::new();
            self.inner.read_exact(block.as_mut_bytes())?;
            bytes.extend_from_slice(block.as_bytes());
            more = block.is_extended();
        }
        Ok(())
    }
}

/// The first record, `LENGTH KEY=VALUE` and a newline, with its key and value. The length is that of the whole record.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let digits = bytes.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(&bytes[..digits]).ok()?.parse().ok()?;
    let record = bytes.get(..length)?;
    let pair = record.get(digits + 1..)?.strip_suffix(b"\n")?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    Some((record, &pair[..equals], &pair[equals + 1..]))
}

/// A length rounded up to whole blocks.
fn padded(length: u64) -> u64 {
    length.div_ceil(BLOCK as u64).saturating_mul(BLOCK as u64)
}

fn damaged(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(made: &mut tar::Builder<Vec<u8>>, name: &str, records: &[(&str, &[u8])], text: &[u8]) {
        if !records.is_empty() {
            made.append_pax_extensions(records.iter().copied()).unwrap();
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        made.append_data(&mut header, name, text).unwrap();
    }

    /// Names, attributes and contents, as `tar` reads the rest.
    fn read(bytes: &[u8]) -> io::Result<Vec<(String, Attributes, Vec<u8>)>> {
        let (reader, kept) = without_attributes(bytes);
        let mut archive = tar::Archive::new(reader);
        let mut all = Vec::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let attributes = kept.take();
            let mut text = Vec::new();
            entry.read_to_end(&mut text)?;
            all.push((entry.path()?.display().to_string(), attributes, text));
        }
        Ok(all)
    }

    #[test]
    fn each_member_has_its_own_and_all_else_is_as_it_was() {
        let mut made = tar::Builder::new(Vec::new());
        let long = "long/".repeat(40) + "name";
        member(&mut made, "a", &[("SCHILY.xattr.user.a", b"1\n9 path=b\n"), ("mtime", b"1.5")], &[7; 700]);
        member(&mut made, &long, &[("SCHILY.xattr.security.capability", &[1, 0, 0, 2, 0x0a, 0])], b"x");
        member(&mut made, "plain", &[], b"");
        member(&mut made, "last", &[("comment", b"none")], &[1; 512]);
        let found = read(&made.into_inner().unwrap()).unwrap();
        let pair = |name: &str, value: &[u8]| vec![(OsString::from(name), value.to_vec())];
        let expected = [
            ("a".to_owned(), pair("user.a", b"1\n9 path=b\n"), vec![7; 700]),
            (long, pair("security.capability", &[1, 0, 0, 2, 0x0a, 0]), b"x".to_vec()),
            ("plain".to_owned(), Vec::new(), Vec::new()),
            ("last".to_owned(), Vec::new(), vec![1; 512]),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_size_in_an_extended_header_counts() {
        // The header's own field is empty, as for files of 8 GiB and more.
        let mut made = tar::Builder::new(Vec::new());
        made.append_pax_extensions([("SCHILY.xattr.user.a", &b"\n"[..]), ("size", b"600")]).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_path("big").unwrap();
        header.set_size(0);
        header.set_cksum();
        let mut bytes = made.get_ref().clone();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&[5; 1024]);
        let mut rest = tar::Builder::new(Vec::new());
        member(&mut rest, "next", &[], b"y");
        bytes.extend_from_slice(&rest.into_inner().unwrap());
        let found = read(&bytes).unwrap();
        assert_eq!(
            found.iter().map(|(name, _, text)| (&name[..], text.len())).collect::<Vec<_>>(),
            [("big", 600), ("next", 1)]
        );
    }

    #[test]
    fn what_is_damaged_is_an_error() {
        for records in ["9 a\n", "99 a=b\n", "6 a=b", "x a=b\n", "5 a=b\n\n", "18 path=a\nb=ccccc\n"] {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(tar::EntryType::XHeader);
            header.set_size(records.len() as u64);
            header.set_cksum();
            let mut bytes = header.as_bytes().to_vec();
            bytes.extend_from_slice(records.as_bytes());
            bytes.resize(1024, 0);
            assert!(read(&bytes).is_err(), "{records:?}");
        }
        // Truncated at any point: an error or fewer members, never a hang or a panic.
        let mut made = tar::Builder::new(Vec::new());
        member(&mut made, "a", &[("SCHILY.xattr.user.a", b"\n")], &[7; 700]);
        let bytes = made.into_inner().unwrap();
        for end in 0..bytes.len() {
            let _ = read(&bytes[..end]);
        }
    }
}
