//! What resolving needs: the network, mirrors, the store, and the indexes that were read.

use std::path::PathBuf;

use crate::store::Store;

use super::debian::indexes::Indexes;
use super::{Mirrors, Network, Progress};

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
}
