//! `vz start|stop|restart|status`: all containers at boot and at shutdown, as the classic init script does.

use super::cmd::{self, umount_root};
use super::conf::{ConfFile, Config};
use super::exit::{Error, Result};
use super::layout;
use super::list::configured;
use super::log::Log;
use super::node::Node;
use super::paths::Paths;
use super::snapshots::Snapshots;
use super::{Vz, process};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

/// How many containers stop side by side, unless `VE_PARALLEL` says otherwise.
const PARALLEL: usize = 4;

/// Runs `vz`. Gives the exit code: 0, 1 if one of the containers failed, 2 for wrong usage, 3 if status is asked for and nothing runs.
pub fn main(paths: &Paths, node: Box<dyn Node>, arguments: Vec<OsString>, log: Log) -> u8 {
    let action = arguments.first().and_then(|action| action.to_str()).unwrap_or_default().to_owned();
    if arguments.len() != 1 || !["start", "stop", "restart", "status"].contains(&action.as_str()) {
        log.error("Usage: vz start|stop|restart|status");
        return 2;
    }
    let global = match Vz::global(paths) {
        Ok(global) => global,
        Err(error) => {
            log.error(&error);
            return error.code();
        }
    };
    let vz = Vz { paths: paths.clone(), node, log, global };
    let mut vzctl = |arguments: &[String]| process::command("/proc/self/exe").arg("vzctl").args(arguments).spawn();
    let done = match action.as_str() {
        "start" => start(&vz, &mut vzctl),
        "stop" => stop(&vz, &mut vzctl),
        "restart" => stop(&vz, &mut vzctl).and_then(|code| Ok(code.max(start(&vz, &mut vzctl)?))),
        _ => status(&vz),
    };
    done.unwrap_or_else(|error: Error| {
        vz.log.error(&error);
        error.code()
    })
}

/// Starts a `vzctl` with arguments.
type Vzctl<'a> = &'a mut dyn FnMut(&[String]) -> std::io::Result<Child>;

fn status(vz: &Vz) -> Result<u8> {
    let running = vz.node.running()?.len();
    vz.log.print(format_args!("{running} containers run"));
    Ok(if running == 0 { 3 } else { 0 })
}

/// Which containers start with the machine, the highest `BOOTORDER` first: those with `ONBOOT=yes`, and those without `ONBOOT` that ran
/// before.
pub fn to_start(vz: &Vz) -> Vec<u32> {
    let mut all: Vec<(Option<u64>, u32)> = Vec::new();
    for id in configured(vz) {
        let chosen = vz.container(id).and_then(|ct| {
            let onboot = ct.config.yes("ONBOOT")?;
            let ran = vz.paths.running().join(id.to_string()).exists();
            let disabled = ct.config.yes("DISABLED")? == Some(true);
            Ok((onboot.unwrap_or(ran) && !disabled).then_some(ct.config.number("BOOTORDER")?))
        });
        match chosen {
            Ok(Some(order)) => all.push((order, id)),
            Ok(None) => {}
            // One bad file must not keep the others down.
            Err(error) => vz.log.error(format_args!("CT {id}: {error}")),
        }
    }
    all.sort_by_key(|(order, id)| (std::cmp::Reverse(*order), *id));
    all.into_iter().map(|(_, id)| id).collect()
}

fn start(vz: &Vz, vzctl: Vzctl) -> Result<u8> {
    let mut failed = 0;
    for text in sweep(vz)? {
        vz.log.error(text);
    }
    for id in to_start(vz) {
        if vz.node.is_running(id)? {
            continue;
        }
        vz.log.info(format_args!("Starting CT {id}"));
        let status = vzctl(&["--quiet".into(), "start".into(), id.to_string()]).and_then(|mut child| child.wait());
        let good = status.as_ref().is_ok_and(std::process::ExitStatus::success);
        if !good {
            failed = 1;
            vz.log.error(format_args!("CT {id} did not start: try vzctl start {id}"));
        }
    }
    Ok(failed)
}

