//! What boot tests report: events while they run, the time that each phase took, and the outcome.

use std::path::PathBuf;
use std::time::Instant;

use super::Accel;
use super::console::LastLine;

/// A part of a test and how long it took.
#[derive(Clone, Debug)]
pub struct Phase {
    /// `menu`, `boot`, `login`, `commands`, `end`, or `cuts` for everything that belongs to power cuts, `peer` for what
    /// the second machine does on its own; later starts repeat these names.
    pub name: &'static str,
    /// Seconds.
    pub seconds: f64,
}

/// How a test ended.
#[derive(Clone, Debug)]
pub struct TestOutcome {
    /// The test's name.
    pub name: String,
    /// Why it failed; None if it passed.
    pub failure: Option<String>,
    /// Its phases, the one that failed included.
    pub phases: Vec<Phase>,
    /// The accelerator, and why it was chosen.
    pub accel: Accel,
    /// The complete output of the console, as raw bytes.
    pub log: PathBuf,
    /// The console's last lines, without control sequences.
    pub tail: Vec<String>,
    /// Further remarks, such as the outcomes of power cuts.
    pub notes: Vec<String>,
    /// The console of its second machine, if it has one.
    pub peer: Option<PeerConsole>,
}

/// The console of a test's second machine.
#[derive(Clone, Debug)]
pub struct PeerConsole {
    /// Its complete output, as raw bytes.
    pub log: PathBuf,
    /// Its last lines, without control sequences.
    pub tail: Vec<String>,
}

impl TestOutcome {
    /// Whether it passed.
    pub fn passed(&self) -> bool {
        self.failure.is_none()
    }

    /// Total seconds.
    pub fn seconds(&self) -> f64 {
        self.phases.iter().map(|phase| phase.seconds).sum()
    }
}

/// An event during [`TestRunner::run`](super::test::TestRunner::run).
#[derive(Clone, Copy, Debug)]
pub enum TestEvent<'a> {
    /// A test entered a phase.
    Phase {
        /// The test.
        name: &'a str,
        /// The phase.
        phase: &'static str,
    },
    /// A machine of a test was started.
    Started {
        /// The test.
        name: &'a str,
        /// Gives the last line of its console.
        last_line: &'a LastLine,
    },
    /// A test ended.
    Done(&'a TestOutcome),
}

/// The output that a test collects besides its result.
#[derive(Default)]
pub(super) struct Transcript {
    pub(super) tail: Vec<String>,
    pub(super) notes: Vec<String>,
    /// The last lines of the peer.
    pub(super) peer: Vec<String>,
}

/// Measures phases and reports them.
pub(super) struct PhaseTimer<'a> {
    name: &'a str,
    pub(super) watch: &'a (dyn Fn(TestEvent<'_>) + Sync),
    pub(super) phases: Vec<Phase>,
    since: Instant,
    current: &'static str,
    held: bool,
}

impl<'a> PhaseTimer<'a> {
    pub(super) fn new(name: &'a str, watch: &'a (dyn Fn(TestEvent<'_>) + Sync)) -> Self {
        Self { name, watch, phases: Vec::new(), since: Instant::now(), current: "start", held: false }
    }

    pub(super) fn phase(&mut self, name: &'static str) {
        if !self.held {
            self.end();
            self.current = name;
        }
        (self.watch)(TestEvent::Phase { name: self.name, phase: name });
    }

    /// Starts a phase that includes all that follow.
    pub(super) fn hold(&mut self, name: &'static str) {
        self.phase(name);
        self.held = true;
    }

    pub(super) fn release(&mut self) {
        self.held = false;
    }

    pub(super) fn end(&mut self) {
        let now = Instant::now();
        self.phases.push(Phase { name: self.current, seconds: (now - self.since).as_secs_f64() });
        self.since = now;
    }
}
