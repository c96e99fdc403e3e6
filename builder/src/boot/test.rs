//! Runs boot tests: what a recipe states about its images, checked on the serial console.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::dialogue::{free_port, run_boot};
use super::power::Loss;
use super::report::{PhaseTimer, Transcript};
use super::running::MachineHost;
use super::{Accel, BootError, ConsoleError, Forward, Launch};
use crate::interrupt;
use crate::path_error::FromPathError as _;
use crate::threads;

pub use super::report::{Phase, TestEvent, TestOutcome};
pub use super::spec::{Boot, BootEnd, BootTest, Cuts, Login, TestStep};

/// Where logs are written.
pub trait LogSink: Sync {
    /// Where the file of this name is.
    fn path(&self, name: &str) -> PathBuf;

    /// Creates the file of this name.
    fn create(&self, name: &str) -> io::Result<File>;
}

/// A folder that no other process writes to.
impl LogSink for PathBuf {
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

/// The environment that tests run in.
pub struct TestRunner<'a> {
    /// Starts QEMU.
    pub launch: &'a dyn Launch,
    /// What runs the machines; see [`Accel::detect`].
    pub accel: Accel,
    /// An empty folder, in which each running machine has a folder for its files.
    pub work: &'a Path,
    /// Receives the log of each test, under [`log_name`].
    pub logs: &'a dyn LogSink,
    /// How many machines run at a time.
    pub jobs: usize,
}

impl TestRunner<'_> {
    /// Runs all tests, `jobs` at a time; the outcomes are in the order of the tests. After a signal no further test is
    /// started, and interrupted tests have no outcome.
    pub fn run(&self, tests: &[BootTest], watch: &(dyn Fn(TestEvent<'_>) + Sync)) -> Vec<TestOutcome> {
        let next = AtomicUsize::new(0);
        let outcomes: Mutex<Vec<Option<TestOutcome>>> = Mutex::new(vec![None; tests.len()]);
        let work = || {
            while let Some((index, test)) = {
                let index = next.fetch_add(1, Ordering::Relaxed);
                tests.get(index).map(|test| (index, test))
            } {
                let outcome = self.one(index, test, watch);
                // A test that a signal interrupted says nothing about the image.
                if interrupt::raised().is_some() {
                    return;
                }
                watch(TestEvent::Done(&outcome));
                outcomes.lock().unwrap_or_else(|e| e.into_inner())[index] = Some(outcome);
            }
        };
        threads::side_by_side(self.jobs.clamp(1, tests.len().max(1)), &work);
        outcomes.into_inner().unwrap_or_else(|e| e.into_inner()).into_iter().flatten().collect()
    }

    fn one(&self, index: usize, test: &BootTest, watch: &(dyn Fn(TestEvent<'_>) + Sync)) -> TestOutcome {
        let folder = self.work.join(index.to_string());
        let mut timer = PhaseTimer::new(&test.name, watch);
        let mut transcript = Transcript::default();
        let result = self.boot(test, &folder, &mut timer, &mut transcript);
        timer.end();
        // Anything left over is removed with the folder of all tests.
        let _ = fs::remove_dir_all(&folder);
        let failure = result.err().map(|error| in_full(&error));
        let Transcript { tail, notes } = transcript;
        let log = self.logs.path(&log_name(&test.name));
        TestOutcome {
            name: test.name.clone(),
            failure,
            phases: timer.phases,
            accel: self.accel.clone(),
            log,
            tail,
            notes,
        }
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
        let host = MachineHost { launch: self.launch, accel: &self.accel, folder, log: &log, forward: &forward };
        // The disks' caches persist from one start to the next, so all starts have to use them alike.
        let served = test.boots.iter().any(|boot| matches!(boot.end, BootEnd::Cuts(_)));
        for (index, boot) in test.boots.iter().enumerate() {
            if index > 0 {
                timer.phase("start");
            }
            if let BootEnd::Cuts(cuts) = &boot.end {
                timer.hold("cuts");
                let note = super::cuts::run(&host, boot, cuts, test.timeout, timer, transcript)?;
                transcript.notes.push(note);
                timer.release();
                continue;
            }
            // All cuts together take long, so the time limit is for each start.
            if served {
                deadline = Instant::now() + test.timeout;
            }
            let mut running = host.start(&boot.machine, served)?;
            (timer.watch)(TestEvent::Started { name: &test.name, last_line: &running.console.last_line() });
            let begin = Instant::now();
            let result = run_boot(boot, &forward, &mut running.console, deadline, timer);
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
}

/// An error and its causes.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
