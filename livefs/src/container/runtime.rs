//! The life cycle of one container, through crun: create, start, signal, stop, delete.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use serde::Deserialize;

use super::error::io;
use super::keeper::{self, Engine, Kept};
use super::start_space::StartSpace;
use super::{ContainerSpec, Error, Result, bundle, checkpoint, freeze, limits, oci, program};

/// The runtime's program and its state folder.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// The program.
    pub program: PathBuf,
    /// A folder on a tmpfs, as its content must not outlive a reboot.
    pub folder: PathBuf,
}

impl Default for Runtime {
    fn default() -> Self {
        Self { program: "/system/bin/crun".into(), folder: "/system/run/vz".into() }
    }
}

/// A container known to the runtime.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct EngineState {
    /// PID 1's number on the host; its namespaces are `/proc/PID/ns/*`.
    pub pid: i32,
    /// Its state.
    pub status: RunState,
}

/// The state of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Its namespaces exist; PID 1 waits for `start`.
    Created,
    /// PID 1 is running.
    Running,
    /// All its processes are frozen.
    Paused,
    /// Its PID 1 is dead; only the runtime's records are left.
    Stopped,
}

/// From this number of containers on the engine is started apart from their mounts: with fewer, that takes longer than
/// copying them.
const MANY: u64 = 64;

