//! Boot tests: what a recipe says that its images do, seen on the serial console.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::machine::Serial;
use super::{Accel, BootError, Console, Launch, Machine, quoted};
use crate::image::grub::Menu;
use crate::process;

/// Lines of the console that a failure carries.
const TAIL: usize = 40;

/// What GRUB's menu starts with.
const MENU: &str = "GNU GRUB";

/// A test: boot a machine, wait for a text, log in, run commands.
#[derive(Clone, Debug)]
pub struct BootTest {
    /// Its name in reports, and the name of its log.
    pub name: String,
    /// What is booted.
    pub machine: Machine,
    /// Which entry of GRUB's menu is chosen; None where no GRUB is on the way, or its timeout of 0 hides the menu.
    pub menu: Option<usize>,
    /// What the console has to show.
    pub expect: String,
    /// Who logs in afterwards.
    pub login: Option<Login>,
    /// What is run after the login, in order.
    pub run: Vec<Step>,
    /// For all of it.
    pub timeout: Duration,
}

/// Who logs in.
#[derive(Clone, Debug)]
pub struct Login {
    /// Name.
    pub user: String,
    /// Password, if one is asked for.
    pub password: Option<String>,
}

/// A command and what is expected of it.
#[derive(Clone, Debug)]
pub struct Step {
    /// One line for the shell.
    pub command: String,
    /// What its output has to hold.
    pub expect: Option<String>,
    /// Its exit status.
    pub status: u32,
}

/// A part of a test and how long it took.
#[derive(Clone, Debug)]
pub struct Phase {
    /// `menu`, `boot`, `login`, `commands`.
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

/// Where tests run, and what is told meanwhile.
pub struct Tests<'a> {
    /// Starts QEMU.
    pub launch: &'a dyn Launch,
    /// What runs the machines; see [`Accel::detect`].
    pub accel: Accel,
    /// An empty folder; each machine's files are in a folder of it while it runs.
    pub work: &'a Path,
    /// Where `<name>.log` is written.
    pub logs: &'a Path,
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
    /// A test ended.
    Done(&'a Outcome),
}

impl Tests<'_> {
    /// Runs all tests, `jobs` at a time; outcomes are in the order of the tests.
    pub fn run(&self, tests: &[BootTest], watch: &(dyn Fn(Event<'_>) + Sync)) -> Vec<Outcome> {
        let next = AtomicUsize::new(0);
        let outcomes: Mutex<Vec<Option<Outcome>>> = Mutex::new(vec![None; tests.len()]);
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.clamp(1, tests.len().max(1)) {
                scope.spawn(|| {
                    while let Some((index, test)) = {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        tests.get(index).map(|test| (index, test))
                    } {
                        let outcome = self.one(index, test, watch);
                        watch(Event::Done(&outcome));
                        outcomes.lock().unwrap_or_else(|e| e.into_inner())[index] = Some(outcome);
                    }
                });
            }
        });
        outcomes.into_inner().unwrap_or_else(|e| e.into_inner()).into_iter().flatten().collect()
    }

    fn one(&self, index: usize, test: &BootTest, watch: &(dyn Fn(Event<'_>) + Sync)) -> Outcome {
        let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let log = self.logs.join(format!("{}.log", test.name.chars().map(plain).collect::<String>()));
        let folder = self.work.join(index.to_string());
        let mut clock = Clock { name: &test.name, watch, phases: Vec::new(), since: Instant::now(), current: "start" };
        let mut tail = Vec::new();
        let result = self.boot(test, &folder, &log, &mut clock, &mut tail);
        clock.end();
        // Leftovers go with the folder of all tests.
        let _ = fs::remove_dir_all(&folder);
        let failure = result.err().map(|error| in_full(&error));
        Outcome { name: test.name.clone(), failure, phases: clock.phases, accel: self.accel.clone(), log, tail }
    }

    fn boot(
        &self,
        test: &BootTest,
        folder: &Path,
        log: &Path,
        clock: &mut Clock<'_>,
        tail: &mut Vec<String>,
    ) -> Result<(), BootError> {
        fs::create_dir_all(folder).map_err(BootError::io("make", folder))?;
        let log = File::create(log).map_err(BootError::io("write", log))?;
        let errors = folder.join("qemu.err");
        let mut running = self.start(test, folder, &errors, log)?;
        let deadline = Instant::now() + test.timeout;
        let result = converse(test, &mut running.console, deadline, clock);
        running.stop();
        *tail = running.console.tail(TAIL);
        // QEMU's own words, where it did not even start the machine.
        tail.extend(fs::read_to_string(&errors).unwrap_or_default().lines().map(|line| format!("QEMU: {line}")));
        result
    }

    fn start(&self, test: &BootTest, folder: &Path, errors: &Path, log: File) -> Result<Running, BootError> {
        let argv = test.machine.prepare(self.launch, &self.accel, Serial::Pipe, folder)?;
        let failed = |source| BootError::Start { command: quoted(&argv), source };
        let mut command = self.launch.command(&argv, folder, &Machine::devices(&self.accel)).map_err(failed)?;
        let errors = File::create(errors).map_err(BootError::io("write", errors))?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().map_err(|error| failed(error.into()))?;
        let registered = process::Registered::new(&child);
        let (Some(output), Some(input)) = (child.stdout.take(), child.stdin.take()) else {
            return Err(failed("it has no pipes".into()));
        };
        Ok(Running { child, console: Console::new(output, input, Some(log)), _registered: registered })
    }
}

/// A machine that runs; dropped, it is ended.
struct Running {
    child: Child,
    console: Console,
    _registered: std::sync::Arc<process::Registered>,
}

impl Running {
    fn stop(&mut self) {
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

fn converse(test: &BootTest, console: &mut Console, deadline: Instant, clock: &mut Clock<'_>) -> Result<(), BootError> {
    if let Some(index) = test.menu {
        clock.phase("menu");
        let key = Menu::hotkey(index).ok_or(BootError::NoHotkey(index))?;
        console.expect(MENU, deadline)?;
        console.send(&key.to_string())?;
    }
    clock.phase("boot");
    console.expect(&test.expect, deadline)?;
    let Some(login) = &test.login else { return Ok(()) };
    clock.phase("login");
    if !test.expect.trim_end().ends_with("login:") {
        console.expect("login:", deadline)?;
    }
    console.send(&format!("{}\n", login.user))?;
    if let Some(password) = &login.password {
        console.expect("assword:", deadline)?;
        console.send(&format!("{password}\n"))?;
    }
    console.shell(deadline)?;
    clock.phase("commands");
    for step in &test.run {
        let (output, got) = console.run(&step.command, deadline)?;
        let command = step.command.clone();
        if got != step.status {
            return Err(BootError::Status { command, want: step.status, got, output });
        }
        if let Some(want) = step.expect.as_ref().filter(|want| !output.contains(want.as_str())) {
            return Err(BootError::Output { command, want: want.clone(), output });
        }
    }
    Ok(())
}

/// Measures phases and tells of them.
struct Clock<'a> {
    name: &'a str,
    watch: &'a (dyn Fn(Event<'_>) + Sync),
    phases: Vec<Phase>,
    since: Instant,
    current: &'static str,
}

impl Clock<'_> {
    fn phase(&mut self, name: &'static str) {
        self.end();
        self.current = name;
        (self.watch)(Event::Phase { name: self.name, phase: name });
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
