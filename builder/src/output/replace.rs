//! Replacing an output folder by a new one, and removing only what dbco wrote.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::OutputError;
use super::folder::{FolderScanner, read_text};
use super::mark::{self, FileDigests, MARK, SUMS, UNFINISHED};
use crate::digest::{Digest, Hasher, copy};
use crate::inherited::for_user;
use crate::path_error::FromPathError as _;
use crate::store::{Store, StoreError, open_regular};

/// The name prefix of folders that are about to replace an output folder, or were replaced.
const PREFIX: &str = ".dbco-outputs-";

/// A folder that is being filled, beside the one that it will replace. It is locked while this value exists, and
/// removed with it unless it was moved into place.
pub struct StagingFolder {
    path: PathBuf,
    _lock: Option<File>,
}

impl StagingFolder {
    /// Creates a folder with these files, each read from the store and checked against its digest.
    pub fn fill(parent: &Path, products: &FileDigests, store: &Store) -> Result<Self, OutputError> {
        let text = mark::sums(products);
        let mut files = products.clone();
        files.insert(SUMS.to_owned(), (Digest::of(&text), text.len() as u64));
        let fresh = Self::make(parent)?;
        // Only while it is being filled: once it is in place, its path is that of the old folder.
        let _left = crate::interrupt::Temporary::new(&fresh.path);
        fresh.put(UNFINISHED, mark::format(&files).as_bytes())?;
        for (name, (digest, _)) in products {
            let path = fresh.path.join(name);
            let mut from = store.open_unchecked(digest).map_err(StoreError::io("open", &store.blob_path(digest)))?;
            let mut to = Hasher::new(for_user(|| File::create(&path)).map_err(OutputError::io("write", &path))?);
            copy(&mut from, &mut to).map_err(OutputError::io("write", &path))?;
            let (got, _, to) = to.into_parts();
            if got != *digest {
                return Err(store.reject_blob(digest, format!("its sha256 is {got}")).into());
            }
            to.sync_data().map_err(OutputError::io("write", &path))?;
        }
        fresh.put(SUMS, text.as_bytes())?;
        fresh.put(MARK, mark::format(&files).as_bytes())?;
        let unfinished = fresh.path.join(UNFINISHED);
        fs::remove_file(&unfinished).map_err(OutputError::io("remove", &unfinished))?;
        Ok(fresh)
    }

    fn make(parent: &Path) -> Result<Self, OutputError> {
        loop {
            let mut builder = tempfile::Builder::new();
            builder.prefix(PREFIX).rand_bytes(12).permissions(fs::Permissions::from_mode(0o755));
            let path =
                for_user(|| builder.tempdir_in(parent)).map_err(OutputError::io("make a folder in", parent))?.keep();
            let lock = match File::open(&path) {
                // A sweep removed it while it was empty.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                lock => lock.map_err(OutputError::io("open", &path))?,
            };
            // Where there are no locks (some network file systems), nothing is swept either.
            match lock.try_lock() {
                // A sweep locked it first, and removes it.
                Err(fs::TryLockError::WouldBlock) => continue,
                locked => {
                    if path.exists() {
                        return Ok(Self { path, _lock: locked.is_ok().then_some(lock) });
                    }
                }
            }
        }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), OutputError> {
        let path = self.path.join(name);
        let done = for_user(|| File::create(&path)).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_data()
        });
        done.map_err(OutputError::io("write", &path))
    }

    /// Moves this folder into place. The previous content is removed as far as it is dbco's and unedited; the rest is
    /// kept in a folder beside it, whose path is returned.
    pub fn move_into_place(self, looker: &mut FolderScanner, store: &Store) -> Result<Option<PathBuf>, OutputError> {
        let folder = looker.path().to_owned();
        match exchange(&self.path, &folder)? {
            None => Ok(None),
            Some(old) => retire(&old, &folder, looker, store),
        }
    }
}

impl Drop for StagingFolder {
    fn drop(&mut self) {
        clear(&self.path);
    }
}