impl Runtime {
    /// Starts creating a container, after [`Runtime::prepare`]: creates its keeper, which with `network` creates a
    /// network namespace for it meanwhile. What a dead container with this number left must be removed before
    /// ([`Runtime::delete`]).
    ///
    /// # Errors
    /// It is already running; the keeper can't be created.
    pub fn begin(&self, spec: &ContainerSpec, kept: Kept, network: bool) -> Result<Creation<'_>> {
        check(spec)?;
        // It is removed with the bundle.
        let log = self.bundle(spec.id).join("log");
        let mut command = self.command("create", &log);
        command.arg("--bundle").arg(self.bundle(spec.id));
        let gate = self.notes(spec.id).join("exec.fifo");
        let space = if kept.restore.is_none() { self.start_space(spec) } else { None };
        let root = space.is_some().then(|| self.bundle(spec.id).join("root"));
        let keeper = keeper::begin(&self.folder, spec.id, &gate, Engine { command, space }, kept, network)?;
        Ok(Creation { runtime: self, id: spec.id, network, root, made: false, log, keeper: Some(keeper) })
    }

    /// Where to start the engine for a container, with the root in its bundle. None: as usual, on the host, because there
    /// are few containers, this one needs more of the host's mounts, or the kernel refuses; then a start only takes longer.
    fn start_space(&self, spec: &ContainerSpec) -> Option<StartSpace> {
        // A cgroup's folder has a link for each folder in it.
        let others = fs::metadata(Path::new(limits::CGROUPS).join("vz")).map_or(0, |data| data.nlink());
        if others < MANY || !spec.binds.is_empty() {
            return None;
        }
        let program = program::path(&self.program, &self.folder);
        let needed = ["/proc", "/sys", limits::CGROUPS, "/dev/pts"].map(Path::new);
        let target = self.bundle(spec.id).join("root");
        fs::create_dir_all(&target).ok()?;
        StartSpace::of(&self.folder, &[&needed[..], &[&program]].concat(), &spec.root, &target).ok()
    }

    /// Prepares for a container that is run once: what a dead one with this number left is removed, including its
    /// cgroup, as a new container starts with a new cgroup.
    fn clear(&self, spec: &ContainerSpec) -> Result<()> {
        check(spec)?;
        let left = [self.notes(spec.id), limits::cgroup(spec.id), bundle::number(&self.folder, spec.id)];
        if left.iter().any(|path| path.exists()) { self.delete(spec.id) } else { Ok(()) }
    }

    fn write_bundle(&self, spec: &ContainerSpec) -> Result<PathBuf> {
        let bundle = self.bundle(spec.id);
        let config = bundle.join("config.json");
        let text = serde_json::to_vec(&oci::config(spec)).map_err(std::io::Error::from).map_err(io("make", &config))?;
        fs::write(&config, text).map_err(io("write", &config))?;
        Ok(bundle)
    }

    /// Whether anything of a container exists, alive or dead; true from [`Runtime::prepare`] on.
    pub fn knows(&self, id: u32) -> bool {
        [self.notes(id), self.bundle(id), limits::cgroup(id)].iter().any(|path| path.exists())
    }

    /// Creates the bundle's folder, to be called before anything else is created for a container: if it is missing,
    /// nothing can be left over, which saves searching for it.
    pub fn prepare(&self, id: u32) -> Result<()> {
        let bundle = self.bundle(id);
        fs::create_dir_all(&bundle).map_err(io("make", &bundle))
    }

    fn notes(&self, id: u32) -> PathBuf {
        self.folder.join("crun").join(id.to_string())
    }

    /// The runtime's state of a container; `None` if there is none.
    pub fn state(&self, id: u32) -> Result<Option<EngineState>> {
        if !self.notes(id).exists() {
            return Ok(None);
        }
        let mut command = self.command("state", &self.log(id));
        command.arg(id.to_string()).stdin(Stdio::null()).stderr(Stdio::null());
        let output = command.output().map_err(io("run", &self.program))?;
        if !output.status.success() {
            return Err(told(id, "state", output.status, &self.log(id)));
        }
        let _ = fs::remove_file(self.log(id));
        let wrong = |error: serde_json::Error| Error::Runtime { action: "state", id, message: error.to_string() };
        serde_json::from_slice(&output.stdout).map(Some).map_err(wrong)
    }

    /// Corrects the engine's record of a container whose PID 1 was replaced: its number and the time of its start, by
    /// which the engine recognizes it (crun's `status.c`).
    ///
    /// # Errors
    /// There is no such container.
    pub fn adopt(&self, id: u32) -> Result<()> {
        let path = self.notes(id).join("status");
        let pid = self.left(id).ok_or(Error::State { id, expected: "running" })?;
        let stat = PathBuf::from(format!("/proc/{pid}/stat"));
        let text = fs::read_to_string(&stat).map_err(io("read", &stat))?;
        let started = text.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(19)?.parse::<u64>().ok());
        let text = fs::read(&path).map_err(io("read", &path))?;
        let wrong = |error: serde_json::Error| Error::Runtime { action: "state", id, message: error.to_string() };
        let mut record: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&text).map_err(wrong)?;
        record.insert("pid".into(), pid.into());
        record.insert("process-start-time".into(), started.unwrap_or_default().into());
        let text = serde_json::to_vec(&record).map_err(wrong)?;
        // Other commands read it at any time.
        let beside = path.with_extension("new");
        fs::write(&beside, text).and_then(|()| fs::rename(&beside, &path)).map_err(io("write", &path))
    }

    /// PID 1's number on the host of a container that is running, or has ended and is not deleted yet.
    pub fn left(&self, id: u32) -> Option<i32> {
        fs::read_to_string(bundle::number(&self.folder, id)).ok()?.trim().parse().ok()
    }

    /// Sends PID 1 a signal, by its number.
    pub fn kill(&self, id: u32, signal: i32) -> Result<()> {
        self.simple(id, "kill", &[&signal.to_string()])
    }

    /// Stops a container: `signal` to PID 1, and after `limit` all its processes are killed. Gives whether that was
    /// necessary. The container is deleted; its tree stays mounted.
    pub fn stop(&self, id: u32, signal: i32, limit: Duration) -> Result<bool> {
        match self.state(id)? {
            None => return Err(Error::State { id, expected: "running" }),
            Some(EngineState { status: RunState::Stopped, .. }) => {
                self.delete(id)?;
                return Ok(false);
            }
            // A frozen process would only receive the signal after thawing.
            Some(EngineState { status: RunState::Paused, .. }) => freeze::thaw(id)?,
            Some(_) => {}
        }
        self.kill(id, signal)?;
        let orderly = freeze::wait(&limits::cgroup(id), "populated", 0, limit)?;
        if !orderly {
            freeze::kill_all(id)?;
        }
        self.delete(id)?;
        Ok(!orderly)
    }

    /// Runs a command inside, with the container's capabilities and filter and in its cgroup, with this process's
    /// standard streams; `terminal` gives it a pseudo-terminal of the container's and relays; `input` is read instead
    /// of our standard input. Gives its exit code, or 128 plus the number of the signal that ended it.
    pub fn exec(
        &self,
        id: u32,
        arguments: &[String],
        environment: &[(String, String)],
        terminal: bool,
        input: Option<&[u8]>,
    ) -> Result<i32> {
        if limits::events(id).is_none_or(|events| !events.populated || events.frozen) {
            return Err(Error::State { id, expected: "running" });
        }
        let mut command = self.command("exec", &self.log(id));
        if terminal {
            command.arg("--tty");
        }
        for (name, value) in environment {
            command.arg("--env").arg(format!("{name}={value}"));
        }
        command.arg(id.to_string()).args(arguments);
        self.joined(id, "exec", command, input)
    }

    /// Runs a container to its end, as [`Self::exec`] runs a command: its first process uses our standard streams.
    /// Nothing of it is left.
    pub fn run_once(&self, spec: &ContainerSpec, input: Option<&[u8]>) -> Result<i32> {
        self.clear(spec)?;
        self.prepare(spec.id)?;
        limits::apply(&spec.limits, &limits::make(spec.id)?)?;
        let ran = self.write_bundle(spec).and_then(|bundle| {
            let mut command = self.command("run", &self.log(spec.id));
            command.arg("--bundle").arg(bundle).arg(spec.id.to_string());
            self.joined(spec.id, "run", command, input)
        });
        self.delete(spec.id)?;
        ran
    }

    /// Runs crun with our standard streams, or with this input. Its own failures are in its log, the result of the
    /// program inside is its exit code.
    fn joined(&self, id: u32, action: &'static str, mut command: Command, input: Option<&[u8]>) -> Result<i32> {
        if input.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().map_err(io("run", &self.program))?;
        if let (Some(input), Some(mut pipe)) = (input, child.stdin.take()) {
            // A program may end without having read everything.
            match std::io::Write::write_all(&mut pipe, input) {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    return Err(io("run", &self.program)(error));
                }
                _ => drop(pipe),
            }
        }
        let status = child.wait().map_err(io("run", &self.program))?;
        match message(&self.log(id)) {
            Some(message) => Err(Error::Runtime { action, id, message }),
            None => status.code().ok_or_else(|| told(id, action, status, &self.log(id))),
        }
    }

    /// Removes everything left of a container, including its processes; a container that does not exist is not an
    /// error.
    pub fn delete(&self, id: u32) -> Result<()> {
        let cgroup = limits::cgroup(id);
        if cgroup.exists() {
            freeze::kill_all(id)?;
        }
        if self.notes(id).exists() {
            self.simple(id, "delete", &["--force"])?;
        }
        let (bundle, number) = (self.bundle(id), bundle::number(&self.folder, id));
        let removed = [fs::remove_dir(&cgroup), fs::remove_dir_all(&bundle), fs::remove_file(&number)];
        for (path, result) in [cgroup, bundle, number].into_iter().zip(removed) {
            match result {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                other => other.map_err(io("remove", &path))?,
            }
        }
        Ok(())
    }

    fn simple(&self, id: u32, action: &'static str, more: &[&str]) -> Result<()> {
        let mut command = self.command(action, &self.log(id));
        // `kill` expects the signal after the container, `delete` its option before.
        let (options, operands): (Vec<&str>, Vec<&str>) = more.iter().partition(|word| word.starts_with('-'));
        command.args(options).arg(id.to_string()).args(operands).stdout(Stdio::null()).stderr(Stdio::null());
        self.run(id, action, command)
    }

    fn run(&self, id: u32, action: &'static str, mut command: Command) -> Result<()> {
        let status = command.stdin(Stdio::null()).status().map_err(io("run", &self.program))?;
        if !status.success() {
            return Err(told(id, action, status, &self.log(id)));
        }
        // Warnings of successful commands are not read.
        let _ = fs::remove_file(self.log(id));
        Ok(())
    }

    fn bundle(&self, id: u32) -> PathBuf {
        bundle::bundle(&self.folder, id)
    }

    /// Errors go to a separate file: a container inherits standard error, and would keep a pipe open.
    fn log(&self, id: u32) -> PathBuf {
        self.folder.join(format!("{id}.{}.log", std::process::id()))
    }

    fn command(&self, action: &str, log: &Path) -> Command {
        let mut option = OsStr::new("--log=").to_owned();
        option.push(log);
        let mut command = crate::process::command(program::path(&self.program, &self.folder));
        command.arg("--root").arg(self.folder.join("crun")).arg("--cgroup-manager=cgroupfs");
        command.arg(option).arg("--log-format=json").arg(action);
        command
    }
}

