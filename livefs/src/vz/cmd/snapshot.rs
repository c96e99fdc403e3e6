//! `snapshot`, `snapshot-switch`, `-delete`, `-mount`, `-umount`, `-list`: for overlay layouts. The file system and the
//! configuration are kept, the memory is not: a snapshot of a running container has the state that a power cut would
//! leave.

use super::call::Call;
use super::create::sync;
use super::host::make_folder;
use super::mount::umount_root;
use super::run::{Stop, stop};
use crate::system::tree::copy_tree;
use crate::vz::context::{Ct, Vz};
use crate::vz::exit::{Error, Result};
use crate::vz::layout;
use crate::vz::log;
use crate::vz::node::Mount;
use crate::vz::options::{self, Given, Known};
use crate::vz::snapshots::{Snapshot, Snapshots, new_uuid, uuid};
use std::fs;
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};

const ID: &[Known] = &[("id", None, true), ("uuid", None, true)];

/// Exit codes of the failures.
const CREATE: u8 = 156;
const DELETE: u8 = 158;
const SWITCH: u8 = 159;
const MOUNT: u8 = 160;
const UMOUNT: u8 = 161;
const LIST: u8 = 167;

/// A container with overlay layout: its private area and layers.
fn open(vz: &Vz, id: u32, code: u8) -> Result<(Ct, PathBuf, Snapshots)> {
    let ct = vz.container(id)?;
    let private = vz.paths.at(ct.config.path("VE_PRIVATE")?);
    if !private.is_dir() {
        return Err(Error::NoPrivate(private));
    }
    if !ct.layout(&private)?.has_layers() {
        return Err(Error::Snapshot(
            code,
            "Snapshot feature is only available for CTs of layout overlay or app".into(),
        ));
    }
    let state = Snapshots::read(&private)?;
    Ok((ct, private, state))
}

/// Parses options, and the snapshot's UUID if it is required.
fn read(call: &Call, more: &[Known], needed: bool) -> Result<(Given, Option<String>)> {
    let known: Vec<Known> = ID.iter().chain(more).copied().collect();
    let given = call.only_options(&known, Error::Syntax)?;
    let id = match given.value("id").or(given.value("uuid")) {
        Some(text) => Some(uuid(text).ok_or_else(|| Error::Value(format!("Bad parameter for --id: {text}")))?),
        None if needed => return Err(Error::Syntax("Invalid syntax: snapshot id is missing".into())),
        None => None,
    };
    Ok((given, id))
}

fn missing(code: u8, id: &str) -> Error {
    Error::Snapshot(code, format!("Unable to find snapshot by uuid {id}"))
}

/// Where a snapshot's configuration is stored.
fn kept_conf(private: &Path, id: &str) -> PathBuf {
    private.join("layers").join(format!("{}.ve.conf", id.trim_matches(['{', '}'])))
}

pub(super) fn create(vz: &Vz, call: &Call) -> Result<u8> {
    let more = [
        ("name", None, true),
        ("description", None, true),
        ("skip-suspend", None, false),
        ("skip-config", None, false),
    ];
    let (given, id) = read(call, &more, false)?;
    let (ct, private, mut state) = open(vz, call.id, CREATE)?;
    let id = match id {
        Some(id) => id,
        None => new_uuid()?,
    };
    if state.all.iter().any(|one| one.id == id) {
        return Err(Error::Value(format!("Invalid guid {id} specified: already exists")));
    }
    vz.log.info(format_args!("Creating snapshot {id}"));
    let failed = |error: std::io::Error| Error::system("Failed to create snapshot", error);
    if ct.file.is_some() && !given.has("skip-config") {
        make_folder(&private.join("layers"))?;
        fs::copy(vz.paths.container_conf(ct.id), kept_conf(&private, &id)).map_err(failed)?;
    }
    let layer = Snapshots::layer(&private, &id);
    let date = log::now().replace('T', " ").trim_end_matches('Z').to_owned();
    let text = |name| given.value(name).unwrap_or_default().to_owned();
    let (below, parent) = (state.base.clone(), state.current.clone());
    state.all.push(Snapshot {
        id: id.clone(),
        below,
        parent,
        date,
        name: text("name"),
        description: text("description"),
        hidden: false,
    });
    state.current = Some(id.clone());
    let root = vz.paths.at(ct.config.path("VE_ROOT")?);
    if vz.node.is_mounted(&root)? {
        // A mounted overlay keeps its upper folder: its content is copied, while nothing changes it.
        let freeze = vz.node.is_running(ct.id)? && !vz.node.is_frozen(ct.id)?;
        if freeze {
            vz.node.freeze(ct.id, true)?;
        }
        let made = layout::beside(&layer, "creating");
        let _ = fs::remove_dir_all(&made);
        let copied = sync(&private).and_then(|()| copy_tree(&private.join("upper"), &made).map_err(failed));
        if freeze {
            vz.node.freeze(ct.id, false)?;
        }
        let settled = copied.and_then(|()| sync(&made)).and_then(|()| fs::rename(&made, &layer).map_err(failed));
        if let Err(error) = settled {
            let _ = fs::remove_dir_all(&made);
            vz.log.error("Failed to create snapshot");
            return Err(error);
        }
    } else {
        // A link to the future tree of the layer: after the description is written, the tree is renamed, and a power
        // cut between the two leaves a layer without a tree, which `repair` finishes.
        state.base = Some(id.clone());
        state.write(&private)?;
        repair(&private, &state)?;
    }
    state.write(&private)?;
    vz.log.info(format_args!("Snapshot {id} has been successfully created"));
    Ok(0)
}

