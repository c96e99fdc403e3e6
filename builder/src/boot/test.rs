//! Runs boot tests: what a recipe states about its images, checked on the serial console.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::dialogue::{end_boot, free_port, run_boot};
use super::machine::LinkSide;
use super::power::Loss;
use super::report::{PhaseTimer, Transcript};
use super::running::MachineHost;
use super::{Accel, BootError, Forward, Launch};
use crate::interrupt;
use crate::path_error::FromPathError as _;
use crate::threads;

pub use super::report::{PeerConsole, Phase, TestEvent, TestOutcome};
pub use super::spec::{Boot, BootEnd, BootTest, Cuts, Login, TestStep, peer_name};

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
    /// An empty folder, in which each running machine has a folder for its files. A test with two machines has sockets
    /// there, so its path should be short (unix(7)).
    pub work: &'a Path,
    /// Receives the log of each test, and that of its peer ([`peer_name`]), under [`log_name`].
    pub logs: &'a dyn LogSink,
    /// How many tests run at a time, each with one or two machines.
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
        // A folder of its own for each machine, as the sandbox may move it away while the machine runs.
        let folders = [index.to_string(), format!("{index}.peer")].map(|name| self.work.join(name));
        let mut timer = PhaseTimer::new(&test.name, watch);
        let mut transcript = Transcript::default();
        let result = self.boot(test, [&folders[0], &folders[1]], &mut timer, &mut transcript);
        timer.end();
        for folder in &folders {
            // Anything left over is removed with the folder of all tests.
            let _ = fs::remove_dir_all(folder);
        }
        let failure = result.err().map(|error| in_full(&error));
        let Transcript { tail, notes, peer } = transcript;
        let log = self.logs.path(&log_name(&test.name));
        let peer_log = || self.logs.path(&log_name(&peer_name(&test.name)));
        TestOutcome {
            name: test.name.clone(),
            failure,
            phases: timer.phases,
            accel: self.accel.clone(),
            log,
            tail,
            notes,
            peer: test.peer.as_ref().map(|_| PeerConsole { log: peer_log(), tail: peer }),
        }
    }

    fn log(&self, name: &str) -> Result<File, BootError> {
        let name = log_name(name);
        self.logs.create(&name).map_err(BootError::io("write", &self.logs.path(&name)))
    }

    fn boot(
        &self,
        test: &BootTest,
        [folder, peer_folder]: [&Path; 2],
        timer: &mut PhaseTimer<'_>,
        transcript: &mut Transcript,
    ) -> Result<(), BootError> {
        let folders: &[&Path] = if test.peer.is_some() { &[folder, peer_folder] } else { &[folder] };
        for folder in folders {
            fs::create_dir_all(folder).map_err(BootError::io("make", folder))?;
        }
        let log = self.log(&test.name)?;
        let forward = test.forward.iter().map(|guest| Ok(Forward { host: free_port()?, guest: *guest }));
        let forward: Vec<Forward> = forward.collect::<io::Result<_>>().map_err(BootError::Port)?;
        let (launch, accel) = (self.launch, &self.accel);
        let host = MachineHost { launch, accel, folder, log: &log, forward: &forward, link: None };
        let begin = Instant::now();
        // All cuts together take long, so their time limit is for each start.
        let limit = || if test.cuts() { Instant::now() + test.timeout } else { begin + test.timeout };
        let Some(peer) = &test.peer else { return starts(test, &host, &limit, timer, transcript) };
        let log = self.log(&peer_name(&test.name))?;
        let _link = super::peer::link([folder, peer_folder])?;
        let host = MachineHost { link: Some(LinkSide::Own), ..host };
        let peer_host =
            MachineHost { folder: peer_folder, log: &log, forward: &[], link: Some(LinkSide::Peer), ..host };
        super::peer::beside(&peer_host, &test.name, peer, &limit, timer, transcript, |timer, transcript| {
            starts(test, &host, &limit, timer, transcript)
        })
    }
}

/// All starts of a test's own machine.
fn starts(
    test: &BootTest,
    host: &MachineHost<'_>,
    limit: &dyn Fn() -> Instant,
    timer: &mut PhaseTimer<'_>,
    transcript: &mut Transcript,
) -> Result<(), BootError> {
    // The disks' caches persist from one start to the next, so all starts have to use them alike.
    let served = test.cuts();
    for (index, boot) in test.boots.iter().enumerate() {
        if index > 0 {
            timer.phase("start");
        }
        if let BootEnd::Cuts(cuts) = &boot.end {
            timer.hold("cuts");
            let note = super::cuts::run(host, boot, cuts, test.timeout, timer, transcript)?;
            transcript.notes.push(note);
            timer.release();
            continue;
        }
        let deadline = limit();
        let mut running = host.start(&boot.machine, served)?;
        (timer.watch)(TestEvent::Started { name: &test.name, last_line: &running.console.last_line() });
        let result = run_boot(boot, host.forward, &mut running.console, deadline, timer)
            .and_then(|()| end_boot(&boot.end, &mut running.console, deadline, timer))
            .map_err(|error| running.explain(error));
        running.end(Loss::All, transcript)?;
        result?;
    }
    Ok(())
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
