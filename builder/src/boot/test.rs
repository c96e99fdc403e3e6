//! Boot tests: what a recipe says that its images do, seen on the serial console.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::console::LastLine;
use super::converse::{converse, free_port};
use super::machine::{Serial, image, socket};
use super::nbd::Served;
use super::power::{Loss, Power};
use super::{Accel, BootError, Console, ConsoleError, Forward, Launch, Machine, quoted};
use crate::beneath::{Dir, Links};
use crate::threads;
use crate::{interrupt, process};

/// What QEMU itself says, in the machine's folder.
const ERRORS: &str = "qemu.err";

/// Lines of the console that a failure carries.
const TAIL: usize = 40;

/// A test: a machine that is started once or several times with the same disks.
#[derive(Clone, Debug)]
pub struct BootTest {
    /// Its name in reports, and the name of its log.
    pub name: String,
    /// Its starts, in order.
    pub boots: Vec<Boot>,
    /// For all of it; with power cuts for each start.
    pub timeout: Duration,
    /// The machine's TCP ports that the test reaches from outside.
    pub forward: Vec<u16>,
}

/// A start of a machine: wait for a text, log in, run commands.
#[derive(Clone, Debug)]
pub struct Boot {
    /// What is booted.
    pub machine: Machine,
    /// Which entry of GRUB's menu is chosen; None where no GRUB is on the way, or its timeout of 0 hides the menu.
    pub menu: Option<usize>,
    /// What the console has to show.
    pub expect: String,
    /// Who logs in afterwards.
    pub login: Option<Login>,
    /// What is done after the login, in order.
    pub run: Vec<Step>,
    /// How it ends.
    pub end: End,
}

/// Who logs in.
#[derive(Clone, Debug)]
pub struct Login {
    /// Name.
    pub user: String,
    /// Password, if one is asked for.
    pub password: Option<String>,
}

/// Something that is done and what is expected of it.
#[derive(Clone, Debug)]
pub enum Step {
    /// A command of the machine's shell.
    Command {
        /// One line.
        command: String,
        /// What its output has to hold.
        expect: Option<String>,
        /// Its exit status.
        status: u32,
    },
    /// Keys typed at the console.
    Type {
        /// Which, line breaks included.
        keys: String,
        /// What the console has to show after them.
        expect: Option<String>,
    },
    /// A connection to a forwarded port, tried until the answer is right.
    Tcp {
        /// The machine's port.
        port: u16,
        /// What is sent.
        send: String,
        /// What the answer has to hold.
        expect: String,
    },
}

/// How a start ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// QEMU is killed. What the machine had written to its disks stays, flushed or not.
    Cut,
    /// The power is cut again and again while a command runs; see [`super::power`] for what is lost.
    Cuts(Cuts),
    /// The machine ends by itself after this command of the shell.
    After(&'static str),
}

/// The power cuts during a command. The machine is started once more than there are cuts, and once more: first the command runs to its
/// end, so that the changes it makes to the disks are counted, and the power is cut right after it. Then each cut is at one of these
/// changes: half of the cuts are spread over all, half are at the last ones. After each the machine has to come up, `outcome` has to say what the cut came to, and the start's own
/// steps make it ready for the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cuts {
    /// The command; when it is not cut off its status has to be 0.
    pub during: String,
    /// How many cuts.
    pub times: u32,
    /// A command that runs first after a cut; the last word it prints tells what the cut came to.
    pub outcome: String,
    /// What it may come to; the last word is that of a command that had ended before the power went.
    pub words: Vec<String>,
}

/// A part of a test and how long it took.
#[derive(Clone, Debug)]
pub struct Phase {
    /// `menu`, `boot`, `login`, `commands`, `end`, or `cuts` for all that belongs to power cuts; those of a later start again.
    pub name: &'static str,
    /// Seconds.
    pub seconds: f64,
}

/// How a test ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The test's name.
    pub name: String,
    /// Why it failed; None if it passed.
    pub failure: Option<String>,
    /// What it went through, the phase that failed included.
    pub phases: Vec<Phase>,
    /// What ran the machine, and why.
    pub accel: Accel,
    /// All that the console showed, as raw bytes.
    pub log: PathBuf,
    /// The console's last lines, without control sequences.
    pub tail: Vec<String>,
    /// What is worth telling beside: what power cuts came to.
    pub notes: Vec<String>,
}

impl Outcome {
    /// Whether it passed.
    pub fn passed(&self) -> bool {
        self.failure.is_none()
    }

    /// Seconds in all.
    pub fn seconds(&self) -> f64 {
        self.phases.iter().map(|phase| phase.seconds).sum()
    }
}

/// Where logs are written.
pub trait Logs: Sync {
    /// Where the file of this name is.
    fn path(&self, name: &str) -> PathBuf;

