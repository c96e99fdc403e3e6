//! All objects of a store, and when each was last used.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{KeptObjects, LastUse, Object, ObjectKind};
use crate::digest::Digest;
use crate::input::{LIMIT, read_text};
use crate::interrupt;
use crate::path_error::FromPathError as _;
use crate::store::listing::{entries, measure, name, sharded_entries};
use crate::store::{Output, PRECISION, StepResult, Store, StoreError, open_lock, sharded};
use crate::tree::{Node, Tree};

type Uses = HashMap<Digest, LastUse>;

fn raise(uses: &mut Uses, name: Digest, to: LastUse) -> bool {
    let known = uses.entry(name).or_insert(LastUse::Never);
    let raised = to > *known;
    *known = to.max(*known);
    raised
}

/// The references of a complete result.
struct References {
    outputs: Vec<Output>,
    /// From the rows of its key.
    inputs: Vec<Digest>,
}

/// Results, trees and their references to other objects.
#[derive(Default)]
struct ReferenceGraph {
    results: HashMap<Digest, References>,
    /// The files of each tree; `None` for one that can't be read.
    trees: HashMap<Digest, Option<Vec<Digest>>>,
    /// Of results.
    steps: Uses,
    /// Of what results refer to. Keys of toolchain roots and of logs are those of their steps.
    named: Uses,
}

impl Store {
    /// Everything in the store, except for layout and format.
    pub(super) fn inventory(&self, kept: &KeptObjects) -> Result<Vec<Object>, StoreError> {
        let graph = self.graph(kept)?;
        let mut found = Vec::new();
        let mut add = |kind, paths: &[PathBuf], last_use| -> Result<(), StoreError> {
            interrupt::check().map_err(StoreError::io("read", self.path()))?;
            let mut bytes = 0;
            for path in paths {
                bytes += measure(path)?;
            }
            found.push(Object { kind, paths: paths.to_vec(), bytes, last_use });
            Ok(())
        };
        let folder = |name: &str| self.path().join(name);
        let of = |uses: &Uses, name: &Digest| uses.get(name).copied().unwrap_or(LastUse::Never);
        for path in sharded_entries(&folder("steps"))? {
            if let Some(key) = name(&path) {
                add(ObjectKind::Result, &[path], of(&graph.steps, &key))?;
            }
        }
        for path in sharded_entries(&folder("blobs"))? {
            let Some(digest) = name(&path) else { continue };
            let record = sharded(&folder("checked"), &digest.to_string());
            let own = if kept.blobs.contains(&digest) { LastUse::Kept } else { modified(&path).max(modified(&record)) };
            add(ObjectKind::Blob, &[path, record], own.max(of(&graph.named, &digest)))?;
        }
        for path in sharded_entries(&folder("checked"))? {
            if name(&path).is_some_and(|digest| fs::symlink_metadata(self.blob_path(&digest)).is_err()) {
                add(ObjectKind::Leftover, &[path], LastUse::Never)?;
            }
        }
        for path in entries(&folder("roots"))? {
            let Some(key) = name(&path) else { continue };
            let lists = ["stamps", "files"].map(|what| folder("seals").join(format!("{key}.{what}")));
            // The time of a tree or root itself is that of its content.
            let own = lists.iter().map(|list| modified(list)).fold(LastUse::Never, Ord::max);
            let [stamps, files] = lists;
            add(ObjectKind::Root, &[path, stamps, files], own.max(of(&graph.named, &key)))?;
        }
        for path in entries(&folder("seals"))? {
            if name(&path).is_some_and(|key| fs::symlink_metadata(self.root_path(&key)).is_err()) {
                add(ObjectKind::Leftover, &[path], LastUse::Never)?;
            }
        }
        for path in entries(&folder("libraries"))? {
            match name(&path) {
                // A command reads recipes, and so the library, before it has the store open.
                _ if is_recent(&path) => add(ObjectKind::Library, std::slice::from_ref(&path), LastUse::Kept)?,
                Some(_) => add(ObjectKind::Library, std::slice::from_ref(&path), modified(&path))?,
                None => add(ObjectKind::Leftover, std::slice::from_ref(&path), LastUse::Never)?,
            }
        }
        for path in entries(&folder("logs"))? {
            let named = name(&path).map_or(LastUse::Never, |key| of(&graph.named, &key));
            let own = modified(&path);
            add(ObjectKind::Log, &[path], own.max(named))?;
        }
        for path in entries(&folder("partial"))? {
            let stays = name(&path).is_some_and(|digest| kept.blobs.contains(&digest));
            let own = if stays { LastUse::Kept } else { modified(&path) };
            add(ObjectKind::Partial, &[path], own)?;
        }
        for path in entries(&folder("damaged"))? {
            add(ObjectKind::Damaged, &[path], LastUse::Never)?;
        }
        for path in entries(&folder("newest"))? {
            let newest = read_text(&path, LIMIT).ok().and_then(|text| text.trim().parse().ok());
            add(ObjectKind::Leftover, &[path], newest.map_or(LastUse::Never, |key| of(&graph.steps, &key).of_named()))?;
        }
        for path in entries(&folder("times"))? {
            let last_use = if self.is_time_worth_keeping(&path) { LastUse::Kept } else { LastUse::Never };
            add(ObjectKind::Leftover, &[path], last_use)?;
        }
        for path in self.leftovers()? {
            add(ObjectKind::Leftover, &[path], LastUse::Never)?;
        }
        Ok(found)
    }

