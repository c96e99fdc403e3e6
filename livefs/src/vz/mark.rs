//! Marks of running containers: `/vz/running/CTID`, read when the machine starts again.
//!
//! A start and a stop each change one, and it has to be on the disk before they end. The change is a word of fixed
//! length within the file: a journaling file system writes that in place and completely, without the journal, whereas
//! creating or removing a file has to wait for the journal.

use crate::durable::sync_folder;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// The word for a container that is running, or was when the power failed. A file without a word, as a full disk leaves
/// it, means the same.
const RUNS: &str = "running\n";
/// The word for one that was stopped on purpose.
const STOPPED: &str = "stopped\n";

/// Whether a mark says that its container is running. An unreadable one does: better start one too many than miss one.
pub fn runs(path: &Path) -> bool {
    match fs::read(path) {
        Ok(text) => text != STOPPED.as_bytes(),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Marks a container as running. The caller has to [`settle`] that.
///
/// # Errors
/// The mark can't be created.
pub fn set(path: &Path) -> io::Result<()> {
    match write(path, RUNS) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().unwrap_or(path);
            fs::create_dir_all(folder)?;
            // If there is no space for a word, there may be some for an empty file.
            if fs::write(path, RUNS).is_err() {
                File::create(path)?;
            }
            sync_folder(folder)
        }
        done => done,
    }
}

/// Marks a container as stopped on purpose, flushed to disk. One without a mark has never run.
///
/// # Errors
/// The mark can't be changed.
pub fn clear(path: &Path) -> io::Result<()> {
    match write(path, STOPPED).and_then(|()| settle(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) => remove(path),
        Ok(()) => Ok(()),
    }
}

/// Flushes a mark to disk.
///
/// # Errors
/// Errors of the disk.
pub fn settle(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_data()
}

/// Removes a mark, if it exists.
///
/// # Errors
/// It can't be removed.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.and_then(|()| sync_folder(path.parent().unwrap_or(path))),
    }
}

/// Changes the word in place; no file is created.
fn write(path: &Path, word: &str) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    File::options().write(true).open(path)?.write_all_at(word.as_bytes(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_changes_in_place() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("running/101");
        clear(&path).unwrap();
        assert!(!runs(&path) && !path.exists());
        set(&path).unwrap();
        assert!(runs(&path));
        let about = fs::metadata(&path).unwrap();
        clear(&path).unwrap();
        assert!(!runs(&path));
        set(&path).unwrap();
        let now = fs::metadata(&path).unwrap();
        assert!(runs(&path) && (now.ino(), now.len()) == (about.ino(), about.len()));
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!runs(&path));
    }

    #[test]
    fn an_empty_one_says_that_it_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("101");
        fs::write(&path, "").unwrap();
        assert!(runs(&path));
        clear(&path).unwrap();
        assert!(!runs(&path));
    }
}
