//! Debian archives: from a signed Release file to the packages that a recipe needs.
//!
//! `InRelease` (or `Release` with `Release.gpg`) is trusted by its signature, the indexes by the digests in it, the
//! packages by the digests in those.

mod candidates;
mod closure;
mod control;
pub(super) mod error;
mod index;
pub(super) mod indexes;
pub mod offline;
mod relation;
mod release;
mod signature;
mod sources;
mod version;

use std::io::{BufReader, Read};
use std::sync::Arc;

use crate::source::download::{Download, fetch_file, read_small};
use crate::source::network::{Failure, join};
use crate::source::resolve::Resolver;
use crate::source::{Archive, Attempt, Meter, SourceError, Suites};

use index::Packages;
use indexes::once;
use release::{IndexFile, Release};
use signature::{Keyring, SIGNATURE_LIMIT};
use sources::Sources;

pub use control::Control;
pub use error::{ClosureError, IndexError, SignatureError};

/// Debian's has 150 KiB.
const RELEASE_LIMIT: u64 = 4 << 20;

impl Resolver<'_> {
    /// The binary packages of several suites.
    pub(super) fn packages(&self, suites: &Suites) -> Result<Arc<Packages>, SourceError> {
        once(&self.indexes.packages, suites, || {
            let mut packages = Packages::new(&suites.first().arch);
            for archive in suites.all() {
                let release = self.release(archive)?;
                packages.begin_suite(&archive.suite, release.priority, release.date.clone());
                for component in &archive.components {
                    let arch = &archive.arch;
                    let index = format!("binary-{arch}/Packages");
                    self.read_index(archive, &release, component, &index, |reader| packages.read(reader))?;
                    if release.splits_all {
                        let index = "binary-all/Packages";
                        self.read_index(archive, &release, component, index, |reader| packages.read(reader))?;
                    }
                }
            }
            packages.finish();
            Ok(packages)
        })
    }

    /// The source packages of an archive.
    pub(super) fn sources(&self, archive: &Archive) -> Result<Arc<Sources>, SourceError> {
        once(&self.indexes.sources, archive, || {
            let release = self.release(archive)?;
            let mut sources = Sources::new(release.date.clone());
            for component in &archive.components {
                self.read_index(archive, &release, component, "source/Sources", |reader| sources.read(reader))?;
            }
            Ok(sources)
        })
    }

    fn release(&self, archive: &Archive) -> Result<Arc<Release>, SourceError> {
        once(&self.indexes.releases, archive, || {
            let keyring = match &archive.keyring {
                Some(path) => Keyring::load(&self.project.join(path))?,
                None => Keyring::built_in()?,
            };
            let name = format!("the Release file of {archive}");
            let meter = self.progress.start(&name, None);
            let bases = self.mirrors.of(archive)?;
            let mut checker = Checker { archive, keyring: &keyring, bad_signature: None };
            let outcome = self.clear_signed(&mut checker, &bases, &*meter)?;
            let attempts = match outcome {
                Ok(release) => return Ok(self.remarked(archive, release)),
                Err(attempts) => attempts,
            };
            // A mirror without InRelease may have the same content in two files.
            let missing = bases.iter().zip(&attempts).filter(|(_, attempt)| attempt.missing);
            let old: Vec<String> = missing.map(|(base, _)| base.clone()).collect();
            let mut all = attempts;
            for base in &old {
                match self.signed_apart(&mut checker, base, &*meter)? {
                    Ok(release) => return Ok(self.remarked(archive, release)),
                    Err(attempts) => all.extend(attempts),
                }
            }
            Err(match checker.bad_signature {
                Some(source) => SourceError::Untrusted {
                    archive: archive.to_string(),
                    keys: keyring.to_string(),
                    attempts: all,
                    source: Box::new(source),
                },
                None if all.iter().all(|attempt| attempt.missing) => {
                    SourceError::NoSuite { suite: archive.suite.clone(), attempts: all }
                }
                None => SourceError::Unreachable { name, attempts: all, hint: None },
            })
        })
    }

    fn remarked(&self, archive: &Archive, release: Release) -> Release {
        // Whole seconds, as in Release files: the texts are compared.
        let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap_or_default().to_string();
        if let Some(remark) = release.date_remark(&now) {
            self.progress.warn(&format!("{archive}: {remark}"));
        }
        release
    }

    /// `InRelease` from the first mirror that has a valid one. A bad signature counts as no answer.
    fn clear_signed(
        &self,
        checker: &mut Checker<'_>,
        bases: &[String],
        meter: &dyn Meter,
    ) -> Result<Result<Release, Vec<Attempt>>, SourceError> {
        let suite = &checker.archive.suite;
        let urls: Vec<String> = bases.iter().map(|base| join(base, &format!("dists/{suite}/InRelease"))).collect();
        read_small(self.network, &urls, RELEASE_LIMIT, meter, &mut |_, bytes| checker.clear(bytes))
    }

    /// `Release` and `Release.gpg` from one mirror.
    fn signed_apart(
        &self,
        checker: &mut Checker<'_>,
        base: &str,
        meter: &dyn Meter,
    ) -> Result<Result<Release, Vec<Attempt>>, SourceError> {
        let url = |file: &str| [join(base, &format!("dists/{}/{file}", checker.archive.suite))];
        let (release, signature) = (url("Release"), url("Release.gpg"));
        let mut whole = |_: usize, bytes: &[u8]| Ok(bytes.to_vec());
        let text = match read_small(self.network, &release, RELEASE_LIMIT, meter, &mut whole)? {
            Ok(text) => text,
            Err(attempts) => return Ok(Err(attempts)),
        };
        let outcome = read_small(self.network, &signature, SIGNATURE_LIMIT as u64, meter, &mut |_, signature| {
            checker.detached(&text, signature)
        })?;
        if matches!(&outcome, Err(attempts) if attempts.iter().all(|attempt| attempt.missing)) {
            checker.bad_signature.get_or_insert(SignatureError::Unsigned);
        }
        Ok(outcome)
    }

    /// Fetches a component's index into the store and passes its content to `take`.
    fn read_index(
        &self,
        archive: &Archive,
        release: &Release,
        component: &str,
        index: &str,
        take: impl FnOnce(&mut dyn Read) -> Result<(), String>,
    ) -> Result<(), SourceError> {
        let fail = |source| SourceError::Index { archive: archive.to_string(), source };
        let file = release.index(component, index);
        let file = file.ok_or_else(|| fail(IndexError::NoIndex(format!("{component}/{index}"))))?;
        let urls = index_urls(release, &file, &self.mirrors.of(archive)?);
        let name = format!("{} of {}", file.path, release.suite);
        let meter = self.progress.start(&name, Some(file.size));
        let if_gone = "the mirror is being updated: run the command again later, or use another mirror".to_owned();
        let wanted = Download { name, sha256: file.sha256, size: Some(file.size), urls, if_gone };
        fetch_file(self.network, self.store, &wanted, &*meter)?;
        let packed = BufReader::with_capacity(1 << 16, self.store.open_blob(&file.sha256)?);
        let mut reader: Box<dyn Read> = match file.path.rsplit('.').next() {
            Some("xz") => Box::new(xz2::read::XzDecoder::new_multi_decoder(packed)),
            Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(packed)),
            _ => Box::new(packed),
        };
        take(&mut *reader).map_err(|reason| fail(IndexError::Index { path: file.path.clone(), reason }))
    }
}