/// Renames `new` to `folder` atomically; gives the path at which the previous folder is now.
fn exchange(new: &Path, folder: &Path) -> Result<Option<PathBuf>, OutputError> {
    match renameat2(AT_FDCWD, new, AT_FDCWD, folder, RenameFlags::RENAME_NOREPLACE) {
        Ok(()) => return Ok(None),
        Err(Errno::EEXIST) => match renameat2(AT_FDCWD, new, AT_FDCWD, folder, RenameFlags::RENAME_EXCHANGE) {
            Ok(()) => return Ok(Some(new.to_owned())),
            Err(Errno::EINVAL | Errno::ENOSYS) => {}
            Err(error) => return Err(OutputError::io("replace", folder)(error.into())),
        },
        Err(Errno::EINVAL | Errno::ENOSYS) => {}
        Err(error) => return Err(OutputError::io("write", folder)(error.into())),
    }
    // A file system without these flags (some network file systems): the gap between the two renames is short.
    if fs::symlink_metadata(folder).is_err() {
        fs::rename(new, folder).map_err(OutputError::io("write", folder))?;
        return Ok(None);
    }
    let old = new.with_extension("old");
    fs::rename(folder, &old).map_err(OutputError::io("replace", folder))?;
    fs::rename(new, folder).map_err(OutputError::io("write", folder))?;
    Ok(Some(old))
}

/// Removes from the old folder what dbco wrote; keeps the rest as `<folder>.edited`, with a number appended if that
/// exists.
fn retire(
    old: &Path,
    folder: &Path,
    looker: &mut FolderScanner,
    store: &Store,
) -> Result<Option<PathBuf>, OutputError> {
    // No sweep may lock it while it is examined; one that holds the lock now removes what is dbco's.
    let lock = match File::open(old) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        lock => lock.map_err(OutputError::io("open", old))?,
    };
    let _locked = lock.lock();
    let found = looker.look_at(old, store)?;
    // Another writer may sweep the same folder, as it is no longer in place.
    let gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let remove = |name: &str| {
        let path = old.join(name);
        match fs::remove_file(&path) {
            Err(error) if !gone(&error) => Err(OutputError::io("remove", &path)(error)),
            _ => Ok(()),
        }
    };
    for name in found.unchanged.keys() {
        remove(name)?;
    }
    if found.marked {
        remove(MARK)?;
    }
    match fs::remove_dir(old) {
        Ok(()) => return Ok(None),
        Err(error) if gone(&error) => return Ok(None),
        Err(_) => {}
    }
    let name = folder.file_name().unwrap_or_default().to_os_string();
    for number in 1.. {
        let mut kept = name.clone();
        kept.push(if number == 1 { ".edited".to_owned() } else { format!(".edited.{number}") });
        let kept = folder.with_file_name(kept);
        match renameat2(AT_FDCWD, old, AT_FDCWD, &kept, RenameFlags::RENAME_NOREPLACE) {
            Ok(()) => return Ok(Some(kept)),
            Err(Errno::EEXIST) => {}
            Err(Errno::EINVAL | Errno::ENOSYS) if fs::symlink_metadata(&kept).is_ok() => {}
            Err(Errno::EINVAL | Errno::ENOSYS) => {
                fs::rename(old, &kept).map_err(OutputError::io("keep", old))?;
                return Ok(Some(kept));
            }
            Err(error) => return Err(OutputError::io("keep", old)(error.into())),
        }
    }
    Ok(None)
}

/// Removes what interrupted writers left in `parent`: only folders with a mark and without a lock, and of these only
/// what the mark lists.
pub fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().as_bytes().starts_with(PREFIX.as_bytes())) {
        let path = entry.path();
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if !metadata.is_dir() {
            continue;
        }
        let Ok(lock) = File::open(&path) else { continue };
        let same = lock.metadata().is_ok_and(|opened| opened.ino() == metadata.ino());
        if same && lock.try_lock().is_ok() {
            clear(&path);
        }
    }
}

/// Removes a folder of dbco's that is not in place. Files of a folder that was being filled may have any content; files
/// of a folder that was in place once are removed only if they hold what its mark says.
fn clear(path: &Path) {
    let marked = |name| read_text(&path.join(name)).and_then(|text| mark::parse(&text));
    if let Some(files) = marked(UNFINISHED) {
        for name in files.keys().map(String::as_str).chain([MARK, UNFINISHED]) {
            let _ = fs::remove_file(path.join(name));
        }
    } else if let Some(files) = marked(MARK) {
        let fits = |name: &str, stated: (Digest, u64)| {
            let file = open_regular(&path.join(name));
            let file = file.and_then(|file| Ok((file.metadata()?.len() == stated.1).then_some(file)));
            file.is_ok_and(|file| {
                file.is_some_and(|file| Digest::of_reader(file).is_ok_and(|content| content == stated))
            })
        };
        let mut all = true;
        for (name, stated) in files {
            match fs::symlink_metadata(path.join(&name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                _ => all &= fits(&name, stated) && fs::remove_file(path.join(&name)).is_ok(),
            }
        }
        if all {
            let _ = fs::remove_file(path.join(MARK));
        }
    }
    // Fails if something else is left, which is not dbco's.
    let _ = fs::remove_dir(path);
}
