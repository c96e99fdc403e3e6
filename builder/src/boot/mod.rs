//! Boots images in QEMU: interactively ([`run`]), and in boot tests ([`test`](mod@test)).
//!
//! QEMU is a third-party tool like any other: it is started through a [`Launch`], which is the toolchain's sandbox or
//! the host's own QEMU. Every file that a machine uses is first put into a folder of its own, so that machines running
//! in parallel share nothing, and QEMU sees nothing else of the host.

pub mod accel;
pub mod console;
mod cuts;
mod dialogue;
pub mod junit;
mod link;
pub mod machine;
mod nbd;
mod peer;
pub mod power;
pub mod probe;
mod report;
pub mod run;
mod running;
mod spec;
pub mod test;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::beneath::BeneathError;
use crate::path_error::PathError;
use crate::process;

pub use accel::{Accel, Accelerator};
pub use console::{Console, ConsoleError};
pub use machine::{Bus, DiskContent, Firmware, Forward, LinkSide, Machine, MachineDisk, Medium};
pub use test::{Boot, BootTest, TestOutcome};

/// The host resources that QEMU needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostAccess {
    /// Devices: `/dev/kvm`.
    pub devices: Vec<PathBuf>,
    /// Whether it listens on the host's network.
    pub network: bool,
}

/// Why a machine could not be started, or did not behave as expected.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A file of the machine's folder could not be made or read.
    #[error(transparent)]
    Io(#[from] PathError),
    /// A file of the machine's folder could not be used.
    #[error(transparent)]
    Beneath(#[from] BeneathError),
    /// QEMU could not be started.
    #[error("can't start QEMU (`{command}`)")]
    Start {
        /// The command as a shell would take it.
        command: String,
        /// The reason.
        #[source]
        source: LaunchError,
    },
    /// The machine's console did not show the expected text.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// The login was refused.
    #[error("login as `{user}` was refused ({message}){}", if *needs_password { "; it asks for a password, and `login` has none" } else { "" })]
    Login {
        /// The user.
        user: String,
        /// The machine's message.
        message: String,
        /// Whether it asked for a password that the test does not have.
        needs_password: bool,
    },
    /// The machine exited before its console showed anything.
    #[error("QEMU exited after {seconds:.1} s without any output{}", memory_hint(*memory))]
    Silent {
        /// Its run time.
        seconds: f64,
        /// Its memory in MiB.
        memory: u32,
    },
    /// A command in the machine exited with an unexpected status.
    #[error("`{command}` exited with status {got}, expected {want}; it printed:\n{output}")]
    Status {
        /// As typed.
        command: String,
        /// The expected status.
        want: u32,
        /// The actual status.
        got: u32,
        /// Its output.
        output: String,
    },
    /// A command in the machine did not print the expected text.
    #[error("`{command}` did not print `{want}`, but:\n{output}")]
    Output {
        /// As typed.
        command: String,
        /// The text expected in the output.
        want: String,
        /// Its output.
        output: String,
    },
    /// GRUB has no hotkey for the entry.
    #[error("the boot menu has no key for entry {0}; move it further up")]
    NoHotkey(usize),
    /// A forwarded port did not give the expected answer.
    #[error("port {port} did not answer `{want}` in time; the last answer was:\n{last}")]
    Answer {
        /// The machine's port.
        port: u16,
        /// The text expected in the answer.
        want: String,
        /// The last answer, or why there was none.
        last: String,
    },
    /// The command writes nothing, so there is no point at which to cut the power.
    #[error("`{command}` changes nothing on the machine's disks, so there is no moment to cut the power at")]
    NothingToCut {
        /// As typed.
        command: String,
    },
    /// The outcome of a cut is not one of the permitted ones.
    #[error("`{command}` reports `{got}` as the outcome of the cut, expected {}", want.join(" or "))]
    Outcome {
        /// As typed.
        command: String,
        /// The permitted words.
        want: Vec<String>,
        /// The last word of its output.
        got: String,
    },
    /// A failure at a start after a cut, or while preparing the next.
    #[error("{cut}")]
    Cut {
        /// A description of the cut.
        cut: String,
        /// The failure.
        #[source]
        source: Box<BootError>,
    },
    /// A failure of the test's second machine.
    #[error("on the peer")]
    Peer(#[source] Box<BootError>),
    /// A failure of the test's own machine, when the second one no longer ran.
    #[error("the peer did not run until the end of the test ({peer})")]
    WithoutPeer {
        /// The state of the second machine.
        peer: ConsoleError,
        /// The failure.
        #[source]
        source: Box<BootError>,
    },
    /// There is no free port for the machine.
    #[error("can't find a free port of this host for the machine")]
    Port(#[source] io::Error),
    /// QEMU exited with an error.
    #[error("QEMU ended with {0}")]
    Ended(std::process::ExitStatus),
}

/// What current kernels and initrds need at least, in MiB, approximately.
const MEMORY: u32 = 128;

fn memory_hint(memory: u32) -> String {
    if memory < MEMORY { format!("; {memory} MiB of memory may be too little") } else { String::new() }
}

/// Why QEMU could not be started, as reported by the implementation of [`Launch`].
pub type LaunchError = Box<dyn std::error::Error + Send + Sync>;

/// Starts QEMU.
pub trait Launch: Sync {
    /// A command that runs `argv` with `folder` as its current folder and with the given access to the host. The
    /// arguments name files in the folder by relative paths, and those of QEMU's root by absolute ones.
    fn command(&self, argv: &[String], folder: &Path, access: &HostAccess) -> Result<Command, LaunchError>;

    /// Opens a file of QEMU's root (`/usr/share/OVMF/…`); its links are resolved within that root.
    fn file(&self, inside: &str) -> io::Result<File>;
}

/// The host's QEMU (`--host-qemu`).
pub struct HostQemu;

impl Launch for HostQemu {
    fn command(&self, argv: &[String], folder: &Path, _access: &HostAccess) -> Result<Command, LaunchError> {
        let (program, arguments) = argv.split_first().ok_or("no command")?;
        let mut command = process::command(program);
        command.args(arguments).current_dir(folder);
        Ok(command)
    }

    fn file(&self, inside: &str) -> io::Result<File> {
        File::open(inside)
    }
}

/// The command as a shell would take it, for messages.
pub(crate) fn quoted(argv: &[String]) -> String {
    argv.iter().map(|word| process::quote(word)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
