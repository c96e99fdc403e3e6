//! The dump of a suspended container: a folder, `/vz/dump/Dump.CTID` unless told otherwise. It exists as long as it is
//! what the container continues from:
//!
//! | name | what it is |
//! |---|---|
//! | `.Dump.101.new` | being written; the container's processes still exist, frozen |
//! | `Dump.101` | complete, on the disk together with the container's files; the processes are killed after that |
//! | `.Dump.101.resumed` | the container runs on: no longer valid, as its files change from then on |
//! | `.Dump.101.moving.new` | is copied to another machine while it is written |
//! | `Dump.101.failed` | set aside when it could not be restored and the container was started anew |
//!
//! Each change of the name is one rename, so that a power cut leaves either the running container, which then starts
//! anew as after any power cut, or the suspended one.

use super::context::Vz;
use super::exit::{Error, Result};
use crate::container::checkpoint::NOTES;
use crate::durable::{sync_folder, unfinished};
use nix::unistd::syncfs;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The folder of dumps, unless `vz.conf` has `DUMPDIR`.
const FOLDER: &str = "/vz/dump";

impl Vz {
    /// The folder of dumps: `DUMPDIR`.
    pub fn dump_folder(&self, id: u32) -> PathBuf {
        self.paths.at(self.general(&["DUMPDIR"], id).get("DUMPDIR").unwrap_or(FOLDER))
    }

    /// Where a container's dump is, unless `--dumpfile` says otherwise.
    pub fn dump_place(&self, id: u32) -> PathBuf {
        self.dump_folder(id).join(format!("Dump.{id}"))
    }

    /// Where the dump of a container is written that moves to another machine. It does not become complete here.
    pub fn moving_dump(&self, id: u32) -> PathBuf {
        self.dump_folder(id).join(format!("Dump.{id}.moving"))
    }

    /// Whether a container that is not running would continue from a dump.
    pub fn is_suspended(&self, id: u32) -> bool {
        is_dump(&self.dump_place(id))
    }
}

/// Whether there is a complete dump.
pub fn is_dump(path: &Path) -> bool {
    path.join(NOTES).is_file()
}

/// Creates the folder in which a dump is written, empty, for [`commit`].
///
/// # Errors
/// Something else has the dump's name: it would be lost.
pub fn begin(path: &Path) -> Result<PathBuf> {
    let failed = |path: &Path, error| Error::Suspend(format!("Can not create dump file {}: {error}", path.display()));
    match fs::symlink_metadata(path) {
        // An empty file, as mktemp(1) makes it, is what a script has reserved for the dump.
        Ok(about) if !(is_dump(path) || about.is_file() && about.len() == 0) => {
            return Err(failed(path, io::Error::other("it exists and is not a dump")));
        }
        _ => {}
    }
    let folder = path.parent().unwrap_or(path);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| failed(folder, error))?;
    let made = unfinished(path);
    remove(&made)?;
    // Memory of every process is in it.
    DirBuilder::new().mode(0o700).create(&made).map_err(|error| failed(&made, error))?;
    Ok(made)
}

/// Gives the dump in `made` its name, once it and the container's own files are on the disk. `files` are folders on the
/// container's file systems.
///
/// # Errors
/// Errors of the disk; there is no dump then, or the earlier one.
pub fn commit(made: &Path, path: &Path, files: &[&Path]) -> Result<()> {
    for folder in files.iter().chain([&made]) {
        File::open(folder).and_then(|file| Ok(syncfs(&file)?)).map_err(|error| Error::file(folder, error))?;
    }
    let failed = |error| Error::file(path, error);
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => {
            use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
            renameat2(AT_FDCWD, made, AT_FDCWD, path, RenameFlags::RENAME_EXCHANGE)
                .map_err(|error| failed(error.into()))?;
            sync_parent(path)?;
            return remove(made);
        }
        Ok(_) => fs::remove_file(path).map_err(failed)?,
        Err(_) => {}
    }
    fs::rename(made, path).map_err(failed)?;
    sync_parent(path)
}

