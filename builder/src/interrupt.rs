//! SIGINT, SIGTERM and SIGHUP, as a state that every loop can check.
//!
//! A signal is sent to the process, so this state is global. Loops over data call [`check`], waits use [`wait`], and
//! what must not be left behind is a [`Temporary`]. `cli::interrupt` listens for signals and, if a thread does not end
//! in time, removes what is left.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// The signal's number; 0 if there was none.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
static RAISING: Mutex<()> = Mutex::new(());
static RAISED: Condvar = Condvar::new();
static TEMPORARIES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// The work was stopped by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// Tells all loops and waits to end. `signal` is the signal's number; only the first one counts.
pub fn raise(signal: i32) {
    let _raising = locked(&RAISING);
    let _ = SIGNAL.compare_exchange(0, signal, Ordering::SeqCst, Ordering::SeqCst);
    RAISED.notify_all();
}

/// The number of the received signal, if any.
pub fn raised() -> Option<i32> {
    match SIGNAL.load(Ordering::SeqCst) {
        0 => None,
        signal => Some(signal),
    }
}

/// An error if a signal was received; to be called for each piece of data. Its kind is not `Interrupted`, since that is
/// retried.
pub fn check() -> io::Result<()> {
    match raised() {
        None => Ok(()),
        Some(_) => Err(io::Error::other(Interrupted)),
    }
}

/// Waits for at most `time`; returns `true` as soon as a signal was received.
pub fn wait(time: Duration) -> bool {
    let raising = locked(&RAISING);
    let waited = RAISED.wait_timeout_while(raising, time, |()| raised().is_none());
    drop(waited.unwrap_or_else(|e| e.into_inner()));
    raised().is_some()
}

/// A file or folder that must be removed even if its owner can't do that before the process ends. In every other case
/// its owner removes it; dropping this only unregisters it.
#[derive(Debug)]
pub struct Temporary(PathBuf);

impl Temporary {
    /// Registers a path for removal.
    pub fn new(path: &Path) -> Self {
        locked(&TEMPORARIES).push(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let mut all = locked(&TEMPORARIES);
        if let Some(index) = all.iter().position(|path| *path == self.0) {
            all.swap_remove(index);
        }
    }
}

/// The registered paths that still exist.
pub fn temporaries() -> Vec<PathBuf> {
    locked(&TEMPORARIES).clone()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    // `raise` itself is covered by `tests/interrupt.rs`: here it would stop the tests that run in parallel.
    #[test]
    fn a_temporary_is_known_until_it_is_dropped() {
        let path = Path::new("/nonexistent/dbco-temporary");
        let (first, second) = (Temporary::new(path), Temporary::new(path));
        let known = || temporaries().iter().filter(|known| *known == path).count();
        assert_eq!(known(), 2);
        drop(first);
        assert_eq!(known(), 1);
        drop(second);
        assert_eq!(known(), 0);
    }

    #[test]
    fn without_a_signal_nothing_is_stopped() {
        assert_eq!(raised(), None);
        check().unwrap();
        assert!(!wait(Duration::from_millis(1)));
    }
}
