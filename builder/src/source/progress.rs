//! The interface for displaying downloads. This module prints nothing itself.

/// Receives the progress of downloads.
pub trait Progress: Sync {
    /// Before a batch: the number of files to fetch, and their total bytes.
    fn expect(&self, _files: usize, _bytes: u64) {}

    /// A warning for the user that does not end the work.
    fn warn(&self, _text: &str) {}

    /// A download starts; it ends when the meter is dropped. `total` is its length in bytes, if known.
    fn start(&self, name: &str, total: Option<u64>) -> Box<dyn Meter + '_>;
}

/// One download's meter.
pub trait Meter: Send + Sync {
    /// The number of bytes received so far. May decrease: another mirror can force a restart.
    fn at(&self, bytes: u64);

    /// A remark, such as which mirror is tried next.
    fn remark(&self, _text: &str) {}
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn start(&self, _name: &str, _total: Option<u64>) -> Box<dyn Meter + '_> {
        Box::new(NoProgress)
    }
}

impl Meter for NoProgress {
    fn at(&self, _bytes: u64) {}
}
