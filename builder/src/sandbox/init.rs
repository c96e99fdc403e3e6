//! The processes of the sandbox: the outer one, init, and how the tool is started.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use nix::sys::personality::{self, Persona};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode as Bits, umask};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Gid, Uid, getppid, setgroups, setsid};

use super::{Job, Spec, Stage, Way, chroot, mounts, sys};
use crate::process;

/// What a process of the sandbox ends with: an exit status, or why there is none.
pub type Outcome = Result<i32, String>;

/// For `map_err`: `what`, and what the kernel said.
pub fn why<E: Into<std::io::Error>>(what: impl std::fmt::Display) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {}", error.into())
}

/// The process that dbco starts: makes the namespaces, starts init in them and passes its status on.
pub fn outer(job: Job) -> Outcome {
    sys::keep_standard_streams_only();
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(why("prctl"))?;
    if getppid().as_raw() as u32 != job.parent {
        return Err("dbco has exited".to_owned());
    }
    // ^C is dbco's to handle, and no tool gets the terminal.
    let _ = setsid();
    // Only root may, and in a user namespace of an ordinary user nobody.
    let _ = setgroups(&[]);
    if job.way != Way::Chroot {
        make_namespaces(job.way, job.spec.as_ref().is_some_and(|spec| spec.network))?;
    }
    let job = Job { parent: std::process::id(), ..job };
    let mut init = this_program(&job, Stage::Init).spawn().map_err(why("can't start the sandbox's init"))?;
    let status = init.wait().map_err(why("can't wait for the sandbox's init"))?;
    Ok(exit_code(&status))
}

/// This program once more, as another stage.
pub fn this_program(job: &Job, stage: Stage) -> Command {
    let mut command = process::command("/proc/self/exe");
    command.args(job.arguments(stage)).env_clear();
    command
}

fn exit_code(status: &std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1)
}

fn make_namespaces(way: Way, network: bool) -> Result<(), String> {
    let (uid, gid) = (Uid::effective(), Gid::effective());
    let mut others = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWCGROUP;
    if !network {
        others |= CloneFlags::CLONE_NEWNET;
    }
    if way == Way::Root {
        return unshare(others).map_err(why("unshare of mount, pid, network, UTS, IPC and cgroup namespaces"));
    }
    unshare(others | CloneFlags::CLONE_NEWUSER).map_err(why("unshare of a user namespace and the others in it"))?;
    // user_namespaces(7): without privileges outside, only the own ids can be mapped, and setgroups(2) must be given up.
    let write = |file: &str, text: String| {
        let path = format!("/proc/self/{file}");
        fs::write(&path, text).map_err(why(format!("can't write {path}")))
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("0 {uid} 1"))?;
    write("gid_map", format!("0 {gid} 1"))
}

/// Pid 1 of the sandbox; in a chroot, the one that orphans fall to.
pub fn init(job: Job) -> Outcome {
    let chrooted = job.way == Way::Chroot;
    // Where a pid namespace ends with this process, an abrupt end is the right one. In a chroot the tools must be found
    // and killed first.
    prctl::set_pdeathsig(if chrooted { Signal::SIGTERM } else { Signal::SIGKILL }).map_err(why("prctl"))?;
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.add(Signal::SIGTERM);
    signals.thread_block().map_err(why("can't block signals"))?;
    // From inside a new pid namespace getppid(2) says 0; /proc is still the host's.
    let status = fs::read_to_string("/proc/self/status").map_err(why("can't read /proc/self/status"))?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).map(str::trim);
    if parent != Some(job.parent.to_string().as_str()) {
        return Err("dbco has exited".to_owned());
    }
    if chrooted {
        return chroot::init(job, &signals);
    }
    let Some(spec) = job.spec else {
        return mounts::try_out().map(|()| 0);
    };
    mounts::enter(&spec)?;
    nix::unistd::sethostname(super::HOST_NAME).map_err(why("sethostname"))?;
    sys::set_domain_name("(none)").map_err(why("setdomainname"))?;
    become_plain(&spec)?;
    let mut command = tool(&spec)?;
    // A child inherits the mask. A SIGCHLD that is lost meanwhile does no harm: `wait_for` looks before it waits; and
    // SIGTERM means nothing to pid 1.
    signals.thread_unblock().map_err(why("can't unblock signals"))?;
    let child = command.spawn();
    signals.thread_block().map_err(why("can't block signals"))?;
    let child = child.map_err(|error| cannot_start(&spec, error))?;
    // When pid 1 ends the kernel kills what is left in its namespace, before anybody sees pid 1 end.
    Ok(wait_for(child.id(), &signals)?.unwrap_or(128 + Signal::SIGTERM as i32))
}

/// Reaps children until `child` has ended; `None` when told to end before.
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

/// Limits as every tool has them, soft and hard, unless this host allows less. GCC raises that of the stack to 64 MiB.
const LIMITS: [(Resource, u64, u64); 5] = [
    (Resource::RLIMIT_CORE, 0, 0),
    (Resource::RLIMIT_STACK, 8 << 20, 64 << 20),
    (Resource::RLIMIT_NOFILE, 4096, 4096),
    (Resource::RLIMIT_MEMLOCK, 64 << 10, 64 << 10),
    (Resource::RLIMIT_MSGQUEUE, 800 << 10, 800 << 10),
];

/// What is the same for every tool on every host: signals, limits, umask, memory layout, no privileges. Inside the root
/// already.
pub fn become_plain(spec: &Spec) -> Result<(), String> {
    std::env::set_current_dir(&spec.cwd).map_err(why(format!("no folder `{}` in the sandbox", spec.cwd)))?;
    umask(Bits::from_bits_truncate(0o022));
    for (resource, soft, hard) in LIMITS {
        let (_, most) = getrlimit(resource).map_err(why("getrlimit"))?;
        setrlimit(resource, soft.min(most), hard.min(most)).map_err(why("setrlimit"))?;
    }
    sys::forget_ignored_signals();
    // Some programs let addresses decide an order. Container engines may forbid the call; it is a help, no promise.
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

/// Why the tool could not be started, with the cause that a bare "not found" hides.
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