/// The requirements for a Release file.
struct Checker<'a> {
    archive: &'a Archive,
    keyring: &'a Keyring,
    /// The last one that was found.
    bad_signature: Option<SignatureError>,
}

impl Checker<'_> {
    fn clear(&mut self, bytes: &[u8]) -> Result<Release, Failure> {
        let text = self.keyring.open_clear(bytes).map_err(|error| self.distrust(error))?;
        self.parse(&text)
    }

    fn detached(&mut self, bytes: &[u8], signature: &[u8]) -> Result<Release, Failure> {
        self.keyring.check_detached(bytes, signature).map_err(|error| self.distrust(error))?;
        let text = std::str::from_utf8(bytes).map_err(|_| Failure::lasting("is not UTF-8"))?;
        self.parse(text)
    }

    fn parse(&self, text: &str) -> Result<Release, Failure> {
        Release::parse(text, self.archive).map_err(|error| Failure::lasting(error.to_string()))
    }

    fn distrust(&mut self, error: SignatureError) -> Failure {
        let failure = Failure::lasting(error.to_string());
        self.bad_signature = Some(error);
        failure
    }
}

/// First by its digest, if the archive supports that: then a mirror in the middle of an update still has the index that
/// the Release file names.
fn index_urls(release: &Release, file: &IndexFile, bases: &[String]) -> Vec<String> {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let by_hash = release.by_hash.then(|| format!("dists/{}/{folder}/by-hash/SHA256/{}", release.suite, file.sha256));
    let plain = format!("dists/{}/{}", release.suite, file.path);
    let paths: Vec<String> = by_hash.into_iter().chain([plain]).collect();
    bases.iter().flat_map(|base| paths.iter().map(move |path| join(base, path))).collect()
}
