//! Making the root of a container with a user namespace reachable for its users.
//!
//! Containers' trees are below folders that only the host's root may enter, and the engine looks up the root as the
//! container's root, which is an ordinary user on the host. So it is mounted a second time, below a separate folder of
//! the container.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, lchown};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::vz::exit::{Error, Result};

/// Everyone may enter it, nobody may list it.
const FOLDER: &str = "/system/run/vz-users";

/// Mounts a container's root for its users. Gives the path.
///
/// # Errors
/// The kernel refused.
pub fn show(id: u32, root: &Path, (uid, gid): (u32, u32)) -> Result<PathBuf> {
    hide(id)?;
    let own = Path::new(FOLDER).join(id.to_string());
    let shown = own.join("root");
    DirBuilder::new()
        .recursive(true)
        .mode(0o711)
        .create(FOLDER)
        .map_err(|error| Error::file(Path::new(FOLDER), error))?;
    let made = DirBuilder::new().mode(0o700).create(&own).and_then(|()| fs::create_dir(&shown));
    made.and_then(|()| lchown(&own, Some(uid), Some(gid))).map_err(|error| Error::file(&own, error))?;
    mount(Some(root), &shown, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
        .map_err(|error| Error::Mount(format!("Can't mount: {}: {error}", shown.display())))?;
    Ok(shown)
}

/// Undoes that; it is not an error if there is nothing.
///
/// # Errors
/// The folders can't be removed.
pub fn hide(id: u32) -> Result<()> {
    let own = Path::new(FOLDER).join(id.to_string());
    if !own.exists() {
        return Ok(());
    }
    // The container's processes are gone, and no other process has a file open through this mount. It is not an error
    // if it is not mounted.
    let _ = umount2(&own.join("root"), MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
    fs::remove_dir(own.join("root")).and_then(|()| fs::remove_dir(&own)).map_err(|error| Error::file(&own, error))
}
