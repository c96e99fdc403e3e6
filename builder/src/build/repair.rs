//! Finding damage in the store among everything that a plan needs.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::step::Graph;
use crate::store::parallel::each;
use crate::store::{BlobState, Depth, Output, Store, StoreError};
use crate::tree::Node;

/// Reads everything that the store has for a plan's steps: results, trees, the files that these name, toolchain roots,
/// and the contents that steps start from. Damaged objects are moved aside; steps whose results name something damaged
/// or missing are forgotten, so that a build runs them again. Takes about a second for each GB and processor.
pub fn repair(graph: &Graph, store: &Store) -> Result<(), StoreError> {
    let mut namers: BTreeMap<Digest, BTreeSet<Digest>> = BTreeMap::new();
    for step in &graph.steps {
        for blob in step.action.blobs().into_iter().filter(|blob| !graph.files.contains_key(blob)) {
            namers.entry(blob).or_default();
        }
        let Some(result) = store.result(&step.digest)? else { continue };
        let mut name = |blob: Digest| namers.entry(blob).or_default().insert(step.digest);
        for output in result.outputs.values() {
            match output {
                Output::Blob { digest, .. } => {
                    name(*digest);
                }
                Output::Tree { digest } => {
                    name(*digest);
                    // Reading a damaged result moves it aside, so it is found missing below.
                    for entry in store.tree(digest).iter().flat_map(|tree| tree.entries.values()) {
                        match entry.node {
                            Node::File { blob, .. } if !graph.files.contains_key(&blob) => {
                                name(blob);
                            }
                            _ => {}
                        }
                    }
                }
                Output::Root => {
                    if store.check_root(&step.digest, Depth::Content)?.is_none() {
                        store.forget(&step.digest)?;
                    }
                }
            }
        }
    }
    each(&namers.into_iter().collect::<Vec<_>>(), |(blob, keys)| check(store, blob, keys))
}

/// Checks one blob, and forgets the results that name it if it is not intact.
fn check(store: &Store, blob: &Digest, keys: &BTreeSet<Digest>) -> Result<(), StoreError> {
    let soundness = store.check_blob(blob)?;
    if soundness == BlobState::Missing && !keys.is_empty() {
        store.report_missing(blob);
    }
    if matches!(soundness, BlobState::Missing | BlobState::Damaged(_)) {
        keys.iter().try_for_each(|key| store.forget(key))?;
    }
    Ok(())
}
