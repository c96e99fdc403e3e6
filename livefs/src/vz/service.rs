//! `vz start|stop|restart|status`: all containers at boot and at shutdown, as the classic init script does.

use super::cmd::mount::umount_root;
use super::context::Vz;
use super::exit::{Error, Result};
use super::handover;
use super::list::configured;
use super::log::Log;
use super::node::Node;
use super::paths::Paths;
use super::{process, recovery};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};

/// How many containers are stopped in parallel, unless `VE_PARALLEL` says otherwise.
const PARALLEL: usize = 4;

/// Runs `vz`. Gives the exit code: 0, 1 if one of the containers failed, 2 for wrong usage, 3 for status if it was not
/// started.
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
    let mut vz = Vz { paths: paths.clone(), node, log, global };
    // Messages at the machine's start have to be available afterwards.
    if let Err(error) = vz.settle_log(0, None) {
        vz.log.error(&error);
        return error.code();
    }
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
    let running = marker(vz)?.exists() || !vz.node.running()?.is_empty();
    vz.log.print(if running { "OpenVZ is running..." } else { "OpenVZ is stopped." });
    Ok(if running { 0 } else { 3 })
}

/// Exists from `vz start` to `vz stop`: it disappears with the machine, as locks do.
fn marker(vz: &Vz) -> Result<PathBuf> {
    Ok(vz.lock_folder(0)?.join("vz"))
}

fn mark(vz: &Vz) -> Result<()> {
    let marker = marker(vz)?;
    let folder = marker.parent().unwrap_or(&marker);
    fs::create_dir_all(folder).and_then(|()| fs::write(&marker, "")).map_err(|error| Error::file(&marker, error))
}

/// The containers that are started with the machine, the highest `BOOTORDER` first: those with `ONBOOT=yes`, and those
/// without `ONBOOT` that ran before.
pub fn to_start(vz: &Vz) -> Vec<u32> {
    let mut all: Vec<(Option<u64>, u32)> = Vec::new();
    let arriving: BTreeSet<u32> = handover::all_arriving(vz).into_iter().map(|(id, _)| id).collect();
    for id in configured(vz) {
        let chosen = vz.container(id).and_then(|ct| {
            let onboot = ct.config.yes("ONBOOT")?;
            let ran = vz.is_marked(id);
            let disabled = ct.config.yes("DISABLED")? == Some(true);
            // It may run at the destination of its migration, or is still the source's.
            let elsewhere = handover::is_moving(vz, id) || arriving.contains(&id);
            Ok((onboot.unwrap_or(ran) && !disabled && !elsewhere).then_some(ct.config.number("BOOTORDER")?))
        });
        match chosen {
            Ok(Some(order)) => all.push((order, id)),
            Ok(None) => {}
            // One invalid file must not prevent the others from starting.
            Err(error) => vz.log.error(format_args!("CT {id}: {error}")),
        }
    }
    all.sort_by_key(|(order, id)| (std::cmp::Reverse(*order), *id));
    all.into_iter().map(|(_, id)| id).collect()
}

/// Lets the host reject what is sent to suspended containers: the routes for that end with the machine.
pub(super) fn park_suspended(vz: &Vz) -> Result<()> {
    let running = vz.node.running()?;
    for id in configured(vz).into_iter().filter(|id| !running.contains_key(id) && vz.is_suspended(*id)) {
        let parked = vz.container(id).and_then(|ct| ct.spec(vz)).and_then(|spec| vz.node.park(&spec));
        if let Err(error) = parked {
            // One invalid file must not prevent the others from starting.
            vz.log.error(format_args!("CT {id}: {error}"));
        }
    }
    Ok(())
}

fn start(vz: &Vz, vzctl: Vzctl) -> Result<u8> {
    let mut failed = 0;
    mark(vz)?;
    for text in recovery::sweep(vz)? {
        vz.log.error(text);
    }
    park_suspended(vz)?;
    for id in handover::all_moving(vz) {
        vz.log.error(format_args!("CT {id}: migration was interrupted: asking the destination whether it has arrived"));
        // The network may not be ready, and the others need not wait.
        let mut command = process::command("/proc/self/exe");
        command.args(["vzmigrate", "--recover", &id.to_string()]).stdin(Stdio::null()).stdout(Stdio::null());
        if let Err(error) = command.spawn() {
            vz.log.error(format_args!("CT {id}: {error}"));
        }
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

/// Stops all running containers, the lowest `BOOTORDER` first, some in parallel. They start again at the next boot.
fn stop(vz: &Vz, vzctl: Vzctl) -> Result<u8> {
    let mut failed = 0;
    let mut running: Vec<(Option<u64>, u32)> = Vec::new();
    for id in vz.node.running()?.into_keys() {
        // One invalid file must not prevent the others from stopping.
        let order = vz.container(id).and_then(|ct| ct.config.number("BOOTORDER"));
        running.push((order.unwrap_or_default(), id));
    }
    running.sort_by_key(|(order, id)| (*order, std::cmp::Reverse(*id)));
    let bound = vz.general(&["VE_PARALLEL"], 0).number("VE_PARALLEL")?;
    let bound = bound.map_or(PARALLEL, |bound| bound.clamp(1, 64) as usize);
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
    let marker = marker(vz)?;
    match fs::remove_file(&marker) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Error::file(&marker, error)),
        _ => {}
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
