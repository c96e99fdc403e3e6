//! The settings of a terminal.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

/// What is restored if this process ends before it is dropped.
static SAVED: Mutex<Vec<Saved>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

struct Saved {
    number: u64,
    terminal: OwnedFd,
    settings: Termios,
}

fn saved() -> MutexGuard<'static, Vec<Saved>> {
    SAVED.lock().unwrap_or_else(|e| e.into_inner())
}

/// Restores the settings of all terminals; to be called before [`std::process::exit`], which drops nothing.
pub fn restore_terminals() {
    for Saved { terminal, settings, .. } in saved().drain(..).rev() {
        restore(&terminal, &settings);
    }
}

fn restore(terminal: &impl AsFd, settings: &Termios) {
    // Setting them stops a process in the background, even if they are the same.
    if tcgetattr(terminal).is_ok_and(|present| present != *settings) {
        // If the terminal is gone there is nothing to restore.
        let _ = tcsetattr(terminal, SetArg::TCSANOW, settings);
    }
}

/// A terminal's settings, restored when dropped, and by [`restore_terminals`].
pub struct SavedTerminal<T: AsFd> {
    terminal: T,
    settings: Option<Termios>,
    number: u64,
}

impl<T: AsFd> SavedTerminal<T> {
    /// The present settings; nothing is restored if it is not a terminal.
    pub fn take(terminal: T) -> Self {
        let settings = tcgetattr(&terminal).ok();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        if let Some(settings) = settings.clone()
            && let Ok(terminal) = terminal.as_fd().try_clone_to_owned()
        {
            saved().push(Saved { number, terminal, settings });
        }
        Self { terminal, settings, number }
    }

    /// Passes on each byte as it is typed and written, until the settings are restored: no key sends a signal.
    ///
    /// # Errors
    /// It is not a terminal, or is gone.
    pub fn make_raw(&self) -> io::Result<()> {
        let mut raw = tcgetattr(&self.terminal)?;
        cfmakeraw(&mut raw);
        Ok(tcsetattr(&self.terminal, SetArg::TCSANOW, &raw)?)
    }

    /// The settings when it was taken.
    pub fn settings(&self) -> Option<&Termios> {
        self.settings.as_ref()
    }
}

impl<T: AsFd> Drop for SavedTerminal<T> {
    fn drop(&mut self) {
        saved().retain(|saved| saved.number != self.number);
        if let Some(settings) = &self.settings {
            restore(&self.terminal, settings);
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::pty::openpty;

    use super::*;

    // Nothing else in the unit tests saves a terminal.
    #[test]
    fn settings_are_restored_when_dropped_and_on_request() {
        let pty = openpty(None, None).unwrap();
        let before = tcgetattr(&pty.slave).unwrap();
        let changed = || tcgetattr(&pty.slave).unwrap() != before;
        let terminal = SavedTerminal::take(&pty.slave);
        terminal.make_raw().unwrap();
        assert!(changed());
        drop(terminal);
        assert!(!changed() && saved().is_empty());
        let terminal = SavedTerminal::take(&pty.slave);
        terminal.make_raw().unwrap();
        restore_terminals();
        assert!(!changed());
        drop(terminal);
    }
}
