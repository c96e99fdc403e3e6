//! A tar archive as a stream of members: ustar, GNU and pax headers (tar(5), pax(1)).
//!
//! dbco has its own reader because binary values of extended headers (`security.capability`), a missing end mark,
//! unknown member types and numbers out of range must not go unnoticed. Where archives deviate from the standards it
//! behaves like GNU tar and dpkg.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::header::{self, Header};
use super::{ArchiveError, Budget, Exceeded, pax, shown};

/// How to repair an archive that was written with holes left out.
const SPARSE: &str = "a sparse file, which is not supported: unpack the archive with tar(1), pack it again without `--sparse`, and name \
                      the new one as the source";

const BLOCK: u64 = header::BLOCK as u64;
/// No legitimate name, link or set of attributes is longer; the total for one member.
const MAX_EXTENSION: u64 = 1 << 20;
/// Limits for global headers, which apply to every member and are processed for each: bytes, and records.
const MAX_GLOBAL: usize = 16 << 10;
const MAX_GLOBAL_RECORDS: usize = 256;
/// Maximum bytes of a member's name, and of a link's target (`PATH_MAX`).
const MAX_PATH: usize = 4095;

/// The type of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A hard link to a file that came earlier in the archive.
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
    /// Its name as stored in the archive.
    pub path: Vec<u8>,
    /// Its type.
    pub kind: MemberKind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: i64,
    /// Group.
    pub gid: i64,
    /// Modification time in seconds since 1970.
    pub mtime: i64,
    /// Bytes of content.
    pub size: u64,
    /// The target of a symbolic or hard link.
    pub link: Vec<u8>,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// Reads members one after the other; [`Read`] gives the content of the current one.
pub struct Entries<R> {
    input: R,
    budget: Budget,
    archive: String,
    /// Bytes of the current member that have not been read yet, and the padding after them.
    left: u64,
    padding: u64,
    name: String,
    global: pax::Records,
    started: bool,
    members: u64,
    /// Bytes of extended headers: of the current member, and of all members.
    extension: u64,
    extensions: u64,
}

impl<R: Read> Entries<R> {
    /// `archive` is its name in errors. `input` must be decompressed already.
    pub fn new(input: R, archive: &str, budget: &Budget) -> Self {
        let global = pax::Records::new();
        let name = "its first header".to_owned();
        Self {
            input,
            budget: *budget,
            archive: archive.to_owned(),
            left: 0,
            padding: 0,
            name,
            global,
            started: false,
            members: 0,
            extension: 0,
            extensions: 0,
        }
    }

    /// The archive's name in errors.
    pub fn archive(&self) -> &str {
        &self.archive
    }

    /// The next member; `None` after the last. Unread content of the previous member is skipped.
    ///
    /// The input is read to its very end, so that the compressed stream's own checksum is verified too.
    pub fn next_member(&mut self) -> Result<Option<Member>, ArchiveError> {
        self.extension = 0;
        let (mut long_name, mut long_link, mut extended) = (None, None, None);
        loop {
            self.skip()?;
            let Some(header) = self.header()? else {
                if long_name.is_some() || long_link.is_some() || extended.is_some() {
                    return Err(self.damaged("an extended header without a member"));
                }
                return Ok(None);
            };
            let size = header.size().map_err(|error| self.damaged(error))?;
            match header.kind() {
                b'L' => long_name = Some(self.extension(size)?),
                b'K' => long_link = Some(self.extension(size)?),
                b'x' | b'X' => {
                    let bytes = self.extension(size)?;
                    // If there are several headers, only the last one counts.
                    let records = extended.insert(pax::Records::new());
                    pax::parse(&bytes, records).map_err(|what| self.damaged(what))?;
                }
                b'g' => {
                    let bytes = self.extension(size)?;
                    pax::parse(&bytes, &mut self.global).map_err(|what| self.damaged(what))?;
                    let size: usize = self.global.iter().map(|(key, value)| key.len() + value.len()).sum();
                    if size > MAX_GLOBAL || self.global.len() > MAX_GLOBAL_RECORDS {
                        return Err(self.excessive(format!(
                            "its global extended headers contain more than {MAX_GLOBAL} bytes or {MAX_GLOBAL_RECORDS} records"
                        )));
                    }
                }
                _ => {
                    let extended = extended.unwrap_or_default();
                    return self.member(&header, size, long_name, long_link, extended).map(Some);
                }
            }
        }
    }

