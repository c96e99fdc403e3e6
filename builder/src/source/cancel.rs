//! Cancelling with ^C, as something that can be waited for.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Cancels downloads. Cheap to clone; all clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<(Mutex<bool>, Condvar)>);

impl Cancel {
    /// Ends every wait and, at its next piece of data, every download.
    pub fn cancel(&self) {
        *self.0.0.lock().unwrap_or_else(|e| e.into_inner()) = true;
        self.0.1.notify_all();
    }

    /// Whether [`Cancel::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Waits for at most `time`; returns `true` as soon as it is cancelled.
    pub fn wait(&self, time: Duration) -> bool {
        let flag = self.0.0.lock().unwrap_or_else(|e| e.into_inner());
        let (flag, _) = self.0.1.wait_timeout_while(flag, time, |set| !*set).unwrap_or_else(|e| e.into_inner());
        *flag
    }
}
