//! Runs third-party tools inside a toolchain root, isolated from the host.
//!
//! Both modes give the tools the same view: uid 0 without any capability, a root that can't be written to, an empty
//! `/tmp`, a `/dev` with the harmless nodes, the folders that they work in, and a fixed environment, umask, limits and
//! memory layout.
//!
//! - [`Mode::Namespaces`]: new user, mount, pid, network, UTS, IPC and cgroup namespaces. An unprivileged user
//!   suffices; root does without the user namespace if only that is forbidden. No network, host name `dbco`.
//! - [`Mode::Chroot`]: for root where namespaces are forbidden, as in a container engine's default profile. Each run
//!   gets a copy of the root made of hard links, and its work folders are moved into that copy and back out. There is
//!   no `/proc`, and network and host name are the host's: the surrounding container provides the isolation.
//!
//! Neither mode can hide the kernel's version, the number and kind of processors, and the clock. Linux has no namespace
//! for the time of day; tools get `SOURCE_DATE_EPOCH` in [`Spec::env`], and a step whose output still contains the time
//! is found by comparing two builds.
//!
//! There are three processes, all of them this program started again with a hidden argument, since entering namespaces
//! requires a process with a single thread: the *outer* one creates the namespaces and dies with dbco; *init*, pid 1 of
//! the new pid namespace, sets up the mounts and reaps orphans; the tool is init's child. When one dies, the kernel
//! kills those after it.

mod chroot;
mod init;
mod mounts;
mod probe;
pub mod root;
mod sys;
mod terminal;
mod tool;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::process::{self, Feed, ProcessError, Run, Watch};

/// Folders at the top of every toolchain root. All but `proc` and `sys` are empty and writable inside the sandbox, and
/// are discarded afterwards; binds below them need no existing mount point. `sys` stays empty.
pub const SKELETON: &[&str] = &["build", "deps", "dev", "in", "out", "proc", "run", "sys", "tmp"];

/// Host name inside the sandbox.
const HOST_NAME: &str = "dbco";

/// The hidden first argument with which this program becomes a process of the sandbox.
const HIDDEN: &str = "__sandbox";

/// Exit status if the sandbox could not be set up or the tool could not be started, as for env(1) and docker(1).
const SETUP_FAILED: u8 = 125;

/// The start of the line that states the cause.
const MARK: &str = "dbco-sandbox: ";

/// A command and its view of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The toolchain root, laid out by [`root::lay_out`]; the tools can't write to it.
    pub root: PathBuf,
    /// The parts of the host that are visible inside.
    pub binds: Vec<Bind>,
    /// Working directory inside.
    pub cwd: String,
    /// Command and arguments; without a slash the command is looked up in the `PATH` of `env`.
    pub argv: Vec<String>,
    /// The complete environment.
    pub env: BTreeMap<String, String>,
    /// Device nodes of the host that the tool may use, such as `/dev/kvm`.
    pub devices: Vec<PathBuf>,
    /// Whether it stays in the host's network instead of an empty one of its own: for a machine under test that is
    /// contacted from outside, never for anything that makes a result.
    pub network: bool,
    /// Whether its standard input is a terminal that becomes its controlling terminal.
    pub terminal: bool,
}

/// A file or folder of the host at a path inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Its path on the host. In [`Mode::Chroot`] it must be in the same store as the root, and is moved away during the
    /// run, so no other run may use it at the same time.
    pub host: PathBuf,
    /// Absolute path inside: one that exists in the root, or any path below [`SKELETON`].
    pub inside: String,
    /// Whether the tools may write to it. [`Mode::Chroot`] can't prevent that.
    pub writable: bool,
}

/// How tools are isolated from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// In namespaces.
    Namespaces,
    /// In a chroot, as root.
    Chroot,
}

impl Mode {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Chroot => "chroot",
        }
    }

    /// The mode with that name.
    pub fn parse(name: &str) -> Result<Self, String> {
        let modes = [Self::Namespaces, Self::Chroot];
        modes.into_iter().find(|mode| mode.name() == name).ok_or_else(|| "expected `namespaces` or `chroot`".to_owned())
    }
}