/// Finishes a snapshot of a stopped container that a power cut interrupted: if its base has no tree yet, the upper
/// folder is still that tree.
pub(crate) fn repair(private: &Path, state: &Snapshots) -> Result<bool> {
    let Some(base) = &state.base else { return Ok(false) };
    let (layer, upper) = (Snapshots::layer(private, base), private.join("upper"));
    let failed = |error| Error::file(&layer, error);
    let mut done = false;
    if !layer.exists() {
        make_folder(&private.join("layers"))?;
        fs::rename(&upper, &layer).map_err(failed)?;
        done = true;
    }
    if !upper.exists() {
        empty_upper(private, state)?;
        done = true;
    }
    Ok(done)
}

fn empty_upper(private: &Path, state: &Snapshots) -> Result<()> {
    for folder in ["upper", "work"] {
        make_folder(&private.join(folder))?;
    }
    let upper = private.join("upper");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&upper, mode).map_err(|error| Error::file(&upper, error))?;
    // It is the root that the container sees.
    match state.ids {
        Some((uid, gid)) => lchown(&upper, Some(uid), Some(gid)).map_err(|error| Error::file(&upper, error)),
        None => Ok(()),
    }
}

pub(super) fn switch(vz: &Vz, call: &Call) -> Result<u8> {
    let more = [
        ("skip_arpdetect", None, false),
        ("skip-resume", None, false),
        ("skip-config", None, false),
        ("must-resume", None, false),
    ];
    let (given, id) = read(call, &more, true)?;
    let id = id.unwrap_or_default();
    if given.has("skip-resume") && given.has("must-resume") {
        return Err(Error::Syntax("Invalid syntax: --skip-resume and --must-resume can not be used together".into()));
    }
    let (ct, private, mut state) = open(vz, call.id, SWITCH)?;
    state.find(&id).ok_or_else(|| missing(SWITCH, &id))?;
    if given.has("must-resume") {
        return Err(Error::Snapshot(SWITCH, "Error: no dump in snapshot, unable to resume".into()));
    }
    vz.log.info(format_args!("Switching to snapshot {id}"));
    let root = vz.paths.at(ct.config.path("VE_ROOT")?);
    if vz.node.is_running(ct.id)? {
        stop(vz, &ct, Stop { fast: true, ..Stop::default() })?;
    } else if vz.node.is_mounted(&root)? {
        umount_root(vz, &ct)?;
    }
    let failed = |error| Error::Snapshot(SWITCH, format!("Failed to switch to snapshot {id}: {error}"));
    // The changes are moved aside first: they are discarded by definition, and leftovers are removed.
    let aside = private.join("upper.switching");
    let _ = fs::remove_dir_all(&aside);
    fs::rename(private.join("upper"), &aside).map_err(failed)?;
    (state.base, state.current) = (Some(id.clone()), Some(id.clone()));
    let gone = state.unused();
    state.write(&private)?;
    empty_upper(&private, &state)?;
    let conf = kept_conf(&private, &id);
    if conf.is_file() && !given.has("skip-config") {
        let text = fs::read(&conf).map_err(failed)?;
        crate::durable::replace(&vz.paths.container_conf(ct.id), &text, 0o644).map_err(failed)?;
    }
    fs::remove_dir_all(&aside).map_err(failed)?;
    sweep(&private, &gone)?;
    vz.log.info("Container has been successfully switched to another snapshot");
    Ok(0)
}

fn sweep(private: &Path, gone: &[String]) -> Result<()> {
    for id in gone {
        let layer = Snapshots::layer(private, id);
        if layer.exists() {
            fs::remove_dir_all(&layer).map_err(|error| Error::file(&layer, error))?;
        }
    }
    Ok(())
}

pub(super) fn delete(vz: &Vz, call: &Call) -> Result<u8> {
    let (_, id) = read(call, &[], true)?;
    let id = id.unwrap_or_default();
    let (_, private, mut state) = open(vz, call.id, DELETE)?;
    let parent = state.find(&id).ok_or_else(|| missing(DELETE, &id))?.parent.clone();
    vz.log.info(format_args!("Deleting snapshot {id}"));
    for one in &mut state.all {
        if one.id == id {
            one.hidden = true;
        } else if one.parent.as_deref() == Some(&id) {
            one.parent = parent.clone();
        }
    }
    if state.current.as_deref() == Some(&id) {
        state.current = parent;
    }
    let gone = state.unused();
    state.write(&private)?;
    let _ = fs::remove_file(kept_conf(&private, &id));
    sweep(&private, &gone)?;
    vz.log.info(format_args!("Snapshot {id} has been successfully deleted"));
    Ok(0)
}

