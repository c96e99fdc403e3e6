//! The store's content is not trusted: objects are checked against their names, and damaged ones are moved aside.
//!
//! A damaged object counts as missing, so it is built or fetched again when it is needed. It is kept below `damaged/`
//! for inspection; nothing reads it again.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::MutexGuard;
use std::time::SystemTime;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

use super::{Sharing, Stamp, Store, StoreError, sharded};
use crate::digest::Digest;
use crate::input::{LONG, read_text};
use crate::path_error::{FromPathError as _, PathError};

/// An object of the store whose content did not match its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// `blob`, `result` or `toolchain root`.
    pub kind: &'static str,
    /// Its name in the store.
    pub name: Digest,
    /// The mismatch.
    pub why: String,
    /// Its current path; `None` if it was missing altogether.
    pub aside: Option<PathBuf>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store's {} {} is damaged ({})", self.kind, self.name.short(), self.why)?;
        match &self.aside {
            Some(aside) => write!(f, ": it was moved to {}", aside.display()),
            None => Ok(()),
        }
    }
}

/// The damaged objects that were found, and how many of them were reported.
#[derive(Debug, Default)]
pub(super) struct DamageReport {
    all: Vec<Damage>,
    reported: usize,
}

/// The state of a blob in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobState {
    /// Intact; with its length in bytes.
    Sound(u64),
    /// Missing.
    Missing,
    /// Damaged, and moved aside.
    Damaged(Damage),
}

/// Opens a regular file for reading; follows no link, and does not block on a FIFO.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file")),
    }
}

/// The damage that a failed open or read implies. If it implies none it stays an error: a signal, too little memory,
/// too many open files.
pub(super) fn blame(error: io::Error) -> Result<String, io::Error> {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ELOOP) => Ok("it is a symbolic link".into()),
        Some(Errno::EACCES | Errno::EIO | Errno::EISDIR | Errno::ENXIO | Errno::EUCLEAN | Errno::EBADMSG) => {
            Ok(error.to_string())
        }
        None if error.kind() == io::ErrorKind::InvalidData => Ok(error.to_string()),
        _ => Err(error),
    }
}

impl Store {
    /// The objects found damaged by this process since the store was opened.
    pub fn damages(&self) -> Vec<Damage> {
        self.found().all.clone()
    }

    /// The objects found damaged since the last call.
    pub fn unreported_damages(&self) -> Vec<Damage> {
        let mut found = self.found();
        let (reported, count) = (found.reported, found.all.len());
        found.reported = count;
        found.all[reported..].to_vec()
    }

    fn found(&self) -> MutexGuard<'_, DamageReport> {
        self.found.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Records a damaged object, once.
    pub(super) fn report(&self, damage: Damage) -> Damage {
        let mut found = self.found();
        if damage.aside.is_some() || !found.all.contains(&damage) {
            found.all.push(damage.clone());
        }
        damage
    }

    /// Records that a blob is missing that a result or a tree refers to.
    pub fn report_missing(&self, digest: &Digest) {
        self.report(Damage { kind: "blob", name: *digest, why: "it is missing".into(), aside: None });
    }

    /// Moves an object away from its name, to `damaged/<kind>-<name>` or similar. In a store that is only read it stays.
    pub(super) fn move_aside(
        &self,
        kind: &'static str,
        name: &Digest,
        path: &Path,
        why: String,
    ) -> Result<Damage, StoreError> {
        if self.sharing == Sharing::Reading {
            return Ok(self.report(Damage { kind, name: *name, why, aside: None }));
        }
        let folder = self.root.join("damaged");
        fs::create_dir_all(&folder).map_err(StoreError::io("make", &folder))?;
        let stem = format!("{}-{name}", kind.replace(' ', "-"));
        for number in 1_u64.. {
            let aside = folder.join(if number == 1 { stem.clone() } else { format!("{stem}.{number}") });
            // Without the flag (some network file systems) a file could only be lost to one of the same name and
            // moment.
            let moved = match renameat2(AT_FDCWD, path, AT_FDCWD, &aside, RenameFlags::RENAME_NOREPLACE) {
                Err(Errno::EINVAL | Errno::ENOSYS) if fs::symlink_metadata(&aside).is_err() => fs::rename(path, &aside),
                Err(Errno::EINVAL | Errno::ENOSYS) => continue,
                other => other.map_err(io::Error::from),
            };
            match moved {
                Ok(()) => return Ok(self.report(Damage { kind, name: *name, why, aside: Some(aside) })),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                // Another process was faster.
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(StoreError::io("move aside", path)(error)),
            }
        }
        Ok(self.report(Damage { kind, name: *name, why, aside: None }))
    }

