//! The inputs of a step's result, and the result itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::damage::{blame, open_regular};
use super::{Damage, Store, StoreError, listing, publish, sharded};
use crate::digest::Digest;
use crate::input::LONG;
use crate::path_error::FromPathError as _;

/// A file of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its content.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

/// Everything that a step's result depends on, as named rows in a fixed order. Its digest names the result.
///
/// The rows are kept in readable form beside the result, so that a rebuild can name the input that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    rows: Vec<(String, String)>,
}

impl Key {
    /// A key for the given kind of step. `revision` is increased when the code of that kind produces other bytes than
    /// before.
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

    /// The kind of step, without its revision.
    pub fn kind(&self) -> &str {
        let kind = self.get("kind").unwrap_or_default();
        kind.rsplit_once(' ').map_or(kind, |(kind, _)| kind)
    }

    /// The value of a row.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.rows.iter().find(|(row, _)| row == name).map(|(_, value)| value.as_str())
    }

    /// The rows: name and value.
    pub fn rows_in_order(&self) -> impl Iterator<Item = (&str, &str)> {
        self.rows.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The digests in the rows: of sources, of trees, of the keys of other steps.
    pub(super) fn named(&self) -> impl Iterator<Item = Digest> {
        let words = self.rows.iter().flat_map(|(_, value)| value.split(|c: char| !c.is_ascii_alphanumeric()));
        words.filter(|word| word.len() == 64).filter_map(|word| word.parse().ok())
    }

    /// The digest of all rows; lengths are hashed too, so that different lists of rows can't have the same text.
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

impl From<Blob> for Output {
    fn from(Blob { digest, size }: Blob) -> Self {
        Self::Blob { digest, size }
    }
}

/// One output of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// A file: its blob and length in bytes.
    Blob {
        /// Digest of the content.
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

/// The outputs of a step, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// The step's label: `component busybox`.
    pub label: String,
    /// Its key.
    pub key: Key,
    /// Its outputs.
    pub outputs: BTreeMap<String, Output>,
    /// How long it took.
    pub seconds: f64,
}

/// A result in the store, which may belong to any recipe.
#[derive(Clone, Debug)]
pub struct EarlierResult {
    /// The step's label.
    pub label: String,
    /// Its key.
    pub key: Key,
    /// When it was made.
    pub made: SystemTime,
}

/// The separator between a result and its digest, which covers everything before it.
const SUM: &str = ",\n  \"sum\": \"";

/// The text of a result, with its digest as the last row.
pub(super) fn seal(result: &StepResult) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string_pretty(result)?;
    let body = text.trim_end_matches(['\n', '}']);
    Ok(format!("{body}{SUM}{}\"\n}}\n", Digest::of(body)))
}

/// Parses a result; the error says what is wrong with the text.
pub(super) fn unseal(text: &str, key: &Digest) -> Result<StepResult, String> {
    let (body, rest) = text.rsplit_once(SUM).ok_or("it has no digest")?;
    if rest.strip_suffix("\"\n}\n") != Some(&Digest::of(body).to_string()) {
        return Err("its digest does not match".into());
    }
    let result: StepResult = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if result.key.digest() == *key { Ok(result) } else { Err("it is the result of another step".into()) }
}

impl Store {
    pub(super) fn result_path(&self, key: &Digest) -> PathBuf {
        sharded(&self.root.join("steps"), &format!("{key}.json"))
    }

    /// The result of the step with this key, if the store has it and everything it refers to still exists. A damaged
    /// one is moved aside. The content of what it refers to is checked when it is read.
    pub fn result(&self, key: &Digest) -> Result<Option<StepResult>, StoreError> {
        let result = match self.read_result(key)? {
            None => return Ok(None),
            Some(Ok(result)) => result,
            Some(Err(why)) => {
                self.move_aside("result", key, &self.result_path(key), why)?;
                return Ok(None);
            }
        };
        for (name, output) in &result.outputs {
            let known = self.damages().len();
            if let Some(why) = self.fault(key, output)? {
                // The damage has been recorded.
                if self.damages().len() == known {
                    self.report(Damage { kind: "result", name: *key, why: format!("`{name}`: {why}"), aside: None });
                }
                return Ok(None);
            }
        }
        Ok(Some(result))
    }

