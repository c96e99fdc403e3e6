//! Limits of disk space and inodes, with ext4's project quota: a container's number is its project.
//!
//! Kernel: Documentation/filesystems/ext4/, `FS_IOC_FSSETXATTR` of include/uapi/linux/fs.h, quotactl(2).

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::libc;

use crate::vz::exit::{Error, Result};
use crate::vz::spec::Spec;

/// `struct fsxattr`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct QuotaAttributes {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    cow_extent_size: u32,
    padding: [u8; 8],
}

/// FS_XFLAG_PROJINHERIT: new files below belong to the same project.
const INHERIT: u32 = 0x200;

nix::ioctl_read!(get_attributes, b'X', 31, QuotaAttributes);
nix::ioctl_write_ptr!(set_attributes, b'X', 32, QuotaAttributes);

/// PRJQUOTA of include/uapi/linux/quota.h.
const PROJECT: i32 = 2;

/// Switches the limits of a container's private area on, with the spec's values, or off. Without limits nothing is
/// done.
///
/// # Errors
/// [`Error::Quota`]: its file system does not support project quota, or refuses.
pub fn set(spec: &Spec, on: bool) -> Result<()> {
    let wanted = spec.limits.disk.is_some() || spec.limits.inodes.is_some();
    // Containers in memory are limited by the memory.
    if !wanted || super::disk_of(&spec.private)?.is_none() {
        return Ok(());
    }
    if on {
        claim(&spec.private, spec.id)?;
    }
    let mut limits = libc::dqblk { ..unsafe_zero() };
    if on {
        let none = crate::vz::conf::Pair { barrier: 0, limit: 0 };
        let (space, inodes) = (spec.limits.disk.unwrap_or(none), spec.limits.inodes.unwrap_or(none));
        // Blocks of 1024 bytes, as in vzctl.
        let bound = |amount: u64| if amount > i64::MAX as u64 { 0 } else { amount };
        (limits.dqb_bsoftlimit, limits.dqb_bhardlimit) = (bound(space.barrier), bound(space.limit));
        (limits.dqb_isoftlimit, limits.dqb_ihardlimit) = (bound(inodes.barrier), bound(inodes.limit));
    }
    limits.dqb_valid = QIF_LIMITS;
    quotactl(&spec.private, spec.id, &mut limits)
        .map_err(|error| Error::Quota(format!("Unable to set the disk quota of {}: {error}", spec.private.display())))
}

/// QIF_BLIMITS and QIF_ILIMITS of include/uapi/linux/quota.h.
const QIF_LIMITS: u32 = 1 | 4;

fn unsafe_zero() -> libc::dqblk {
    // SAFETY: all fields are integers, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

/// By the folder itself: finding the device's name would mean reading the whole table of mounts.
fn quotactl(folder: &Path, project: u32, limits: &mut libc::dqblk) -> std::result::Result<(), nix::Error> {
    let file = File::open(folder).map_err(|error| nix::Error::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
    let command = libc::QCMD(libc::Q_SETQUOTA, PROJECT);
    // SAFETY: the structure is the one that Q_SETQUOTA reads.
    let done =
        unsafe { libc::syscall(libc::SYS_quotactl_fd, file.as_raw_fd(), command, project, std::ptr::from_mut(limits)) };
    nix::Error::result(done).map(drop)
}

/// Makes everything below a folder, and all future files, part of a project. Files that already belong to it are not
/// changed.
fn claim(folder: &Path, project: u32) -> Result<()> {
    let failed = |error: nix::Error| {
        Error::Quota(format!(
            "Disk quota is not possible on {}: {error} (mke2fs -O quota,project; mount -o prjquota)",
            folder.display()
        ))
    };
    let file = File::open(folder).map_err(|error| Error::file(folder, error))?;
    let mut attributes = QuotaAttributes::default();
    // SAFETY: the structure is the one that the call writes.
    unsafe { get_attributes(file.as_raw_fd(), &mut attributes) }.map_err(failed)?;
    if attributes.project == project && attributes.flags & INHERIT != 0 {
        return Ok(());
    }
    let mut left = vec![folder.to_owned()];
    while let Some(path) = left.pop() {
        let data = std::fs::symlink_metadata(&path).map_err(|error| Error::file(&path, error))?;
        // For links and devices only the inode counts, and they can't be opened safely.
        if !data.is_dir() && !data.is_file() {
            continue;
        }
        let file = File::open(&path).map_err(|error| Error::file(&path, error))?;
        // SAFETY: as above.
        unsafe { get_attributes(file.as_raw_fd(), &mut attributes) }.map_err(failed)?;
        attributes.project = project;
        if data.is_dir() {
            attributes.flags |= INHERIT;
            let entries = std::fs::read_dir(&path).map_err(|error| Error::file(&path, error))?;
            left.extend(entries.flatten().map(|entry| entry.path()));
        }
        // SAFETY: the structure is the one that the call reads.
        unsafe { set_attributes(file.as_raw_fd(), &attributes) }.map_err(failed)?;
    }
    Ok(())
}
