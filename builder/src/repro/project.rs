//! A copy of a project at another path, with files in another order and with other times.

use std::ffi::OsString;
use std::fs::{self, File, FileTimes};
use std::io;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::interrupt;
use crate::recipe::Recipe;

/// Limits of a copy: bytes and files.
const MOST: (u64, usize) = (4 << 30, 500_000);

/// Marks of folders that are made from the project: caches (the CACHEDIR.TAG convention, which cargo follows), and
/// dbco's outputs.
const MADE: [&str; 2] = ["CACHEDIR.TAG", ".dbco-outputs"];

/// The modification time of the copies, in seconds since 1970: 1999-12-31.
const TIME: u64 = 946_598_400;

/// The folder to copy: the top of the repository that has the project, or the project's folder.
pub fn top(recipe: &Recipe) -> io::Result<PathBuf> {
    let project = recipe.project.canonicalize()?;
    let repository = project.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok());
    Ok(repository.unwrap_or(&project).to_owned())
}

/// What a copy may differ in, and what it leaves out.
#[derive(Clone, Copy, Debug)]
pub struct CopyStyle<'a> {
    /// The store, which may be in the project, and has the folders of the builds.
    pub without: &'a Path,
    /// Whether files are created in the reverse order of their names.
    pub reversed: bool,
    /// Whether files get other modification times.
    pub times: bool,
}

/// Copies a project: regular files, folders and symbolic links, without folders that are made from it, and without the
/// repository's data.
pub fn copy(from: &Path, to: &Path, style: CopyStyle<'_>) -> io::Result<()> {
    let mut left = MOST;
    copy_folder(from, to, style, &mut left)?;
    // The search for a project's lock ends at a repository.
    if from.join(".git").symlink_metadata().is_ok() {
        fs::create_dir(to.join(".git"))?;
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path, style: CopyStyle<'_>, left: &mut (u64, usize)) -> io::Result<()> {
    fs::create_dir_all(to)?;
    let mut names: Vec<OsString> =
        fs::read_dir(from)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<_>>()?;
    names.sort();
    if style.reversed {
        names.reverse();
    }
    for name in names.into_iter().filter(|name| name != ".git") {
        interrupt::check()?;
        let (from, to) = (from.join(&name), to.join(&name));
        let metadata = from.symlink_metadata()?;
        let size = if metadata.is_file() { metadata.size() } else { 0 };
        *left = match (left.0.checked_sub(size), left.1.checked_sub(1)) {
            (Some(bytes), Some(files)) => (bytes, files),
            _ => return Err(io::Error::other(format!("it has more than {} GiB or {} files", MOST.0 >> 30, MOST.1))),
        };
        if metadata.is_dir() {
            if from != style.without && !MADE.iter().any(|mark| from.join(mark).symlink_metadata().is_ok()) {
                copy_folder(&from, &to, style, left)?;
            }
        } else if metadata.is_symlink() {
            symlink(fs::read_link(&from)?, &to)?;
        } else if metadata.is_file() {
            fs::copy(&from, &to)?;
            let time = match style.times {
                true => SystemTime::UNIX_EPOCH + Duration::from_secs(TIME),
                false => metadata.modified()?,
            };
            File::open(&to)?.set_times(FileTimes::new().set_modified(time))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_files_and_not_what_was_made_from_them() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("project"), folder.path().join("a/copy"));
        for name in
            ["a.yaml", "overlay/x", "target/CACHEDIR.TAG", "out/small/.dbco-outputs", ".git/HEAD", "cache/format"]
        {
            fs::create_dir_all(from.join(name).parent().unwrap()).unwrap();
            fs::write(from.join(name), name).unwrap();
        }
        symlink("x", from.join("overlay/link")).unwrap();
        copy(&from, &to, CopyStyle { without: &from.join("cache"), reversed: true, times: true }).unwrap();
        assert_eq!(fs::read_to_string(to.join("overlay/x")).unwrap(), "overlay/x");
        assert_eq!(fs::read_link(to.join("overlay/link")).unwrap(), Path::new("x"));
        assert!(to.join("a.yaml").metadata().unwrap().mtime() < 1_000_000_000);
        assert!(!to.join("target").exists() && !to.join("cache").exists() && !to.join("out/small").exists());
        assert!(to.join(".git").is_dir() && !to.join(".git/HEAD").exists());
    }
}