    fn member(
        &mut self,
        header: &Header,
        size: u64,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
        own: pax::Records,
    ) -> Result<Member, ArchiveError> {
        // A member's own records take precedence over the global ones, in whatever order the headers appear; both take
        // precedence over GNU's names.
        let record = |key: &str| own.get(key).or_else(|| self.global.get(key));
        let name = |key, long: Option<Vec<u8>>| record(key).or(long.as_ref()).map(|name| header::text(name).to_owned());
        let path = name("path", long_name).unwrap_or_else(|| header.name());
        let link = name("linkpath", long_link).unwrap_or_else(|| header.link().to_owned());
        let stated = |key| record(key).map(|value| pax::whole(value));
        let (size, uid, gid) = (stated("size").unwrap_or(Ok(size)), stated("uid"), stated("gid"));
        let mtime = record("mtime").map(|value| pax::seconds(value));
        let sparse =
            [&own, &self.global].into_iter().any(|records| pax::below(records, "GNU.sparse.").next().is_some());
        let xattrs = [&self.global, &own].into_iter().flat_map(|records| pax::below(records, "SCHILY.xattr."));
        let xattrs = xattrs.map(|(name, value)| (name.to_owned(), value.clone())).collect();
        self.name = format!("`{}`", shown(&path[..path.len().min(MAX_PATH)]));
        self.members += 1;
        let Budget { entries, depth, .. } = self.budget;
        if self.members > entries {
            return Err(self.over("entries", format!("it contains more than {entries} entries")));
        }
        if path.len() > MAX_PATH {
            return Err(self.excessive(format!("it contains a name of more than {MAX_PATH} bytes")));
        }
        if link.len() > MAX_PATH && matches!(header.kind(), b'1' | b'2') {
            return Err(self.excessive(format!("it contains a link with a target of more than {MAX_PATH} bytes")));
        }
        if path.split(|&byte| byte == b'/').filter(|part| !part.is_empty()).count() as u64 > depth {
            return Err(self.over("depth", format!("it nests folders more than {depth} deep")));
        }

        let owner = |stated: Option<Result<u64, String>>, field: fn(&Header) -> Result<i64, String>| match stated {
            Some(number) => number.and_then(|number| number.try_into().map_err(|_| format!("owner {number}"))),
            None => field(header),
        };
        let size = size.map_err(|error| self.damaged(error))?;
        let uid = owner(uid, Header::uid).map_err(|error| self.damaged(error))?;
        let gid = owner(gid, Header::gid).map_err(|error| self.damaged(error))?;
        let mtime = mtime.unwrap_or_else(|| header.mtime()).map_err(|error| self.damaged(error))?;
        let kind = match header.kind() {
            // Before POSIX, a folder was a file whose name ends in a slash.
            0 | b'0' | b'7' if path.ends_with(b"/") => MemberKind::Dir,
            0 | b'0' | b'7' => MemberKind::File,
            b'1' => MemberKind::HardLink,
            b'2' => MemberKind::Symlink,
            b'3' => MemberKind::Char,
            b'4' => MemberKind::Block,
            b'5' => MemberKind::Dir,
            b'6' => MemberKind::Fifo,
            b'S' => {
                return Err(self.refused(&path, SPARSE));
            }
            other => return Err(self.refused(&path, format!("unknown type `{}`", other.escape_ascii()))),
        };
        if sparse {
            return Err(self.refused(&path, SPARSE));
        }
        // Old archivers give a size for folders and hard links without any content; GNU tar and dpkg treat it as 0.
        let size = if kind == MemberKind::File { size } else { 0 };
        self.data(size)?;
        let device = match kind {
            MemberKind::Char | MemberKind::Block => match header.device().map_err(|error| self.damaged(error))? {
                Some(device) => device,
                None => return Err(self.refused(&path, "a device node without device numbers")),
            },
            _ => (0, 0),
        };
        let mode = header.mode().map_err(|error| self.damaged(error))?;
        Ok(Member { path, kind, mode, uid, gid, mtime, size, link, device, xattrs })
    }

