//! Downloads into the store or into memory, from whichever of several places delivers first: resumed and checked.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::digest::{Digest, Hasher};
use crate::mask;
use crate::path_error::FromPathError as _;
use crate::store::{BlobWriter, Store, StoreError};

use super::network::{Failure, Network, origin};
use super::race::{DownloadTarget, race};
use super::{Attempt, Cancel, Meter, SourceError};

/// A file whose digest is known beforehand.
pub(super) struct Download {
    pub(super) name: String,
    pub(super) sha256: Digest,
    pub(super) size: Option<u64>,
    pub(super) urls: Vec<String>,
    /// What to do if all places report that it does not exist.
    pub(super) if_gone: String,
}

/// Fetches a file whose digest is known, unless the store has it intact; gives the number of bytes received over the
/// network.
pub(super) fn fetch_file(
    network: &Network,
    store: &Store,
    wanted: &Download,
    meter: &dyn Meter,
) -> Result<u64, SourceError> {
    if store.has_intact_blob(&wanted.sha256)? {
        return Ok(0);
    }
    let mut partial = Partial::open(store, wanted, network, meter)?;
    if store.has_intact_blob(&wanted.sha256)? {
        // Another process fetched it while this one waited for its lock.
        return Ok(0);
    }
    let mut received = 0;
    if !partial.is_whole(wanted, network.cancel())? {
        let limit = network.limits().max_size;
        let outcome = race(network, &wanted.urls, &mut PinnedFile { partial: &mut partial, wanted, limit }, meter)?;
        received = outcome.map_err(|attempts| {
            partial.discard_if_empty();
            let hint = hint(wanted, &attempts);
            SourceError::Unreachable { name: wanted.name.clone(), attempts, hint }
        })?;
    }
    store.adopt(&partial.path, &wanted.sha256)?;
    Ok(received)
}

/// A file of unknown digest, as one place delivered it.
struct UnpinnedDownload {
    /// Its digest and length in bytes.
    file: (Digest, u64),
    /// The place's index.
    place: usize,
    /// Whether the place indicated the end of the file.
    end_known: bool,
}

/// Fetches a file of which nothing is known beforehand; gives its digest and length in bytes.
///
/// If the end was only indicated by the end of the connection, which also happens to a truncated file, another server
/// has to deliver the same; a place that indicates the end is believed.
pub(super) fn fetch_unknown(
    network: &Network,
    store: &Store,
    name: &str,
    urls: &[String],
    meter: &dyn Meter,
) -> Result<(Digest, u64), SourceError> {
    let first = read_unknown(network, store, name, urls, meter)?;
    if first.end_known {
        return Ok(first.file);
    }
    let (url, (sha256, length)) = (&urls[first.place], first.file);
    let mut reason = format!("does not state the file's length, and may have truncated it after {length} bytes");
    let others: Vec<String> = urls.iter().filter(|other| origin(other) != origin(url)).cloned().collect();
    if !others.is_empty() {
        meter.remark(&format!("{}: {reason}; comparing with another server", mask::text(url)));
        let second = read_unknown(network, store, name, &others, meter)?;
        if second.end_known || second.file == first.file {
            return Ok(second.file);
        }
        let other = mask::text(&others[second.place]);
        reason += &format!("; neither does {other}, which sent {} different bytes", second.file.1);
    }
    let attempt = Attempt { url: mask::text(url).into_owned(), reason, times: 1, missing: false, server: None };
    let hint = format!(
        "if the download is complete, add `sha256: {sha256}` beside the `url` in the recipe; otherwise use an address on another \
         server"
    );
    Err(SourceError::Unreachable { name: name.to_owned(), attempts: vec![attempt], hint: Some(hint) })
}

fn read_unknown(
    network: &Network,
    store: &Store,
    name: &str,
    urls: &[String],
    meter: &dyn Meter,
) -> Result<UnpinnedDownload, SourceError> {
    let mut target = UnpinnedFile {
        name,
        store,
        writer: store.blob_writer()?,
        length: 0,
        head: Vec::new(),
        limit: network.limits().max_size,
        done: None,
    };
    let outcome = race(network, urls, &mut target, meter)?;
    match (outcome, target.done) {
        (Ok(_), Some(done)) => Ok(done),
        (Ok(_), None) => Err(SourceError::Unreachable { name: name.to_owned(), attempts: Vec::new(), hint: None }),
        (Err(attempts), _) => Err(SourceError::Unreachable { name: name.to_owned(), attempts, hint: None }),
    }
}

/// Parses a file's content, received from the place with the given index, or says what is wrong with it.
pub(super) type CheckContent<'a, T> = &'a mut dyn FnMut(usize, &[u8]) -> Result<T, Failure>;

