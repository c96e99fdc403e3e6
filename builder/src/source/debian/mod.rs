//! Debian archives: from a signed Release file to the packages that a recipe needs.
//!
//! `InRelease` (or `Release` with `Release.gpg`) is trusted by its signature, the indexes by the digests in it, the
//! packages by the digests in those.

mod closure;
mod index;
mod relation;
mod release;
mod signature;
mod sources;
mod version;

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::sync::{Arc, Mutex};

use crate::source::download::{Trouble, Want, bring, read_small, try_each};
use crate::source::error::list;
use crate::source::network::{Failure, join};
use crate::source::resolve::Resolver;
use crate::source::{Archive, Meter, SourceError};

use index::Packages;
use release::{IndexFile, Release};
use signature::Keyring;
use sources::Sources;

pub use closure::ClosureError;
pub use signature::SignatureError;

/// Debian's is 150 KiB.
const RELEASE_LIMIT: u64 = 32 << 20;

/// What can be wrong with an archive's indexes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// The signed Release file can't be read.
    #[error("its Release file can't be read: {0}")]
    Release(String),
    /// It is another suite's.
    #[error("the mirror has {} where `{wanted}` should be", list(.names))]
    OtherSuite {
        /// The one asked for.
        wanted: String,
        /// What it calls itself.
        names: Vec<String>,
    },
    /// It lacks the architecture.
    #[error("it has no architecture `{arch}`; it has {}", list(.architectures))]
    NoArch {
        /// The one asked for.
        arch: String,
        /// All that it has.
        architectures: Vec<String>,
    },
    /// It lacks a component.
    #[error("it has no component `{component}`; it has {}", list(.components))]
    NoComponent {
        /// The one asked for.
        component: String,
        /// All that it has.
        components: Vec<String>,
    },
    /// The Release file does not name an index.
    #[error("its Release file names no `{0}` that is plain or packed with xz or gzip")]
    NoIndex(String),
    /// An index is damaged, though it is what was signed.
    #[error("its index `{path}` can't be read: {reason}")]
    Index {
        /// The index.
        path: String,
        /// Why.
        reason: String,
    },
}

/// Indexes read in this run, each once.
#[derive(Default)]
pub(super) struct Archives {
    releases: Mutex<BTreeMap<Archive, Arc<Release>>>,
    packages: Mutex<BTreeMap<Archive, Arc<Packages>>>,
    sources: Mutex<BTreeMap<Archive, Arc<Sources>>>,
}

/// What `cache` has for `archive`, made first if need be. Others wait meanwhile, instead of loading it too.
fn once<T>(
    cache: &Mutex<BTreeMap<Archive, Arc<T>>>,
    archive: &Archive,
    make: impl FnOnce() -> Result<T, SourceError>,
) -> Result<Arc<T>, SourceError> {
    let mut cache = cache.lock().unwrap_or_else(|e| e.into_inner());
    if let Some(there) = cache.get(archive) {
        return Ok(there.clone());
    }
    let made = Arc::new(make()?);
    cache.insert(archive.clone(), made.clone());
    Ok(made)
}

