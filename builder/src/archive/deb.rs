//! Debian packages: an `ar` archive of `debian-binary`, `control.tar.*` and `data.tar.*` (deb(5)).

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::decompress::{Stream, decompress_with};
use super::{ArchiveError, Budget, Entries, MemberKind};

/// No maintainer script or list of checksums is longer than this.
const MAX_CONTROL: u64 = 16 << 20;

/// The tar archive of the files that the package installs, decompressed by at most the given number of threads.
pub fn data<'a>(
    reader: impl Read + Send + 'a,
    package: &str,
    threads: usize,
    budget: &Budget,
) -> Result<Stream<'a>, ArchiveError> {
    let member = find(reader, package, "data.tar")?;
    decompress_with(member, package, threads, budget)
}

/// The package's control files by name: `control`, `md5sums`, maintainer scripts …
pub fn control(
    reader: impl Read + Send,
    package: &str,
    budget: &Budget,
) -> Result<BTreeMap<String, Vec<u8>>, ArchiveError> {
    let control = decompress_with(find(reader, package, "control.tar")?, package, 1, budget)?;
    let mut entries = Entries::new(control, package, budget);
    let mut files = BTreeMap::new();
    while let Some(member) = entries.next_member()? {
        if member.kind != MemberKind::File {
            continue;
        }
        if member.size > MAX_CONTROL {
            return Err(entries.refused(&member.path, "a control file of more than 16 MiB"));
        }
        let mut content = Vec::new();
        entries.read_to_end(&mut content).map_err(|error| entries.reading(error))?;
        let name = String::from_utf8_lossy(&member.path);
        files.insert(name.trim_start_matches("./").to_owned(), content);
    }
    Ok(files)
}

/// The members that follow the version, in this order (deb(5)), with the compressors that may be used. Members whose
/// names start with `_` may appear anywhere.
const PARTS: [(&str, &[&str]); 2] =
    [("control.tar", &["", ".gz", ".xz", ".zst"]), ("data.tar", &["", ".gz", ".xz", ".zst", ".bz2", ".lzma"])];

/// Reads up to the part `wanted`, one of [`PARTS`].
fn find<R: Read>(mut reader: R, package: &str, wanted: &str) -> Result<MemberReader<R>, ArchiveError> {
    let not_a_deb = || ArchiveError::NotAnArchive { archive: package.to_owned(), expected: "a Debian package" };
    let mut magic = [0; 8];
    reader.read_exact(&mut magic).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => not_a_deb(),
        _ => ArchiveError::reading(package, "its first bytes", error),
    })?;
    if &magic != b"!<arch>\n" {
        return Err(not_a_deb());
    }
    let mut first = true;
    let mut parts = PARTS.iter();
    loop {
        let inside = format!("the headers before `{wanted}`");
        // ar(5): name 16, mtime 12, owner 6, group 6, mode 8, size 10, end mark 2; all text, padded with spaces.
        let mut header = [0; 60];
        reader.read_exact(&mut header).map_err(|error| ArchiveError::reading(package, &inside, error))?;
        let damaged = |what: &str| ArchiveError::Damaged { archive: package.to_owned(), what: what.to_owned() };
        let size = std::str::from_utf8(&header[48..58]).ok().map(str::trim_end);
        let size =
            size.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit())).and_then(|text| text.parse().ok());
        let (Some(size), b"`\n") = (size, &header[58..]) else {
            return Err(damaged("a member has an invalid header"));
        };
        let name = String::from_utf8_lossy(&header[..16]);
        let name = name.trim_end();
        let name = name.strip_suffix('/').unwrap_or(name).to_owned();
        if std::mem::take(&mut first) {
            let mut version = Vec::new();
            if name != "debian-binary" || size > 64 {
                return Err(not_a_deb());
            }
            let read = reader.by_ref().take(size + size % 2).read_to_end(&mut version);
            let read = read.map_err(|error| ArchiveError::reading(package, &name, error))?;
            if (read as u64) < size {
                return Err(ArchiveError::Truncated { archive: package.to_owned(), inside: format!("`{name}`") });
            }
            // Does not include the padding byte that makes the member's length even.
            let version = String::from_utf8_lossy(&version[..size as usize]);
            let minor = version.strip_prefix("2.").and_then(|rest| rest.split_once('\n')).map(|(minor, _)| minor);
            if !minor.is_some_and(|minor| !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit())) {
                return Err(damaged(&format!("its format version is `{}`, not 2", version.trim())));
            }
            continue;
        }
        if !name.starts_with('_') {
            let (part, endings) = parts.next().unwrap_or(&PARTS[1]);
            if !name.strip_prefix(part).is_some_and(|ending| endings.contains(&ending)) {
                return Err(damaged(&format!("found `{name}`, expected `{part}` with a compression suffix")));
            }
            if *part == wanted {
                return Ok(MemberReader { input: reader, left: size });
            }
        }
        let skip = size + size % 2;
        let skipped = io::copy(&mut reader.by_ref().take(skip), &mut io::sink());
        if skipped.map_err(|error| ArchiveError::reading(package, &name, error))? < skip {
            return Err(ArchiveError::Truncated { archive: package.to_owned(), inside: format!("`{name}`") });
        }
    }
}

/// One member's content; an early end of the file is an error.
struct MemberReader<R> {
    input: R,
    left: u64,
}

impl<R: Read> Read for MemberReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.input.read(&mut buffer[..most])?;
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count as u64;
        Ok(count)
    }
}
