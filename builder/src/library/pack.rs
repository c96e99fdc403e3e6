//! The library as an archive. This file is part of the build script, too.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The folders of a checkout that are the library.
pub const FOLDERS: [&str; 3] = ["kernel-config", "livefs", "recipes"];

/// What cargo leaves in the folder of a crate.
const TARGET: &str = "target";

/// Which files are packed.
#[derive(Clone, Copy, PartialEq)]
pub enum Part {
    /// All.
    #[allow(dead_code, reason = "outside of tests only the build script packs all")]
    All,
    /// Without the lock, which changes when the library itself is developed, and what it pins is in projects' locks.
    Pinned,
}

/// The lock of the library.
const LOCK: &str = "recipes/dbco.lock";

/// Writes the library of a checkout as an uncompressed tar archive: files, folders and symbolic links in the order of
/// their paths. Modes are 755 or 644, times and owners 0, so equal content gives equal bytes.
///
/// # Errors
/// A file can't be read, or there is something else than files, folders and links; the message has its path.
pub fn pack(checkout: &Path, part: Part, out: impl Write) -> io::Result<()> {
    let mut archive = tar::Builder::new(out);
    for folder in FOLDERS {
        add(&mut archive, checkout, part, Path::new(folder))?;
    }
    archive.into_inner()?.flush()
}

fn add(archive: &mut tar::Builder<impl Write>, checkout: &Path, part: Part, name: &Path) -> io::Result<()> {
    let path = checkout.join(name);
    let at = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let metadata = fs::symlink_metadata(&path).map_err(at)?;
    let mut header = tar::Header::new_ustar();
    header.set_mtime(0);
    header.set_size(0);
    if metadata.is_symlink() {
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(0o777);
        return archive.append_link(&mut header, name, fs::read_link(&path).map_err(at)?);
    }
    let is_program = metadata.permissions().mode() & 0o100 != 0;
    header.set_mode(if is_program { 0o755 } else { 0o644 });
    if metadata.is_file() {
        let content = fs::read(&path).map_err(at)?;
        header.set_size(content.len() as u64);
        return archive.append_data(&mut header, name, content.as_slice());
    }
    if !metadata.is_dir() {
        return Err(at(io::Error::other("expected a file, a folder or a symbolic link")));
    }
    header.set_entry_type(tar::EntryType::Directory);
    archive.append_data(&mut header, name, io::empty())?;
    let entries = fs::read_dir(&path).map_err(at)?.collect::<io::Result<Vec<_>>>().map_err(at)?;
    let mut names: Vec<PathBuf> = entries.iter().map(|entry| name.join(entry.file_name())).collect();
    names.sort();
    let is_crate = path.join("Cargo.toml").is_file();
    let is_made = |name: &PathBuf| is_crate && name.file_name() == Some(OsStr::new(TARGET));
    let is_left_out = |name: &PathBuf| part == Part::Pinned && name == Path::new(LOCK);
    names.retain(|name| !is_made(name) && !is_left_out(name));
    names.iter().try_for_each(|name| add(archive, checkout, part, name))
}
