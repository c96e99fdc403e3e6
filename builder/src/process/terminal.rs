//! The settings of a terminal.

use std::io;
use std::os::fd::AsFd;

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

/// A terminal's settings, restored when dropped.
pub struct SavedTerminal<T: AsFd> {
    terminal: T,
    settings: Option<Termios>,
}

impl<T: AsFd> SavedTerminal<T> {
    /// The present settings; nothing is restored if it is not a terminal.
    pub fn take(terminal: T) -> Self {
        let settings = tcgetattr(&terminal).ok();
        Self { terminal, settings }
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
        if let Some(settings) = &self.settings {
            // If the terminal is gone there is nothing to restore.
            let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, settings);
        }
    }
}