/// Reads a small file into memory, from the first place whose content `check` accepts; gives the result of `check`.
/// More than `limit` bytes are an error.
pub(super) fn read_small<T>(
    network: &Network,
    urls: &[String],
    limit: u64,
    meter: &dyn Meter,
    check: CheckContent<'_, T>,
) -> Result<Result<T, Vec<Attempt>>, SourceError> {
    let mut target = SmallFile { bytes: Vec::new(), limit, check, done: None };
    let outcome = race(network, urls, &mut target, meter)?;
    Ok(match (outcome, target.done) {
        (Ok(_), Some(made)) => Ok(made),
        (Ok(_), None) => Err(Vec::new()),
        (Err(attempts), _) => Err(attempts),
    })
}

/// What to do about a locked file that no place has.
fn hint(wanted: &Download, attempts: &[Attempt]) -> Option<String> {
    if attempts.is_empty() || attempts.iter().all(|attempt| attempt.missing) {
        return Some(wanted.if_gone.clone());
    }
    let changed = attempts.iter().any(|attempt| attempt.reason.contains("sha256 is"));
    changed.then(|| match wanted.size {
        // Not locked yet: the recipe contains the digest.
        None => "the file does not match `sha256`: correct it if the file is right, or use another address".to_owned(),
        Some(_) => {
            let name = wanted.name.split(' ').next().unwrap_or_default();
            format!(
                "the file differs from the locked one: if the change is intended, run `dbco lock --update {name}`; \
                 if not, use another mirror"
            )
        }
    })
}

/// A file with a known digest, in its partial file.
struct PinnedFile<'a> {
    partial: &'a mut Partial,
    wanted: &'a Download,
    limit: u64,
}

impl DownloadTarget for PinnedFile<'_> {
    fn position(&self) -> u64 {
        self.partial.length
    }

    fn size(&self) -> Option<u64> {
        self.wanted.size
    }

    fn limit(&self) -> u64 {
        self.limit
    }

    fn joins(&self) -> bool {
        true
    }

    fn restart(&mut self) -> Result<(), StoreError> {
        self.partial.restart()
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.partial.append(bytes)
    }

    fn finish(&mut self, _: usize, _: bool) -> Result<Result<(), Failure>, SourceError> {
        let length = self.partial.length;
        let got = self.partial.digest();
        if got == self.wanted.sha256 {
            return Ok(Ok(()));
        }
        Ok(Err(Failure::lasting(format!("sha256 is {got} ({length} bytes), expected {}", self.wanted.sha256))))
    }
}

/// A file whose digest will be locked as received.
struct UnpinnedFile<'a> {
    name: &'a str,
    store: &'a Store,
    writer: BlobWriter,
    length: u64,
    /// Its first bytes.
    head: Vec<u8>,
    limit: u64,
    done: Option<UnpinnedDownload>,
}

impl DownloadTarget for UnpinnedFile<'_> {
    fn position(&self) -> u64 {
        self.length
    }

    fn limit(&self) -> u64 {
        self.limit
    }

    fn restart(&mut self) -> Result<(), StoreError> {
        self.length = 0;
        self.head.clear();
        self.writer = self.store.blob_writer()?;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.length += bytes.len() as u64;
        let missing = HEAD.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..missing]);
        self.writer.write_all(bytes).map_err(StoreError::io("write", self.store.path()))
    }

    fn finish(&mut self, place: usize, end_known: bool) -> Result<Result<(), Failure>, SourceError> {
        if let Some(reason) = implausible(self.name, &self.head) {
            return Ok(Err(Failure::lasting(reason)));
        }
        let writer = std::mem::replace(&mut self.writer, self.store.blob_writer()?);
        self.done = Some(UnpinnedDownload { file: writer.commit()?, place, end_known });
        Ok(Ok(()))
    }
}

/// The number of bytes that suffice to recognize a web page.
const HEAD: usize = 512;

/// Why content that begins like this can't be the file of that name. Its digest is not known yet: whatever is received
/// would be locked.
fn implausible(name: &str, head: &[u8]) -> Option<String> {
    if head.is_empty() {
        return Some("is empty (0 bytes)".to_owned());
    }
    let text = String::from_utf8_lossy(head).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    let page = text.starts_with("<!doctype html") || text.starts_with("<html");
    let expects_page = name.rsplit('.').next().is_some_and(|end| ["html", "htm", "xhtml"].contains(&end));
    (page && !expects_page).then(|| {
        "is a web page, not the file: perhaps the login page of this network, or the server's error page".to_owned()
    })
}

/// A small file that is checked as a whole.
struct SmallFile<'a, T> {
    bytes: Vec<u8>,
    limit: u64,
    check: CheckContent<'a, T>,
    done: Option<T>,
}

impl<T> DownloadTarget for SmallFile<'_, T> {
    fn position(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn limit(&self) -> u64 {
        self.limit
    }

    fn restart(&mut self) -> Result<(), StoreError> {
        self.bytes.clear();
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&mut self, place: usize, _: bool) -> Result<Result<(), Failure>, SourceError> {
        Ok((self.check)(place, &self.bytes).map(|made| self.done = Some(made)))
    }
}

/// A download in progress: `<store>/partial/<sha256>`, locked by its writer, and kept for the next run if interrupted.
struct Partial {
    path: PathBuf,
    file: File,
    hasher: Hasher<io::Sink>,
    length: u64,
}

