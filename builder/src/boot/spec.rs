//! Boot tests as data: machines that are started, and what is done and expected at each start.

use std::time::Duration;

use super::Machine;

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
    pub run: Vec<TestStep>,
    /// How it ends.
    pub end: BootEnd,
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
pub enum TestStep {
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
pub enum BootEnd {
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
