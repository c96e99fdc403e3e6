//! stub until merged
use crate::digest::Digest;
use serde::{Deserialize, Serialize};
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Request {
    Url { urls: Vec<String>, sha256: Option<Digest> },
    DebianSource { archive: Archive, package: String, version: String, file: String },
    Debian { archive: Archive, packages: Vec<String>, closure: bool },
    Git { url: String, commit: String },
}
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Archive {
    pub suite: String,
    pub components: Vec<String>,
    pub arch: String,
    pub keyring: Option<String>,
}
