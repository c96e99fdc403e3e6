//! Why a request failed.

use std::time::Duration;

/// Why one request to one place failed.
#[derive(Clone, Debug)]
pub(in crate::source) struct Failure {
    pub(in crate::source) reason: String,
    /// Whether a retry at the same place may help.
    pub(in crate::source) transient: bool,
    /// Whether the server is at fault, so that it would fail for other files too.
    pub(in crate::source) server: bool,
    /// Whether the place exists but the file does not.
    pub(in crate::source) missing: bool,
    /// Whether another place may be at fault.
    pub(in crate::source) shared: bool,
    /// How long the server asks to wait.
    pub(in crate::source) wait: Option<Duration>,
}

impl Failure {
    /// A permanent failure of this file at this place.
    pub(in crate::source) fn lasting(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), transient: false, server: false, missing: false, shared: false, wait: None }
    }

    /// A failure of the server or the connection, which may be temporary.
    pub(in crate::source) fn passing(reason: impl Into<String>) -> Self {
        Self { transient: true, server: true, ..Self::lasting(reason) }
    }
}