/// The system calls for the isolation; the first variant that works is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Way {
    /// A user namespace, and the others inside it.
    User,
    /// All but the user namespace.
    Root,
    /// No namespace.
    Chroot,
}

/// No namespaces.
#[derive(Clone, Debug)]
pub struct Sandbox {
    way: Way,
    helper: PathBuf,
}

/// Why a tool failed.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// This host allows no way to isolate tools.
    #[error(
        "cannot create a sandbox for the tools on this host\n  namespaces: {namespaces}\n  chroot: {chroot}\n{advice}"
    )]
    Unavailable {
        /// Why namespaces can't be used.
        namespaces: String,
        /// Why chroot can't be used.
        chroot: String,
        /// What to change, one line each.
        advice: String,
    },
    /// The root, a bind or the command is invalid.
    #[error("can't run `{command}` in its sandbox: {why}")]
    Setup {
        /// The command inside.
        command: String,
        /// What is missing.
        why: String,
    },
    /// The tool ran and failed; a status above 128 is a signal's number and 128.
    #[error(transparent)]
    Tool(#[from] ProcessError),
}

impl Spec {
    /// The command as it would be typed in a shell.
    pub fn quoted(&self) -> String {
        self.argv.iter().map(|word| process::quote(word)).collect::<Vec<_>>().join(" ")
    }
}

impl Sandbox {
    /// Finds the mode that works on this host by trying, limited to the given one, if any; takes a few milliseconds.
    pub fn detect(mode: Option<Mode>) -> Result<Self, SandboxError> {
        // Not its path, which may lead to another program after an upgrade during the build.
        Self::in_mode(Path::new("/proc/self/exe"), mode)
    }

    /// As [`Sandbox::detect`], with a program whose `main` calls [`entry`] first: for tests of the library, whose own
    /// program does not.
    pub fn with_helper(helper: &Path) -> Result<Self, SandboxError> {
        Self::in_mode(helper, None)
    }

    /// As [`Sandbox::with_helper`], limited to the given mode, if any.
    pub fn in_mode(helper: &Path, mode: Option<Mode>) -> Result<Self, SandboxError> {
        probe::detect(helper, mode).map(|way| Self { way, helper: helper.to_owned() })
    }

    /// How tools are run.
    pub fn mode(&self) -> Mode {
        match self.way {
            Way::User | Way::Root => Mode::Namespaces,
            Way::Chroot => Mode::Chroot,
        }
    }

    /// Runs a command until it exits; any result other than exit status 0 is an error.
    ///
    /// `log` receives all that it prints, `watch` each line; `feed` writes its standard input, which is empty without
    /// it.
    pub fn run<'a>(
        &self,
        spec: &Spec,
        log: Option<&Path>,
        watch: Option<Watch<'a>>,
        feed: Option<Feed<'a>>,
    ) -> Result<(), SandboxError> {
        let job = Job::new(self.way, Some(spec));
        let mut run = Run::new(&self.helper).args(job.arguments(Stage::Outer));
        if let Some(log) = log {
            run = run.log(log);
        }
        if let Some(watch) = watch {
            run = run.watch(watch);
        }
        if let Some(feed) = feed {
            run = run.feed(feed);
        }
        let command = spec.quoted();
        run.run().map_err(|error| match error {
            ProcessError::Failed { status, tail, .. } => match setup_failure(status.code(), &tail) {
                Some(why) => SandboxError::Setup { command, why },
                None => ProcessError::Failed { command, status, tail }.into(),
            },
            ProcessError::Start { source, .. } => ProcessError::Start { command, source }.into(),
            ProcessError::Io { source, .. } => ProcessError::Io { command, source }.into(),
            ProcessError::Idle { idle, .. } => ProcessError::Idle { command, idle }.into(),
        })
    }

    /// Runs a command with the standard streams of this process; gives its exit status, which is that of shells for one that
    /// a signal ended.
    pub fn attached(&self, spec: &Spec) -> Result<i32, SandboxError> {
        let command = spec.quoted();
        let failed = |source| ProcessError::Start { command: command.clone(), source };
        // The command may change the settings of a terminal, and be killed before it restores them.
        let _terminal = process::SavedTerminal::take(std::io::stdin());
        let mut child = self.command(spec).spawn().map_err(failed)?;
        let _guard = process::Registered::new(&child);
        Self::ended(spec, child.wait().map_err(failed)?)
    }

    /// The same at this process's controlling terminal, of which the command only sees a copy: ^C belongs to the command.
    pub fn at_terminal(&self, spec: &Spec) -> Result<i32, SandboxError> {
        let spec = Spec { terminal: true, ..spec.clone() };
        let status = terminal::run(self.command(&spec));
        let status = status.map_err(|source| ProcessError::Start { command: spec.quoted(), source })?;
        Self::ended(&spec, status)
    }

    fn ended(spec: &Spec, status: std::process::ExitStatus) -> Result<i32, SandboxError> {
        match status.code() {
            Some(code) => Ok(code),
            None => Err(ProcessError::Failed { command: spec.quoted(), status, tail: Vec::new() }.into()),
        }
    }

    /// The command, for callers that handle its pipes themselves (QEMU's console); the environment is set.
    ///
    /// The thread that spawns it must outlive it: the sandbox takes the end of that thread for the end of dbco.
    /// Register the child with [`process::Registered`].
    pub fn command(&self, spec: &Spec) -> Command {
        let mut command = process::command(&self.helper);
        command.args(Job::new(self.way, Some(spec)).arguments(Stage::Outer)).env_clear();
        command
    }
}