    /// The next header block; `None` at the archive's end mark.
    fn header(&mut self) -> Result<Option<Header>, ArchiveError> {
        let mut block = [0; BLOCK as usize];
        let count = read_full(&mut self.input, &mut block).map_err(|error| self.reading(error))?;
        let foreign = || ArchiveError::NotAnArchive { archive: self.archive.clone(), expected: "a tar archive" };
        if count < block.len() {
            // Two blocks of zeros end an archive; if they are missing, more than the end mark may have been lost.
            return Err(match self.started {
                true => ArchiveError::Truncated {
                    archive: self.archive.clone(),
                    inside: format!("what follows {}", self.name),
                },
                false => foreign(),
            });
        }
        if block.iter().all(|&byte| byte == 0) {
            // GNU tar also ends at a single block, with a warning. Anything after it would be lost.
            let count = read_full(&mut self.input, &mut block).map_err(|error| self.reading(error))?;
            if block[..count].iter().any(|&byte| byte != 0) {
                return Err(self.damaged("members after a single zero block; two zero blocks end an archive"));
            }
            io::copy(&mut self.input, &mut io::sink()).map_err(|error| self.reading(error))?;
            return Ok(None);
        }
        let Some(header) = Header::new(block) else {
            return Err(if self.started { self.damaged("a header's checksum is wrong") } else { foreign() });
        };
        self.started = true;
        Ok(Some(header))
    }

    fn data(&mut self, size: u64) -> Result<(), ArchiveError> {
        if size > i64::MAX as u64 {
            return Err(self.damaged("a size larger than any file can have"));
        }
        self.left = size;
        self.padding = size.next_multiple_of(BLOCK) - size;
        Ok(())
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        if size > MAX_EXTENSION {
            return Err(self.damaged("an extended header of more than 1 MiB"));
        }
        (self.extension, self.extensions) = (self.extension + size, self.extensions + size);
        if self.extension > MAX_EXTENSION {
            return Err(self.excessive(format!("a member has extended headers of more than {MAX_EXTENSION} bytes")));
        }
        let most = self.budget.headers;
        if self.extensions > most {
            return Err(self.over("headers", format!("its extended headers are more than {most} bytes in total")));
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

    /// The error for a failed read of the current member.
    pub fn reading(&self, error: io::Error) -> ArchiveError {
        ArchiveError::reading(&self.archive, &self.name, error)
    }

    fn damaged(&self, what: impl ToString) -> ArchiveError {
        ArchiveError::Damaged {
            archive: self.archive.clone(),
            what: format!("{} (at {})", what.to_string(), self.name),
        }
    }

    fn over(&self, key: &'static str, what: String) -> ArchiveError {
        let exceeded = Exceeded::new(key, format!("{what} (at {})", self.name));
        ArchiveError::Budget { archive: self.archive.clone(), exceeded }
    }

    fn excessive(&self, what: String) -> ArchiveError {
        ArchiveError::Excessive { archive: self.archive.clone(), what: format!("{what} (at {})", self.name) }
    }

    /// An error about a well-formed member.
    pub(crate) fn refused(&self, entry: &[u8], why: impl Into<String>) -> ArchiveError {
        ArchiveError::Entry { archive: self.archive.clone(), entry: shown(entry), why: why.into() }
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

/// Fills `buffer` as far as the input allows.
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
