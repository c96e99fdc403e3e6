//! Reading data of vulnerabilities: a file, a folder or a zip archive of JSON documents in any of the formats.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use nix::sys::stat::SFlag;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::osv::OsvRecord;
use super::record::CveRecord;
use super::tracker::{self, Tracker};
use super::{Match, Subject};
use crate::beneath::{Dir, Links};
use crate::printable::printable;

/// The maximum length of one document in bytes. Debian's tracker has 70 MB.
const MAX_DOCUMENT: u64 = 1 << 30;
/// The maximum number of documents. OSV's archive of all ecosystems has some hundred thousand.
const MAX_DOCUMENTS: usize = 2_000_000;
/// The maximum total length of the documents in a zip archive or a folder, in bytes.
const MAX_TOTAL: u64 = 32 << 30;
/// The maximum depth of folders.
const MAX_DEPTH: usize = 16;

/// Why data can't be read.
#[derive(Debug, thiserror::Error)]
#[error("--cve {}: {message}", path.display())]
pub struct DataError {
    /// The file, or the folder or archive.
    pub path: PathBuf,
    /// The error, and what is expected.
    pub message: String,
}

/// Records that concern certain subjects.
#[derive(Debug, Default)]
pub struct Database {
    trackers: Vec<(String, Tracker)>,
    osv: Vec<(String, OsvRecord)>,
    records: Vec<(String, CveRecord)>,
    /// All documents that were read.
    documents: usize,
    total: u64,
}

/// What tells the formats apart: the keys at the top.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Peek {
    data_type: Option<String>,
    id: Option<IgnoredAny>,
    affected: Option<IgnoredAny>,
    #[serde(rename = "schema_version")]
    schema_version: Option<IgnoredAny>,
}

impl Database {
    /// Reads data and keeps what concerns the subjects.
    pub fn of(path: &Path, subjects: &[Subject]) -> Result<Self, DataError> {
        let fail = |message: String| DataError { path: path.to_owned(), message };
        let mut database = Self::default();
        let metadata = std::fs::metadata(path).map_err(|error| fail(error.to_string()))?;
        if metadata.is_dir() {
            let top = path.canonicalize().and_then(|path| Dir::open(&path, Links::Never));
            database.folder(&top.map_err(|error| fail(error.to_string()))?, "", 0, subjects).map_err(fail)?;
        } else {
            let mut file = crate::input::open(path).map_err(|error| fail(error.to_string()))?;
            let mut magic = [0; 4];
            let short = file.read_exact(&mut magic).is_err();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let file = crate::input::open(path).map_err(|error| fail(error.to_string()))?;
            if !short && &magic == b"PK\x03\x04" {
                database.zip(file, subjects).map_err(fail)?;
            } else {
                database.document(&name, file, true, subjects).map_err(fail)?;
            }
        }
        if database.documents == 0 {
            return Err(fail(
                "it contains no JSON document; expected Debian's security tracker, OSV records or CVE records".into(),
            ));
        }
        Ok(database)
    }

    /// The number of documents that were read.
    pub fn documents(&self) -> usize {
        self.documents
    }

    /// The advisories that a subject is subject to, each vulnerability once, ordered by identifier.
    pub fn matches(&self, subject: &Subject) -> Vec<Match> {
        let tracked = self.trackers.iter().flat_map(|(source, tracker)| tracker::matches(tracker, subject, source));
        let osv = self.osv.iter().filter_map(|(source, record)| record.matches(subject, source));
        let records = self.records.iter().filter_map(|(source, record)| record.matches(subject, source));
        let mut matches: Vec<Match> = Vec::new();
        for found in tracked.chain(osv).chain(records) {
            Match::join(&mut matches, found);
        }
        matches.sort_by(|a, b| a.id.cmp(&b.id));
        matches
    }