    /// Lock files, work folders without an owner, and small files that were being written. While the store is held
    /// exclusively only an earlier version of dbco may be working in `tmp/`.
    fn leftovers(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut found = entries(&self.path().join("locks"))?;
        let owned = |path: &Path| {
            let lock = if path.extension().is_some_and(|end| end == "lock") {
                path.to_owned()
            } else {
                path.with_extension("lock")
            };
            lock.exists() && !open_lock(&lock).is_ok_and(|file| file.try_lock().is_ok())
        };
        found.extend(entries(&self.path().join("tmp"))?.into_iter().filter(|path| !owned(path)));
        let half = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".dbco-"));
        found.extend(entries(self.path())?.into_iter().filter(half));
        Ok(found)
    }

    fn graph(&self, kept: &KeptObjects) -> Result<ReferenceGraph, StoreError> {
        let mut graph = ReferenceGraph::default();
        for path in sharded_entries(&self.path().join("steps"))? {
            interrupt::check().map_err(StoreError::io("read", &path))?;
            let Some(key) = name(&path) else { continue };
            let Some(Ok(result)) = self.read_result(&key)? else { continue };
            if !self.is_complete(&key, &result, &mut graph.trees)? {
                continue;
            }
            let own = if kept.steps.contains(&key) { LastUse::Kept } else { modified(&path) };
            graph.steps.insert(key, own);
            let outputs = result.outputs.values().copied().collect();
            graph.results.insert(key, References { outputs, inputs: result.key.named().collect() });
        }
        graph.follow();
        Ok(graph)
    }

    /// Whether everything that a result refers to exists, with the right length; trees are read.
    fn is_complete(
        &self,
        key: &Digest,
        result: &StepResult,
        trees: &mut HashMap<Digest, Option<Vec<Digest>>>,
    ) -> Result<bool, StoreError> {
        for output in result.outputs.values() {
            let there = match output {
                Output::Blob { digest, size } => fs::symlink_metadata(self.blob_path(digest))
                    .is_ok_and(|metadata| metadata.is_file() && metadata.len() == *size),
                Output::Tree { digest } => {
                    if !trees.contains_key(digest) {
                        trees.insert(*digest, self.files_of_tree(digest)?);
                    }
                    trees[digest].is_some()
                }
                Output::Root => self.root_path(key).is_dir(),
            };
            if !there {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The files that a tree refers to; `None` if it can't be read or is damaged.
    fn files_of_tree(&self, digest: &Digest) -> Result<Option<Vec<Digest>>, StoreError> {
        let mut bytes = Vec::new();
        let read = self.open_unchecked(digest).and_then(|mut file| file.read_to_end(&mut bytes));
        if read.is_err() || Digest::of(&bytes) != *digest {
            return Ok(None);
        }
        let Ok(tree) = Tree::decode(bytes.as_slice()) else { return Ok(None) };
        let blob = |node: &Node| match node {
            Node::File { blob, .. } => Some(*blob),
            _ => None,
        };
        Ok(Some(tree.entries.values().filter_map(|entry| blob(&entry.node)).collect()))
    }
}

impl ReferenceGraph {
    /// Propagates the last use of each result to everything that it refers to.
    fn follow(&mut self) {
        // Keys are digests of what results are made from, so there is no cycle.
        let mut queue: Vec<Digest> = self.results.keys().copied().collect();
        while let Some(key) = queue.pop() {
            let then = self.steps[&key].of_named();
            for input in &self.results[&key].inputs {
                if self.results.contains_key(input) && raise(&mut self.steps, *input, then) {
                    queue.push(*input);
                }
            }
        }
        for (key, names) in &self.results {
            let then = self.steps[key].of_named();
            let trees = names.outputs.iter().filter_map(|output| match output {
                Output::Blob { digest, .. } | Output::Tree { digest } => Some(*digest),
                Output::Root => None,
            });
            for name in trees.chain(names.inputs.iter().copied()).chain([*key]) {
                raise(&mut self.named, name, then);
            }
        }
        for (tree, files) in &self.trees {
            let then = self.named.get(tree).copied().unwrap_or(LastUse::Never).of_named();
            for file in files.iter().flatten() {
                raise(&mut self.named, *file, then);
            }
        }
    }
}

/// Whether a library may be in use: its time has a resolution of one day.
fn is_recent(path: &Path) -> bool {
    let modified = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age < 2 * PRECISION))
}

/// The time of the last change of a file; `Never` if it does not exist.
fn modified(path: &Path) -> LastUse {
    let time = fs::symlink_metadata(path).and_then(|metadata| metadata.modified());
    time.map_or(LastUse::Never, |time: SystemTime| LastUse::At(time, 0))
}
