//! Boots images in QEMU: by hand ([`run`]), and to prove that they work ([`test`]).
//!
//! QEMU is a foreign tool like any other: what starts it is a [`Launch`], which the toolchain's sandbox is, or the host's
//! own QEMU. Every file that a machine uses is put into a folder of its own first, so that machines run side by side
//! share nothing, and QEMU sees nothing else of the host.

pub mod accel;
pub mod console;
mod converse;
mod cuts;
pub mod junit;
pub mod machine;
mod nbd;
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
use crate::image::ToolError;
use crate::process;

pub use accel::{Accel, Accelerator};
pub use console::{Console, ConsoleError};
pub use machine::{Bus, DiskContent, Firmware, Forward, Machine, MachineDisk, Medium};
pub use test::{Boot, BootTest, TestOutcome};

/// What of this host QEMU needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostAccess {
    /// Devices: `/dev/kvm`.
    pub devices: Vec<PathBuf>,
    /// Whether it listens on the host's network.
    pub network: bool,
}

/// Why a machine could not be started, or did not do what was expected.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// A file of the machine's folder could not be made or read.
    #[error("can't {action} {}", path.display())]
    Io {
        /// `copy`, `write` …
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A file of the machine's folder could not be used.
    #[error(transparent)]
    Beneath(#[from] BeneathError),
    /// QEMU could not be started.
    #[error("can't start QEMU (`{command}`)")]
    Start {
        /// The command as a shell would take it.
        command: String,
        /// Why.
        #[source]
        source: ToolError,
    },
    /// The machine's console did not show what was expected.
    #[error(transparent)]
    Console(#[from] ConsoleError),
    /// The machine let the user in no further.
    #[error("login as `{user}` was refused ({said}){}", if *asked { "; it asks for a password, and `login` has none" } else { "" })]
    Login {
        /// Who.
        user: String,
        /// The machine's own words.
        said: String,
        /// Whether it asked for a password that the test does not have.
        asked: bool,
    },
    /// The machine ended before its console showed anything.
    #[error("QEMU exited after {seconds:.1} s without any output{}", little(*memory))]
    Silent {
        /// How long it ran.
        seconds: f64,
        /// Its memory in MiB.
        memory: u32,
    },
    /// A command in the machine ended with another status.
    #[error("`{command}` exited with status {got}, expected {want}; it printed:\n{output}")]
    Status {
        /// As typed.
        command: String,
        /// Expected.
        want: u32,
        /// What came.
        got: u32,
        /// All it printed.
        output: String,
    },
    /// A command in the machine printed something else.
    #[error("`{command}` did not print `{want}`, but:\n{output}")]
    Output {
        /// As typed.
        command: String,
        /// Expected somewhere in the output.
        want: String,
        /// All it printed.
        output: String,
    },
    /// GRUB has no key for an entry.
    #[error("the boot menu has no key for entry {0}; move it further up")]
    NoHotkey(usize),
    /// A forwarded port did not give what was expected.
    #[error("port {port} did not answer `{want}` in time; the last answer was:\n{last}")]
    Answer {
        /// The machine's port.
        port: u16,
        /// Expected somewhere in the answer.
        want: String,
        /// What came last, or why nothing did.
        last: String,
    },
    /// A command that writes nothing has no moment to cut the power at.
    #[error("`{command}` changes nothing on the machine's disks, so there is no moment to cut the power at")]
    NothingToCut {
        /// As typed.
        command: String,
    },
    /// What a cut came to is none of what it may come to.
    #[error("`{command}` reports `{got}` as the outcome of the cut, expected {}", want.join(" or "))]
    Outcome {
        /// As typed.
        command: String,
        /// The words that were possible.
        want: Vec<String>,
        /// The last word that it printed.
        got: String,
    },
    /// Something was wrong at a start after a cut, or before the next.
    #[error("{cut}")]
    Cut {
        /// Which cut it was.
        cut: String,
        /// What was wrong.
        #[source]
        source: Box<BootError>,
    },
    /// There is no port for the machine.
    #[error("can't find a free port of this host for the machine")]
    Port(#[source] io::Error),
    /// QEMU ended with an error.
    #[error("QEMU ended with {0}")]
    Ended(std::process::ExitStatus),
}

/// Kernels and initrds of today need about as much, in MiB.
const MEMORY: u32 = 128;

fn little(memory: u32) -> String {
    if memory < MEMORY { format!("; {memory} MiB of memory may be too little") } else { String::new() }
}

impl BootError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// Starts QEMU.
pub trait Launch: Sync {
    /// A command that runs `argv` with `folder` as its current folder, and with what it needs of the host. The arguments name files of the folder by relative paths, those of QEMU's root by absolute ones.
    fn command(&self, argv: &[String], folder: &Path, access: &HostAccess) -> Result<Command, ToolError>;

    /// Opens a file of QEMU's root (`/usr/share/OVMF/…`), whose links lead to places in that root.
    fn file(&self, inside: &str) -> io::Result<File>;
}

/// The QEMU of this machine (`--host-qemu`).
pub struct HostQemu;

impl Launch for HostQemu {
    fn command(&self, argv: &[String], folder: &Path, _access: &HostAccess) -> Result<Command, ToolError> {
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
