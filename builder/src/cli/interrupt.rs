//! Signal handling: everything ends within a second, nothing is left behind, and the message is accurate.
//!
//! The first SIGINT, SIGTERM or SIGHUP ends downloads and child processes and tells every loop to stop
//! ([`crate::interrupt`]); the command then returns by itself and its temporary folders are removed. If it does not
//! return within [`GRACE`] — a flush to a slow disk, a parser in the middle of its work — this module ends the process.
//! A second signal ends it at once.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::printer::Printer;
use crate::session::OutputsState;
use crate::source::Cancel;
use crate::threads;
use crate::{inherited, interrupt, process};

/// How long the command has to return by itself.
const GRACE: Duration = Duration::from_millis(700);

/// How long the removal of its leftovers may take after that.
const REMOVAL: Duration = Duration::from_millis(250);

/// The process's signal handling, and the message to print when a signal arrived.
pub struct Interrupt {
    /// Cancels downloads.
    pub cancel: Cancel,
    outputs: Mutex<OutputsState>,
    /// Whether the final message was printed, after which there is no other.
    finished: Mutex<bool>,
}

impl Interrupt {
    /// Sets how far the command has come.
    pub fn outputs(&self, outputs: OutputsState) {
        *self.outputs.lock().unwrap_or_else(|e| e.into_inner()) = outputs;
    }

    /// The exit status and the message of an interrupted run; `None` if there was no signal.
    pub fn ended(&self) -> Option<(u8, String)> {
        let signal = interrupt::raised()?;
        *self.finished.lock().unwrap_or_else(|e| e.into_inner()) = true;
        let outputs = match *self.outputs.lock().unwrap_or_else(|e| e.into_inner()) {
            OutputsState::None => "unfinished work was discarded",
            OutputsState::Before => {
                "unfinished steps were discarded, finished ones are kept; nothing in the output folder has changed"
            }
            OutputsState::Writing => {
                "the output folder is consistent: it has either all of the old outputs or all of the new ones"
            }
            OutputsState::Complete => "the outputs had already been written and are complete",
        };
        Some((status(signal), format!("interrupted: {outputs}")))
    }
}

/// As in shells: 128 plus the signal's number.
fn status(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

/// Starts listening for signals.
pub fn listen(printer: &Arc<Printer>) -> io::Result<Arc<Interrupt>> {
    let interrupt =
        Arc::new(Interrupt { cancel: Cancel::default(), outputs: Mutex::default(), finished: Mutex::default() });
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !inherited::ignores(*signal));
    let mut signals = Signals::new(wanted)?;
    let (shared, printer) = (Arc::clone(&interrupt), Arc::clone(printer));
    let (at_once, terminal) = (Arc::clone(&interrupt), Arc::clone(&printer));
    // The thread is started now: later there might be none available.
    threads::spawn("backstop", move || backstop(&shared, &printer))?;
    let cancel = interrupt.cancel.clone();
    threads::spawn("signals", move || {
        for signal in signals.forever() {
            if interrupt::raised().is_some() {
                process::restore_terminals();
                std::process::exit(status(signal).into());
            }
            interrupt::raise(signal);
            cancel.cancel();
            process::kill_all();
            let finished = at_once.finished.lock().unwrap_or_else(|e| e.into_inner());
            if !*finished {
                terminal.interrupted();
            }
        }
    })?;
    Ok(interrupt)
}

/// Ends this process if the command does not return by itself.
fn backstop(interrupt: &Interrupt, printer: &Printer) {
    while !interrupt::wait(Duration::from_secs(3600)) {}
    let deadline = Instant::now() + GRACE;
    // Never notified: the wait only ends with the process or its timeout.
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
    printer.finish();
    // A thread that is still running may write into a folder while it is removed, so it is removed once more.
    let deadline = Instant::now() + REMOVAL;
    let (done, wait) = std::sync::mpsc::channel();
    let remover = threads::spawn("remover", move || {
        while Instant::now() < deadline {
            let left: Vec<_> = interrupt::temporaries().into_iter().filter(|path| !remove(path)).collect();
            if left.is_empty() {
                break;
            }
        }
        let _ = done.send(());
    });
    if remover.is_ok() {
        let _ = wait.recv_timeout(REMOVAL);
    }
    let (status, mut text) = interrupt.ended().unwrap_or((1, String::new()));
    if interrupt::temporaries().iter().any(|path| path.symlink_metadata().is_ok()) {
        text += "; the next run removes the remaining temporary files in the store";
    }
    process::restore_terminals();
    printer.note(&text);
    std::process::exit(status.into());
}

fn remove(path: &std::path::Path) -> bool {
    let _ = fs::remove_dir_all(path).or_else(|_| fs::remove_file(path));
    path.symlink_metadata().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_is_128_and_the_signal() {
        assert_eq!([SIGHUP, SIGINT, SIGTERM].map(status), [129, 130, 143]);
    }
}
