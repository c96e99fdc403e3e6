//! `create`, `destroy`.

use super::call::Call;
use super::host::host_script;
use super::set;
use crate::durable::sync_folder;
use crate::vz::conf::params::{self, ParamSource};
use crate::vz::conf::{ConfFile, Config, lists};
use crate::vz::context::Vz;
use crate::vz::disk::{make_folder, sync};
use crate::vz::exit::{Error, Result, why};
use crate::vz::handover;
use crate::vz::layout::{self, Layout, New};
use crate::vz::options::{Given, Known};
use crate::vz::spec::Spec;
use crate::vz::suspended::Operation;
use crate::vz::template::{LIVE, Template};
use crate::vz::{mark, names};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

const KNOWN: &[Known] = &[
    ("ostemplate", None, true),
    ("config", None, true),
    ("private", None, true),
    ("root", None, true),
    ("ipadd", None, true),
    ("hostname", None, true),
    ("name", None, true),
    ("description", None, true),
    ("layout", None, true),
    ("ve_layout", None, true),
    ("velayout", None, true),
    ("diskspace", None, true),
    ("diskinodes", None, true),
    ("local_uid", None, true),
    ("local_gid", None, true),
];

pub(super) fn create(vz: &Vz, call: &Call) -> Result<u8> {
    let given = call.options(KNOWN, Error::Value)?;
    let chosen = chosen(&given)?;
    given.no_rest()?;
    make(vz, call.id, &given, &chosen).map(|()| 0).map_err(|error| {
        let text = error.to_string();
        if !text.is_empty() {
            vz.log.error(text);
        }
        vz.log.error("Creation of container private area failed");
        Error::Told(error.code())
    })
}

fn make(vz: &Vz, id: u32, given: &Given, chosen: &[(String, String)]) -> Result<()> {
    let (mut file, origin) = sample(vz, id, given.first("config"))?;
    let get = |key: &str| chosen.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str());
    // The stored value refers to the container by $VEID, as in vz.conf.
    let stored: Vec<(String, String)> =
        vz.defaults(id).into_iter().chain(file.values(id).pairs).chain(chosen.iter().cloned()).collect();
    let config = Config::of(stored.iter().cloned(), id);
    let layout = Layout::parse(config.get("VE_LAYOUT").unwrap_or("simfs"))?;
    let name = config.get("OSTEMPLATE").or_else(|| config.get("DEF_OSTEMPLATE")).map(str::to_owned);
    let templates = vz.paths.at(config.path("TEMPLATE")?);
    let private = vz.paths.at(config.path("VE_PRIVATE")?);
    let root = vz.paths.at(config.path("VE_ROOT")?);
    if !free(&private) {
        return Err(Error::PrivateExists(private));
    }
    // A separate volume can't be replaced by a folder created beside it.
    if vz.node.is_mounted(&private)? {
        let path = private.display();
        return Err(Error::Create(format!(
            "Can't create: private dir ({path}) is a mount point. Suggestion: use --private {path}/private"
        )));
    }
    let ids = Spec::ids(&config).map_err(|error| Error::Value(error.to_string()))?;
    let new_name = get("NAME").filter(|name| !name.is_empty());
    if let Some(owner) = new_name.and_then(|name| names::by_name(&vz.paths, name)).filter(|owner| *owner != id) {
        let name = new_name.unwrap_or_default();
        return Err(Error::Name(format!("Conflict: name {name} already used by container {owner}")));
    }
    let name = name.ok_or(Error::NoTemplate)?;
    layout.area().ready(&config)?;
    let template = Template::find(&name, &vz.paths.at(LIVE), &templates)?;
    let last = |key: &str| stored.iter().rev().find(|(known, _)| known == key).map(|(_, value)| value.clone());
    let mut new = chosen.to_vec();
    new.retain(|(key, _)| !["OSTEMPLATE", "VE_LAYOUT", "VE_ROOT", "VE_PRIVATE"].contains(&key.as_str()));
    new.extend(origin.map(|name| ("ORIGIN_SAMPLE".to_owned(), name)));
    new.push(("OSTEMPLATE".into(), name.clone()));
    new.push(("VE_LAYOUT".into(), layout.name().into()));
    for key in ["VE_ROOT", "VE_PRIVATE"] {
        new.extend(last(key).map(|value| (key.to_owned(), value)));
    }
    set::save(&mut file, &new);

    if let Some(name) = new_name {
        vz.log.info(format_args!("Name {name} assigned"));
    }
    vz.log.info(format_args!("Creating container private area ({name})"));
    let made = layout::beside(&private, "creating");
    if made.exists() {
        vz.log.error(format_args!("Warning: Temp dir {} already exists, deleting", made.display()));
        fs::remove_dir_all(&made).map_err(|error| Error::file(&made, error))?;
    }
    make_folder(private.parent().unwrap_or(Path::new("/")))?;
    let (templates, config) = (&templates, &config);
    let new = New { template: &template, name: &name, templates, made: &made, root: &root, ids, config };
    let filled = layout.area().fill(&*vz.node, &new);
    let ready = filled.and_then(|()| vz.ask(id, Operation::Create));
    let done = ready.and_then(|()| settle(vz, id, &file, &made, &private, new_name));
    if let Err(error) = done {
        let _ = fs::remove_dir_all(&made);
        return Err(error);
    }
    make_folder(&root)?;
    vz.log.info(format_args!("CT configuration saved to {}", vz.paths.container_conf(id).display()));
    if let Err(error) = host_script(vz, id, "vps.create") {
        vz.log.info(format_args!(
            "User create script {} exited with error",
            vz.paths.conf().join("vps.create").display()
        ));
        take_back(vz, id, &private, &root)?;
        return Err(Error::Told(error.code()));
    }
    vz.log.info("Container private area was created");
    Ok(())
}

