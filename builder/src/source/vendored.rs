//! Reading a vendored place: a folder, an archive or an HTTP server with every file that a lock names, by its digest.
//!
//! ```text
//! Manifest.json             what it contains, and for which requests
//! by-sha256/ab/<sha256>     the content of each file
//! debian/pool/…, Packages   the Debian packages once more under their names, as hard links, for apt
//! ```
//!
//! A reader needs only a file's digest, which it has from the lock: the manifest is not trusted. Each file is hashed on
//! its way into the store.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::cargo::{CargoLock, Crate};
use super::download::{Download, fetch_file};
use super::failures::tidy;
use super::network::join;
use super::{FetchFailure, FetchReport, LockEntry, Network, Progress, SourceError};
use crate::archive::{ArchiveError, Budget, Entries, MemberKind, decompress};
use crate::beneath::{Dir, Links};
use crate::digest::Digest;
use crate::mask;
use crate::path_error::FromPathError as _;
use crate::store::{Store, StoreError};
use crate::threads;

/// The folder of the contents.
pub const CONTENTS: &str = "by-sha256";

/// The manifest.
pub const MANIFEST: &str = "Manifest.json";

/// The path of a file's content in a vendored place.
pub fn content_path(digest: &Digest) -> String {
    let name = digest.to_string();
    format!("{CONTENTS}/{}/{name}", &name[..2])
}

/// The digest of the file at a path that [`content_path`] gives.
pub fn content_digest(path: &str) -> Option<Digest> {
    let digest = path.rsplit('/').next()?.parse().ok()?;
    (content_path(&digest) == path).then_some(digest)
}

/// Where all locked files are taken from, instead of the places in the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VendoredPlace {
    /// A folder, or a tar archive of one, which may be compressed.
    Path(PathBuf),
    /// The base URL of a folder on an HTTP server.
    Url(String),
}

impl VendoredPlace {
    /// A URL begins with `http://` or `https://`; anything else is a path.
    pub fn parse(text: &str) -> Self {
        if ["http://", "https://"].iter().any(|scheme| text.starts_with(scheme)) {
            Self::Url(text.trim_end_matches('/').to_owned())
        } else {
            Self::Path(text.into())
        }
    }
}

/// Access to a vendored place.
#[derive(Clone, Copy)]
pub enum Vendored<'a> {
    /// On this machine; no network is used.
    Path(&'a Path),
    /// By HTTP.
    Url {
        /// The base URL.
        url: &'a str,
        /// The HTTP client.
        network: &'a Network,
    },
}

/// A file that is wanted from a vendored place.
#[derive(Clone, Debug)]
pub struct WantedFile {
    /// The file's name with its version.
    pub name: String,
    /// The digest of its content.
    pub sha256: Digest,
    /// Its length in bytes, if the lock states it.
    pub size: Option<u64>,
    /// What locked it.
    pub locked_by: String,
}

impl WantedFile {
    /// All files of an entry of the lock.
    pub fn of_entry(entry: &LockEntry) -> impl Iterator<Item = Self> + '_ {
        entry.files.iter().map(|file| Self {
            name: match &file.version {
                Some(version) => format!("{} {version}", file.name),
                None => file.name.clone(),
            },
            sha256: file.sha256,
            size: Some(file.size),
            locked_by: entry.request.to_string(),
        })
    }

    /// Crates of a `Cargo.lock`.
    pub fn of_crates<'c>(lock: &'c CargoLock, crates: &'c [&'c Crate]) -> impl Iterator<Item = Self> + 'c {
        crates.iter().map(|one| Self {
            name: one.file_name(),
            sha256: one.sha256,
            size: None,
            locked_by: lock.path.display().to_string(),
        })
    }
}

/// A file that a vendored place does not have as the lock names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorFault {
    /// The file's name with its version.
    pub name: String,
    /// Its path in the vendored place.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
    /// What locked it.
    pub locked_by: String,
}

impl VendorFault {
    fn of(wanted: &WantedFile, problem: impl Into<String>) -> Self {
        let WantedFile { name, sha256, locked_by, .. } = wanted.clone();
        Self { name, path: content_path(&sha256), problem: problem.into(), locked_by }
    }
}