    fn folder(&mut self, dir: &Dir, path: &str, depth: usize, subjects: &[Subject]) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("`{path}` is deeper than {MAX_DEPTH} folders"));
        }
        let mut entries = dir.list(path).map_err(|error| format!("{error}: {}", error.refusal))?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        for entry in entries {
            let Some(name) = entry.name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            let inside = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            match entry.kind() {
                SFlag::S_IFDIR => self.folder(dir, &inside, depth + 1, subjects)?,
                SFlag::S_IFREG if name.ends_with(".json") => {
                    let file = dir.open_file(&inside).map_err(|error| format!("{error}: {}", error.refusal))?;
                    self.document(&inside, file, false, subjects)?;
                }
                SFlag::S_IFREG if name.ends_with(".zip") => {
                    let file = dir.open_file(&inside).map_err(|error| format!("{error}: {}", error.refusal))?;
                    self.zip(file, subjects).map_err(|error| format!("{}: {error}", printable(&inside)))?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn zip(&mut self, file: File, subjects: &[Subject]) -> Result<(), String> {
        let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(|error| error.to_string())?;
        for index in 0..archive.len() {
            let entry = archive.by_index(index).map_err(|error| error.to_string())?;
            let name = entry.name().map_err(|error| error.to_string())?.into_owned();
            if entry.is_file() && name.ends_with(".json") {
                self.document(&name, entry, false, subjects)?;
            }
        }
        Ok(())
    }

    /// Reads one document. Unless it is all that the user named, one of another format is skipped: a folder may contain
    /// a database's own metadata.
    fn document(&mut self, name: &str, reader: impl Read, only: bool, subjects: &[Subject]) -> Result<(), String> {
        let mut bytes = Vec::new();
        let at = |error: &dyn std::fmt::Display| format!("{}: {error}", printable(name));
        reader.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes).map_err(|error| at(&error))?;
        crate::interrupt::check().map_err(|error| at(&error))?;
        self.total += bytes.len() as u64;
        if bytes.len() as u64 > MAX_DOCUMENT || self.total > MAX_TOTAL || self.documents >= MAX_DOCUMENTS {
            return Err(at(
                &"more data than any known database has (1 GiB in one document, 32 GiB or 2,000,000 documents in all)",
            ));
        }
        if bytes.trim_ascii_start().starts_with(b"[") {
            let records: Vec<OsvRecord> = serde_json::from_slice(&bytes).map_err(|error| at(&error))?;
            self.documents += 1;
            records.into_iter().for_each(|record| self.add_osv(name, record, subjects));
            return Ok(());
        }
        let peek: Peek = serde_json::from_slice(&bytes).map_err(|error| at(&error))?;
        match peek {
            Peek { data_type: Some(kind), .. } if kind == "CVE_RECORD" => {
                let record: CveRecord = serde_json::from_slice(&bytes).map_err(|error| at(&error))?;
                if subjects.iter().any(|subject| record.concerns(subject)) {
                    self.records.push((name.to_owned(), record));
                }
            }
            Peek { id: Some(_), affected, schema_version, .. } if affected.is_some() || schema_version.is_some() => {
                let record: OsvRecord = serde_json::from_slice(&bytes).map_err(|error| at(&error))?;
                self.add_osv(name, record, subjects);
            }
            _ => match serde_json::from_slice::<Tracker>(&bytes) {
                Ok(mut tracker) => {
                    tracker.retain(|package, _| subjects.iter().any(|subject| subject.name == *package));
                    self.trackers.push((name.to_owned(), tracker));
                }
                Err(error) if only => {
                    return Err(at(&format!(
                        "it is neither Debian's security tracker, nor an OSV record, nor a CVE record ({error})"
                    )));
                }
                Err(_) => return Ok(()),
            },
        }
        self.documents += 1;
        Ok(())
    }

    fn add_osv(&mut self, name: &str, record: OsvRecord, subjects: &[Subject]) {
        if subjects.iter().any(|subject| record.concerns(subject)) {
            self.osv.push((name.to_owned(), record));
        }
    }
}
