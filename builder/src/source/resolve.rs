//! From what a recipe asks for to what the lock pins.

use std::path::PathBuf;

use crate::store::Store;

use super::debian::Indexes;
use super::kind::Resolved;
use super::{Entry, Mirrors, Network, Progress, Request, SourceError};

/// Resolves requests. One resolver reads each archive's index once, however many requests need it.
pub struct Resolver<'a> {
    pub(super) network: &'a Network,
    pub(super) mirrors: &'a Mirrors,
    pub(super) store: &'a Store,
    pub(super) project: PathBuf,
    pub(super) progress: &'a dyn Progress,
    pub(super) indexes: Indexes,
}

impl<'a> Resolver<'a> {
    /// `project` is the folder that keyrings are relative to.
    pub fn new(
        network: &'a Network,
        mirrors: &'a Mirrors,
        store: &'a Store,
        project: impl Into<PathBuf>,
        progress: &'a dyn Progress,
    ) -> Self {
        Self { network, mirrors, store, project: project.into(), progress, indexes: Indexes::default() }
    }

    /// Pins one request.
    pub fn resolve(&self, request: &Request) -> Result<Entry, SourceError> {
        let Resolved { archive_date, files } = request.kind().resolve(self)?;
        Ok(Entry { request: request.clone(), archive_date, files })
    }
}