    /// The result in the store, or what is wrong with it. What it refers to is not checked.
    pub(super) fn read_result(&self, key: &Digest) -> Result<Option<Result<StepResult, String>>, StoreError> {
        let path = self.result_path(key);
        let text = match open_regular(&path).and_then(|file| io::read_to_string(file.take(LONG))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => Err(blame(error).map_err(StoreError::io("read", &path))?),
            Ok(text) => Ok(text),
        };
        Ok(Some(text.and_then(|text| unseal(&text, key))))
    }

    /// What is wrong with an output, as far as can be determined without reading it. One with another length is moved
    /// aside.
    fn fault(&self, key: &Digest, output: &Output) -> Result<Option<String>, StoreError> {
        let gone = |what: &str, name: &Digest| Ok(Some(format!("{what} {} is missing", name.short())));
        match output {
            Output::Blob { digest, size } => match fs::symlink_metadata(self.blob_path(digest)) {
                Ok(metadata) if metadata.is_file() && metadata.len() == *size => Ok(None),
                Ok(metadata) => {
                    let why = match metadata.is_file() {
                        true => format!("it has {} bytes instead of {size}", metadata.len()),
                        false => "it is not a regular file".to_owned(),
                    };
                    self.move_aside("blob", digest, &self.blob_path(digest), why)?;
                    gone("blob", digest)
                }
                Err(_) => gone("blob", digest),
            },
            Output::Tree { digest } if self.has_blob(digest) => Ok(None),
            Output::Tree { digest } => gone("tree", digest),
            Output::Root if self.root_path(key).is_dir() => Ok(None),
            Output::Root => gone("toolchain root", key),
        }
    }

