//! Why a request failed.

use std::time::Duration;

/// Why one request to one place failed.
#[derive(Clone, Debug)]
pub(in crate::source) struct Failure {
    pub(in crate::source) reason: String,
    /// Whether asking the same place again may help.
    pub(in crate::source) transient: bool,
    /// Whether the server is at fault, so that it would fail for other files too.
    pub(in crate::source) server: bool,
    /// Whether the place is there and the file is not.
    pub(in crate::source) missing: bool,
    /// Whether another place may be the one to blame.
    pub(in crate::source) shared: bool,
    /// What the server wants us to wait.
    pub(in crate::source) wait: Option<Duration>,
}

impl Failure {
    /// Of this file at this place, for good.
    pub(in crate::source) fn lasting(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), transient: false, server: false, missing: false, shared: false, wait: None }
    }

    /// Of the server or the way to it, perhaps not for long.
    pub(in crate::source) fn passing(reason: impl Into<String>) -> Self {
        Self { transient: true, server: true, ..Self::lasting(reason) }
    }
}