    /// A new file of this name.
    fn create(&self, name: &str) -> io::Result<File>;
}

/// A folder that nobody else writes to.
impl Logs for PathBuf {
    fn path(&self, name: &str) -> PathBuf {
        self.join(name)
    }

    fn create(&self, name: &str) -> io::Result<File> {
        File::create(self.join(name))
    }
}

/// The name of a test's log.
pub fn log_name(test: &str) -> String {
    format!("{}.log", crate::printable::file_name(test))
}

/// Where tests run, and who is told meanwhile.
pub struct Tests<'a> {
    /// Starts QEMU.
    pub launch: &'a dyn Launch,
    /// What runs the machines; see [`Accel::detect`].
    pub accel: Accel,
    /// An empty folder; each machine's files are in a folder of it while it runs.
    pub work: &'a Path,
    /// Where [`log_name`] of each test is written.
    pub logs: &'a dyn Logs,
    /// How many machines run at a time.
    pub jobs: usize,
}

/// What happens during [`Tests::run`].
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A test entered a phase.
    Phase {
        /// The test.
        name: &'a str,
        /// Which.
        phase: &'static str,
    },
    /// A machine of a test was started.
    Started {
        /// The test.
        name: &'a str,
        /// Gives the last line that its console shows.
        last_line: &'a LastLine,
    },
    /// A test ended.
    Done(&'a Outcome),
}

