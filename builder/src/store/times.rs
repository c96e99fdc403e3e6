//! How long steps took, to estimate later builds.
//!
//! There is one record for each label, that of the last run, a few hundred bytes at `<store>/times/<digest of the label>`:
//!
//! ```text
//! {"label":"component busybox","seconds":12.5,"jobs":2,"processors":2}
//! <sha256 of the line above>
//! ```
//!
//! No key and no result depends on it. A record that is damaged counts as missing.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::Store;
use super::damage::open_regular;
use crate::digest::Digest;
use crate::threads;

/// A label has far fewer bytes.
const MOST_BYTES: u64 = 64 * 1024;

/// After this time without a run of a step with that label, `dbco cache gc` removes the record.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long a step took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepTime {
    /// The step's label: `component busybox`.
    pub label: String,
    /// How long it took, in seconds, beside whatever else ran at that time.
    pub seconds: f64,
    /// The number of parallel processes that it was permitted; `None` if that was not recorded.
    pub jobs: Option<usize>,
    /// The processors of the machine; `None` if that was not recorded.
    pub processors: Option<usize>,
}

impl Store {
    /// Records how long a step took on this machine with `jobs` parallel processes. A failure does not affect the build.
    pub fn note_time(&self, label: &str, seconds: f64, jobs: usize) {
        let processors = Some(threads::processors());
        let time = StepTime { label: label.to_owned(), seconds, jobs: Some(jobs), processors };
        if let Ok(text) = serde_json::to_string(&time) {
            let _ = fs::create_dir_all(self.root.join("times"));
            let _ = self.put(&self.time_path(label), format!("{text}\n{}\n", Digest::of(&text)).as_bytes());
        }
    }

    /// How long the last step with this label took: by its record, or by the newest result of a step with that label,
    /// which an earlier version of dbco stored.
    pub fn last_time(&self, label: &str) -> Option<StepTime> {
        let recorded = read(&self.time_path(label)).filter(|time| time.label == label);
        recorded.or_else(|| {
            let seconds = self.newest(label)?.seconds;
            let time = StepTime { label: label.to_owned(), seconds, jobs: None, processors: None };
            is_duration(seconds).then_some(time)
        })
    }

    fn time_path(&self, label: &str) -> PathBuf {
        self.root.join("times").join(Digest::of(label).to_string())
    }

    /// Whether a record is intact and was written within its lifetime.
    pub(super) fn is_time_worth_keeping(&self, path: &Path) -> bool {
        let age = fs::symlink_metadata(path)
            .and_then(|metadata| metadata.modified())
            .map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
        age.is_ok_and(|age| age < LIFETIME) && read(path).is_some_and(|time| self.time_path(&time.label) == path)
    }
}

/// The record in a file, if it is intact.
fn read(path: &Path) -> Option<StepTime> {
    let text = open_regular(path).and_then(|file| io::read_to_string(file.take(MOST_BYTES))).ok()?;
    let (record, rest) = text.split_once('\n')?;
    if rest.trim_end() != Digest::of(record).to_string() {
        return None;
    }
    serde_json::from_str(record).ok().filter(|time: &StepTime| is_duration(time.seconds))
}

fn is_duration(seconds: f64) -> bool {
    seconds.is_finite() && seconds >= 0.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::store::{Key, Policy, Sharing, StepResult};

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (folder, store)
    }

    #[test]
    fn the_last_time_of_a_label_is_kept_whatever_is_removed() {
        let (folder, store) = store();
        store.note_time("component c", 3.5, 4);
        store.note_time("component c", 2.25, 2);
        let time = store.last_time("component c").unwrap();
        assert_eq!((time.seconds, time.jobs), (2.25, Some(2)));
        assert_eq!(store.last_time("component d"), None);
        assert!(fs::metadata(store.time_path("component c")).unwrap().len() < 300);
        drop(store);
        let all = Policy { unused_for: Some(Duration::ZERO), ..Policy::default() };
        let remove = || {
            let store = Store::open_as(folder.path(), Sharing::Alone, &|| {}).unwrap();
            let garbage = store.garbage(&all).unwrap();
            store.remove(&garbage, &|_| {}).unwrap();
            store
        };
        let left = remove();
        assert_eq!(left.last_time("component c"), Some(time));
        let year = SystemTime::now() - LIFETIME - Duration::from_secs(60);
        fs::File::open(left.time_path("component c")).unwrap().set_modified(year).unwrap();
        drop(left);
        assert_eq!(remove().last_time("component c"), None);
    }

    #[test]
    fn a_damaged_record_is_none() {
        let (_folder, store) = store();
        store.note_time("step", 8.0, 2);
        let path = store.time_path("step");
        let good = fs::read_to_string(&path).unwrap();
        let line = |text: &str| format!("{text}\n{}\n", Digest::of(text));
        let texts = [
            String::new(),
            good.replace('8', "9"),
            good[..good.len() / 2].to_owned(),
            line("{}"),
            good.replace("\"step\"", "\"other\""),
            line(r#"{"label":"step","seconds":-1,"jobs":2,"processors":2}"#),
            line(r#"{"label":"other","seconds":1,"jobs":2,"processors":2}"#),
        ];
        for text in texts {
            fs::remove_file(&path).unwrap();
            fs::write(&path, &text).unwrap();
            assert_eq!(store.last_time("step"), None, "{text}");
            assert!(!store.is_time_worth_keeping(&path), "{text}");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(store.last_time("step"), None);
    }

    #[test]
    fn results_of_earlier_versions_state_a_time() {
        let (_folder, store) = store();
        let result =
            StepResult { label: "step".into(), key: Key::new("test", 1), outputs: BTreeMap::new(), seconds: 7.5 };
        store.record(&result).unwrap();
        assert_eq!(store.last_time("step").map(|time| (time.seconds, time.jobs)), Some((7.5, None)));
    }
}
