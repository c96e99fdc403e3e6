//! The indexes of archives, each read once per run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::index::Packages;
use super::release::Release;
use super::sources::Sources;
use crate::source::{Archive, SourceError, Suites};

/// Indexes that were read, each once.
#[derive(Default)]
pub(in crate::source) struct Indexes {
    pub(super) releases: Mutex<BTreeMap<Archive, Arc<Release>>>,
    pub(super) packages: Mutex<BTreeMap<Suites, Arc<Packages>>>,
    pub(super) sources: Mutex<BTreeMap<Archive, Arc<Sources>>>,
}

/// The value for `key` in `cache`, created if it does not exist. Other threads wait meanwhile, instead of loading it
/// too.
pub(super) fn once<K: Ord + Clone, T>(
    cache: &Mutex<BTreeMap<K, Arc<T>>>,
    key: &K,
    make: impl FnOnce() -> Result<T, SourceError>,
) -> Result<Arc<T>, SourceError> {
    let mut cache = cache.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(there) = cache.get(key) {
        return Ok(there.clone());
    }
    let made = Arc::new(make()?);
    cache.insert(key.clone(), made.clone());
    Ok(made)
}
