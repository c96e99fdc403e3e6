//! A machine of a boot test while it runs.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Instant;

use super::machine::{LinkSide, SerialBackend, image, socket};
use super::nbd::ServedDisk;
use super::power::{Loss, Power};
use super::report::Transcript;
use super::{Accel, BootError, Console, ConsoleError, Forward, Launch, Machine, quoted};
use crate::beneath::{Dir, Links};
use crate::path_error::FromPathError as _;
use crate::{interrupt, process};

/// QEMU's own messages, in the machine's folder.
const ERRORS: &str = "qemu.err";

/// The number of console lines that a failure includes.
const TAIL: usize = 40;

/// What the machines of a test share.
pub(super) struct MachineHost<'a> {
    /// Starts QEMU.
    pub(super) launch: &'a dyn Launch,
    pub(super) accel: &'a Accel,
    /// The folder of the machines' files.
    pub(super) folder: &'a Path,
    /// The log of the console.
    pub(super) log: &'a File,
    /// Host ports that are forwarded to the machines.
    pub(super) forward: &'a [Forward],
    /// The machines' end of the link, if the test has two machines.
    pub(super) link: Option<LinkSide>,
}

impl MachineHost<'_> {
    /// Starts a machine; with `served` its disks have caches that are lost by a power cut.
    pub(super) fn start(&self, machine: &Machine, served: bool) -> Result<RunningMachine, BootError> {
        interrupt::check().map_err(BootError::io("use", self.folder))?;
        let machine = Machine { forward: self.forward.to_vec(), link: self.link, served, ..machine.clone() };
        let argv = machine.prepare(self.launch, self.accel, SerialBackend::Pipe, self.folder)?;
        let power: Arc<Power> = Arc::default();
        let dir = Dir::open(self.folder, Links::Never).map_err(BootError::io("open", self.folder))?;
        let disks = (0..if served { machine.disks.len() } else { 0 }).map(|index| {
            let (image, socket) = (dir.open_writable(image(index))?, self.folder.join(socket(index)));
            ServedDisk::start(image, &socket, Arc::clone(&power)).map_err(BootError::io("serve a disk at", &socket))
        });
        let disks = disks.collect::<Result<_, BootError>>()?;
        let failed = |source| BootError::Start { command: quoted(&argv), source };
        let mut command = self.launch.command(&argv, self.folder, &machine.access(self.accel)).map_err(failed)?;
        let stderr = dir.create(ERRORS)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let log = self.log.try_clone().map_err(BootError::io("write", self.folder))?;
        let mut child = command.spawn().map_err(|error| failed(error.into()))?;
        let registered = process::Registered::new(&child);
        let (Some(output), Some(input)) = (child.stdout.take(), child.stdin.take()) else {
            return Err(failed("it has no pipes".into()));
        };
        let console = match Console::new(output, input, Some(log)) {
            Ok(console) => console,
            Err(error) => {
                let _ = child.kill().and_then(|()| child.wait());
                return Err(failed(error.into()));
            }
        };
        let (begin, memory) = (Instant::now(), machine.memory);
        Ok(RunningMachine { child, console, power, disks, dir, begin, memory, _registered: registered })
    }
}

/// A running machine; dropping it kills QEMU.
pub(super) struct RunningMachine {
    child: Child,
    pub(super) console: Console,
    pub(super) power: Arc<Power>,
    disks: Vec<ServedDisk>,
    dir: Dir,
    begin: Instant,
    memory: u32,
    _registered: Arc<process::Registered>,
}

impl RunningMachine {
    /// A closure that kills QEMU, to cut the power.
    pub(super) fn killer(&self) -> impl FnOnce() + Send + use<> {
        // It is waited for only by `stop`, which comes later, so its process ID can't have been reused.
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        // It may have exited already.
        move || {
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
    }

    /// Whether it still runs, and its kernel has not panicked since the last match of its console.
    pub(super) fn runs(&mut self) -> Result<(), ConsoleError> {
        use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
        // It must not be reaped here: see `killer`.
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        if waitid(Id::Pid(pid), flags).is_ok_and(|status| status != WaitStatus::StillAlive) {
            // The console's thread may not have seen that yet.
            self.console.finish();
        }
        self.console.runs()
    }

    /// A failure of the dialogue with it, which may be that it never showed anything.
    pub(super) fn explain(&self, error: BootError) -> BootError {
        match error {
            BootError::Console(ConsoleError::Ended { .. }) if self.console.tail(1).is_empty() => {
                BootError::Silent { seconds: self.begin.elapsed().as_secs_f64(), memory: self.memory }
            }
            other => other,
        }
    }

    /// Kills QEMU if it is still running; its disks lose what `loss` says.
    pub(super) fn end(mut self, loss: Loss, transcript: &mut Transcript) -> Result<(), BootError> {
        self.stop();
        transcript.tail = self.console.tail(TAIL);
        // QEMU's own messages, as it may not even have started the machine.
        let errors = self.dir.read_text(ERRORS, 1 << 20).unwrap_or_default();
        transcript.tail.extend(errors.lines().map(|line| format!("QEMU: {line}")));
        for disk in std::mem::take(&mut self.disks) {
            disk.lose(loss).map_err(BootError::io("write a disk of", self.dir.host_path()))?;
        }
        Ok(())
    }

    fn stop(&mut self) {
        self.power.turn_off();
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.console.finish();
    }
}

impl Drop for RunningMachine {
    fn drop(&mut self) {
        self.stop();
    }
}
