//! Copies of large files with many holes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::unistd::{Whence, lseek};

/// FICLONE (include/uapi/linux/fs.h): both files then share their blocks, if the file system supports that.
mod clone {
    nix::ioctl_write_int!(file, 0x94, 9);
}

/// Copies a file and keeps its holes. The content of the copy is on the disk when this returns; its name may not be.
///
/// # Errors
/// The disk is full; `to` is there.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    let mut made = File::options().write(true).create_new(true).open(to)?;
    // SAFETY: a descriptor goes in, and nothing of ours is written to.
    let cloned = unsafe { clone::file(made.as_raw_fd(), from.as_raw_fd() as nix::libc::c_ulong) };
    if cloned.is_err() {
        let length = from.metadata()?.len();
        made.set_len(length)?;
        let mut at = 0;
        while let Some(start) = seek(&from, at, Whence::SeekData)? {
            let end = seek(&from, start, Whence::SeekHole)?.unwrap_or(length);
            from.seek(SeekFrom::Start(start))?;
            made.seek(SeekFrom::Start(start))?;
            let copied = io::copy(&mut (&from).take(end - start), &mut made)?;
            if copied < end - start {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            at = end;
        }
    }
    made.sync_all()
}

/// The offset of the next data or of the next hole; None if there is none.
fn seek(file: &File, from: u64, what: Whence) -> io::Result<Option<u64>> {
    let from = i64::try_from(from).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    match lseek(file, from, what) {
        Ok(at) => Ok(u64::try_from(at).ok()),
        Err(nix::Error::ENXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileExt, MetadataExt};

    #[test]
    fn holes_stay_holes() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let file = File::create(at("a")).unwrap();
        file.set_len(8 << 20).unwrap();
        for (place, text) in [(0, "first"), (3 << 20, "middle"), ((8 << 20) - 4, "last")] {
            file.write_all_at(text.as_bytes(), place).unwrap();
        }
        copy(&at("a"), &at("b")).unwrap();
        assert_eq!(std::fs::read(at("a")).unwrap(), std::fs::read(at("b")).unwrap());
        assert!(std::fs::metadata(at("b")).unwrap().blocks() < 2048, "less than one MiB of eight");
        assert!(copy(&at("a"), &at("b")).is_err(), "it is there");
        File::create(at("empty")).unwrap();
        copy(&at("empty"), &at("c")).unwrap();
        assert_eq!(std::fs::metadata(at("c")).unwrap().len(), 0);
    }
}
