//! The parts that the processes of the sandbox share: how a tool is started and waited for, and which settings it
//! inherits.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sys::personality::{self, Persona};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode as Bits, umask};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use super::{Job, Spec, Stage, sys};
use crate::process;

/// The result of a process of the sandbox: an exit status, or why there is none.
pub type Outcome = Result<i32, String>;

/// For `map_err`: `what`, and the system's error.
pub fn why<E: Into<std::io::Error>>(what: impl std::fmt::Display) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {}", error.into())
}

/// This program again, as another stage.
pub fn this_program(job: &Job, stage: Stage) -> Command {
    let mut command = process::command("/proc/self/exe");
    command.args(job.arguments(stage)).env_clear();
    command
}

/// Reaps children until `child` has exited; `None` if a signal to stop arrives first.
pub fn wait_for(child: u32, signals: &SigSet) -> Result<Option<i32>, String> {
    loop {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) if pid.as_raw() as u32 == child => return Ok(Some(code)),
                Ok(WaitStatus::Signaled(pid, signal, _)) if pid.as_raw() as u32 == child => {
                    return Ok(Some(128 + signal as i32));
                }
                Ok(WaitStatus::StillAlive) => break,
                Ok(_) => {}
                Err(error) => return Err(why("can't wait for the tool")(error)),
            }
        }
        match signals.wait() {
            Ok(Signal::SIGTERM) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(why("can't wait for signals")(error)),
        }
    }
}

/// Limits that are the same for every tool, soft and hard, unless this host allows less. GCC raises its stack limit to
/// 64 MiB.
const LIMITS: [(Resource, u64, u64); 5] = [
    (Resource::RLIMIT_CORE, 0, 0),
    (Resource::RLIMIT_STACK, 8 << 20, 64 << 20),
    (Resource::RLIMIT_NOFILE, 4096, 4096),
    (Resource::RLIMIT_MEMLOCK, 64 << 10, 64 << 10),
    (Resource::RLIMIT_MSGQUEUE, 800 << 10, 800 << 10),
];

/// Settings that are the same for every tool on every host: signals, limits, umask, memory layout, no privileges.
/// Called after entering the root.
pub fn become_plain(spec: &Spec) -> Result<(), String> {
    std::env::set_current_dir(&spec.cwd).map_err(why(format!("no folder `{}` in the sandbox", spec.cwd)))?;
    umask(Bits::from_bits_truncate(0o022));
    for (resource, soft, hard) in LIMITS {
        let (_, most) = getrlimit(resource).map_err(why("getrlimit"))?;
        setrlimit(resource, soft.min(most), hard.min(most)).map_err(why("setrlimit"))?;
    }
    sys::forget_ignored_signals();
    // In some programs addresses determine an order. Container engines may forbid the call; it helps, but nothing
    // relies on it.
    let _ = personality::set(Persona::ADDR_NO_RANDOMIZE);
    sys::give_up_capabilities().map_err(why("can't give up capabilities"))
}

/// The tool's command line and environment.
pub fn tool(spec: &Spec) -> Result<Command, String> {
    let (program, arguments) = spec.argv.split_first().ok_or("the command is empty")?;
    let mut command = process::command(program);
    command.arg0(program).args(arguments).env_clear().envs(&spec.env);
    Ok(command)
}

/// Why the tool could not be started, including a cause that a bare "not found" hides.
pub fn cannot_start(spec: &Spec, error: std::io::Error) -> String {
    let program = &spec.argv[0];
    let noexec = || statvfs(Path::new(program)).is_ok_and(|there| there.flags().contains(FsFlags::ST_NOEXEC));
    let hint = match error.kind() {
        std::io::ErrorKind::NotFound if Path::new(program).exists() => {
            " (its interpreter is missing: the one of its `#!` line, or the ELF loader)"
        }
        std::io::ErrorKind::PermissionDenied if noexec() => {
            " (the store's file system is mounted `noexec`: choose another location with --store)"
        }
        std::io::ErrorKind::WouldBlock => " (cannot start another process: raise the limit, `ulimit -u`)",
        _ => "",
    };
    format!("can't start `{program}`: {error}{hint}")
}
