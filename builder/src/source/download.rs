//! One file from any of several places into the store: resumed, retried, checked.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::digest::{Digest, Hasher, copy};
use crate::store::{Store, StoreError};

use super::network::{Body, Failure, Network, shown};
use super::{Attempt, Meter, SourceError};

/// Ends a place that always brings a little more and never the whole.
const MOST_TRIES: u32 = 30;

/// A file whose content is known beforehand.
pub(super) struct Want {
    pub(super) name: String,
    pub(super) sha256: Digest,
    pub(super) size: Option<u64>,
    pub(super) urls: Vec<String>,
}

/// What ends one request: the place failed, or all is over.
pub(super) enum Trouble {
    Place(Failure),
    Over(Box<SourceError>),
}

impl<E: Into<SourceError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Trouble::Over(Box::new(error.into()))
    }
}

/// Asks each place in turn, again where that may help; collects what each said.
pub(super) fn try_each<T>(
    network: &Network,
    urls: &[String],
    meter: &dyn Meter,
    mut one: impl FnMut(&str) -> Result<T, Trouble>,
) -> Result<Result<T, Vec<Attempt>>, SourceError> {
    let mut attempts = Vec::new();
    for url in urls {
        let mut fruitless = 0;
        let mut times = 0;
        loop {
            if network.cancel().is_cancelled() {
                return Err(SourceError::Cancelled);
            }
            let failure = match one(url) {
                Ok(value) => return Ok(Ok(value)),
                Err(Trouble::Over(error)) => return Err(*error),
                Err(Trouble::Place(failure)) => failure,
            };
            times += 1;
            fruitless = if failure.progressed { 0 } else { fruitless + 1 };
            let again = failure.transient && fruitless < network.limits().tries && times < MOST_TRIES;
            meter.say(&format!("{}: {}", shown(url), failure.said));
            if !again {
                attempts.push(Attempt { url: shown(url), said: failure.said, times, missing: failure.missing });
                break;
            }
            let backoff = network.limits().backoff * 2u32.saturating_pow(fruitless.saturating_sub(1).min(6));
            if network.cancel().wait(failure.wait.unwrap_or(backoff)) {
                return Err(SourceError::Cancelled);
            }
        }
    }
    Ok(Err(attempts))
}

/// Brings a file whose digest is known, unless the store has it; gives the number of bytes that came over the network.
pub(super) fn bring(network: &Network, store: &Store, want: &Want, meter: &dyn Meter) -> Result<u64, SourceError> {
    if store.has_blob(&want.sha256) {
        return Ok(0);
    }
    let mut partial = Partial::open(store, &want.sha256)?;
    if store.has_blob(&want.sha256) {
        // Another process brought it while we waited for its lock.
        return Ok(0);
    }
    let mut came = 0;
    if !partial.is_whole(want)? {
        let outcome =
            try_each(network, &want.urls, meter, |url| partial.receive(network, url, want, meter, &mut came))?;
        if let Err(attempts) = outcome {
            partial.discard_if_empty();
            let hint = gone_hint(want, &attempts);
            return Err(SourceError::Unreachable { name: want.name.clone(), attempts, hint });
        }
    }
    store.adopt(&partial.path, &want.sha256)?;
    Ok(came)
}

/// Brings a file of which nothing is known beforehand; gives its digest and length in bytes.
pub(super) fn bring_unknown(
    network: &Network,
    store: &Store,
    name: &str,
    urls: &[String],
    meter: &dyn Meter,
) -> Result<(Digest, u64), SourceError> {
    let outcome = try_each(network, urls, meter, |url| {
        let mut body = network.open(url, 0)?.map_err(Trouble::Place)?;
        let mut writer = store.blob_writer()?;
        let mut length = 0;
        read_all(network, &mut body, meter, &mut length, |bytes| {
            writer.write_all(bytes).map_err(StoreError::io("write", store.path()))
        })?;
        Ok(writer.commit()?)
    })?;
    outcome.map_err(|attempts| SourceError::Unreachable { name: name.to_owned(), attempts, hint: None })
}

