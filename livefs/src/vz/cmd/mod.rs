//! `vzctl`: the command line, and the commands, with a file per family.

mod call;
pub(crate) mod convert;
pub(crate) mod create;
mod exec;
mod host;
mod inside;
pub(crate) mod mount;
pub(crate) mod pending;
mod run;
mod set;
mod snapshot;
mod suspend;

use call::Call;

use super::context::Vz;
use super::exit::{Error, Result};
use super::handover::Handover;
use super::log::Log;
use super::names;
use super::node::Node;
use super::paths::Paths;
use std::ffi::OsString;

const USAGE: &str = "\
Usage: vzctl [--quiet | --verbose] [--skiplock] COMMAND CTID|NAME [PARAMETERS]

vzctl create CTID [--ostemplate NAME] [--config NAME] [--layout simfs|overlay|app|ploop] [--hostname NAME] [--name NAME]
   [--description TEXT] [--ipadd ADDR] [--diskspace KBYTES] [--diskinodes NUM] [--private PATH] [--root PATH]
   [--local_uid UID] [--local_gid GID]
vzctl start CTID [--force] [--wait] [--skip-fsck] [--skip-remount]
vzctl stop CTID [--fast] [--skip-umount]
vzctl restart CTID [--force] [--wait] [--fast]
vzctl destroy | mount | umount | status | quotaon | quotaoff | quotainit CTID
vzctl exec | exec2 CTID COMMAND [ARG ...]
vzctl enter CTID [--exec COMMAND [ARG ...]]
vzctl console CTID [TTYNUM]
vzctl runscript CTID SCRIPT
vzctl suspend | resume CTID [--dumpfile NAME]
vzctl chkpnt CTID --suspend | --dump --dumpfile NAME | --resume | --kill
vzctl restore CTID --undump --dumpfile NAME | --resume | --kill
vzctl convert CTID [--layout ploop]
vzctl compact CTID
vzctl snapshot CTID [--id UUID] [--name NAME] [--description TEXT] [--skip-suspend] [--skip-config]
vzctl snapshot-switch CTID --id UUID [--skip-resume] [--skip-config]
vzctl snapshot-delete | snapshot-umount CTID --id UUID
vzctl snapshot-mount CTID --id UUID --target DIR
vzctl snapshot-list CTID [-H] [-o FIELD[,FIELD...]] [--id UUID]
vzctl set CTID --PARAMETER VALUE [...] [--save] [--force] [--setmode restart|ignore]
vzctl set CTID --reset_ub
vzctl --help | --version

See COMPATIBILITY.md for all parameters.";

/// Runs `vzctl`. Gives the exit code and the captured output, for tests.
pub fn main(paths: &Paths, node: Box<dyn Node>, arguments: Vec<OsString>, mut log: Log) -> (u8, Log) {
    let mut arguments = arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned()).peekable();
    let (mut verbose, mut skip_lock) = (None, false);
    while let Some(flag) = arguments.next_if(|argument| argument.starts_with("--") && argument != "--help") {
        match flag.as_str() {
            "--quiet" => log.quiet = true,
            "--verbose" => verbose = Some(verbose.unwrap_or(0) + 1),
            "--skiplock" => skip_lock = true,
            "--version" => {
                log.print(format_args!("vzctl version 4.11.1 (dbcolinux {})", env!("CARGO_PKG_VERSION")));
                return (0, log);
            }
            _ => {
                log.error(format_args!("Bad command: {flag}"));
                return (20, log);
            }
        }
    }
    log.verbose = verbose.unwrap_or(0);
    let Some(command) = arguments.next() else {
        log.error(USAGE);
        return (20, log);
    };
    if command == "--help" {
        log.print(USAGE);
        return (0, log);
    }
    let Some(known) = COMMANDS.iter().find(|known| known.names.contains(&command.as_str())) else {
        log.error(format_args!("Bad command: {command}"));
        return (20, log);
    };
    let rest: Vec<String> = arguments.collect();
    let Some((given, rest)) = rest.split_first() else {
        log.error("CT ID missing");
        return (21, log);
    };
    // The container's number first: no file is needed to see that it is invalid.
    let id = match names::resolve(paths, given) {
        Ok(id) => id,
        Err(error) => {
            log.error(&error);
            return (error.code(), log);
        }
    };
    let global = match Vz::global(paths) {
        Ok(global) => global,
        Err(error) => {
            log.error(&error);
            return (error.code(), log);
        }
    };
    let mut vz = Vz { paths: paths.clone(), node, log, global };
    if let Err(error) = vz.settle_log(id, verbose) {
        vz.log.error(&error);
        return (error.code(), vz.log);
    }
    // Programs read the output about a state: only that is printed, and errors.
    if ["status", "snapshot-list"].contains(&command.as_str()) {
        vz.log.verbose = -1;
    }
    let call = Call { id, name: &command, arguments: rest };
    let told = vz.tell_findings(id);
    match told.and_then(|()| dispatch(&vz, known, &call, skip_lock)) {
        Ok(code) => (code, vz.log),
        Err(error) => {
            let text = error.to_string();
            if !text.is_empty() {
                vz.log.error(text);
            }
            (error.code(), vz.log)
        }
    }
}