/// Takes a dump out of use because its container runs on; [`reinstate`] undoes that. Gives its new name.
///
/// # Errors
/// Errors of the disk.
pub fn retire(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    move_to(path, path.with_file_name(format!(".{name}.resumed")))
}

/// Brings a dump back into use.
///
/// # Errors
/// Errors of the disk.
pub fn reinstate(retired: &Path, path: &Path) -> Result<()> {
    fs::rename(retired, path).map_err(|error| Error::file(path, error))?;
    sync_parent(path)
}

/// Sets a dump aside that can't be restored. Gives its new name.
///
/// # Errors
/// Errors of the disk.
pub fn set_aside(path: &Path) -> Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    move_to(path, path.with_file_name(format!("{name}.failed")))
}

fn move_to(path: &Path, target: PathBuf) -> Result<PathBuf> {
    remove(&target)?;
    fs::rename(path, &target).map_err(|error| Error::file(path, error))?;
    sync_parent(path)?;
    Ok(target)
}

/// Removes a complete dump, if there is one: after a power cut it is there, or it is no dump.
///
/// # Errors
/// Errors of the disk.
pub fn discard(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(_) => remove(&retire(path)?),
        Err(_) => Ok(()),
    }
}

/// Removes a dump, complete or not; it is not an error if there is none.
///
/// # Errors
/// Errors of the disk.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file(path, error)),
        _ => Ok(()),
    }
}

/// Names in the folder of dumps that a power cut or a kill may have left: the container, the path, and whether the
/// container was being suspended.
pub fn interrupted(folder: &Path) -> Vec<(u32, PathBuf, bool)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf, bool)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let (id, ending) = name.strip_prefix(".Dump.")?.split_once('.')?;
            ["new", "resumed", "moving.new"].contains(&ending).then_some((
                id.parse().ok()?,
                entry.path(),
                ending == "new",
            ))
        })
        .collect();
    found.sort();
    found
}

fn sync_parent(path: &Path) -> Result<()> {
    sync_folder(path.parent().unwrap_or(path)).map_err(|error| Error::file(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_has_its_name_when_it_is_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dump/Dump.101");
        let save = |text: &str| {
            let made = begin(&path).unwrap();
            assert_eq!(fs::read_dir(&made).unwrap().count(), 0);
            fs::write(made.join(NOTES), text).unwrap();
            assert_eq!(interrupted(&folder.path().join("dump")), [(101, made.clone(), true)]);
            commit(&made, &path, &[folder.path()]).unwrap();
            assert!(is_dump(&path) && !made.exists());
        };
        save("first");
        save("second");
        assert_eq!(fs::read_to_string(path.join(NOTES)).unwrap(), "second");
        let retired = retire(&path).unwrap();
        assert!(!is_dump(&path));
        assert_eq!(interrupted(&folder.path().join("dump")), [(101, retired.clone(), false)]);
        reinstate(&retired, &path).unwrap();
        assert!(is_dump(&path));
        let moving = begin(&folder.path().join("dump/Dump.101.moving")).unwrap();
        assert_eq!(interrupted(&folder.path().join("dump")), [(101, moving.clone(), false)]);
        remove(&moving).unwrap();
        let failed = set_aside(&path).unwrap();
        assert!(failed.ends_with("Dump.101.failed") && interrupted(&folder.path().join("dump")).is_empty());
    }

    #[test]
    fn what_is_not_a_dump_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine");
        fs::write(&path, "").unwrap();
        let made = begin(&path).unwrap();
        fs::write(made.join(NOTES), "").unwrap();
        commit(&made, &path, &[]).unwrap();
        assert!(is_dump(&path), "an empty file was reserved for it");
        fs::remove_dir_all(&path).unwrap();
        fs::write(&path, "text").unwrap();
        assert!(begin(&path).unwrap_err().to_string().contains("it exists and is not a dump"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(begin(&path).is_err());
    }
}
