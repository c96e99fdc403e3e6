//! Removal of a folder, whatever it contains.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// Removes a folder with all its content: any depth, any mode, with a few descriptors and constant stack. No link is
/// followed. It is not an error if the folder does not exist.
///
/// Subfolders are moved up to the top before they are emptied, so that nothing is ever more than one level away.
pub fn remove_all(path: &Path) -> io::Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    make_accessible(nix::fcntl::AT_FDCWD, path.as_os_str())?;
    let top = match nix::fcntl::open(path, flags, Mode::empty()) {
        Ok(top) => top,
        Err(Errno::ENOENT) => return Ok(()),
        // Not a folder, or a link.
        Err(Errno::ENOTDIR | Errno::ELOOP) => return std::fs::remove_file(path),
        Err(error) => return Err(error.into()),
    };
    let mut queue = Vec::new();
    let mut moved: u64 = 0;
    empty(&top, |name| {
        queue.push(name.to_owned());
        Ok(())
    })?;
    while let Some(name) = queue.pop() {
        make_accessible(&top, &name)?;
        let folder = match openat(&top, name.as_os_str(), flags, Mode::empty()) {
            // The folder whose name is reused was empty, and is gone.
            Err(Errno::ENOENT) => continue,
            other => other?,
        };
        empty(&folder, |inside| {
            make_accessible(&folder, inside)?;
            loop {
                let new = OsString::from(format!(".removed-{moved}"));
                moved += 1;
                // An existing folder of that name is itself to be removed; an empty one may be replaced.
                match renameat(&folder, inside, &top, new.as_os_str()) {
                    Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR) => continue,
                    other => other?,
                }
                queue.push(new);
                return Ok(());
            }
        })?;
        match unlinkat(&top, name.as_os_str(), UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    std::fs::remove_dir(path)
}

/// Removes the entries of a folder except for its subfolders, which are reported.
fn empty(folder: &OwnedFd, mut inside: impl FnMut(&OsStr) -> nix::Result<()>) -> nix::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let mut open = nix::dir::Dir::openat(folder, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())?;
    // All names are read first: a folder that is changed while being read may list entries twice or never.
    let names: Vec<_> =
        open.iter().map(|entry| entry.map(|entry| entry.file_name().to_owned())).collect::<Result<_, _>>()?;
    for name in names {
        let name = OsStr::from_bytes(name.to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        match unlinkat(folder, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(Errno::EISDIR | Errno::EPERM) if is_folder(folder, name)? => inside(name)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_folder(folder: &OwnedFd, name: &OsStr) -> nix::Result<bool> {
    let stat = fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    Ok(super::kind(&stat) == SFlag::S_IFDIR)
}

/// Gives the owner all permissions on a folder, if missing: they are needed to read, empty and move it.
fn make_accessible<F: std::os::fd::AsFd>(folder: F, name: &OsStr) -> nix::Result<()> {
    let stat = match fstatat(&folder, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => return Ok(()),
        other => other?,
    };
    if super::kind(&stat) != SFlag::S_IFDIR || stat.st_mode & 0o700 == 0o700 {
        return Ok(());
    }
    // Nobody else works here between the two calls; and a link has no mode of its own.
    match fchmodat(&folder, name, Mode::S_IRWXU, FchmodatFlags::FollowSymlink) {
        // A folder of another user, which a sticky or shared parent lets us remove.
        Err(Errno::EPERM) => Ok(()),
        other => other,
    }
}