    /// Moves a damaged blob aside; gives the error for it.
    pub fn reject_blob(&self, digest: &Digest, why: String) -> StoreError {
        match self.move_aside("blob", digest, &self.blob_path(digest), why) {
            Ok(damage) => StoreError::Damaged(Box::new(damage)),
            Err(error) => error,
        }
    }

    /// Opens a blob whose content was just checked against its name.
    pub fn open_blob(&self, digest: &Digest) -> Result<File, StoreError> {
        let path = self.blob_path(digest);
        let read = || -> io::Result<Result<File, String>> {
            let mut file = open_regular(&path)?;
            let (got, _) = Digest::of_reader(&file)?;
            file.rewind()?;
            Ok(if got == *digest { Ok(file) } else { Err(format!("its sha256 is {got}")) })
        };
        match read() {
            Ok(Ok(file)) => Ok(file),
            Ok(Err(why)) => Err(self.reject_blob(digest, why)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(StoreError::io("open", &path)(error)),
            Err(error) => match blame(error) {
                Ok(why) => Err(self.reject_blob(digest, why)),
                Err(error) => Err(StoreError::io("read", &path)(error)),
            },
        }
    }

    /// Opens a blob whose content the caller checks against its name.
    pub fn open_unchecked(&self, digest: &Digest) -> io::Result<File> {
        open_regular(&self.blob_path(digest))
    }

    /// Reads a blob and checks its content against its name.
    pub fn check_blob(&self, digest: &Digest) -> Result<BlobState, StoreError> {
        match self.open_blob(digest) {
            Ok(file) => {
                let size = file.metadata().map_err(StoreError::io("read", &self.blob_path(digest)))?.len();
                Ok(BlobState::Sound(size))
            }
            Err(StoreError::Damaged(damage)) => Ok(BlobState::Damaged(*damage)),
            Err(StoreError::Io(PathError { source, .. })) if source.kind() == io::ErrorKind::NotFound => {
                Ok(BlobState::Missing)
            }
            Err(error) => Err(error),
        }
    }

    /// The file of an intact blob: it was read after it last changed, as recorded in `checked/`, or is read now.
    pub fn verified_blob(&self, digest: &Digest) -> Result<PathBuf, StoreError> {
        let path = self.blob_path(digest);
        let record = sharded(&self.root.join("checked"), &digest.to_string());
        let stamp = || fs::symlink_metadata(&path).map(|metadata| Stamp::of(&metadata)).ok();
        if let Some(stamp) = stamp()
            && read_text(&record, LONG).is_ok_and(|text| text == stamp.to_string())
        {
            self.note_use_of_blob(digest);
            return Ok(path);
        }
        let begin = SystemTime::now();
        let file = self.open_blob(digest)?;
        let stamp = Stamp::of(&file.metadata().map_err(StoreError::io("read", &path))?);
        if stamp.is_settled(begin) {
            // If the record can't be written the blob is just read again later.
            let _ = record.parent().map(fs::create_dir_all);
            let _ = fs::write(&record, stamp.to_string());
        }
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_object_is_to_blame_for_counts_as_its_damage() {
        for errno in [Errno::ELOOP, Errno::EACCES, Errno::EIO] {
            assert!(blame(errno.into()).is_ok(), "{errno}");
        }
        assert!(blame(io::Error::new(io::ErrorKind::InvalidData, "not UTF-8")).is_ok());
        for errno in [Errno::EMFILE, Errno::ENOMEM, Errno::EINTR, Errno::ENOENT] {
            assert!(blame(errno.into()).is_err(), "{errno}");
        }
        assert!(blame(io::Error::other(crate::interrupt::Interrupted)).is_err());
    }

    #[test]
    fn a_blob_is_read_again_only_after_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let digest = store.add_bytes(b"hello").unwrap();
        let record = sharded(&store.root.join("checked"), &digest.to_string());
        while !record.exists() {
            store.verified_blob(&digest).unwrap();
            std::thread::yield_now();
        }
        let path = store.verified_blob(&digest).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "hellp").unwrap();
        assert!(matches!(store.verified_blob(&digest), Err(StoreError::Damaged(_))));
        assert_eq!(store.check_blob(&digest).unwrap(), BlobState::Missing);
        store.add_bytes(b"hello").unwrap();
        assert_eq!(store.check_blob(&digest).unwrap(), BlobState::Sound(5));
        // A truncated or forged record is ignored.
        fs::write(&record, "").unwrap();
        store.verified_blob(&digest).unwrap();
    }
}
