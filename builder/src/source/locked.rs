//! Files pinned by sha256 and size, with their locations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// Dates of signed indexes, as RFC 3339 in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ArchiveDate {
    /// For a single suite.
    One(String),
    /// For each of several suites that has a date.
    Each(BTreeMap<String, String>),
}

impl ArchiveDate {
    /// The dates of suites, in their order.
    pub fn new<'d>(dates: impl Iterator<Item = (&'d str, Option<&'d str>)>) -> Option<Self> {
        let dates: Vec<_> = dates.collect();
        match &dates[..] {
            [(_, date)] => date.map(|date| Self::One(date.to_owned())),
            several => {
                let stated: BTreeMap<_, _> = several
                    .iter()
                    .filter_map(|(suite, date)| Some((suite.to_string(), date.as_ref()?.to_string())))
                    .collect();
                (!stated.is_empty()).then_some(Self::Each(stated))
            }
        }
    }

    /// The date of a suite's index.
    pub fn of(&self, suite: &str) -> Option<&str> {
        match self {
            Self::One(date) => Some(date),
            Self::Each(dates) => dates.get(suite).map(String::as_str),
        }
    }
}

/// One pinned file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedFile {
    /// A Debian package's name, otherwise a file name.
    pub name: String,
    /// A Debian package's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The suite that it is from, if the request names several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<String>,
    /// Its location.
    pub at: Location,
    /// The digest of its content.
    pub sha256: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// The location of a locked file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Location {
    /// The tree of a commit, as the deterministic archive that `git.rs` makes of it.
    Git {
        /// The repository.
        url: String,
        /// The commit's full name.
        commit: String,
    },
    /// A path relative to a Debian mirror.
    Pool(String),
    /// Any of these URLs.
    Urls(Vec<String>),
}

/// Whether a path stays inside a mirror.
pub(crate) fn is_pool_path(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
}
