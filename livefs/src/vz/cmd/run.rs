//! `start`, `stop`, `restart`.

use super::call::Call;
use super::host::inner_script;
use super::inside::write_inside;
use super::mount::{mount_root, umount_root};
use super::suspend;
use crate::container::keeper::End;
use crate::vz::context::{Ct, Vz};
use crate::vz::exit::{Error, Result};
use crate::vz::node::InnerCommand;
use crate::vz::options::{Given, Known};
use crate::vz::spec::{IMPOSSIBLE, Spec, impossible};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// The default number of seconds that a container has to stop.
const STOP_TIMEOUT: u64 = 120;
/// The number of seconds that `--wait` waits.
const START_TIMEOUT: u64 = 300;

const START: &[&str] = &["force", "wait", "skip-fsck", "skip-remount", "skip_ve_setup"];
/// `shutdown` is an addition: the machine is shut down, and the container will be started again with it.
const STOP: &[&str] = &["fast", "skip-umount", "shutdown"];

/// Parses the options of all three commands; those of the others are rejected by name.
fn options(call: &Call) -> Result<Given> {
    let known: Vec<Known> = START.iter().chain(STOP).map(|name| (*name, None, false)).collect();
    let given = call.only_options(&known, Error::Syntax)?;
    let foreign = match call.name {
        "start" => STOP,
        "stop" => START,
        _ => &[],
    };
    if let Some(name) = foreign.iter().find(|name| given.has(name)) {
        return Err(Error::Syntax(format!("Option --{name} is not applicable to {} command", call.name)));
    }
    Ok(given)
}

pub(super) fn start_command(vz: &Vz, call: &Call) -> Result<u8> {
    start(vz, &vz.container(call.id)?, &options(call)?)
}

pub(super) fn stop_command(vz: &Vz, call: &Call) -> Result<u8> {
    let given = options(call)?;
    let how = Stop { fast: given.has("fast"), keep_mounted: given.has("skip-umount"), shutdown: given.has("shutdown") };
    stop(vz, &vz.container(call.id)?, how).map(|()| 0)
}

pub(super) fn restart_command(vz: &Vz, call: &Call) -> Result<u8> {
    restart(vz, &vz.container(call.id)?, &options(call)?)
}

/// `ended PID HOW`: called by the keeper of a container when process 1 has ended without a command of vzctl's, like
/// OpenVZ's event daemon. After `reboot` inside it is started again. After `halt` it is cleaned up, and is not started
/// with the machine; a killed one is cleaned up, too, and is started again with the machine.
pub(super) fn ended_command(vz: &Vz, call: &Call) -> Result<u8> {
    let bad = || Error::Syntax("ended: expected the number of process 1 and how it ended".into());
    let [pid, how] = call.arguments else { return Err(bad()) };
    let (pid, how): (i32, End) = (pid.parse().map_err(|_| bad())?, End::parse(how).ok_or_else(bad)?);
    let _lock = vz.lock_ended(call.id)?;
    let ct = vz.container(call.id)?;
    // The previous owner of the lock may have cleaned it up, or started it again.
    if ct.file.is_none() || vz.node.left(call.id)? != Some(pid) || vz.node.is_running(call.id)? {
        return Ok(0);
    }
    if how == End::Reboot {
        vz.log.info("Container was restarted from inside");
        let force = Given { options: vec![("force", String::new())], ..Given::default() };
        return start(vz, &ct, &force);
    }
    vz.node.clean(call.id)?;
    vz.log.info("Container was stopped from inside");
    if how == End::Halt {
        vz.mark(call.id, false)?;
    }
    umount_root(vz, &ct).map(|()| 0)
}

/// Stops a container if it is running, and starts it.
pub(super) fn restart(vz: &Vz, ct: &Ct, given: &Given) -> Result<u8> {
    vz.log.info("Restarting container");
    if vz.node.is_running(ct.id)? {
        stop(vz, ct, Stop { fast: given.has("fast"), keep_mounted: given.has("skip-umount"), shutdown: false })?;
    }
    start(vz, ct, given)
}

fn start(vz: &Vz, ct: &Ct, given: &Given) -> Result<u8> {
    if ct.config.yes("DISABLED")? == Some(true) && !given.has("force") {
        return Err(Error::Disabled);
    }
    let private = vz.paths.at(ct.config.path("VE_PRIVATE")?);
    let root = vz.paths.at(ct.config.path("VE_ROOT")?);
    if !private.is_dir() {
        return Err(Error::NoPrivate(private));
    }
    if vz.node.is_running(ct.id)? {
        return Err(Error::running());
    }
    if suspend::try_restore(vz, ct, !given.has("skip-fsck"), !given.has("skip-remount"))? {
        return Ok(0);
    }
    vz.log.info("Starting container...");
    vz.node.clean_if_needed(ct.id)?;
    let mounted = vz.node.is_mounted(&root)?;
    if mounted && !given.has("skip-remount") {
        umount_root(vz, ct)?;
    }
    if !mounted || !given.has("skip-remount") {
        mount_root(vz, ct, !given.has("skip-fsck"))?;
    }
    let started = begin(vz, ct, given);
    if started.is_err() {
        // The failure is more useful to report than that something stays mounted.
        let _ = vz.node.kill(ct.id).and_then(|()| vz.node.clean(ct.id));
        let _ = umount_root(vz, ct);
        vz.log.error("Container start failed");
    }
    started
}