fn told(id: u32, action: &'static str, status: ExitStatus, log: &Path) -> Error {
    Error::Runtime { action, id, message: message(log).unwrap_or_else(|| format!("ended with {status}")) }
}

/// The last error in a log, which is then removed.
fn message(log: &Path) -> Option<String> {
    let text = fs::read_to_string(log).ok()?;
    let _ = fs::remove_file(log);
    last_error(&text)
}

/// A container that is being created. If this is dropped before it is started, nothing is left of the container.
#[derive(Debug)]
pub struct Creation<'a> {
    runtime: &'a Runtime,
    id: u32,
    /// Whether its keeper creates its network namespace.
    network: bool,
    /// Where the engine finds its root, if not on the host.
    root: Option<PathBuf>,
    made: bool,
    /// The engine's messages about it.
    log: PathBuf,
    /// None: it is running.
    keeper: Option<keeper::KeeperStart>,
}

impl Creation<'_> {
    /// The path of the network namespace that the keeper creates, for [`ContainerSpec::network`].
    pub fn network(&self) -> Option<PathBuf> {
        self.keeper.as_ref().filter(|_| self.network).map(keeper::KeeperStart::network)
    }

    /// Creates the container's cgroup with its limits, and starts creating its namespaces and mounts. PID 1 does not
    /// run before [`Creation::start`], so that meanwhile the caller can set up the container's network. Gives the
    /// namespace that the keeper has created for it.
    ///
    /// # Errors
    /// A limit can't be set on its cgroup, or the kernel refuses a network namespace.
    pub fn create(&mut self, spec: &ContainerSpec) -> Result<Option<OwnedFd>> {
        limits::apply_new(&spec.limits, &limits::make(spec.id)?)?;
        let mut seen = spec.clone();
        seen.root = self.root.take().unwrap_or(seen.root);
        self.runtime.write_bundle(&seen)?;
        let Some(keeper) = &mut self.keeper else { return Ok(None) };
        let network = self.network.then(|| keeper.networked()).transpose()?;
        keeper.run();
        Ok(network)
    }

    /// PID 1's number on the host; waits until the container is created.
    ///
    /// # Errors
    /// The runtime failed.
    pub fn pid(&mut self) -> Result<i32> {
        self.wait()?;
        self.runtime.left(self.id).ok_or(Error::State { id: self.id, expected: "created" })
    }

    /// Puts the saved processes of [`Kept::restore`] in the place of PID 1, after [`Creation::pid`]. They do not run
    /// before [`Creation::start`]; until then this can be dropped, and nothing of them has had an effect.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] with CRIU's reason; `log` is [`super::checkpoint::Restore::log`].
    pub fn restore(&mut self, log: &Path) -> Result<()> {
        let restored = self.keeper.as_mut().map_or(Ok(true), keeper::KeeperStart::restored)?;
        if restored {
            return Ok(());
        }
        let message = checkpoint::reason(log).unwrap_or_else(|| "it gave no reason".into());
        Err(Error::Checkpoint { action: "restore", id: self.id, message })
    }

    /// Lets PID 1 run.
    ///
    /// # Errors
    /// The runtime failed.
    pub fn start(mut self) -> Result<()> {
        self.keeper.iter_mut().for_each(keeper::KeeperStart::go);
        self.wait()?;
        match self.keeper.take() {
            Some(mut keeper) => keeper.started(),
            None => Ok(()),
        }
    }

    fn wait(&mut self) -> Result<()> {
        match &mut self.keeper {
            Some(keeper) if !self.made => {
                let status = keeper.made()?;
                self.made = true;
                if status.success() { Ok(()) } else { Err(told(self.id, "create", status, &self.log)) }
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Creation<'_> {
    fn drop(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            // Stops the engine first.
            drop(keeper);
            // The caller that drops this has a better error to report.
            let _ = self.runtime.delete(self.id);
        }
    }
}

/// Whether a container can be created: the spec is valid, and none with this number is running.
fn check(spec: &ContainerSpec) -> Result<()> {
    spec.check()?;
    match limits::events(spec.id) {
        Some(events) if events.populated => Err(Error::State { id: spec.id, expected: "stopped" }),
        _ => Ok(()),
    }
}

/// crun's log as JSON: a line for each message.
fn last_error(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct CommandWords {
        msg: String,
        level: String,
    }
    let mut lines = text.lines().filter_map(|line| serde_json::from_str::<CommandWords>(line).ok());
    lines.rfind(|line| line.level == "error").map(|line| line.msg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_tells_the_last_error() {
        let text = "{\"msg\":\"a\",\"level\":\"warning\",\"time\":\"t\"}\n{\"msg\":\"no such file\",\"level\":\"error\",\"time\":\"t\"}\n";
        assert_eq!(last_error(text).as_deref(), Some("no such file"));
        assert_eq!(last_error("not JSON\n"), None);
    }

    #[test]
    fn a_state_is_read_and_an_unknown_container_has_none() {
        let state: EngineState =
            serde_json::from_str("{\"ociVersion\":\"1.0.0\",\"pid\":7,\"status\":\"running\"}").unwrap();
        assert_eq!(state, EngineState { pid: 7, status: RunState::Running });
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime { folder: folder.path().into(), ..Runtime::default() };
        assert_eq!(runtime.state(101).unwrap(), None);
    }
}
