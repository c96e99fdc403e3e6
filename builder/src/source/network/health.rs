//! The failures of servers in this run, shared by all its downloads.
//!
//! A server that failed to deliver is tried after all others. One that failed at every attempt of a download is not
//! tried again.

use std::collections::HashMap;
use std::sync::Mutex;

use reqwest::Url;

/// The servers of a run, by origin (RFC 6454: scheme, host and port).
#[derive(Debug, Default)]
pub(in crate::source) struct Health(Mutex<HashMap<String, HealthState>>);

#[derive(Debug, Default)]
struct HealthState {
    faulty: bool,
    /// Why the last attempt of a failed download failed.
    down: Option<String>,
}

impl Health {
    fn with<T>(&self, url: &str, change: impl FnOnce(&mut HealthState) -> T) -> T {
        let mut servers = self.0.lock().unwrap_or_else(|e| e.into_inner());
        change(servers.entry(origin(url)).or_default())
    }

    /// Whether the server of a URL has failed to deliver before.
    pub(in crate::source) fn is_faulty(&self, url: &str) -> bool {
        self.with(url, |state| state.faulty)
    }

    /// Why the server of a URL is not to be tried again.
    pub(in crate::source) fn down(&self, url: &str) -> Option<String> {
        self.with(url, |state| state.down.clone())
    }

    /// It delivered the file. Earlier failures still count against it.
    pub(in crate::source) fn delivered(&self, url: &str) {
        self.with(url, |state| state.down = None);
    }

    /// It was silent, slow, broken, or sent something else; gives whether that is new.
    pub(in crate::source) fn failed(&self, url: &str) -> bool {
        self.with(url, |state| !std::mem::replace(&mut state.faulty, true))
    }

    /// It has reached the limit of failures.
    pub(in crate::source) fn gave_up(&self, url: &str, reason: &str) {
        self.with(url, |state| *state = HealthState { faulty: true, down: Some(reason.to_owned()) });
    }
}

/// Scheme, host and port of a URL; for a local file, the file itself: a broken one says nothing about others.
pub(in crate::source) fn origin(url: &str) -> String {
    match Url::parse(url) {
        Ok(parsed) if parsed.has_host() => parsed.origin().ascii_serialization(),
        _ => url.to_owned(),
    }
}