pub(super) fn mount(vz: &Vz, call: &Call) -> Result<u8> {
    let (given, id) = read(call, &[("target", None, true)], true)?;
    let id = id.unwrap_or_default();
    let target =
        given.value("target").ok_or_else(|| Error::Syntax("Invalid syntax: mount target is missing".into()))?;
    let (_, private, state) = open(vz, call.id, MOUNT)?;
    state.find(&id).ok_or_else(|| missing(MOUNT, &id))?;
    vz.log.info(format_args!("Mounting snapshot {id} to {target}"));
    let target =
        PathBuf::from(target).canonicalize().map_err(|error| Error::Snapshot(MOUNT, format!("{target}: {error}")))?;
    let lower = state.lower(&private, Some(&id));
    vz.node.mount(&[Mount {
        source: None,
        lower,
        upper: None,
        metacopy: state.ids.is_some(),
        target: target.clone(),
        read_only: true,
    }])?;
    let noted = fs::write(mount_note(vz, call.id, &id)?, target.as_os_str().as_encoded_bytes());
    noted.map_err(|error| Error::system("Failed to mount snapshot", error))?;
    Ok(0)
}

/// The record of which snapshot is mounted where.
fn mount_note(vz: &Vz, ct: u32, id: &str) -> Result<PathBuf> {
    Ok(vz.lock_folder(ct)?.join(format!("{ct}.snapshot-{}", id.trim_matches(['{', '}']))))
}

pub(super) fn umount(vz: &Vz, call: &Call) -> Result<u8> {
    let (_, id) = read(call, &[], true)?;
    let id = id.unwrap_or_default();
    open(vz, call.id, UMOUNT)?;
    let note = mount_note(vz, call.id, &id)?;
    let target =
        fs::read_to_string(&note).map_err(|_| Error::Snapshot(UMOUNT, format!("Snapshot {id} is not mounted")))?;
    vz.node.umount(Path::new(&target))?;
    fs::remove_file(&note).map_err(|error| Error::file(&note, error))?;
    Ok(0)
}

/// A field of `snapshot-list`: names, heading, width when left-aligned.
const FIELDS: &[(&[&str], &str, usize)] = &[
    (&["uuid", "id"], "UUID", 38),
    (&["parent_uuid", "parent_id"], "PARENT_UUID", 38),
    (&["current"], "C", 1),
    (&["date"], "DATE", 19),
    (&["name"], "NAME", 32),
    (&["desc"], "DESC", 32),
];

pub(super) fn list(vz: &Vz, call: &Call) -> Result<u8> {
    let known = [
        ("id", Some('u'), true),
        ("uuid", None, true),
        ("no-header", Some('H'), false),
        ("output", Some('o'), true),
        ("list", Some('L'), false),
    ];
    let given = options::parse("vzctl", call.arguments, &known).map_err(Error::Syntax)?;
    given.no_rest()?;
    if given.has("list") {
        FIELDS.iter().for_each(|(names, heading, _)| vz.log.print(format_args!("{:<15} {heading:<15}", names[0])));
        return Ok(0);
    }
    let (_, _, state) = open(vz, call.id, LIST)?;
    let order = given.value("output").unwrap_or("parent_uuid,current,uuid,date,name");
    let fields = order.split(',').map(|name| {
        let found = FIELDS.iter().find(|(names, ..)| names.contains(&name));
        found.ok_or_else(|| Error::Value(format!("Unknown field: {name}")))
    });
    let fields: Vec<_> = fields.collect::<Result<_>>()?;
    let wanted = given.value("id").or(given.value("uuid"));
    if let Some(id) = wanted.filter(|id| state.find(id).is_none()) {
        return Err(Error::Snapshot(LIST, format!("Can't find snapshot by uuid {id}")));
    }
    let line = |cells: &dyn Fn(&str) -> String| {
        let cells: Vec<String> =
            fields.iter().map(|(names, _, width)| format!("{:<width$}", cells(names[0]))).collect();
        cells.join(" ").trim_end().to_owned()
    };
    if !given.has("no-header") {
        let heading = |name: &str| {
            FIELDS.iter().find(|(names, ..)| names[0] == name).map_or(String::new(), |field| field.1.to_owned())
        };
        vz.log.print(line(&heading));
    }
    for one in state.all.iter().filter(|one| !one.hidden && wanted.is_none_or(|id| uuid(id).as_ref() == Some(&one.id)))
    {
        vz.log.print(line(&|name| match name {
            "uuid" => one.id.clone(),
            "parent_uuid" => one.parent.clone().unwrap_or_default(),
            "current" => (if state.current.as_ref() == Some(&one.id) { "*" } else { "" }).to_owned(),
            "date" => one.date.clone(),
            "name" => one.name.clone(),
            _ => one.description.clone(),
        }));
    }
    Ok(0)
}
