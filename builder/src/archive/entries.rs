//! A tar archive as a stream of members: ustar, GNU and pax headers (tar(5), pax(1)).
//!
//! The `tar` crate decodes the header blocks; the walk is our own, because an extended header's binary values
//! (`security.capability`), a missing end mark and unknown member types must not pass unnoticed.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::{ArchiveError, lossy, pax};

const BLOCK: u64 = 512;
/// No honest name, link or set of attributes is longer.
const MAX_EXTENSION: u64 = 1 << 20;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A symbolic link.
    Symlink,
    /// Another name of a file that came earlier in the archive.
    HardLink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
}

/// One member's header.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name as the archive holds it.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Modification time in seconds since 1970.
    pub mtime: i64,
    /// Bytes of content.
    pub size: u64,
    /// The text of a symbolic link, or the name that a hard link is another name of.
    pub link: Vec<u8>,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// Reads members one after the other; [`Read`] gives the content of the one in hand.
pub struct Entries<R> {
    input: R,
    archive: String,
    /// Bytes of the member in hand that are not read yet, and the padding after them.
    left: u64,
    padding: u64,
    name: String,
    global: pax::Records,
    started: bool,
}

impl<R: Read> Entries<R> {
    /// `archive` is its name in errors. `input` is decompressed already.
    pub fn new(input: R, archive: &str) -> Self {
        let global = pax::Records::new();
        let name = "its first header".to_owned();
        Self { input, archive: archive.to_owned(), left: 0, padding: 0, name, global, started: false }
    }

    /// The archive's name in errors.
    pub fn archive(&self) -> &str {
        &self.archive
    }

