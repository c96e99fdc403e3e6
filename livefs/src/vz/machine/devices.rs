//! Devices of the host by name and number: those that a container may use, and the disk whose input and output is
//! limited.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::container::limits::{IoMax, Max};
use crate::container::spec::DeviceAccess;
use crate::vz::exit::{Error, Result};
use crate::vz::spec::Spec;

/// `r` and `w` of vzctl's letters; `q` concerns quotas, which need no permission here.
fn access(letters: &str) -> String {
    letters.chars().filter(|letter| "rw".contains(*letter)).collect()
}

/// The devices of a container, those with a name as nodes in its `/dev`.
///
/// # Errors
/// [`Error::Device`]: the host has none of that name.
pub fn resolve(spec: &Spec) -> Result<Vec<DeviceAccess>> {
    let mut all = Vec::new();
    for (name, letters) in &spec.devnodes {
        let path = Path::new("/dev").join(name);
        let data = fs::metadata(&path).map_err(|error| Error::Device(format!("Unable to give {name}: {error}")))?;
        let kind = data.file_type();
        if !kind.is_block_device() && !kind.is_char_device() {
            return Err(Error::Device(format!("{} is not a device", path.display())));
        }
        let number = |part: u64| u32::try_from(part).unwrap_or(u32::MAX);
        let (major, minor) = (nix::sys::stat::major(data.rdev()), nix::sys::stat::minor(data.rdev()));
        let (major, minor) = (number(major), Some(number(minor)));
        all.push(DeviceAccess {
            path: Some(path),
            block: kind.is_block_device(),
            major,
            minor,
            access: access(letters),
        });
    }
    all.extend(spec.devices.iter().filter(|device| device.permissions != "none").map(|device| DeviceAccess {
        path: None,
        block: device.kind == 'b',
        major: device.major,
        minor: device.minor,
        // It may also create nodes for what it may use.
        access: access(&device.permissions) + "m",
    }));
    Ok(all)
}

/// The limits of input and output, for the disk that holds the private area.
///
/// # Errors
/// The private area can't be read.
pub fn io_limits(spec: &Spec) -> Result<Vec<IoMax>> {
    let Some((folder, mut major, mut minor)) = super::disk_of(&spec.private)? else { return Ok(Vec::new()) };
    if folder.join("partition").exists() {
        // The kernel limits whole disks.
        let whole = fs::canonicalize(&folder).ok().and_then(|path| path.parent().map(PathBuf::from));
        let text = whole.and_then(|path| fs::read_to_string(path.join("dev")).ok()).unwrap_or_default();
        if let Some((one, two)) = text.trim().split_once(':') {
            if let (Ok(one), Ok(two)) = (one.parse(), two.parse()) {
                (major, minor) = (one, two);
            }
        }
    }
    let max = |limit: Option<u64>| limit.map_or(Max::Unlimited, Max::Of);
    let (bytes, operations) = (max(spec.limits.io_rate), max(spec.limits.io_operations));
    Ok(vec![IoMax { major, minor, bytes, operations }])
}