/// A command.
struct Command {
    names: &'static [&'static str],
    /// Whether it works without a configuration.
    bare: bool,
    /// Whether it takes the container's lock.
    locks: bool,
    run: fn(&Vz, &Call) -> Result<u8>,
}

const fn c(names: &'static [&'static str], bare: bool, locks: bool, run: fn(&Vz, &Call) -> Result<u8>) -> Command {
    Command { names, bare, locks, run }
}

const COMMANDS: &[Command] = &[
    c(&["create"], true, true, create::create),
    c(&["destroy", "delete"], false, true, create::destroy),
    c(&["start"], false, true, run::start_command),
    c(&["stop"], false, true, run::stop_command),
    c(&["restart"], false, true, run::restart_command),
    c(&["ended"], true, false, run::ended_command),
    c(&["status"], true, false, mount::status),
    c(&["mount"], false, true, mount::mount_command),
    c(&["umount"], false, true, mount::umount_command),
    c(&["quotaon", "quotaoff", "quotainit"], false, true, mount::quota),
    c(&["exec", "exec2", "exec3"], false, false, exec::exec),
    c(&["enter"], false, false, exec::enter),
    c(&["console"], false, false, exec::console),
    c(&["runscript"], false, false, exec::runscript),
    c(&["set"], true, true, set::command),
    c(&["suspend", "chkpnt"], false, true, suspend::suspend),
    c(&["resume", "restore"], false, true, suspend::resume),
    c(&["snapshot"], false, true, snapshot::create),
    c(&["snapshot-switch"], false, true, snapshot::switch),
    c(&["snapshot-delete"], false, true, snapshot::delete),
    c(&["snapshot-mount"], false, true, snapshot::mount),
    c(&["snapshot-umount"], false, true, snapshot::umount),
    c(&["snapshot-list"], false, false, snapshot::list),
    c(&["convert"], false, true, convert::convert),
    c(&["compact"], false, true, mount::compact),
];

/// The commands for a container of which it is not known to which of two machines it belongs: they end it here.
const WHILE_MOVING: &[&str] = &["stop", "umount", "destroy", "delete"];

fn dispatch(vz: &Vz, command: &Command, call: &Call, skip_lock: bool) -> Result<u8> {
    if call.id == 0 && call.name != "set" {
        return Err(Error::Value("Only set actions are allowed for CT0".into()));
    }
    // It is read while the lock is held.
    if !command.bare && !vz.paths.container_conf(call.id).exists() {
        return Err(Error::NoConfig);
    }
    let lock = if command.locks && !skip_lock { Some(vz.lock(call.id, "")?) } else { None };
    if command.locks && !WHILE_MOVING.contains(&call.name) {
        if let Some(Handover { host, .. }) = Handover::of(vz, call.id)? {
            return Err(Error::Moving { id: call.id, host });
        }
    }
    if lock.is_some() && call.id > 0 {
        pending::finish(vz, call.id)?.into_iter().for_each(|text| vz.log.error(text));
    }
    (command.run)(vz, call)
}

#[cfg(test)]
pub(crate) mod tests;