fn setup_failure(code: Option<i32>, tail: &[String]) -> Option<String> {
    let line = tail.last().filter(|_| code == Some(SETUP_FAILED.into()))?;
    line.strip_prefix(MARK).map(str::to_owned)
}

/// The message from one process of the sandbox to the next.
#[derive(Debug, Serialize, Deserialize)]
struct Job {
    way: Way,
    /// Process id of the sender: once that has exited, nobody waits for the result.
    parent: u32,
    /// `None` to only test whether the isolation works.
    spec: Option<Spec>,
}

/// Which process of the sandbox this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Outer,
    Init,
    Enter,
}

impl Stage {
    const ALL: [(&'static str, Stage); 3] = [("outer", Stage::Outer), ("init", Stage::Init), ("enter", Stage::Enter)];
}

/// Bytes per argument: the kernel limits a single argument to 128 KiB (`MAX_ARG_STRLEN`), and a build script alone is
/// one argument of the tool.
const PIECE: usize = 64 * 1024;

impl Job {
    fn new(way: Way, spec: Option<&Spec>) -> Self {
        Self { way, parent: std::process::id(), spec: spec.cloned() }
    }

    fn arguments(&self, stage: Stage) -> Vec<OsString> {
        let json = serde_json::to_vec(self).unwrap_or_default();
        let name = Stage::ALL.iter().find(|(_, s)| *s == stage).map_or("", |(name, _)| name);
        let pieces = json.chunks(PIECE).map(|piece| OsString::from_vec(piece.to_vec()));
        [HIDDEN.into(), name.into()].into_iter().chain(pieces).collect()
    }
}

/// Must be called first in `main`: becomes a process of the sandbox if this process was started as one, and then does
/// not return.
pub fn entry() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != HIDDEN) {
        return;
    }
    let stage = arguments.next().and_then(|name| Stage::ALL.iter().find(|(n, _)| name == *n).map(|(_, stage)| *stage));
    let json: Vec<u8> = arguments.flat_map(OsStringExt::into_vec).collect();
    let result = match (stage, serde_json::from_slice::<Job>(&json)) {
        (Some(Stage::Outer), Ok(job)) => init::outer(job),
        (Some(Stage::Init), Ok(job)) => init::init(job),
        (Some(Stage::Enter), Ok(job)) => chroot::enter(job),
        _ => Err("this argument is internal to dbco".to_owned()),
    };
    let code = result.unwrap_or_else(|why| {
        eprintln!("{MARK}{why}");
        SETUP_FAILED.into()
    });
    std::process::exit(code)
}