impl Tests<'_> {
    /// Runs all tests, `jobs` at a time; outcomes are in the order of the tests. After a signal no other test begins, and those
    /// that it ended have no outcome.
    pub fn run(&self, tests: &[BootTest], watch: &(dyn Fn(Event<'_>) + Sync)) -> Vec<Outcome> {
        let next = AtomicUsize::new(0);
        let outcomes: Mutex<Vec<Option<Outcome>>> = Mutex::new(vec![None; tests.len()]);
        let work = || {
            while let Some((index, test)) = {
                let index = next.fetch_add(1, Ordering::Relaxed);
                tests.get(index).map(|test| (index, test))
            } {
                let outcome = self.one(index, test, watch);
                // What a signal has ended says nothing about the image.
                if interrupt::raised().is_some() {
                    return;
                }
                watch(Event::Done(&outcome));
                outcomes.lock().unwrap_or_else(|e| e.into_inner())[index] = Some(outcome);
            }
        };
        threads::side_by_side(self.jobs.clamp(1, tests.len().max(1)), &work);
        outcomes.into_inner().unwrap_or_else(|e| e.into_inner()).into_iter().flatten().collect()
    }

    fn one(&self, index: usize, test: &BootTest, watch: &(dyn Fn(Event<'_>) + Sync)) -> Outcome {
        let folder = self.work.join(index.to_string());
        let mut timer = PhaseTimer::new(&test.name, watch);
        let mut transcript = Transcript::default();
        let result = self.boot(test, &folder, &mut timer, &mut transcript);
        timer.end();
        // Leftovers go with the folder of all tests.
        let _ = fs::remove_dir_all(&folder);
        let failure = result.err().map(|error| in_full(&error));
        let Transcript { tail, notes } = transcript;
        let log = self.logs.path(&log_name(&test.name));
        Outcome { name: test.name.clone(), failure, phases: timer.phases, accel: self.accel.clone(), log, tail, notes }
    }

    fn boot(
        &self,
        test: &BootTest,
        folder: &Path,
        timer: &mut PhaseTimer<'_>,
        transcript: &mut Transcript,
    ) -> Result<(), BootError> {
        fs::create_dir_all(folder).map_err(BootError::io("make", folder))?;
        let name = log_name(&test.name);
        let log = self.logs.create(&name).map_err(BootError::io("write", &self.logs.path(&name)))?;
        let mut deadline = Instant::now() + test.timeout;
        let forward = test.forward.iter().map(|guest| Ok(Forward { host: free_port()?, guest: *guest }));
        let forward: Vec<Forward> = forward.collect::<io::Result<_>>().map_err(BootError::Port)?;
        let place = Place { folder, log: &log, forward: &forward };
        // What one start has left in the disks' caches the next one finds, so all starts are alike.
        let served = test.boots.iter().any(|boot| matches!(boot.end, End::Cuts(_)));
        for (index, boot) in test.boots.iter().enumerate() {
            if index > 0 {
                timer.phase("start");
            }
            if let End::Cuts(cuts) = &boot.end {
                timer.hold("cuts");
                let note = super::cuts::run(self, boot, cuts, &place, test.timeout, timer, transcript)?;
                transcript.notes.push(note);
                timer.release();
                continue;
            }
            // Cuts take long in all, so there the time is for each start.
            if served {
                deadline = Instant::now() + test.timeout;
            }
            let mut running = self.start(&boot.machine, served, &place)?;
            (timer.watch)(Event::Started { name: &test.name, last_line: &running.console.last_line() });
            let begin = Instant::now();
            let result = converse(boot, &forward, &mut running.console, deadline, timer);
            let silent = running.console.tail(1).is_empty();
            running.end(Loss::All, transcript)?;
            result.map_err(|error| match error {
                BootError::Console(ConsoleError::Ended { .. }) if silent => {
                    BootError::Silent { seconds: begin.elapsed().as_secs_f64(), memory: boot.machine.memory }
                }
                other => other,
            })?;
        }
        Ok(())
    }

    /// Starts a machine; with `served` its disks have caches that a cut empties.
    pub(super) fn start(&self, machine: &Machine, served: bool, place: &Place<'_>) -> Result<Running, BootError> {
        interrupt::check().map_err(BootError::io("use", place.folder))?;
        let machine = Machine { forward: place.forward.to_vec(), served, ..machine.clone() };
        let argv = machine.prepare(self.launch, &self.accel, Serial::Pipe, place.folder)?;
        let power: Arc<Power> = Arc::default();
        let dir = Dir::open(place.folder, Links::Never).map_err(BootError::io("open", place.folder))?;
        let disks = (0..if served { machine.disks.len() } else { 0 }).map(|index| {
            let (image, socket) = (dir.open_writable(image(index))?, place.folder.join(socket(index)));
            Served::start(image, &socket, Arc::clone(&power)).map_err(BootError::io("serve a disk at", &socket))
        });
        let disks = disks.collect::<Result<_, BootError>>()?;
        let failed = |source| BootError::Start { command: quoted(&argv), source };
        let mut command = self.launch.command(&argv, place.folder, &machine.access(&self.accel)).map_err(failed)?;
        let stderr = dir.create(ERRORS)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let log = place.log.try_clone().map_err(BootError::io("write", place.folder))?;
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
        Ok(Running { child, console, power, disks, dir, _registered: registered })
    }
}

/// Where a test's machines run.
pub(super) struct Place<'a> {
    pub(super) folder: &'a Path,
    pub(super) log: &'a File,
    pub(super) forward: &'a [Forward],
}

/// What a test shows beside its verdict.
#[derive(Default)]
pub(super) struct Transcript {
    tail: Vec<String>,
    notes: Vec<String>,
}

/// A machine that runs; dropped, it is ended.
pub(super) struct Running {
    child: Child,
    pub(super) console: Console,
    pub(super) power: Arc<Power>,
    disks: Vec<Served>,
    dir: Dir,
    _registered: Arc<process::Registered>,
}

impl Running {
    /// What kills QEMU, for whoever cuts the power.
    pub(super) fn killer(&self) -> impl FnOnce() + Send + use<> {
        // It is waited for by `stop` alone, which comes later: no other process has its number.
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        // It may have ended by itself.
        move || {
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
    }

    /// Kills QEMU, if it still runs; its disks lose what that says.
    pub(super) fn end(mut self, loss: Loss, transcript: &mut Transcript) -> Result<(), BootError> {
        self.stop();
        transcript.tail = self.console.tail(TAIL);
        // QEMU's own words, where it did not even start the machine.
        let errors = self.dir.read_text(ERRORS, 1 << 20).unwrap_or_default();
        transcript.tail.extend(errors.lines().map(|line| format!("QEMU: {line}")));
        for disk in std::mem::take(&mut self.disks) {
            disk.lose(loss).map_err(BootError::io("write a disk of", self.dir.host_path()))?;
        }
        Ok(())
    }

    fn stop(&mut self) {
        self.power.turn_off();
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.console.finish();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Measures phases and tells of them.
pub(super) struct PhaseTimer<'a> {
    name: &'a str,
    watch: &'a (dyn Fn(Event<'_>) + Sync),
    phases: Vec<Phase>,
    since: Instant,
    current: &'static str,
    held: bool,
}

impl<'a> PhaseTimer<'a> {
    fn new(name: &'a str, watch: &'a (dyn Fn(Event<'_>) + Sync)) -> Self {
        Self { name, watch, phases: Vec::new(), since: Instant::now(), current: "start", held: false }
    }

    pub(super) fn phase(&mut self, name: &'static str) {
        if !self.held {
            self.end();
            self.current = name;
        }
        (self.watch)(Event::Phase { name: self.name, phase: name });
    }

    /// Begins a phase that takes in all that follow.
    fn hold(&mut self, name: &'static str) {
        self.phase(name);
        self.held = true;
    }

    fn release(&mut self) {
        self.held = false;
    }

    fn end(&mut self) {
        let now = Instant::now();
        self.phases.push(Phase { name: self.current, seconds: (now - self.since).as_secs_f64() });
        self.since = now;
    }
}

/// An error and all that caused it.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