    /// Drops a result, so that its step runs again.
    pub fn forget(&self, key: &Digest) -> Result<(), StoreError> {
        let path = self.result_path(key);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// The newest result with a label; none if it is gone or can't be read.
    pub(super) fn newest(&self, label: &str) -> Option<StepResult> {
        let read = |path: &Path| open_regular(path).and_then(|file| io::read_to_string(file.take(LONG))).ok();
        let last = read(&self.newest_path(label))?.trim().parse::<Digest>().ok()?;
        unseal(&read(&self.result_path(&last))?, &last).ok()
    }

    /// The rows in which `key` differs from that of the newest result with the same label; none if there is no such
    /// result, or it can't be read.
    pub fn differences(&self, label: &str, key: &Key) -> Vec<String> {
        self.newest(label).map(|result| result.key.differences(key)).unwrap_or_default()
    }

    /// All results in the store. Damaged ones are left out.
    pub fn results(&self) -> Result<Vec<EarlierResult>, StoreError> {
        let mut results = Vec::new();
        for path in listing::sharded_entries(&self.root.join("steps"))? {
            let Some(digest) = listing::name(&path) else { continue };
            let Some(Ok(StepResult { label, key, .. })) = self.read_result(&digest)? else { continue };
            // It may be removed meanwhile.
            if let Ok(made) = fs::metadata(&path).and_then(|metadata| metadata.modified()) {
                results.push(EarlierResult { label, key, made });
            }
        }
        Ok(results)
    }

    fn newest_path(&self, label: &str) -> PathBuf {
        self.root.join("newest").join(Digest::of(label).to_string())
    }

    /// Stores a step's result. Everything that it refers to must be in the store already.
    pub fn record(&self, result: &StepResult) -> Result<(), StoreError> {
        let path = self.result_path(&result.key.digest());
        let text = seal(result).map_err(|e| StoreError::io("encode", &path)(e.into()))?;
        self.put(&path, text.as_bytes())?;
        self.put(&self.newest_path(&result.label), format!("{}\n", result.key.digest()).as_bytes())
    }

    /// Writes a small file through a work folder: beside its final name the leftovers of a killed process would never
    /// be removed.
    pub(super) fn put(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
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

    fn result() -> (tempfile::TempDir, Store, StepResult, Digest) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let digest = store.add_bytes(b"hello").unwrap();
        let outputs = BTreeMap::from([("file".to_owned(), Output::Blob { digest, size: 5 })]);
        let result = StepResult { label: "test".into(), key: Key::new("test", 1), outputs, seconds: 1.0 / 3.0 };
        store.record(&result).unwrap();
        (folder, store, result, digest)
    }

    #[test]
    fn a_result_whose_blob_is_gone_is_no_result() {
        let (_folder, store, result, digest) = result();
        let key = result.key.digest();
        assert_eq!(store.result(&key).unwrap(), Some(result));
        fs::remove_file(store.blob_path(&digest)).unwrap();
        assert_eq!(store.result(&key).unwrap(), None);
        assert_eq!(store.result(&key).unwrap(), None);
        assert_eq!(store.damages().len(), 1, "it is said once");
    }

    #[test]
    fn a_damaged_result_is_put_aside_and_made_again() {
        use std::os::unix::fs::symlink;
        type Case = (&'static str, fn(&Path));
        let edit = |path: &Path, from: &str, to: &str| {
            let text = fs::read_to_string(path).unwrap();
            assert!(text.contains(from));
            fs::remove_file(path).unwrap();
            fs::write(path, text.replacen(from, to, 1)).unwrap();
        };
        let cases: [Case; 8] = [
            ("flipped", |path| {
                let mut bytes = fs::read(path).unwrap();
                bytes[20] ^= 1;
                fs::remove_file(path).unwrap();
                fs::write(path, bytes).unwrap();
            }),
            ("empty", |path| {
                fs::remove_file(path).unwrap();
                fs::write(path, "").unwrap();
            }),
            ("cut", |path| {
                let text = fs::read(path).unwrap();
                fs::remove_file(path).unwrap();
                fs::write(path, &text[..text.len() - 4]).unwrap();
            }),
            ("binary", |path| {
                fs::remove_file(path).unwrap();
                fs::write(path, [0xff; 300]).unwrap();
            }),
            ("folder", |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
                fs::write(path.join("inside"), "x").unwrap();
            }),
            ("link", |path| {
                let elsewhere = path.with_extension("moved");
                fs::rename(path, &elsewhere).unwrap();
                symlink(elsewhere, path).unwrap();
            }),
            ("of another step", |path| {
                fs::remove_file(path).unwrap();
                let key = Key::new("other", 1);
                let other = StepResult { label: "test".into(), key, outputs: BTreeMap::new(), seconds: 0.0 };
                fs::write(path, seal(&other).unwrap()).unwrap();
            }),
            ("unreadable", |path| {
                // Root can read everything: then it is a FIFO without a writer.
                fs::remove_file(path).unwrap();
                nix::unistd::mkfifo(path, nix::sys::stat::Mode::empty()).unwrap();
            }),
        ];
        for (name, damage) in cases {
            let (_folder, store, result, _) = result();
            let key = result.key.digest();
            damage(&store.result_path(&key));
            assert_eq!(store.differences("test", &Key::new("test", 2)), Vec::<String>::new(), "{name}");
            assert_eq!(store.result(&key).unwrap(), None, "{name}");
            let damages = store.damages();
            assert_eq!(damages.len(), 1, "{name}: {damages:?}");
            assert!(fs::symlink_metadata(damages[0].aside.as_ref().unwrap()).is_ok(), "{name}");
            store.record(&result).unwrap();
            assert_eq!(store.result(&key).unwrap(), Some(result), "{name}");
        }
        let (_folder, store, result, digest) = result();
        let other = store.add_bytes(b"world").unwrap();
        edit(&store.result_path(&result.key.digest()), &digest.to_string(), &other.to_string());
        assert_eq!(store.result(&result.key.digest()).unwrap(), None, "it names another blob of the store");
    }
}
