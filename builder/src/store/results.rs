//! What a step's result depends on, and what it gave.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Store, StoreError, publish, sharded};
use crate::digest::Digest;

/// Everything that a step's result depends on, as named rows in a fixed order. Its digest names the result.
///
/// The rows are kept in readable form beside the result, so that a rebuild can name the input that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    rows: Vec<(String, String)>,
}

impl Key {
    /// A key of the given kind of step. `revision` is raised when the code of that kind gives other bytes than before.
    pub fn new(kind: &str, revision: u32) -> Self {
        Self { rows: vec![("kind".into(), format!("{kind} {revision}"))] }
    }

    /// Adds a row.
    pub fn row(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.rows.push((name.into(), value.to_string()));
        self
    }

    /// Adds a row for each pair.
    pub fn rows<N: Into<String>, V: ToString>(mut self, rows: impl IntoIterator<Item = (N, V)>) -> Self {
        self.rows.extend(rows.into_iter().map(|(name, value)| (name.into(), value.to_string())));
        self
    }

    /// The digest of all rows; lengths are part of what is hashed, so no two lists of rows collide by their text.
    pub fn digest(&self) -> Digest {
        let mut text = String::from("dbco step 1\n");
        for (name, value) in &self.rows {
            let _ = writeln!(text, "{} {} {name}={value}", name.len(), value.len());
        }
        Digest::of(text)
    }

    /// Names of the rows in which two keys differ.
    pub fn differences(&self, other: &Key) -> Vec<String> {
        let rows = |key: &Key| key.rows.iter().cloned().collect::<BTreeMap<_, _>>();
        let (mine, theirs) = (rows(self), rows(other));
        let names: std::collections::BTreeSet<_> = mine.keys().chain(theirs.keys()).collect();
        names.into_iter().filter(|name| mine.get(*name) != theirs.get(*name)).cloned().collect()
    }
}

/// One thing that a step gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// A file: its blob and length in bytes.
    Blob {
        /// Content.
        digest: Digest,
        /// Length in bytes.
        size: u64,
    },
    /// A [`Tree`](crate::tree::Tree), by the digest of its encoding.
    Tree {
        /// Digest of the encoding.
        digest: Digest,
    },
    /// A toolchain root, laid out at [`Store::root_path`] under the step's own key.
    Root,
}

/// What a step gave, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// The step, for people: `component busybox`.
    pub label: String,
    /// Everything it depended on.
    pub key: Key,
    /// What it gave.
    pub outputs: BTreeMap<String, Output>,
    /// How long it took.
    pub seconds: f64,
}

impl Store {
    fn result_path(&self, key: &Digest) -> PathBuf {
        sharded(&self.root.join("steps"), &format!("{key}.json"))
    }

    /// The result of the step with this key, if the store has it and everything it names is still there.
    pub fn result(&self, key: &Digest) -> Result<Option<StepResult>, StoreError> {
        let path = self.result_path(key);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("read", &path)(error)),
        };
        let result: StepResult =
            serde_json::from_slice(&text).map_err(|e| StoreError::io("decode", &path)(e.into()))?;
        let there = result.outputs.values().all(|output| match output {
            Output::Blob { digest, .. } | Output::Tree { digest } => self.has_blob(digest),
            Output::Root => self.root_path(key).is_dir(),
        });
        Ok(there.then_some(result))
    }

    /// The rows in which `key` differs from that of the newest result of the same label; none if there is no such result.
    pub fn differences(&self, label: &str, key: &Key) -> Result<Vec<String>, StoreError> {
        let last = match fs::read_to_string(self.newest_path(label)) {
            Ok(text) => text.trim().parse::<Digest>().ok(),
            Err(_) => None,
        };
        let Some(last) = last else { return Ok(Vec::new()) };
        Ok(self.result(&last)?.map(|result| result.key.differences(key)).unwrap_or_default())
    }

    fn newest_path(&self, label: &str) -> PathBuf {
        self.root.join("newest").join(Digest::of(label).to_string())
    }

    /// Keeps a step's result. All that it names must be in the store already.
    pub fn record(&self, result: &StepResult) -> Result<(), StoreError> {
        let path = self.result_path(&result.key.digest());
        let text = serde_json::to_vec_pretty(result).map_err(|e| StoreError::io("encode", &path)(e.into()))?;
        self.put(&path, &text)?;
        self.put(&self.newest_path(&result.label), format!("{}\n", result.key.digest()).as_bytes())
    }

    /// Writes a small file by way of a work folder: beside its final name nobody would sweep what a kill leaves.
    fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let work = self.work_dir()?;
        let temporary = work.path().join("file");
        fs::File::create(&temporary)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_data()))
            .map_err(StoreError::io("write", &temporary))?;
        publish(&temporary, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_changes_with_every_row_and_names_the_difference() {
        let base = Key::new("squashfs", 1).row("input", "a").row("compression", "zstd");
        let other = Key::new("squashfs", 1).row("input", "b").row("compression", "zstd");
        assert_ne!(base.digest(), other.digest());
        assert_ne!(base.digest(), Key::new("squashfs", 2).row("input", "a").row("compression", "zstd").digest());
        assert_eq!(base.differences(&other), ["input"]);
    }

    #[test]
    fn a_result_whose_blob_is_gone_is_no_result() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let digest = store.add_bytes(b"hello").unwrap();
        let key = Key::new("test", 1);
        let outputs = BTreeMap::from([("file".to_owned(), Output::Blob { digest, size: 5 })]);
        let result = StepResult { label: "test".into(), key: key.clone(), outputs, seconds: 0.0 };
        store.record(&result).unwrap();
        assert_eq!(store.result(&key.digest()).unwrap(), Some(result));
        fs::remove_file(store.blob_path(&digest)).unwrap();
        assert_eq!(store.result(&key.digest()).unwrap(), None);
    }
}
