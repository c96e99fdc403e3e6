//! Where the engine's program is run from.
//!
//! A process inside a container can reach the program of an engine that joins it, through `/proc/PID/exe`, and could
//! write to it, if crun did not prevent that: it makes a read-only mount of itself and runs a second time from there,
//! at each call (CVE-2019-5736). Here the mount is made once and stays, which is as safe: nobody outside the host's
//! mount namespace can make it writable again.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::{FsFlags, statvfs};

/// The path to run `program` from: a read-only mount of it in `folder`, if it exists or can be made, otherwise its own.
pub(super) fn path(program: &Path, folder: &Path) -> PathBuf {
    let mounted = folder.join("engine");
    if is_mounted(program, &mounted) || make(program, &mounted) { mounted } else { program.to_owned() }
}

/// Whether the mount exists, and is not of a program that was replaced since.
fn is_mounted(program: &Path, mounted: &Path) -> bool {
    let file = |path: &Path| fs::metadata(path).map(|data| (data.dev(), data.ino())).ok();
    let read_only = || statvfs(mounted).is_ok_and(|about| about.flags().contains(FsFlags::ST_RDONLY));
    file(mounted).is_some_and(|mounted| Some(mounted) == file(program)) && read_only()
}

/// Makes the mount, unless another process has made it, is about to, or has failed to: then the file for it exists.
fn make(program: &Path, mounted: &Path) -> bool {
    if OpenOptions::new().write(true).create_new(true).open(mounted).is_err() {
        return false;
    }
    let none = None::<&Path>;
    if mount(Some(program), mounted, none, MsFlags::MS_BIND, none).is_err() {
        return false;
    }
    let sealed = mount(none, mounted, none, MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY, none).is_ok();
    if !sealed {
        // It is not run from there.
        let _ = umount2(mounted, MntFlags::MNT_DETACH);
    }
    sealed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_no_mount_and_a_failure_leaves_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, "").unwrap();
        let mounted = folder.path().join("engine");
        fs::write(&mounted, "").unwrap();
        assert_eq!(path(&program, folder.path()), program);
        // The same file, but it can be written to.
        fs::remove_file(&mounted).unwrap();
        fs::hard_link(&program, &mounted).unwrap();
        assert_eq!(path(&program, folder.path()), program);
        assert_eq!(path(&program, Path::new("/nowhere")), program);
    }
}
