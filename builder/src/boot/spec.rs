//! Boot tests as data: machines that are started, and what is done and expected at each start.

use std::time::Duration;

use super::Machine;

/// The name of a test's second machine, for its log.
pub fn peer_name(test: &str) -> String {
    format!("{test}.peer")
}

/// A test: a machine that is started once or several times with the same disks.
#[derive(Clone, Debug)]
pub struct BootTest {
    /// Its name in reports, and the name of its log.
    pub name: String,
    /// Its starts, in order.
    pub boots: Vec<Boot>,
    /// The time limit for the whole test; with power cuts, for each start.
    pub timeout: Duration,
    /// The machine's TCP ports that the test connects to.
    pub forward: Vec<u16>,
    /// A second machine. It is started, and has executed its steps, before the first one is started; it has to run
    /// until the end of the test, when its `end` is carried out. It has no power cuts.
    pub peer: Option<Boot>,
}

impl BootTest {
    /// Whether it cuts the power while commands run.
    pub fn cuts(&self) -> bool {
        self.boots.iter().any(|boot| matches!(boot.end, BootEnd::Cuts(_)))
    }
}

/// A start of a machine: wait for a text, log in, run commands.
#[derive(Clone, Debug)]
pub struct Boot {
    /// What is booted.
    pub machine: Machine,
    /// The index of the GRUB menu entry to choose; None if GRUB is not used, or its timeout of 0 hides the menu.
    pub menu: Option<usize>,
    /// The text that the console has to show.
    pub expect: String,
    /// The login that follows.
    pub login: Option<Login>,
    /// The steps after the login, in order.
    pub run: Vec<TestStep>,
    /// How it ends.
    pub end: BootEnd,
}

/// A user name and password for the console.
#[derive(Clone, Debug)]
pub struct Login {
    /// Name.
    pub user: String,
    /// Password, if one is asked for.
    pub password: Option<String>,
}

/// An action and its expected result.
#[derive(Clone, Debug)]
pub enum TestStep {
    /// A command of the machine's shell.
    Command {
        /// The command line.
        command: String,
        /// The text that its output has to contain.
        expect: Option<String>,
        /// Its exit status.
        status: u32,
    },
    /// Keys typed at the console.
    Type {
        /// The keys, line breaks included.
        keys: String,
        /// The text that the console has to show afterwards.
        expect: Option<String>,
    },
    /// A connection to a forwarded port, retried until the answer is right.
    Tcp {
        /// The machine's port.
        port: u16,
        /// The text to send.
        send: String,
        /// The text that the answer has to contain.
        expect: String,
    },
}

/// How a start ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootEnd {
    /// QEMU is killed. What the machine had written to its disks is kept, flushed or not.
    Cut,
    /// The power is cut again and again while a command runs; see [`super::power`] for what is lost.
    Cuts(Cuts),
    /// The machine ends by itself after this command of the shell.
    After(&'static str),
    /// The machine ends by itself, because of the test's steps.
    Itself,
}

/// The power cuts during a command. The number of starts is that of the cuts plus two. First the command runs to its
/// end, so that its changes to the disks are counted, and the power is cut right after it. Then each cut is made at one
/// of these changes: half of the cuts are spread over all changes, half are at the last ones. After each cut the
/// machine has to boot, `outcome` has to report the result of the cut, and the start's own steps prepare the machine
/// for the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cuts {
    /// The command; if it is not interrupted its exit status has to be 0.
    pub during: String,
    /// How many cuts.
    pub times: u32,
    /// A command that runs first after a cut; the last word of its output is the outcome of the cut.
    pub outcome: String,
    /// The permitted outcomes; the last word is that of a command that had finished before the cut.
    pub words: Vec<String>,
}