/// Reads a small file into memory; more than `limit` bytes are refused.
pub(super) fn read_small(network: &Network, url: &str, limit: u64, meter: &dyn Meter) -> Result<Vec<u8>, Trouble> {
    let mut body = network.open(url, 0)?.map_err(Trouble::Place)?;
    let too_long = || Trouble::Place(Failure::lasting(format!("is longer than {limit} bytes")));
    if body.total.is_some_and(|total| total > limit) {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    let (mut length, mut over) = (0, false);
    body.reader = Box::new(body.reader.take(limit + 1));
    read_all(network, &mut body, meter, &mut length, |chunk| {
        bytes.extend_from_slice(chunk);
        over = bytes.len() as u64 > limit;
        Ok(())
    })?;
    if over { Err(too_long()) } else { Ok(bytes) }
}

/// Hands on what comes, piece by piece, until the end; `length` counts from where the body begins in the file.
fn read_all(
    network: &Network,
    body: &mut Body,
    meter: &dyn Meter,
    length: &mut u64,
    mut take: impl FnMut(&[u8]) -> Result<(), StoreError>,
) -> Result<(), Trouble> {
    let begin = *length;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        meter.at(*length);
        if network.cancel().is_cancelled() {
            return Err(SourceError::Cancelled.into());
        }
        let said = match body.reader.read(&mut buffer) {
            Ok(0) if body.total.is_some_and(|total| *length < total) => {
                format!("ended after {length} of {} bytes", body.total.unwrap_or_default())
            }
            Ok(0) => return Ok(()),
            Ok(count) => {
                take(&buffer[..count])?;
                *length += count as u64;
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => format!("broke off after {length} bytes: {error}"),
        };
        return Err(Trouble::Place(Failure { progressed: *length > begin, ..Failure::passing(said) }));
    }
}

/// When all places say "not there", the lock is older than what they keep.
fn gone_hint(want: &Want, attempts: &[Attempt]) -> Option<String> {
    if attempts.is_empty() {
        return Some("no place is named for it; run `dbco lock --update`".to_owned());
    }
    let gone = attempts.iter().all(|attempt| attempt.missing);
    gone.then(|| {
        format!("{} is no longer kept there: run `dbco lock --update`, or name a mirror that keeps it", want.name)
    })
}

/// A download in hand: `<store>/partial/<sha256>`, locked by whoever writes it, kept for the next run when cut off.
struct Partial {
    path: PathBuf,
    file: File,
    hasher: Option<Hasher<io::Sink>>,
    length: u64,
}

impl Partial {
    fn open(store: &Store, sha256: &Digest) -> Result<Self, StoreError> {
        let path = store.partial_path(sha256);
        let fail = |action| StoreError::io(action, &path);
        loop {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)
                .map_err(fail("write"))?;
            file.lock().map_err(fail("lock"))?;
            let inode = file.metadata().map_err(fail("read"))?.ino();
            // Its last owner may have published or removed it while we waited for the lock.
            if fs::metadata(&path).is_ok_and(|there| there.ino() == inode) || store.has_blob(sha256) {
                let mut partial = Self { path, file, hasher: None, length: 0 };
                partial.recover()?;
                return Ok(partial);
            }
        }
    }

    /// Hashes what an earlier run left.
    fn recover(&mut self) -> Result<(), StoreError> {
        let mut hasher = Hasher::new(io::sink());
        let read = |file: &mut File, hasher: &mut Hasher<io::Sink>| {
            file.seek(SeekFrom::Start(0))?;
            copy(file, hasher)
        };
        self.length = read(&mut self.file, &mut hasher).map_err(StoreError::io("read", &self.path))?;
        self.hasher = Some(hasher);
        Ok(())
    }

    fn restart(&mut self) -> Result<(), StoreError> {
        let fail = StoreError::io("write", &self.path);
        self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0))).map_err(fail)?;
        self.hasher = Some(Hasher::new(io::sink()));
        self.length = 0;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(StoreError::io("write", &self.path))?;
        if let Some(hasher) = &mut self.hasher {
            hasher.write_all(bytes).map_err(StoreError::io("hash", &self.path))?;
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// The digest so far; what is appended afterwards needs [`Partial::recover`] or [`Partial::restart`] first.
    fn digest(&mut self) -> Option<Digest> {
        self.hasher.take().map(|hasher| hasher.finish().0)
    }

    fn receive(
        &mut self,
        network: &Network,
        url: &str,
        want: &Want,
        meter: &dyn Meter,
        came: &mut u64,
    ) -> Result<(), Trouble> {
        if self.hasher.is_none() {
            self.recover()?;
        }
        if want.size.is_some_and(|size| self.length >= size) {
            self.restart()?;
        }
        let mut body = network.open(url, self.length)?.map_err(Trouble::Place)?;
        if body.start != self.length {
            self.restart()?;
        }
        if let (Some(total), Some(size)) = (body.total, want.size)
            && total != size
        {
            return Err(Trouble::Place(Failure::lasting(format!("is {total} bytes long, expected {size}"))));
        }
        body.total = body.total.or(want.size);
        let resumed = body.start > 0;
        // One byte more than expected is enough to know that it is the wrong file.
        let most = want.size.map_or(u64::MAX, |size| size - body.start + 1);
        body.reader = Box::new(body.reader.take(most));
        let mut length = self.length;
        read_all(network, &mut body, meter, &mut length, |bytes| {
            *came += bytes.len() as u64;
            self.append(bytes)
        })?;
        let got = self.digest();
        if got == Some(want.sha256) {
            return Ok(());
        }
        let said = match (want.size, got) {
            (Some(size), _) if length > size => format!("sends more than the expected {size} bytes"),
            (_, Some(got)) => format!("sha256 is {got} ({length} bytes), expected {}", want.sha256),
            (_, None) => format!("sha256 is not {}", want.sha256),
        };
        self.restart()?;
        // The wrong part may be the one that an earlier run or another mirror has left: once more, from the start.
        Err(Trouble::Place(if resumed { Failure::passing(said) } else { Failure::lasting(said) }))
    }

    /// Whether what an earlier run left is the wanted file: it was cut off just before giving it its name.
    fn is_whole(&mut self, want: &Want) -> Result<bool, StoreError> {
        if self.length == 0 || want.size.is_some_and(|size| size != self.length) {
            return Ok(false);
        }
        Ok(self.digest() == Some(want.sha256))
    }

    fn discard_if_empty(&self) {
        if self.length == 0 {
            let _ = fs::remove_file(&self.path);
        }
    }
}