/// Whether a private area can be created there: nothing exists, or only an empty folder.
fn free(private: &Path) -> bool {
    match fs::read_dir(private) {
        Ok(mut entries) => entries.next().is_none() && !private.is_symlink(),
        Err(_) => private.symlink_metadata().is_err(),
    }
}

/// Undoes a finished creation.
fn take_back(vz: &Vz, id: u32, private: &Path, root: &Path) -> Result<()> {
    vz.log.info(format_args!("Destroying container private area: {}", private.display()));
    layout::remove(private, || {
        names::remove_all(&vz.paths, id)?;
        let conf = vz.paths.container_conf(id);
        fs::remove_file(&conf).map_err(|error| Error::file(&conf, error))
    })?;
    let _ = fs::remove_dir(root);
    Ok(())
}

/// The initial configuration: an existing one, otherwise the sample, with the sample's name unless it states another.
fn sample(vz: &Vz, id: u32, wanted: Option<&str>) -> Result<(ConfFile, Option<String>)> {
    let own = vz.paths.container_conf(id);
    let default = vz.general(&["CONFIGFILE"], id).get("CONFIGFILE").map(str::to_owned);
    let Some(name) = wanted.map(str::to_owned).or(default) else {
        return match ConfFile::read(&own) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((ConfFile::default(), None)),
            read => Ok((read.map_err(|error| Error::file(&own, error))?, None)),
        };
    };
    let path = vz.paths.sample(&name);
    let found = if name.contains('/') { Err(io::Error::from_raw_os_error(2)) } else { ConfFile::read(&path) };
    let file = found.map_err(|error| {
        let mut text = format!("Sample config {} not found: {}", path.display(), why(&error));
        if wanted.is_none() {
            text += &format!("\nFix the value of CONFIGFILE in {}", vz.paths.global_conf().display());
        }
        Error::Sample(text)
    })?;
    if own.exists() {
        if wanted.is_some() {
            let text =
                format!("Error: container config file {} already exists, can not use --config option", own.display());
            return Err(Error::Sample(text));
        }
        vz.log.info("Warning: CT config file already exists, not applying a default config sample.");
        vz.log.info("It might lead to incomplete CT configuration, you can use --applyconfig to fix.");
        return Ok((ConfFile::read(&own).map_err(|error| Error::file(&own, error))?, None));
    }
    vz.tell(&file, &path, id);
    let origin = file.get("ORIGIN_SAMPLE").is_none().then_some(name);
    Ok((file, origin))
}

/// The options' values, as they are stored. Of one that comes again the first counts; addresses add up.
fn chosen(given: &Given) -> Result<Vec<(String, String)>> {
    let bad = |name: &str, value: &str| Error::Value(format!("Bad parameter for --{name}: {value}"));
    let mut chosen: Vec<(String, String)> = Vec::new();
    let mut addresses = String::new();
    for (name, value) in &given.options {
        let (key, value) = match *name {
            "config" => continue,
            "ipadd" => {
                if lists::add("IP_ADDRESS", &mut addresses, value).wrong {
                    return Err(bad(name, value.split([' ', '\t']).next().unwrap_or_default()));
                }
                continue;
            }
            "layout" | "ve_layout" | "velayout" => {
                if let Err(Error::Value(_)) = Layout::parse(value) {
                    return Err(bad(name, value));
                }
                ("VE_LAYOUT".to_owned(), value.clone())
            }
            "local_uid" | "local_gid" => {
                let id: u32 = value.parse().map_err(|_| bad(name, value))?;
                (name.to_uppercase(), id.to_string())
            }
            _ => {
                let param = params::by_option(name).ok_or_else(|| bad(name, value))?;
                let stored = param.kind.parse(value, ParamSource::Option).map_err(|_| bad(name, value))?;
                (param.key.to_owned(), stored)
            }
        };
        match chosen.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) if key == "VE_LAYOUT" => *old = value,
            Some(_) => {}
            None => chosen.push((key, value)),
        }
    }
    if given.has("ipadd") && !addresses.is_empty() {
        chosen.push(("IP_ADDRESS".into(), addresses));
    }
    Ok(chosen)
}