    /// The next member; `None` after the last. What was not read of the one before is skipped.
    ///
    /// The input is read to its very end, so that the compressed stream's own checksum is compared too.
    pub fn next_member(&mut self) -> Result<Option<Member>, ArchiveError> {
        let mut extended = self.global.clone();
        let (mut long_name, mut long_link) = (None, None);
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                if long_name.is_some() || long_link.is_some() {
                    return Err(self.damaged("an extended header without its member"));
                }
                return Ok(None);
            };
            let size = header.entry_size().map_err(|error| self.damaged(error))?;
            match header.entry_type().as_byte() {
                b'L' => long_name = Some(self.extension(size)?),
                b'K' => long_link = Some(self.extension(size)?),
                b'x' | b'X' => {
                    let bytes = self.extension(size)?;
                    pax::parse(&bytes, &mut extended).map_err(|what| self.damaged(what))?;
                }
                b'g' => {
                    let bytes = self.extension(size)?;
                    pax::parse(&bytes, &mut self.global).map_err(|what| self.damaged(what))?;
                    extended = self.global.clone();
                }
                _ => return self.member(&header, long_name, long_link, extended).map(Some),
            }
        }
    }

    fn member(
        &mut self,
        header: &::tar::Header,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
        mut extended: pax::Records,
    ) -> Result<Member, ArchiveError> {
        let cut = |mut name: Vec<u8>| {
            name.truncate(name.iter().position(|&b| b == 0).unwrap_or(name.len()));
            name
        };
        let path = long_name.map(cut).or_else(|| extended.remove("path")).unwrap_or_else(|| header.path_bytes().into());
        let link = long_link.map(cut).or_else(|| extended.remove("linkpath"));
        let link = link.or_else(|| header.link_name_bytes().map(Into::into)).unwrap_or_default();
        self.name = format!("`{}`", lossy(&path));

        let number = |key: &str, field: io::Result<u64>| match pax::number(&extended, key) {
            Some(value) => value.and_then(|n| n.try_into().map_err(|_| "negative number")).map_err(|e| self.damaged(e)),
            None => field.map_err(|error| self.damaged(error)),
        };
        let size = number("size", header.entry_size())?;
        let (uid, gid) =
            (number("uid", owner(header.uid(), header, 108))?, number("gid", owner(header.gid(), header, 116))?);
        let mtime = match pax::number(&extended, "mtime") {
            Some(value) => value.map_err(|what| self.damaged(what))?,
            // Some archivers write times before 1970 as huge base-256 numbers: two's complement.
            None => header.mtime().map_err(|error| self.damaged(error))? as i64,
        };
        let kind = match header.entry_type().as_byte() {
            // Before POSIX, folders were files whose name ends in a slash.
            0 | b'0' | b'7' if path.ends_with(b"/") => Kind::Dir,
            0 | b'0' | b'7' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::Char,
            b'4' => Kind::Block,
            b'5' => Kind::Dir,
            b'6' => Kind::Fifo,
            b'S' => {
                return Err(self.refused(&path, "sparse files are not supported; pack the archive without --sparse"));
            }
            other => return Err(self.refused(&path, format!("unknown type `{}`", other.escape_ascii()))),
        };
        if extended.keys().any(|key| key.starts_with("GNU.sparse.")) {
            return Err(self.refused(&path, "sparse files are not supported; pack the archive without --sparse"));
        }
        // POSIX lets a hard link carry the content once more; no other type but files has any.
        let size = if matches!(kind, Kind::File | Kind::HardLink | Kind::Dir) { size } else { 0 };
        self.data(size)?;
        let device = match kind {
            Kind::Char | Kind::Block => {
                let numbers = header.device_major().and_then(|major| Ok((major, header.device_minor()?)));
                match numbers.map_err(|error| self.damaged(error))? {
                    (Some(major), Some(minor)) => (major, minor),
                    _ => return Err(self.refused(&path, "a device without numbers")),
                }
            }
            _ => (0, 0),
        };
        let mode = header.mode().map_err(|error| self.damaged(error))? & 0o7777;
        let xattrs = extended
            .into_iter()
            .filter_map(|(key, value)| Some((key.strip_prefix("SCHILY.xattr.")?.to_owned(), value)))
            .collect();
        Ok(Member { path, kind, mode, uid, gid, mtime, size, link, device, xattrs })
    }

    /// The next header block; `None` at the archive's end mark.
    fn header(&mut self) -> Result<Option<::tar::Header>, ArchiveError> {
        let mut block = [0; BLOCK as usize];
        let count = read_full(&mut self.input, &mut block).map_err(|error| self.reading(error))?;
        let foreign = || ArchiveError::NotAnArchive { archive: self.archive.clone(), expected: "a tar archive" };
        if count < block.len() {
            // Two blocks of zeros end an archive; without them it may have lost more than the mark.
            return Err(match self.started {
                true => ArchiveError::Truncated {
                    archive: self.archive.clone(),
                    inside: format!("what follows {}", self.name),
                },
                false => foreign(),
            });
        }
        if block.iter().all(|&byte| byte == 0) {
            io::copy(&mut self.input, &mut io::sink()).map_err(|error| self.reading(error))?;
            return Ok(None);
        }
        let header = ::tar::Header::from_byte_slice(&block).clone();
        // tar(5): the sum of all bytes, those of the checksum taken as spaces.
        let sum =
            block.iter().enumerate().map(|(at, &b)| if (148..156).contains(&at) { 32 } else { u32::from(b) }).sum();
        if header.cksum().ok() != Some(sum) {
            return Err(if self.started { self.damaged("a header's checksum is wrong") } else { foreign() });
        }
        self.started = true;
        Ok(Some(header))
    }

    fn data(&mut self, size: u64) -> Result<(), ArchiveError> {
        if size > i64::MAX as u64 {
            return Err(self.damaged("a size beyond what any file has"));
        }
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK) - size;
        Ok(())
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        if size > MAX_EXTENSION {
            return Err(self.damaged("an extended header of more than 1 MiB"));
        }
        self.data(size)?;
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes).map_err(|error| self.reading(error))?;
        Ok(bytes)
    }

    fn skip(&mut self) -> Result<(), ArchiveError> {
        let count = self.left + self.padding;
        let skipped = io::copy(&mut self.input.by_ref().take(count), &mut io::sink());
        let skipped = skipped.map_err(|error| self.reading(error))?;
        if skipped < count {
            return Err(self.reading(io::ErrorKind::UnexpectedEof.into()));
        }
        (self.left, self.padding) = (0, 0);
        Ok(())
    }

    /// The error for a failure to read the member in hand.
    pub fn reading(&self, error: io::Error) -> ArchiveError {
        ArchiveError::reading(&self.archive, &self.name, error)
    }

    fn damaged(&self, what: impl ToString) -> ArchiveError {
        ArchiveError::Damaged {
            archive: self.archive.clone(),
            what: format!("{} (at {})", what.to_string(), self.name),
        }
    }

    /// An error about a well-formed member.
    pub(crate) fn refused(&self, entry: &[u8], why: impl Into<String>) -> ArchiveError {
        ArchiveError::Entry { archive: self.archive.clone(), entry: lossy(entry), why: why.into() }
    }
}

impl<R: Read> Read for Entries<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        match self.input.read(&mut buffer[..most])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.left -= count as u64;
                Ok(count)
            }
        }
    }
}

/// An owner's number, whose field begins at `at`. Cargo leaves it empty in crates: that is nobody's, so root's.
fn owner(field: io::Result<u64>, header: &::tar::Header, at: usize) -> io::Result<u64> {
    if header.as_bytes()[at..at + 8].iter().all(|byte| matches!(byte, 0 | b' ')) { Ok(0) } else { field }
}

/// Fills `buffer` as far as the input goes.
fn read_full(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match input.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