/// Takes files that the store lacks from a vendored place, each once; every file that is missing or damaged there is
/// named in the error.
pub fn fetch_vendored(
    wanted: Vec<WantedFile>,
    store: &Store,
    from: Vendored<'_>,
    connections: usize,
    progress: &dyn Progress,
) -> Result<FetchReport, Vec<FetchFailure>> {
    let unique: BTreeMap<Digest, WantedFile> = wanted.into_iter().map(|file| (file.sha256, file)).collect();
    let count = unique.len();
    let missing: Vec<WantedFile> = unique.into_values().filter(|file| !store.has_blob(&file.sha256)).collect();
    let present = count - missing.len();
    if missing.is_empty() {
        return Ok(FetchReport { present, ..FetchReport::default() });
    }
    progress.expect(missing.len(), missing.iter().filter_map(|file| file.size).sum());
    let whole = |error: SourceError| vec![FetchFailure { error, files: missing.len() }];
    let (place, outcome) = match from {
        Vendored::Path(path) => (path.display().to_string(), from_path(path, &missing, store, progress)),
        Vendored::Url { url, network } => {
            network.start().map_err(whole)?;
            return from_url(url, network, &missing, store, connections, progress).map(|bytes| FetchReport {
                present,
                fetched: missing.len(),
                bytes,
            });
        }
    };
    match outcome.map_err(whole)? {
        (bytes, faults) if faults.is_empty() => Ok(FetchReport { present, fetched: missing.len(), bytes }),
        (_, faults) => {
            let files = faults.len();
            Err(vec![FetchFailure { error: SourceError::Vendored { place, faults }, files }])
        }
    }
}

/// The number of bytes taken, and what is wrong.
type Taken = (u64, Vec<VendorFault>);

fn from_path(path: &Path, wanted: &[WantedFile], store: &Store, progress: &dyn Progress) -> Result<Taken, SourceError> {
    let unusable = |message: String| SourceError::VendoredPlace { place: path.display().to_string(), message };
    let metadata = std::fs::metadata(path).map_err(|error| {
        unusable(format!("{error}; expected a folder or an archive that `dbco vendor` made, or the URL of one"))
    })?;
    if metadata.is_dir() {
        // The user may name it by a link; what is in it may not lead out.
        let path = path.canonicalize().map_err(|error| unusable(error.to_string()))?;
        let dir = Dir::open(&path, Links::Never).map_err(|error| unusable(error.to_string()))?;
        from_folder(&dir, wanted, store, progress)
    } else {
        let file = crate::input::open(path).map_err(|error| unusable(error.to_string()))?;
        from_archive(file, &path.display().to_string(), wanted, store, progress)
    }
}

fn from_folder(dir: &Dir, wanted: &[WantedFile], store: &Store, progress: &dyn Progress) -> Result<Taken, SourceError> {
    let (mut bytes, mut faults) = (0, Vec::new());
    for file in wanted {
        let meter = progress.start(&file.name, file.size);
        match dir.open_file(content_path(&file.sha256)) {
            Err(error) if error.is_missing() => faults.push(VendorFault::of(file, "is missing")),
            Err(error) => faults.push(VendorFault::of(file, format!("can't be read: {error}"))),
            Ok(mut content) => match take(&mut content, file, store)? {
                Ok(size) => {
                    bytes += size;
                    meter.at(size);
                }
                Err(fault) => faults.push(fault),
            },
        }
    }
    Ok((bytes, faults))
}