/// A file that another process is writing.
struct GrowingFile {
    begun: Instant,
    length: u64,
    changed: Instant,
}

impl GrowingFile {
    fn new(path: &Path) -> Self {
        let now = Instant::now();
        Self { begun: now, length: fs::metadata(path).map_or(0, |there| there.len()), changed: now }
    }

    /// How long it has not changed.
    fn since(&mut self, path: &Path) -> Duration {
        let length = fs::metadata(path).map_or(0, |there| there.len());
        if length != self.length {
            (self.length, self.changed) = (length, Instant::now());
        }
        self.changed.elapsed()
    }
}

impl Partial {
    /// Opens and locks the partial file of a download. If another run holds it, waits until that run has finished, as
    /// long as it makes progress; then uses another file.
    fn open(store: &Store, wanted: &Download, network: &Network, meter: &dyn Meter) -> Result<Self, SourceError> {
        let (cancel, own) = (network.cancel(), store.partial_path(&wanted.sha256));
        let (mut number, mut waited, mut reported) = (1, GrowingFile::new(&own), false);
        loop {
            let path = if number == 1 { own.clone() } else { own.with_extension(number.to_string()) };
            let fail = |action| StoreError::io(action, &path);
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)
                .map_err(fail("write"))?;
            match file.try_lock() {
                Ok(()) => {}
                // Not a blocking lock, since ^C would not end the wait.
                Err(TryLockError::WouldBlock) => {
                    if !reported && waited.begun.elapsed() >= Duration::from_secs(1) {
                        reported = true;
                        meter.remark("waiting for another dbco process that is downloading this file");
                    }
                    if number > 1 {
                        number += 1;
                    } else if waited.since(&own) >= network.limits().stall {
                        meter.remark("the other process receives nothing: downloading the file here as well");
                        number = 2;
                    } else if cancel.wait(Duration::from_millis(50)) {
                        return Err(SourceError::Cancelled);
                    }
                    continue;
                }
                Err(TryLockError::Error(error)) => return Err(fail("lock")(error).into()),
            }
            let inode = file.metadata().map_err(fail("read"))?.ino();
            // Its last owner may have published or removed it during the wait.
            if fs::metadata(&path).is_ok_and(|there| there.ino() == inode) || store.has_blob(&wanted.sha256) {
                let mut partial = Self { path, file, hasher: Hasher::new(io::sink()), length: 0 };
                partial.recover(cancel)?;
                return Ok(partial);
            }
        }
    }

    /// Hashes what an earlier run left.
    fn recover(&mut self, cancel: &Cancel) -> Result<(), SourceError> {
        let fail = |error| StoreError::io("read", &self.path)(error);
        self.file.seek(SeekFrom::Start(0)).map_err(fail)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            if cancel.is_cancelled() {
                return Err(SourceError::Cancelled);
            }
            let count = match self.file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(fail(error).into()),
            };
            self.hasher.write_all(&buffer[..count]).map_err(fail)?;
            self.length += count as u64;
        }
    }

    fn restart(&mut self) -> Result<(), StoreError> {
        let fail = StoreError::io("write", &self.path);
        self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0))).map_err(fail)?;
        self.hasher = Hasher::new(io::sink());
        self.length = 0;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(StoreError::io("write", &self.path))?;
        self.hasher.write_all(bytes).map_err(StoreError::io("hash", &self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// The digest of everything so far; [`Partial::restart`] must be called before more is appended.
    fn digest(&mut self) -> Digest {
        std::mem::replace(&mut self.hasher, Hasher::new(io::sink())).finish().0
    }

    /// Whether an earlier run left the complete file: it was interrupted just before renaming it.
    fn is_whole(&mut self, wanted: &Download, cancel: &Cancel) -> Result<bool, SourceError> {
        if self.length == 0 || wanted.size.is_some_and(|size| size != self.length) {
            return Ok(false);
        }
        if self.digest() == wanted.sha256 {
            return Ok(true);
        }
        if wanted.size.is_some() {
            self.restart()?;
        } else {
            // It may be the beginning of the file.
            self.length = 0;
            self.recover(cancel)?;
        }
        Ok(false)
    }

    fn discard_if_empty(&self) {
        if self.length == 0 {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_the_file_is_not_locked() {
        for (name, head, wrong) in [
            ("x.tar.gz", &b""[..], true),
            ("x.html", b"", true),
            ("x.tar.gz", b"<!DOCTYPE HTML><title>", true),
            ("x.tar.gz", b"\xef\xbb\xbf\r\n <html lang=en>", true),
            ("x", b"<HTML>", true),
            ("x.html", b"<!doctype html>", false),
            ("x.tar.gz", b"\x1f\x8b", false),
            ("x.xml", b"<?xml version=\"1.0\"?>", false),
            ("x", b"\n", false),
        ] {
            assert_eq!(implausible(name, head).is_some(), wrong, "{name}: {head:?}");
        }
    }
}
