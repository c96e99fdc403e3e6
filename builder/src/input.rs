//! Files that a person wrote or chose: recipes, fragments, locks, configurations, keys, patches, content of overlays.
//! They must be regular files, and small ones have a size limit.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The size limit for files written by hand; the longest in this repository has 40 KB.
pub const LIMIT: u64 = 1 << 20;

/// The size limit for files that a program wrote for people to keep: a lock, a key ring, a list of mirrors. The longest
/// in this repository has 1 MB.
pub const LONG: u64 = 64 << 20;

/// Opens a regular file. Anything else is rejected without blocking: a FIFO, a device, a folder.
pub fn open(path: &Path) -> io::Result<File> {
    // Without O_NONBLOCK opening a FIFO would block before its type could be checked.
    let file = File::options().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(refused("it is a folder"));
    }
    if !metadata.is_file() {
        return Err(refused("it is not a regular file"));
    }
    Ok(file)
}

/// Reads a regular file of at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_within(path, limit)?
        .ok_or_else(|| refused(&format!("it is longer than {limit} bytes, the limit for such a file")))
}

/// Reads a regular file; `None` if it is larger than `limit` bytes.
pub fn read_within(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// Reads a text file as [`read`] does. Invalid UTF-8 is rejected, with the line and column of the first bad byte. A
/// byte order mark is dropped.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let text = String::from_utf8(read(path, limit)?).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let last = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
        let column = String::from_utf8_lossy(last).chars().count() + 1;
        refused(&format!("byte 0x{:02x} at {line}:{column} is not UTF-8", error.as_bytes()[before.len()]))
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> Result<String, String> {
        read_text(path, 100).map_err(|error| error.to_string())
    }

    #[test]
    fn only_short_regular_files_of_utf_8_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let with = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path)
        };
        assert_eq!(with("a: ü\n".as_bytes()).unwrap(), "a: ü\n");
        assert_eq!(with("\u{feff}a: 1\n".as_bytes()).unwrap(), "a: 1\n");
        assert_eq!(with(&[b'x'; 100]).unwrap().len(), 100);
        assert!(with(&[b'x'; 101]).unwrap_err().contains("longer than 100 bytes"));
        assert_eq!(with(b"a\n\xc3\xbc: \xff\n").unwrap_err(), "byte 0xff at 2:4 is not UTF-8");
        assert_eq!(read(folder.path()).unwrap_err(), "it is a folder");
        for device in ["/dev/zero", "/dev/null"] {
            assert_eq!(read(Path::new(device)).unwrap_err(), "it is not a regular file");
        }
        assert_eq!(super::read(&path, 100).unwrap(), b"a\n\xc3\xbc: \xff\n");
        let fifo = folder.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read(&fifo).unwrap_err(), "it is not a regular file");
        assert_eq!(open(&fifo).unwrap_err().to_string(), "it is not a regular file");
    }
}
