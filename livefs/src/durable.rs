//! Changes that a power cut leaves either undone or complete: files that are replaced atomically, and folders that are
//! flushed to disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Replaces a file atomically: a new one beside it, flushed to disk, then renamed, then the folder flushed to disk.
///
/// # Errors
/// The disk is full, or the folder can't be written to. The old file is then unchanged.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let folder = path.parent().unwrap_or(Path::new("."));
    let beside = unfinished(path);
    // In a container's own folder somebody may have put a symlink there: it is removed, and a new one is not followed.
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

/// Where a file is in the making that [`replace`] puts in the place of another: a power cut may leave it. No container's file has such a
/// name, so it is never taken for one.
pub fn unfinished(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    path.with_file_name(format!(".{name}.new"))
}

/// Brings what was made, renamed or removed in a folder to the disk.
///
/// # Errors
/// Errors of the disk.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
