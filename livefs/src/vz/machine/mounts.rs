//! Mounts of containers' roots.

use std::path::{Path, PathBuf};

use crate::mount_table;
use crate::vz::exit::{Error, Result};
use crate::vz::node::{Mount, MountSource};

/// Whether something is mounted at a path. Determined from the path itself: the table of mounts is long if many
/// containers are running.
pub(super) fn is_mounted(path: &Path) -> Result<bool> {
    use nix::libc;
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::CString::new(path.as_os_str().as_bytes()).map_err(|_| nix::Error::EINVAL)?;
    // SAFETY: all fields are integers, for which zero is a value; the name is a C string, and the call writes the structure.
    let (done, about) = unsafe {
        let mut about: libc::statx = std::mem::zeroed();
        (libc::statx(libc::AT_FDCWD, name.as_ptr(), libc::AT_NO_AUTOMOUNT, 0, &raw mut about), about)
    };
    match nix::Error::result(done) {
        Err(nix::Error::ENOENT | nix::Error::ENOTDIR) => Ok(false),
        Err(error) => Err(Error::file(path, error.into())),
        Ok(_) => Ok(about.stx_attributes & libc::STATX_ATTR_MOUNT_ROOT as u64 != 0),
    }
}

/// All mount points at a folder and below, in the order in which they were mounted.
pub(super) fn mounted_below(path: &Path) -> Result<Vec<PathBuf>> {
    let mut points = mount_table::points().map_err(|error| Error::file(Path::new(mount_table::FILE), error))?;
    points.retain(|point| point.starts_with(path));
    Ok(points)
}

pub(super) fn make(mount: &Mount) -> Result<()> {
    use nix::mount::{MsFlags, mount as call};
    let failed = |what: String| move |error: nix::Error| Error::Mount(format!("Can't mount: {what}: {error}"));
    let target = &mount.target;
    let none = None::<&str>;
    match &mount.source {
        MountSource::Bind(source) => {
            let what = || format!("{} {}", target.display(), source.display());
            call(Some(source), target, none, MsFlags::MS_BIND, none).map_err(failed(what()))?;
            if mount.read_only {
                let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
                call(none, target, none, flags, none).map_err(failed(what()))?;
            }
        }
        MountSource::Overlay { lower, upper, metacopy } => {
            let list: Vec<String> = lower.iter().map(|path| path.display().to_string()).collect();
            let mut data = format!("lowerdir={}", list.join(":"));
            if let Some((upper, work)) = upper {
                data += &format!(",upperdir={},workdir={}", upper.display(), work.display());
            }
            if *metacopy {
                data += ",metacopy=on";
            }
            let flags = if mount.read_only { MsFlags::MS_RDONLY } else { MsFlags::empty() };
            call(Some("overlay"), target, Some("overlay"), flags, Some(data.as_str())).map_err(failed(data.clone()))?;
        }
        MountSource::Image(image, options) => {
            let (mut flags, data) = split(options);
            flags.set(MsFlags::MS_RDONLY, mount.read_only || flags.contains(MsFlags::MS_RDONLY));
            // Open until it is mounted: the device goes with its last user.
            let (_device, path) = super::image::attach(image, mount.read_only)?;
            call(Some(&path), target, Some("ext4"), flags, Some(data.as_str())).map_err(failed(format!(
                "{} {}",
                target.display(),
                image.display()
            )))?;
        }
    }
    Ok(())
}

/// Options as mount(8) takes them: those that are flags of the call, and those that are the file system's.
fn split(options: &str) -> (nix::mount::MsFlags, String) {
    use nix::mount::MsFlags;
    let (mut flags, mut data) = (MsFlags::empty(), Vec::new());
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => flags |= MsFlags::MS_RDONLY,
            "nosuid" => flags |= MsFlags::MS_NOSUID,
            "nodev" => flags |= MsFlags::MS_NODEV,
            "noexec" => flags |= MsFlags::MS_NOEXEC,
            "sync" => flags |= MsFlags::MS_SYNCHRONOUS,
            "dirsync" => flags |= MsFlags::MS_DIRSYNC,
            "noatime" => flags |= MsFlags::MS_NOATIME,
            "nodiratime" => flags |= MsFlags::MS_NODIRATIME,
            "relatime" => flags |= MsFlags::MS_RELATIME,
            "strictatime" => flags |= MsFlags::MS_STRICTATIME,
            // What is so anyway.
            "defaults" | "rw" | "suid" | "dev" | "exec" | "async" => {}
            other => data.push(other),
        }
    }
    (flags, data.join(","))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn a_mount_point_is_known() {
        let folder = tempfile::tempdir().unwrap();
        assert!(super::is_mounted(Path::new("/proc")).unwrap());
        assert!(!super::is_mounted(folder.path()).unwrap());
        assert!(!super::is_mounted(&folder.path().join("none")).unwrap());
    }

    #[test]
    fn options_of_a_mount() {
        use nix::mount::MsFlags;
        let (flags, data) = super::split("noatime,data=ordered,,rw,discard");
        assert_eq!((flags, data.as_str()), (MsFlags::MS_NOATIME, "data=ordered,discard"));
        assert_eq!(super::split(""), (MsFlags::empty(), String::new()));
    }
}
