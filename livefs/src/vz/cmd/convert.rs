//! `convert`: moves a container's files into an image.
//!
//! As a creation does, a conversion writes a pending configuration once its image is complete. After a power cut [`finish`] completes
//! the conversion at the next start if there is a pending configuration; otherwise the old files stay.

use super::call::Call;
use super::mount::{mount_root, umount_root};
use super::set;
use crate::durable::sync_folder;
use crate::vz::context::{Ct, Vz};
use crate::vz::disk::{clear, make_folder, sync};
use crate::vz::exit::{Error, Result};
use crate::vz::layout::{Layout, New, beside};
use crate::vz::snapshots::Snapshots;
use crate::vz::suspended::Operation;
use crate::vz::template::Template;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The pending configuration of a container.
pub(crate) fn waiting(vz: &Vz, id: u32) -> PathBuf {
    vz.paths.conf().join(format!(".{id}.conf.converting"))
}

pub(super) fn convert(vz: &Vz, call: &Call) -> Result<u8> {
    let known = [("layout", None, true), ("ve_layout", None, true), ("velayout", None, true)];
    let given = call.only_options(&known, Error::Value)?;
    let wanted = given.options.last().map_or(Ok(Layout::Ploop), |(_, layout)| Layout::parse(layout))?;
    if wanted != Layout::Ploop {
        vz.log.error("Only conversion to ploop is supported");
        return Err(Error::Told(21));
    }
    let ct = vz.container(call.id)?;
    let (private, root) = (vz.paths.at(ct.config.path("VE_PRIVATE")?), vz.paths.at(ct.config.path("VE_ROOT")?));
    if !private.is_dir() {
        return Err(Error::NoPrivate(private));
    }
    let area = ct.layout(&private)?.area();
    if area.is_image() {
        vz.log.info("CT is already on ploop");
        return Ok(0);
    }
    if vz.node.is_running(ct.id)? {
        return Err(Error::Running("CT is running (stop it first)".into()));
    }
    vz.ask(ct.id, Operation::Convert)?;
    if vz.node.is_mounted(&root)? {
        return Err(Error::Mounted("CT is mounted (umount it first)".into()));
    }
    if ct.config.pair("DISKSPACE")?.is_none_or(|disk| disk.limit == 0) {
        return Err(Error::SizeNotSet(""));
    }
    if area.snapshots().is_some() && Snapshots::read(&private)?.all.iter().any(|one| !one.hidden) {
        return Err(Error::Convert("It has snapshots, which can't be converted: delete them first".into()));
    }
    let made = beside(&private, "converting");
    clear(&made)?;
    let done = copy(vz, &ct, wanted, &made, &root).and_then(|()| sync(&made)).and_then(|()| note(vz, &ct, wanted));
    if let Err(error) = done {
        // The cause of the failure matters more.
        let _ = clear(&made);
        return Err(error);
    }
    finish(vz, ct.id, &private)?;
    vz.log.info("Container was successfully converted to the ploop layout");
    Ok(0)
}

/// Copies the files that a container sees as its root.
fn copy(vz: &Vz, ct: &Ct, layout: Layout, made: &Path, root: &Path) -> Result<()> {
    // Both are mounted, the old one in its place and the new one beside it.
    let target = beside(root, "converting");
    mount_root(vz, ct, true)?;
    vz.log.info("Copying content to ploop...");
    let template = Template::Tree(root.to_owned());
    let new = New {
        template: &template,
        name: "",
        templates: root,
        made,
        root: &target,
        // The owners are already shifted.
        ids: None,
        config: &ct.config,
    };
    let filled = layout.area().fill(&*vz.node, &new);
    let _ = fs::remove_dir(&target);
    let unmounted = umount_root(vz, ct);
    filled.and(unmounted)
}

/// Writes the configuration for the converted container.
fn note(vz: &Vz, ct: &Ct, layout: Layout) -> Result<()> {
    let path = waiting(vz, ct.id);
    let mut file = ct.file.clone().unwrap_or_default();
    set::save(&mut file, &[("VE_LAYOUT".to_owned(), layout.name().to_owned())]);
    make_folder(&vz.paths.conf())?;
    let written = File::create(&path).and_then(|mut out| {
        out.write_all(file.text().as_bytes())?;
        out.sync_all()?;
        sync_folder(&vz.paths.conf())
    });
    written.map_err(|error| Error::Save(path, error))
}

/// Replaces the old files with the image, and the old configuration with the new one. Each step may already be done.
///
/// # Errors
/// The disk is full, or fails.
pub(crate) fn finish(vz: &Vz, id: u32, private: &Path) -> Result<()> {
    let (made, old) = (beside(private, "converting"), beside(private, "converted"));
    let (conf, folder) = (vz.paths.container_conf(id), private.parent().unwrap_or(private));
    let failed = |error| Error::Convert(format!("Can't rename {} to {}: {error}", made.display(), private.display()));
    if made.exists() {
        if private.exists() {
            clear(&old)?;
            fs::rename(private, &old).map_err(failed)?;
        }
        fs::rename(&made, private).and_then(|()| sync_folder(folder)).map_err(failed)?;
    }
    let named = fs::rename(waiting(vz, id), &conf).and_then(|()| sync_folder(&vz.paths.conf()));
    named.map_err(|error| Error::Save(conf, error))?;
    clear(&old)?;
    // Otherwise the next start would report an interruption that did not happen.
    sync_folder(folder).map_err(|error| Error::file(folder, error))
}