/// Copies one file into the store, if its content is the locked one.
fn take(content: &mut impl Read, wanted: &WantedFile, store: &Store) -> Result<Result<u64, VendorFault>, SourceError> {
    // One byte more shows that it is longer, without reading an endless file.
    let most = wanted.size.unwrap_or(Budget::USUAL.unpacked);
    let mut content = ReadErrors { inner: content.take(most.saturating_add(1)), failed: None };
    let mut writer = store.blob_writer()?;
    let copied = crate::digest::copy(&mut content, &mut writer);
    if let Some(error) = content.failed {
        return Ok(Err(VendorFault::of(wanted, format!("can't be read: {error}"))));
    }
    let size = copied.map_err(StoreError::io("write", store.path()))?;
    if size > most {
        return Ok(Err(VendorFault::of(wanted, format!("is damaged: it has more than {most} bytes, as locked"))));
    }
    match writer.commit_as(&wanted.sha256) {
        Ok(size) => Ok(Ok(size)),
        Err(StoreError::Mismatch { got, got_size, .. }) => {
            let problem = format!("is damaged: its {got_size} bytes have sha256 {got}");
            Ok(Err(VendorFault::of(wanted, problem)))
        }
        Err(error) => Err(error.into()),
    }
}

/// A reader that keeps the first error, which is one of the vendored place and not of the store.
struct ReadErrors<R> {
    inner: R,
    failed: Option<String>,
}

impl<R: Read> Read for ReadErrors<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.failed.get_or_insert_with(|| error.to_string());
            }
        })
    }
}

/// Reads the archive once, to its end.
fn from_archive(
    file: File,
    name: &str,
    wanted: &[WantedFile],
    store: &Store,
    progress: &dyn Progress,
) -> Result<Taken, SourceError> {
    let unreadable =
        |error: ArchiveError| SourceError::VendoredPlace { place: name.to_owned(), message: error.to_string() };
    let budget = Budget { unpacked: u64::MAX, ..Budget::USUAL };
    let stream = decompress(file, name, &budget).map_err(unreadable)?;
    let mut entries = Entries::new(stream, name, &budget);
    let mut lacking: BTreeMap<Digest, &WantedFile> = wanted.iter().map(|file| (file.sha256, file)).collect();
    let (mut bytes, mut faults) = (0, Vec::new());
    while let Some(member) = entries.next_member().map_err(unreadable)? {
        let path = String::from_utf8_lossy(&member.path);
        let digest = content_digest(path.trim_start_matches("./")).filter(|_| member.kind == MemberKind::File);
        let Some(file) = digest.and_then(|digest| lacking.remove(&digest)) else { continue };
        let meter = progress.start(&file.name, file.size);
        match take(&mut entries, file, store)? {
            Ok(size) => {
                bytes += size;
                meter.at(size);
            }
            Err(fault) => faults.push(fault),
        }
    }
    faults.extend(lacking.into_values().map(|file| VendorFault::of(file, "is missing")));
    Ok((bytes, faults))
}

/// Downloads in parallel; gives the number of bytes received.
fn from_url(
    url: &str,
    network: &Network,
    wanted: &[WantedFile],
    store: &Store,
    connections: usize,
    progress: &dyn Progress,
) -> Result<u64, Vec<FetchFailure>> {
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let results = Mutex::new(Vec::new());
    let work = || {
        while !stop.load(Ordering::Relaxed)
            && let Some(file) = wanted.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let download = Download {
                name: file.name.clone(),
                sha256: file.sha256,
                size: file.size,
                urls: vec![join(url, &content_path(&file.sha256))],
                if_gone: format!(
                    "locked for {}, and {} does not have it: add it there with `dbco vendor`",
                    file.locked_by,
                    mask::text(url)
                ),
            };
            let meter = progress.start(&file.name, file.size);
            let result = fetch_file(network, store, &download, &*meter);
            if matches!(&result, Err(error) if error.stops_all()) {
                stop.store(true, Ordering::Relaxed);
            }
            results.lock().unwrap_or_else(|e| e.into_inner()).push(result);
        }
    };
    threads::side_by_side(connections.clamp(1, 16).min(wanted.len()), &work);
    let (mut bytes, mut errors) = (0, Vec::new());
    for result in results.into_inner().unwrap_or_else(|e| e.into_inner()) {
        match result {
            Ok(received) => bytes += received,
            Err(error) => errors.push(FetchFailure { error, files: 1 }),
        }
    }
    if errors.is_empty() { Ok(bytes) } else { Err(tidy(errors, wanted.len())) }
}