/// Stops all that run, the lowest `BOOTORDER` first, some side by side. They start again at the next boot.
fn stop(vz: &Vz, vzctl: Vzctl) -> Result<u8> {
    let mut failed = 0;
    let mut running: Vec<(Option<u64>, u32)> = Vec::new();
    for id in vz.node.running()? {
        // One bad file must not keep the others up.
        let order = vz.container(id).and_then(|ct| ct.config.number("BOOTORDER"));
        running.push((order.unwrap_or_default(), id));
    }
    running.sort_by_key(|(order, id)| (*order, std::cmp::Reverse(*id)));
    let bound =
        Config::layered([&vz.global], 0).number("VE_PARALLEL")?.map_or(PARALLEL, |bound| bound.clamp(1, 64) as usize);
    for group in running.chunks(bound) {
        let mut children = Vec::new();
        for (_, id) in group {
            vz.log.info(format_args!("Stopping CT {id}"));
            children.push((*id, vzctl(&["--quiet".into(), "stop".into(), id.to_string(), "--shutdown".into()])));
        }
        for (id, child) in children {
            if !child.and_then(|mut child| child.wait()).is_ok_and(|status| status.success()) {
                failed = 1;
                vz.log.error(format_args!("CT {id} did not stop"));
            }
        }
    }
    for id in configured(vz) {
        let Ok(ct) = vz.container(id) else { continue };
        let mounted = ct.config.path("VE_ROOT").and_then(|root| vz.node.is_mounted(&vz.paths.at(root)));
        if mounted.is_ok_and(|mounted| mounted) {
            if let Err(error) = umount_root(vz, &ct) {
                failed = 1;
                vz.log.error(format_args!("CT {id}: {error}"));
            }
        }
    }
    Ok(failed)
}

/// Puts right what a power cut left, and tells of it: files in the making go, deletions are finished, interrupted snapshots too.
///
/// # Errors
/// What is there can't be removed.
pub fn sweep(vz: &Vz) -> Result<Vec<String>> {
    let mut said = Vec::new();
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    let general = Config::layered([&vz.global], 0);
    for key in ["VE_PRIVATE", "TEMPLATE"] {
        if let Some(path) = general.get(key) {
            let path = vz.paths.at(path);
            folders.insert(if key == "TEMPLATE" {
                path.join("root")
            } else {
                path.parent().unwrap_or(&path).to_owned()
            });
        }
    }
    for id in configured(vz) {
        let Ok(ct) = vz.container(id) else { continue };
        let Some(private) = ct.config.get("VE_PRIVATE").map(|path| vz.paths.at(path)) else { continue };
        folders.extend(private.parent().map(Path::to_owned));
        for (path, what) in
            layout::interrupted(&private).into_iter().chain(layout::interrupted(&private.join("layers")))
        {
            // A switch is finished below: what it set aside is not needed any more, unless nothing has replaced it yet.
            if path.ends_with("upper.switching") && !private.join("upper").exists() && !switched(&private) {
                fs::rename(&path, private.join("upper")).map_err(|error| Error::file(&path, error))?;
            } else {
                fs::remove_dir_all(&path).map_err(|error| Error::file(&path, error))?;
            }
            said.push(format!("CT {id}: {what} was interrupted"));
        }
        if let Ok(state) = Snapshots::read(&private) {
            if cmd::snapshot::repair(&private, &state)? {
                said.push(format!("CT {id}: a snapshot was interrupted, and is finished now"));
            }
        }
    }
    for folder in folders {
        for (path, what) in layout::interrupted(&folder) {
            fs::remove_dir_all(&path).map_err(|error| Error::file(&path, error))?;
            let id = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
            match (id, what) {
                (Some(id), "destruction") if ConfFile::read(&vz.paths.container_conf(id)).is_ok() => {
                    cmd::create::retire(vz, id)?;
                    said.push(format!("CT {id}: {what} was interrupted, and is finished now"));
                }
                (Some(id), "creation") => {
                    said.push(format!(
                        "CT {id}: {what} was interrupted; what there was of it is removed: create it again"
                    ));
                }
                (Some(id), _) => said.push(format!("CT {id}: {what} was interrupted")),
                (None, _) => said.push(format!("{}: {what} was interrupted, removed", path.display())),
            }
        }
    }
    let locks = vz.lock_folder(0)?;
    for entry in fs::read_dir(&locks).into_iter().flatten().flatten() {
        // Only a boot finds locks whose owners are from before; a name with a pid is one in the making.
        let name = entry.file_name().to_string_lossy().into_owned();
        let id = name.split('.').next().and_then(|id| id.parse::<u32>().ok());
        if id.is_some_and(|id| super::lock::Lock::status(&locks, id).is_none()) && name.contains(".lck") {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(said)
}

/// Whether a switch got as far as its description: the changes that were set aside lie on another layer than the base is now.
fn switched(private: &Path) -> bool {
    Snapshots::read(private).is_ok_and(|state| state.base.is_some() && state.base == state.current)
}
