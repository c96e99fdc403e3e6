//! A machine for interactive use: its first serial port is the terminal.

use std::path::Path;

use super::machine::SerialBackend;
use super::{Accel, BootError, Launch, Machine, quoted};
use crate::process;

/// How to quit, shown before the machine starts.
pub const HINT: &str = "Ctrl-a x ends the machine, Ctrl-a h lists QEMU's other keys";

/// Boots a machine with its console on this process's terminal and waits for its end.
///
/// `folder` is an empty folder for the machine's files.
pub fn interactive(machine: &Machine, launch: &dyn Launch, accel: &Accel, folder: &Path) -> Result<(), BootError> {
    let argv = machine.prepare(launch, accel, SerialBackend::Terminal, folder)?;
    let failed = |source| BootError::Start { command: quoted(&argv), source };
    let mut command = launch.command(&argv, folder, &machine.access(accel)).map_err(failed)?;
    // QEMU puts the terminal into raw mode and restores it when it exits, but not if it is killed.
    let _terminal = process::SavedTerminal::take(std::io::stdin());
    let mut child = command.spawn().map_err(|error| failed(error.into()))?;
    let _guard = process::Registered::new(&child);
    let status = child.wait().map_err(|error| failed(error.into()))?;
    if status.success() { Ok(()) } else { Err(BootError::Ended(status)) }
}
