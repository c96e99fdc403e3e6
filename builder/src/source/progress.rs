//! What a download tells whoever shows it. This module prints nothing itself.

/// Watches downloads.
pub trait Progress: Sync {
    /// Before a batch: how many files will be brought, and their bytes together.
    fn expect(&self, _files: usize, _bytes: u64) {}

    /// Something that whoever runs it should know, and that stops nothing.
    fn warn(&self, _text: &str) {}

    /// A download begins; it has ended when the meter is dropped. `total` is its length in bytes, where known.
    fn start(&self, name: &str, total: Option<u64>) -> Box<dyn Meter + '_>;
}

/// One download's meter.
pub trait Meter: Send + Sync {
    /// How many bytes are there. May fall: another mirror can force a fresh start.
    fn at(&self, bytes: u64);

    /// A remark, such as which mirror is tried next.
    fn say(&self, _text: &str) {}
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