/// From the mounted root to a running container.
fn begin(vz: &Vz, ct: &Ct, given: &Given) -> Result<u8> {
    let spec = ct.spec(vz)?;
    if spec.init.is_none() {
        return Err(Error::BadTemplate("Unable to start init, probably incorrect template".into()));
    }
    for (name, _) in spec.features.iter().filter(|(name, on)| *on && IMPOSSIBLE.contains(&name.as_str())) {
        vz.log.error(format_args!("Warning: {}", impossible(name)));
    }
    for (key, what) in [("PCI", "passing PCI devices"), ("MEMINFO", "meminfo")] {
        if ct.config.get(key).is_some_and(|value| value != "none") {
            vz.log.error(format_args!("Warning: {what} is not supported by the kernel; {key} is without effect"));
        }
    }
    if let Some((uid, gid)) = spec.ids {
        let about = std::fs::metadata(&spec.root).map_err(|error| Error::file(&spec.root, error))?;
        if (about.uid(), about.gid()) != (uid, gid) {
            return Err(Error::InvalidConfig(format!(
                "The files of the container belong to {}:{}, but LOCAL_UID and LOCAL_GID are {uid}:{gid}: they can only be used for a container that was created with --local_uid",
                about.uid(),
                about.gid()
            )));
        }
    }
    if !given.has("skip_ve_setup") {
        write_inside(vz, ct, &spec)?;
    }
    match vz.node.quota(&spec, true) {
        // A disk that was created without support for limits does not prevent running.
        Err(Error::Quota(why)) => vz.log.error(format_args!("Warning: its disk space is not limited: {why}")),
        done => done?,
    }
    // Before it runs, as its own start then competes for the machine: a container that was requested when the power
    // failed is to run again.
    let marked = vz.is_marked(ct.id);
    if !marked {
        vz.mark(ct.id, true)?;
    }
    if let Err(error) = vz.node.start(&spec) {
        if !marked {
            // The failure is more useful to report.
            let _ = vz.mark(ct.id, false);
        }
        return Err(error);
    }
    inside(vz, &spec, "start")?;
    if !given.has("wait") {
        vz.log.info("Container start in progress...");
        return Ok(0);
    }
    vz.log.info("Container start in progress, waiting ...");
    if vz.node.wait_started(&spec, Duration::from_secs(START_TIMEOUT))? {
        vz.log.info("Container started successfully");
        return Ok(0);
    }
    // The container is running: only the waiting failed.
    vz.log.info("Container wait failed - timeout expired");
    Ok(133)
}

/// Runs `CTID.start` or `CTID.stop` inside.
fn inside(vz: &Vz, spec: &Spec, action: &str) -> Result<()> {
    let name = format!("{}.{action}", spec.id);
    let Some(text) = inner_script(vz, &name)? else { return Ok(()) };
    vz.log.say(1, format_args!("Running container script: {name}"));
    let command = InnerCommand { input: Some(text), ..super::exec::shell(spec, &["-s".to_owned()])? };
    match vz.node.exec(spec.id, &command)? {
        0 => Ok(()),
        _ => Err(Error::Script(format!("Error executing {action} script {}", vz.paths.conf().join(name).display()))),
    }
}

/// How a container is stopped.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stop {
    /// Kill it immediately.
    pub fast: bool,
    /// Leave its root mounted.
    pub keep_mounted: bool,
    /// The machine is shut down: it starts again at the next boot.
    pub shutdown: bool,
}

/// Stops a container: `CTID.stop` inside, halt, a kill after `STOP_TIMEOUT`, then its root is unmounted.
///
/// # Errors
/// It can't be killed; see [`umount_root`].
pub fn stop(vz: &Vz, ct: &Ct, how: Stop) -> Result<()> {
    let spec = ct.spec(vz)?;
    if !vz.node.is_running(ct.id)? {
        // Its init may have ended by itself: its leftovers are removed.
        vz.node.clean(ct.id)?;
        if !how.shutdown {
            vz.mark(ct.id, false)?;
        }
        // Scripts stop it and continue: a container that is not running is the requested state.
        vz.log.error("Unable to stop: container is not running");
        return Ok(());
    }
    if vz.node.is_frozen(ct.id)? {
        vz.node.freeze(ct.id, false)?;
    }
    let mut stopped = false;
    if !how.fast {
        inside(vz, &spec, "stop")?;
        vz.log.info("Stopping container ...");
        let seconds = ct.config.number("STOP_TIMEOUT")?.filter(|seconds| *seconds > 0).unwrap_or(STOP_TIMEOUT);
        stopped = vz.node.halt(&spec, Duration::from_secs(seconds))?;
    }
    if !stopped {
        vz.log.info("Killing container ...");
        vz.node.kill(ct.id).map_err(|error| Error::Stop(format!("Unable to stop container: {error}")))?;
    }
    vz.node.clean(ct.id)?;
    vz.log.info("Container was stopped");
    if !how.shutdown {
        vz.mark(ct.id, false)?;
    }
    if how.keep_mounted {
        return Ok(());
    }
    umount_root(vz, ct)
}
