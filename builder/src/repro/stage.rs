//! The process between `dbco repro` and a build: it gives the build its surroundings, which belong to a process.
//!
//! It is this program again with a hidden argument, like the processes of the sandbox: namespaces need a process with a
//! single thread. A namespace of clocks is entered by the children of the process that made it (time_namespaces(7)).

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use nix::sys::personality::{self, Persona};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode as Bits, umask};
use nix::unistd::{Gid, Uid, getppid, sethostname};
use serde::{Deserialize, Serialize};

use crate::process;
use crate::sandbox::{Mode, Sandbox};

/// The hidden first argument with which this program becomes that process.
const HIDDEN: &str = "__repro";

/// Exit status if the surroundings could not be made, as for env(1).
pub const SETUP_FAILED: i32 = 125;

/// The start of the line that states the cause.
pub const MARK: &str = "dbco-repro: ";

/// `CLONE_NEWTIME` of Linux 5.6, which `nix` has no name for.
const NEW_TIME: CloneFlags = CloneFlags::from_bits_retain(0x80);

/// The surroundings of a build that are properties of a process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Surroundings {
    /// The user id that it sees: its real one if dbco is run by root, otherwise that of a user namespace.
    pub uid: Option<u32>,
    /// The umask.
    pub umask: Option<u32>,
    /// The host name.
    pub host_name: Option<String>,
    /// By how many seconds the clocks that start with the machine are ahead.
    pub clock_ahead: Option<u64>,
    /// Whether uname(2) says that this is an old kernel on a 32-bit processor.
    pub old_kernel: bool,
}

/// A process to start in some surroundings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// The surroundings.
    pub surroundings: Surroundings,
    /// The id of the process that waits for it.
    pub parent: u32,
    /// What to start.
    pub task: Task,
}

/// What to start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Task {
    /// A program. Its environment is that of this process.
    Run {
        /// The program.
        program: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
        /// Its working folder.
        cwd: PathBuf,
    },
    /// Only finds out whether tools can be run there in a mode, and files written to a folder.
    Probe {
        /// The mode.
        sandbox: Option<Mode>,
        /// The folder.
        folder: PathBuf,
    },
}

impl Job {
    /// The arguments of this program to become that process.
    pub fn arguments(&self) -> [OsString; 2] {
        [HIDDEN.into(), serde_json::to_string(self).unwrap_or_default().into()]
    }
}

/// Must be called before any thread exists: does the work of that process if this one was started as one, and gives its
/// exit status, or why the surroundings could not be made.
pub fn entry() -> Option<Result<i32, String>> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != HIDDEN) {
        return None;
    }
    let text = arguments.next().and_then(|text| text.into_string().ok());
    Some(match text.as_deref().map(serde_json::from_str::<Job>) {
        Some(Ok(job)) => run(job),
        _ => Err("this argument is internal to dbco".to_owned()),
    })
}

fn why<E: Into<std::io::Error>>(what: &str) -> impl FnOnce(E) -> String {
    move |error| format!("{what}: {}", error.into())
}

fn run(job: Job) -> Result<i32, String> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(why("prctl"))?;
    if getppid().as_raw() as u32 != job.parent {
        return Err("dbco has exited".to_owned());
    }
    let uid = enter(&job.surroundings)?;
    match job.task {
        // Probing takes place where the build would: in a child.
        Task::Probe { sandbox, folder } if uid.is_some() || job.surroundings.clock_ahead.is_some() => {
            let task = Task::Probe { sandbox, folder };
            let job = Job { surroundings: Surroundings::default(), parent: std::process::id(), task };
            start(Path::new("/proc/self/exe"), &job.arguments(), Path::new("/"), uid)
        }
        Task::Probe { sandbox, folder } => probe(sandbox, &folder).map(|()| 0),
        Task::Run { program, arguments, cwd } => {
            start(&program, &arguments.into_iter().map(OsString::from).collect::<Vec<_>>(), &cwd, uid)
        }
    }
}

/// Changes this process; gives the user that its child has to become, if it is another one.
fn enter(surroundings: &Surroundings) -> Result<Option<u32>, String> {
    let Surroundings { uid, umask: bits, host_name, clock_ahead, old_kernel } = surroundings;
    let root = Uid::effective().is_root();
    let mut namespaces = CloneFlags::empty();
    namespaces.set(CloneFlags::CLONE_NEWUTS, host_name.is_some());
    namespaces.set(NEW_TIME, clock_ahead.is_some());
    if !root && (uid.is_some() || !namespaces.is_empty()) {
        let (own, group) = (Uid::effective(), Gid::effective());
        unshare(namespaces | CloneFlags::CLONE_NEWUSER).map_err(why("unshare of a user namespace"))?;
        let write = |file: &str, text: String| {
            let path = format!("/proc/self/{file}");
            fs::write(&path, text).map_err(why(&format!("can't write {path}")))
        };
        write("setgroups", "deny".to_owned())?;
        write("uid_map", format!("{} {own} 1", uid.unwrap_or(own.as_raw())))?;
        write("gid_map", format!("{} {group} 1", uid.unwrap_or(group.as_raw())))?;
    } else if !namespaces.is_empty() {
        unshare(namespaces).map_err(why("unshare"))?;
    }
    if let Some(name) = host_name {
        sethostname(name).map_err(why("sethostname"))?;
    }
    if let Some(seconds) = clock_ahead {
        let path = "/proc/self/timens_offsets";
        fs::write(path, format!("monotonic {seconds} 0\nboottime {seconds} 0\n")).map_err(why(path))?;
    }
    if *old_kernel {
        // `PER_LINUX32` (linux/personality.h) is not a flag, so `nix` has no name for it.
        let persona = Persona::from_bits_retain(0x0008) | Persona::UNAME26;
        personality::set(persona).map_err(why("personality"))?;
    }
    if let Some(bits) = bits {
        umask(Bits::from_bits_truncate(*bits));
    }
    Ok(uid.filter(|_| root))
}

/// Starts a program and waits for it; gives its exit status.
fn start(program: &Path, arguments: &[OsString], cwd: &Path, uid: Option<u32>) -> Result<i32, String> {
    let mut command = process::command(program);
    // Its owner's ids, if no others; a command with ids is started by fork(2), after which it is in the namespace of
    // clocks. With vfork(2), which is used otherwise, it would not be.
    let (own, group) = (Uid::effective().as_raw(), Gid::effective().as_raw());
    command.args(arguments).current_dir(cwd).uid(uid.unwrap_or(own)).gid(uid.unwrap_or(group));
    let status = command.status().map_err(why(&format!("can't start {}", program.display())))?;
    Ok(status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1))
}

/// Whether files can be written to a folder, and tools be run.
fn probe(mode: Option<Mode>, folder: &Path) -> Result<(), String> {
    let probe = tempfile::Builder::new().prefix(".probe").tempfile_in(folder);
    probe.map_err(why(&format!("can't write to {}", folder.display())))?;
    Sandbox::detect(mode).map(drop).map_err(|error| error.to_string())
}
