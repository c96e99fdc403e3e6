//! The processes of the sandbox: the outer one, and init.

use std::fs;

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Gid, Uid, getppid, setgroups, setsid};

use super::tool::{Outcome, become_plain, cannot_start, this_program, tool, wait_for, why};
use super::{Job, Stage, Way, chroot, mounts, sys};

/// The signals that keys of a terminal send, or its use in the background.
const KEYS: [Signal; 5] = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];

/// The process that dbco starts: creates the namespaces, starts init in them and passes its status on.
pub fn outer(job: Job) -> Outcome {
    sys::keep_standard_streams_only();
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(why("prctl"))?;
    if getppid().as_raw() as u32 != job.parent {
        return Err("dbco has exited".to_owned());
    }
    // ^C is handled by dbco, and no tool gets the terminal.
    let _ = setsid();
    if job.spec.as_ref().is_some_and(|spec| spec.terminal) {
        // Keys of the command's own terminal, which must not end the processes around it.
        let mut keys = SigSet::empty();
        KEYS.into_iter().for_each(|key| keys.add(key));
        keys.thread_block().map_err(why("can't block signals"))?;
        sys::take_terminal().map_err(why("can't use the terminal"))?;
    }
    // Only root may do this, and in a user namespace of an ordinary user nobody.
    let _ = setgroups(&[]);
    if job.way != Way::Chroot {
        make_namespaces(job.way, job.spec.as_ref().is_some_and(|spec| spec.network))?;
    }
    let job = Job { parent: std::process::id(), ..job };
    let mut init = this_program(&job, Stage::Init).spawn().map_err(why("can't start the sandbox's init"))?;
    let status = init.wait().map_err(why("can't wait for the sandbox's init"))?;
    Ok(exit_code(&status))
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
    // user_namespaces(7): without privileges outside, only the process's own ids can be mapped, and setgroups(2) must
    // be given up.
    let write = |file: &str, text: String| {
        let path = format!("/proc/self/{file}");
        fs::write(&path, text).map_err(why(format!("can't write {path}")))
    };
    write("setgroups", "deny".to_owned())?;
    write("uid_map", format!("0 {uid} 1"))?;
    write("gid_map", format!("0 {gid} 1"))
}

/// Pid 1 of the sandbox; in a chroot, the process that adopts orphans.
pub fn init(job: Job) -> Outcome {
    let chrooted = job.way == Way::Chroot;
    // If the pid namespace ends with this process, it may simply be killed. In a chroot the tools must be found and
    // killed first.
    prctl::set_pdeathsig(if chrooted { Signal::SIGTERM } else { Signal::SIGKILL }).map_err(why("prctl"))?;
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.add(Signal::SIGTERM);
    if job.spec.as_ref().is_some_and(|spec| spec.terminal) {
        KEYS.into_iter().for_each(|key| signals.add(key));
    }
    signals.thread_block().map_err(why("can't block signals"))?;
    // From inside a new pid namespace getppid(2) returns 0; /proc is still the host's.
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
    // A child inherits the mask. A SIGCHLD that is lost in the meantime does no harm, as `wait_for` checks before it
    // waits; and SIGTERM has no effect on pid 1.
    signals.thread_unblock().map_err(why("can't unblock signals"))?;
    let child = command.spawn();
    signals.thread_block().map_err(why("can't block signals"))?;
    let child = child.map_err(|error| cannot_start(&spec, error))?;
    // When pid 1 exits, the kernel kills the other processes in its namespace before the exit of pid 1 becomes visible.
    Ok(wait_for(child.id(), &signals)?.unwrap_or(128 + Signal::SIGTERM as i32))
}