impl Resolver<'_> {
    /// The binary packages of an archive.
    pub(super) fn packages(&self, archive: &Archive) -> Result<Arc<Packages>, SourceError> {
        once(&self.archives.packages, archive, || {
            let release = self.release(archive)?;
            let mut packages = Packages::new(&archive.arch, release.date.clone());
            for component in &archive.components {
                let arch = &archive.arch;
                let stem = format!("{component}/binary-{arch}/Packages");
                self.read_index(archive, &release, &stem, |reader| packages.read(reader))?;
                if release.splits_all {
                    let stem = format!("{component}/binary-all/Packages");
                    self.read_index(archive, &release, &stem, |reader| packages.read(reader))?;
                }
            }
            packages.finish();
            Ok(packages)
        })
    }

    /// The source packages of an archive.
    pub(super) fn sources(&self, archive: &Archive) -> Result<Arc<Sources>, SourceError> {
        once(&self.archives.sources, archive, || {
            let release = self.release(archive)?;
            let mut sources = Sources::new(release.date.clone());
            for component in &archive.components {
                let stem = format!("{component}/source/Sources");
                self.read_index(archive, &release, &stem, |reader| sources.read(reader))?;
            }
            Ok(sources)
        })
    }

    fn release(&self, archive: &Archive) -> Result<Arc<Release>, SourceError> {
        once(&self.archives.releases, archive, || {
            let keyring = match &archive.keyring {
                Some(path) => Keyring::load(&self.project.join(path))?,
                None => Keyring::built_in()?,
            };
            let name = format!("the Release file of {archive}");
            let meter = self.progress.start(&name, None);
            let bases = self.mirrors.of(archive)?;
            let mut bad_signature = None;
            let outcome = try_each(self.network, &bases, &*meter, |base| {
                self.release_at(base, archive, &keyring, &mut bad_signature, &*meter)
            })?;
            outcome.map_err(|attempts| match bad_signature {
                Some(source) => SourceError::Untrusted {
                    archive: archive.to_string(),
                    keys: keyring.to_string(),
                    attempts,
                    source: Box::new(source),
                },
                None => SourceError::Unreachable { name, attempts, hint: None },
            })
        })
    }

    /// A mirror's Release file, checked. A mirror with a bad signature is as good as one that does not answer.
    fn release_at(
        &self,
        base: &str,
        archive: &Archive,
        keyring: &Keyring,
        bad_signature: &mut Option<SignatureError>,
        meter: &dyn Meter,
    ) -> Result<Release, Trouble> {
        let read = |file: &str| {
            let url = join(base, &format!("dists/{}/{file}", archive.suite));
            read_small(self.network, &url, RELEASE_LIMIT, meter)
        };
        let mut distrust = |file: &str, error: SignatureError| {
            let said = format!("{file}: {error}");
            *bad_signature = Some(error);
            Trouble::Place(Failure::lasting(said))
        };
        let text = match read("InRelease") {
            Ok(bytes) => keyring.open_clear(&bytes).map_err(|error| distrust("InRelease", error))?,
            Err(Trouble::Place(failure)) if failure.missing => {
                let bytes = read("Release")?;
                let signature = match read("Release.gpg") {
                    Err(Trouble::Place(failure)) if failure.missing => {
                        return Err(distrust("Release", SignatureError::Unsigned));
                    }
                    other => other?,
                };
                keyring.check_detached(&bytes, &signature).map_err(|error| distrust("Release", error))?;
                String::from_utf8(bytes).map_err(|_| Trouble::Place(Failure::lasting("Release: is not UTF-8")))?
            }
            Err(trouble) => return Err(trouble),
        };
        Release::parse(&text, archive).map_err(|error| Trouble::Place(Failure::lasting(error.to_string())))
    }

    /// Brings an index into the store and hands its content to `take`.
    fn read_index(
        &self,
        archive: &Archive,
        release: &Release,
        stem: &str,
        take: impl FnOnce(&mut dyn Read) -> Result<(), String>,
    ) -> Result<(), SourceError> {
        let fail = |source| SourceError::Index { archive: archive.to_string(), source };
        let file = release.index(stem).ok_or_else(|| fail(IndexError::NoIndex(stem.to_owned())))?;
        let urls = index_urls(release, &file, &self.mirrors.of(archive)?);
        let name = format!("{} of {}", file.path, release.suite);
        let meter = self.progress.start(&name, Some(file.size));
        bring(self.network, self.store, &Want { name, sha256: file.sha256, size: Some(file.size), urls }, &*meter)?;
        let packed = BufReader::with_capacity(1 << 16, self.store.open_blob(&file.sha256)?);
        let mut reader: Box<dyn Read> = match file.path.rsplit('.').next() {
            Some("xz") => Box::new(xz2::read::XzDecoder::new_multi_decoder(packed)),
            Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(packed)),
            _ => Box::new(packed),
        };
        take(&mut *reader).map_err(|reason| fail(IndexError::Index { path: file.path.clone(), reason }))
    }
}

/// By its digest first, where the archive has that: then a mirror in the middle of an update still has the index that
/// the Release file names.
fn index_urls(release: &Release, file: &IndexFile, bases: &[String]) -> Vec<String> {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let by_hash = release.by_hash.then(|| format!("dists/{}/{folder}/by-hash/SHA256/{}", release.suite, file.sha256));
    let plain = format!("dists/{}/{}", release.suite, file.path);
    let paths: Vec<String> = by_hash.into_iter().chain([plain]).collect();
    bases.iter().flat_map(|base| paths.iter().map(move |path| join(base, path))).collect()
}
