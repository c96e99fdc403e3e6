//! `snapshot`, `snapshot-switch`, `-delete`, `-mount`, `-umount`, `-list`. The file system and the configuration are kept, the memory
//! is not: what a snapshot of a running container holds is what a power cut would leave.

use super::call::Call;
use super::mount::umount_root;
use super::run::{Stop, stop};
use crate::vz::context::{Ct, Vz};
use crate::vz::disk::make_folder;
use crate::vz::exit::{Error, Result};
use crate::vz::layout::{Keeper, Place};
use crate::vz::log;
use crate::vz::node::Mount;
use crate::vz::options::{self, Given, Known};
use crate::vz::snapshots::{Snapshot, Snapshots, new_uuid, uuid};
use crate::vz::suspended::Operation;
use std::fs;
use std::path::{Path, PathBuf};

const ID: &[Known] = &[("id", None, true), ("uuid", None, true)];

/// Exit codes of the failures.
const CREATE: u8 = 156;
const DELETE: u8 = 158;
const SWITCH: u8 = 159;
const MOUNT: u8 = 160;
const UMOUNT: u8 = 161;
const LIST: u8 = 167;

/// A container that can have snapshots: its private area and what is known of them.
struct Opened {
    ct: Ct,
    private: PathBuf,
    root: PathBuf,
    mounted: bool,
    suspended: bool,
    conf: PathBuf,
    keeper: &'static dyn Keeper,
    state: Snapshots,
}

impl Opened {
    fn place(&self) -> Place<'_> {
        let Opened { private, root, mounted, suspended, conf, .. } = self;
        Place { private, root, mounted: *mounted, suspended: *suspended, conf }
    }
}

fn open(vz: &Vz, id: u32, code: u8) -> Result<Opened> {
    let ct = vz.container(id)?;
    let (private, root) = (vz.paths.at(ct.config.path("VE_PRIVATE")?), vz.paths.at(ct.config.path("VE_ROOT")?));
    if !private.is_dir() {
        return Err(Error::NoPrivate(private));
    }
    let keeper = ct.layout(&private)?.area().snapshots().ok_or_else(|| {
        let text = "Snapshot feature is only available for CTs of layout ploop, overlay or app";
        Error::Snapshot(code, text.into())
    })?;
    let state = Snapshots::read(&private)?;
    let mounted = vz.node.is_mounted(&root)?;
    let suspended = vz.is_suspended(id);
    Ok(Opened { conf: vz.paths.container_conf(id), ct, private, root, mounted, suspended, keeper, state })
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

pub(super) fn create(vz: &Vz, call: &Call) -> Result<u8> {
    let more = [
        ("name", None, true),
        ("description", None, true),
        ("skip-suspend", None, false),
        ("skip-config", None, false),
    ];
    let (given, id) = read(call, &more, false)?;
    let mut at = open(vz, call.id, CREATE)?;
    let id = match id {
        Some(id) => id,
        None => new_uuid()?,
    };
    let mut state = std::mem::take(&mut at.state);
    if state.all.iter().any(|one| one.id == id) {
        return Err(Error::Value(format!("Invalid guid {id} specified: already exists")));
    }
    vz.ask(call.id, Operation::Snapshot)?;
    vz.log.info(format_args!("Creating snapshot {id}"));
    let failed = |error: std::io::Error| Error::system("Failed to create snapshot", error);
    if at.ct.file.is_some() && !given.has("skip-config") {
        let kept = at.keeper.conf(&at.private, &id);
        make_folder(kept.parent().unwrap_or(&kept))?;
        fs::copy(&at.conf, kept).map_err(failed)?;
    }
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
    let freeze = at.mounted && vz.node.is_running(at.ct.id)? && !vz.node.is_frozen(at.ct.id)?;
    if freeze {
        vz.node.freeze(at.ct.id, true)?;
    }
    let taken = at.keeper.take(&*vz.node, at.place(), &mut state, &id);
    if freeze {
        vz.node.freeze(at.ct.id, false)?;
    }
    if let Err(error) = taken {
        let _ = fs::remove_file(at.keeper.conf(&at.private, &id));
        vz.log.error("Failed to create snapshot");
        return Err(error);
    }
    vz.log.info(format_args!("Snapshot {id} has been successfully created"));
    Ok(0)
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
    let mut at = open(vz, call.id, SWITCH)?;
    at.state.find(&id).ok_or_else(|| missing(SWITCH, &id))?;
    if given.has("must-resume") {
        return Err(Error::Snapshot(SWITCH, "Error: no dump in snapshot, unable to resume".into()));
    }
    vz.ask(call.id, Operation::SnapshotSwitch)?;
    vz.log.info(format_args!("Switching to snapshot {id}"));
    if vz.node.is_running(at.ct.id)? {
        stop(vz, &at.ct, Stop { fast: true, ..Stop::default() })?;
    } else if at.mounted {
        umount_root(vz, &at.ct)?;
    }
    at.mounted = false;
    let mut state = std::mem::take(&mut at.state);
    at.keeper.switch(at.place(), &mut state, &id, !given.has("skip-config"))?;
    vz.log.info("Container has been successfully switched to another snapshot");
    Ok(0)
}

pub(super) fn delete(vz: &Vz, call: &Call) -> Result<u8> {
    let (_, id) = read(call, &[], true)?;
    let id = id.unwrap_or_default();
    let mut at = open(vz, call.id, DELETE)?;
    let state = &mut at.state;
    let parent = state.find(&id).ok_or_else(|| missing(DELETE, &id))?.parent.clone();
    vz.ask(call.id, Operation::SnapshotDelete)?;
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
    state.write(&at.private)?;
    let _ = fs::remove_file(at.keeper.conf(&at.private, &id));
    gone.iter().try_for_each(|id| at.keeper.discard(&at.private, id))?;
    vz.log.info(format_args!("Snapshot {id} has been successfully deleted"));
    Ok(0)
}

pub(super) fn mount(vz: &Vz, call: &Call) -> Result<u8> {
    let (given, id) = read(call, &[("target", None, true)], true)?;
    let id = id.unwrap_or_default();
    let target =
        given.value("target").ok_or_else(|| Error::Syntax("Invalid syntax: mount target is missing".into()))?;
    let at = open(vz, call.id, MOUNT)?;
    at.state.find(&id).ok_or_else(|| missing(MOUNT, &id))?;
    vz.log.info(format_args!("Mounting snapshot {id} to {target}"));
    let target =
        PathBuf::from(target).canonicalize().map_err(|error| Error::Snapshot(MOUNT, format!("{target}: {error}")))?;
    let source = at.keeper.shown(&at.private, &at.state, &id);
    vz.node.mount(&[Mount { source, target: target.clone(), read_only: true }])?;
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
    let Opened { state, .. } = open(vz, call.id, LIST)?;
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
