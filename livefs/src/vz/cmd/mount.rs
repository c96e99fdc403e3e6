//! `mount`, `umount`, `status`, `quotaon`, `quotaoff`, `quotainit`.

use super::call::Call;
use super::host::host_script;
use crate::vz::below;
use crate::vz::context::{Ct, Vz};
use crate::vz::disk::make_folder;
use crate::vz::exit::{Error, Result};
use crate::vz::suspended::Operation;
use std::path::Path;

/// Mounts a container's root: `vps.premount`, `CTID.premount`, the mounts, `vps.mount`, `CTID.mount`. A failing script
/// undoes everything.
///
/// An image is looked at before, if `fsck` says so.
///
/// # Errors
/// The private area is missing or damaged, a script failed, the kernel refused.
pub fn mount_root(vz: &Vz, ct: &Ct, fsck: bool) -> Result<()> {
    let (private, root) = (vz.paths.at(ct.config.path("VE_PRIVATE")?), vz.paths.at(ct.config.path("VE_ROOT")?));
    if vz.node.is_mounted(&root)? {
        return Err(Error::Mounted("Container is already mounted".into()));
    }
    host_script(vz, ct.id, "vps.premount")?;
    host_script(vz, ct.id, &format!("{}.premount", ct.id))?;
    if !private.is_dir() {
        return Err(Error::NoPrivate(private));
    }
    let area = ct.layout(&private)?.area();
    let mounts = area.mounts(&private, &root, ct.config.get("MOUNT_OPTS"))?;
    if fsck {
        area.check(&*vz.node, &private)?;
    }
    make_folder(&root)?;
    vz.node.mount(&mounts)?;
    let after = host_script(vz, ct.id, "vps.mount").and_then(|()| host_script(vz, ct.id, &format!("{}.mount", ct.id)));
    if let Err(error) = after {
        vz.node.umount(&root)?;
        return Err(error);
    }
    vz.log.info("Container is mounted");
    Ok(())
}

/// Unmounts a container's root: `CTID.umount`, `vps.umount`, the mounts, `CTID.postumount`, `vps.postumount`.
///
/// # Errors
/// It is running or not mounted, a script failed, something is in use below.
pub fn umount_root(vz: &Vz, ct: &Ct) -> Result<()> {
    let root = vz.paths.at(ct.config.path("VE_ROOT")?);
    if !vz.node.is_mounted(&root)? {
        return Err(Error::NotMounted("CT is not mounted".into()));
    }
    if vz.node.is_running(ct.id)? {
        return Err(Error::Running("Container is running -- stop it first".into()));
    }
    host_script(vz, ct.id, &format!("{}.umount", ct.id))?;
    host_script(vz, ct.id, "vps.umount")?;
    // Cleanup that would otherwise delay the next start.
    let _ = below::remove(&root, Path::new(below::STARTED));
    vz.node.umount(&root)?;
    if let Some(private) = ct.config.get("VE_PRIVATE").map(|private| vz.paths.at(private)) {
        if let Ok(layout) = ct.layout(&private) {
            layout.area().unmounted(&private);
        }
    }
    vz.log.info("Container is unmounted");
    host_script(vz, ct.id, &format!("{}.postumount", ct.id))?;
    host_script(vz, ct.id, "vps.postumount")
}

pub(super) fn mount_command(vz: &Vz, call: &Call) -> Result<u8> {
    call.no_arguments()?;
    let ct = vz.container(call.id)?;
    if vz.node.is_mounted(&vz.paths.at(ct.config.path("VE_ROOT")?))? {
        vz.log.error("Container is already mounted");
        return Ok(0);
    }
    vz.ask(ct.id, Operation::Mount)?;
    mount_root(vz, &ct, true).map(|()| 0)
}

pub(super) fn umount_command(vz: &Vz, call: &Call) -> Result<u8> {
    call.no_arguments()?;
    umount_root(vz, &vz.container(call.id)?).map(|()| 0)
}

/// `CTID 101 exist mounted running`
pub(super) fn status(vz: &Vz, call: &Call) -> Result<u8> {
    call.no_arguments()?;
    let ct = vz.container(call.id)?;
    let (private, root) = (vz.paths.at(ct.config.path("VE_PRIVATE")?), vz.paths.at(ct.config.path("VE_ROOT")?));
    let exists = ct.file.is_some() && private.is_dir();
    let running = vz.node.is_running(ct.id)?;
    let suspended = if running { vz.node.is_frozen(ct.id)? } else { exists && vz.is_suspended(ct.id) };
    let word = |is: bool, yes: &'static str, no: &'static str| if is { yes } else { no };
    vz.log.print(format_args!(
        "CTID {} {} {} {}{}",
        ct.id,
        word(exists, "exist", "deleted"),
        word(vz.node.is_mounted(&root)?, "mounted", "unmounted"),
        word(running, "running", "down"),
        word(suspended, " suspended", ""),
    ));
    Ok(0)
}

/// `compact`: gives back what an image holds of removed files.
pub(super) fn compact(vz: &Vz, call: &Call) -> Result<u8> {
    call.no_arguments()?;
    let ct = vz.container(call.id)?;
    let (private, root) = (vz.paths.at(ct.config.path("VE_PRIVATE")?), vz.paths.at(ct.config.path("VE_ROOT")?));
    if !private.is_dir() {
        return Err(Error::NoPrivate(private));
    }
    if !ct.layout(&private)?.area().is_image() {
        vz.log.info("Compact only makes sense for ploop containers");
        return Ok(0);
    }
    vz.ask(ct.id, Operation::Compact)?;
    let mounted = vz.node.is_mounted(&root)?;
    if !mounted {
        mount_root(vz, &ct, true)?;
    }
    let done = vz.node.trim(&root);
    if !mounted {
        umount_root(vz, &ct)?;
    }
    done.map(|()| 0)
}

/// Limits of the disk on and off by hand. They are on by themselves as long as a container is mounted.
pub(super) fn quota(vz: &Vz, call: &Call) -> Result<u8> {
    call.no_arguments()?;
    let ct = vz.container(call.id)?;
    if ct.config.yes("DISK_QUOTA")? != Some(true) {
        vz.log.info("Disk quota is not enabled, skipping operation");
        let code = match call.name {
            "quotaon" => 60,
            "quotainit" => 61,
            _ => 66,
        };
        return Err(Error::Told(code));
    }
    let private = vz.paths.at(ct.config.path("VE_PRIVATE")?);
    if ct.layout(&private)?.area().is_image() {
        vz.log.info("CT is on ploop, disk quota is obsoleted, skipping operation");
        return Ok(0);
    }
    let on = call.name != "quotaoff";
    for key in ["DISKSPACE", "DISKINODES"].into_iter().filter(|_| on) {
        if ct.config.get(key).is_none() {
            return Err(Error::DiskLimitNotSet(key));
        }
    }
    vz.ask(ct.id, Operation::Quota)?;
    vz.node.quota(&ct.spec(vz)?, on)?;
    Ok(0)
}
