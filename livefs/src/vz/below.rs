//! Accessing files of a container's root from outside: symlinks are resolved within that root, whatever its owner has
//! made of them.

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

/// The file by which a dbcolinux system reports that it has started (its rcS creates it).
pub const STARTED: &str = "system/var/started";

/// Whether a file exists.
pub fn is_file(root: &Path, name: &Path) -> bool {
    let found = open(root, name, OFlag::O_PATH).ok().map(File::from);
    found.and_then(|file| file.metadata().ok()).is_some_and(|about| about.is_file())
}

/// A folder.
///
/// # Errors
/// It does not exist.
pub fn folder(root: &Path, name: &Path) -> io::Result<OwnedFd> {
    open(root, name, OFlag::O_PATH | OFlag::O_DIRECTORY)
}

/// Removes a file; if the name itself is a link it is not followed.
///
/// # Errors
/// It does not exist, or can't be removed.
pub fn remove(root: &Path, name: &Path) -> io::Result<()> {
    let (Some(folder), Some(file)) = (name.parent(), name.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = self::folder(root, folder)?;
    Ok(nix::unistd::unlinkat(&folder, file, nix::unistd::UnlinkatFlags::NoRemoveDir)?)
}

fn open(root: &Path, name: &Path, flags: OFlag) -> io::Result<OwnedFd> {
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    Ok(openat2(File::open(root)?, name, how)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_of_a_root_stay_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("usr/sbin")).unwrap();
        fs::write(root.join("usr/sbin/init"), "").unwrap();
        symlink("/usr/sbin", root.join("sbin")).unwrap();
        symlink("/proc/self/exe", root.join("sh")).unwrap();
        assert!(is_file(&root, Path::new("/sbin/init")));
        assert!(!is_file(&root, Path::new("/sh")), "it exists on the host alone");
        assert!(!is_file(&root, Path::new("/usr/sbin")), "a folder");
    }

    #[test]
    fn what_is_removed_is_in_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let (root, host) = (folder.path().join("root"), folder.path().join("host"));
        fs::create_dir_all(root.join("system")).unwrap();
        fs::create_dir_all(&host).unwrap();
        fs::write(host.join("started"), "").unwrap();
        symlink(&host, root.join("system/var")).unwrap();
        remove(&root, Path::new(STARTED)).unwrap_err();
        assert!(host.join("started").exists());
        fs::remove_file(root.join("system/var")).unwrap();
        fs::create_dir(root.join("system/var")).unwrap();
        fs::write(root.join(STARTED), "").unwrap();
        remove(&root, Path::new(STARTED)).unwrap();
        assert!(!root.join(STARTED).exists());
    }
}