/// Brings all to the disk, then gives it its names: a power cut before leaves what is told from a whole container.
///
/// A container consists of its private area and its configuration. The configuration has an unfinished name until the
/// private area has its final one: if both exist, [`crate::vz::recovery`] finishes the creation, otherwise it undoes
/// it. A configuration that existed before stays until then.
pub(crate) fn settle(vz: &Vz, id: u32, file: &ConfFile, made: &Path, private: &Path, name: Option<&str>) -> Result<()> {
    sync(made)?;
    if let Some(name) = name {
        names::set(&vz.paths, id, name, None)?;
    }
    let (folder, conf) = (vz.paths.conf(), vz.paths.container_conf(id));
    make_folder(&folder)?;
    let waiting = folder.join(format!(".{id}.conf.creating"));
    let failed = |error| Error::Save(conf.clone(), error);
    let written = File::create(&waiting).and_then(|mut out| {
        out.write_all(file.text().as_bytes())?;
        out.sync_all()?;
        sync_folder(&folder)
    });
    let done = written.map_err(failed).and_then(|()| {
        fs::rename(made, private).map_err(|error| {
            Error::Create(format!("Can't rename {} to {}: {error}", made.display(), private.display()))
        })
    });
    if done.is_err() {
        let _ = fs::remove_file(&waiting);
        return done;
    }
    sync(private.parent().unwrap_or(private))?;
    // Leftovers of an earlier container with this number do not belong to this one.
    forget_retired(vz, id);
    fs::rename(&waiting, &conf).and_then(|()| sync_folder(&folder)).map_err(failed)
}

pub(super) fn destroy(vz: &Vz, call: &Call) -> Result<u8> {
    call.no_arguments()?;
    let ct = vz.container(call.id)?;
    let private = vz.paths.at(ct.config.path("VE_PRIVATE")?);
    let root = vz.paths.at(ct.config.path("VE_ROOT")?);
    if vz.node.is_running(call.id)? {
        vz.log.info("Container is currently running. Stop it first.");
        return Err(Error::Told(32));
    }
    if vz.node.is_mounted(&root)? {
        vz.log.info("Container is currently mounted (umount first)");
        return Err(Error::Told(41));
    }
    // Its configuration is removed before the last part of its private area: until then a power cut leaves something
    // that identifies it.
    vz.log.info(format_args!("Destroying container private area: {}", private.display()));
    if private.is_dir() {
        layout::remove(&private, || retire(vz, call.id))?;
    } else {
        retire(vz, call.id)?;
    }
    // The mount point may contain other files.
    if let Err(error) = fs::remove_dir(&root) {
        if error.kind() != io::ErrorKind::NotFound {
            vz.log.error(format_args!("Warning: failed to remove {}: {}", root.display(), why(&error)));
        }
    }
    vz.log.info("Container private area was destroyed");
    Ok(0)
}

/// Suffixes of a container's action scripts.
pub(crate) const SCRIPTS: [&str; 6] = ["premount", "mount", "umount", "postumount", "start", "stop"];

/// Removes the files that [`retire`] keeps of a container.
pub(crate) fn forget_retired(vz: &Vz, id: u32) {
    for ending in files() {
        let _ = fs::remove_file(vz.paths.conf().join(format!("{id}.{ending}.destroyed")));
    }
}

/// Suffixes of a container's configuration and scripts.
fn files() -> impl Iterator<Item = &'static str> {
    ["conf"].into_iter().chain(SCRIPTS)
}

/// Takes a container's configuration (to `CTID.conf.destroyed`), name, mark and action scripts out of use.
pub(crate) fn retire(vz: &Vz, id: u32) -> Result<()> {
    let conf = vz.paths.container_conf(id);
    names::remove_all(&vz.paths, id)?;
    let mark = vz.paths.running(id);
    mark::remove(&mark).map_err(|error| Error::file(&mark, error))?;
    vz.ask(id, Operation::Destroy)?;
    for script in files() {
        let path = conf.with_extension(script);
        match fs::rename(&path, path.with_extension(format!("{script}.destroyed"))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::file(&path, error)),
            _ => {}
        }
    }
    sync_folder(&vz.paths.conf()).map_err(|error| Error::file(&conf, error))?;
    // Last: without it, what is left would be started.
    handover::settle(vz, id)
}
