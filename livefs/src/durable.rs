//! Changes that a power cut leaves either undone or complete: files that are replaced atomically, and folders that are
//! flushed to disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Replaces a file atomically: a new one beside it, flushed to disk, then renamed, then the folder flushed to disk.
///
/// # Errors
/// The disk is full, or the folder can't be written to. The old file is then unchanged.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
    // A name that no container's file has, so that a leftover is never mistaken for one.
    let beside = folder.join(format!(".{name}.new"));
    // In a container's own folder there may be a symlink: it is removed, and a new one is not followed.
    let _ = fs::remove_file(&beside);
    let written = File::options().create_new(true).write(true).mode(mode).open(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&beside, path)) {
        let _ = fs::remove_file(&beside);
        return Err(error);
    }
    sync_folder(folder)
}

/// Flushes the entries of a folder to disk, after files were created, renamed or removed.
///
/// # Errors
/// Errors of the disk.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
