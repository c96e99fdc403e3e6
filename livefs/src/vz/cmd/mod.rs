//! `vzctl`: the command line, and the commands, a file per family.

pub(crate) mod create;
mod exec;
mod mount;
mod run;
mod set;
pub(crate) mod snapshot;
mod suspend;

pub use mount::{mount_root, umount_root};

use super::exit::{Error, Result};
use super::layout::Layout;
use super::log::Log;
use super::node::Node;
use super::options::{self, Given, Known};
use super::paths::Paths;
use super::{Vz, exit, names, process};
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

const USAGE: &str = "\
Usage: vzctl [--quiet | --verbose] [--skiplock] COMMAND CTID|NAME [PARAMETERS]

vzctl create CTID [--ostemplate NAME] [--config NAME] [--layout simfs|overlay|app] [--hostname NAME] [--name NAME]
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
vzctl suspend | resume CTID
vzctl snapshot CTID [--id UUID] [--name NAME] [--description TEXT] [--skip-suspend] [--skip-config]
vzctl snapshot-switch CTID --id UUID [--skip-resume] [--skip-config]
vzctl snapshot-delete | snapshot-umount CTID --id UUID
vzctl snapshot-mount CTID --id UUID --target DIR
vzctl snapshot-list CTID [-H] [-o FIELD[,FIELD...]] [--id UUID]
vzctl set CTID --PARAMETER VALUE [...] [--save] [--force] [--setmode restart|ignore]
vzctl set CTID --reset_ub
vzctl --help | --version

See COMPATIBILITY.md for all parameters.";

/// Runs `vzctl`. Gives the exit code and back what was said, for tests.
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
    // The container's number first: no file is needed to see that it is bad.
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
    if let Err(error) = settle_log(&mut vz, id, verbose) {
        vz.log.error(&error);
        return (error.code(), vz.log);
    }
    // What is said of a state is read by programs: nothing but it, and what is wrong.
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

/// One call of a command.
pub(crate) struct Call<'a> {
    /// The container.
    pub id: u32,
    /// The command, as it was called.
    pub name: &'a str,
    /// What follows the container.
    pub arguments: &'a [String],
}

impl Call<'_> {
    /// Reads options; what getopt says is an error with this code's variant. What follows them is left to look at.
    fn options(&self, known: &[Known], bad: fn(String) -> Error) -> Result<Given> {
        options::parse("vzctl", self.arguments, known).map_err(bad)
    }

    /// As [`Call::options`], with nothing behind them.
    fn only_options(&self, known: &[Known], bad: fn(String) -> Error) -> Result<Given> {
        let given = self.options(known, bad)?;
        given.no_rest()?;
        Ok(given)
    }

    /// Fails if there is any argument.
    fn no_arguments(&self) -> Result<()> {
        if self.arguments.is_empty() {
            return Ok(());
        }
        Err(Error::Syntax(format!("Invalid options: {} ", self.arguments.join(" "))))
    }
}

/// A command.
struct Command {
    names: &'static [&'static str],
    /// Whether it may go without a configuration.
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
    c(&["convert"], false, false, convert),
    c(&["compact"], false, false, compact),
];

fn dispatch(vz: &Vz, command: &Command, call: &Call, skip_lock: bool) -> Result<u8> {
    if call.id == 0 && call.name != "set" {
        return Err(Error::Value("Only set actions are allowed for CT0".into()));
    }
    // It is read under the lock.
    if !command.bare && !vz.paths.container_conf(call.id).exists() {
        return Err(Error::NoConfig);
    }
    let _lock = if command.locks && !skip_lock { Some(vz.lock(call.id, "")?) } else { None };
    (command.run)(vz, call)
}

/// `VERBOSE`, `LOGGING`, `LOGFILE`, `LOG_LEVEL`
pub(crate) fn settle_log(vz: &mut Vz, id: u32, verbose: Option<i32>) -> Result<()> {
    let config = vz.general(&["VERBOSE", "LOGGING", "LOGFILE", "LOG_LEVEL"], id);
    let level = |key| config.get(key).and_then(|text| text.parse().ok());
    vz.log.verbose = verbose.or_else(|| level("VERBOSE")).unwrap_or(0).max(-1);
    if config.yes("LOGGING")? != Some(false) {
        if let Some(path) = config.get("LOGFILE") {
            // A log that can't be written must not keep anybody from managing containers.
            if let Ok(file) = File::options().create(true).append(true).open(vz.paths.at(path)) {
                vz.log.set_file(file, level("LOG_LEVEL").unwrap_or(0), format!("CT {id}"));
            }
        }
    }
    Ok(())
}

fn convert(_: &Vz, call: &Call) -> Result<u8> {
    let known = [("layout", None, true), ("ve_layout", None, true), ("velayout", None, true)];
    let given = call.only_options(&known, Error::Value)?;
    for (_, layout) in &given.options {
        if let Err(error @ Error::Value(_)) = Layout::parse(layout) {
            return Err(error);
        }
    }
    Err(Error::Ploop)
}

fn compact(vz: &Vz, call: &Call) -> Result<u8> {
    call.no_arguments()?;
    vz.log.info("Compact only makes sense for ploop containers");
    Ok(0)
}

/// Where programs are looked for, by action scripts and inside.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/system/sbin:/system/bin";

/// Runs an action script of the host, if it is there. Its environment is made anew: HOME, TERM, PATH, VEID, VE_CONFFILE.
///
/// # Errors
/// [`Error::Script`]: it ended with a failure.
fn host_script(vz: &Vz, id: u32, name: &str) -> Result<()> {
    let path = vz.paths.conf().join(name);
    if !path.is_file() {
        return Ok(());
    }
    vz.log.say(1, format_args!("Running action script: {}", path.display()));
    let mut script = process::command(&path);
    script.env_clear().envs([("HOME", "/"), ("TERM", "linux"), ("PATH", PATH)]);
    script.env("VEID", id.to_string()).env("VE_CONFFILE", vz.paths.container_conf(id));
    let kind = name.rsplit_once('.').map_or("action", |(_, kind)| kind);
    match script.status() {
        Ok(status) if status.success() => return Ok(()),
        Ok(_) => {}
        Err(error) => vz.log.error(format_args!("Error exec {}: {}", path.display(), exit::why(&error))),
    }
    Err(Error::Script(format!("Error executing {kind} script {}", path.display())))
}

/// An action script's text for inside the container, if it is there.
fn inner_script(vz: &Vz, name: &str) -> Result<Option<Vec<u8>>> {
    let path = vz.paths.conf().join(name);
    match std::fs::read(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(&path, error)),
    }
}

/// Makes a folder and those above.
fn make_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path)
        .map_err(|error| Error::system(format!("Unable to create directory {}", path.display()), error))
}

#[cfg(test)]
pub(crate) mod tests;
