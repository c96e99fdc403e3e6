//! From what a recipe asks for to what the lock pins.

use std::fs;
use std::path::PathBuf;

use crate::lock::{ArchiveDate, Entry, Location, LockedFile};
use crate::store::{Store, StoreError};

use super::debian::Indexes;
use super::download::{Wanted, fetch_file, fetch_unknown};
use super::network::file_name;
use super::{Mirrors, Network, Progress, Request, SourceError, git};

/// Resolves requests. One resolver reads each archive's index once, however many requests need it.
pub struct Resolver<'a> {
    pub(super) network: &'a Network,
    pub(super) mirrors: &'a Mirrors,
    pub(super) store: &'a Store,
    pub(super) project: PathBuf,
    pub(super) progress: &'a dyn Progress,
    pub(super) indexes: Indexes,
}

impl<'a> Resolver<'a> {
    /// `project` is the folder that keyrings are relative to.
    pub fn new(
        network: &'a Network,
        mirrors: &'a Mirrors,
        store: &'a Store,
        project: impl Into<PathBuf>,
        progress: &'a dyn Progress,
    ) -> Self {
        Self { network, mirrors, store, project: project.into(), progress, indexes: Indexes::default() }
    }

    /// Pins one request. Debian packages are not fetched, only named: their digests are in the signed index.
    pub fn resolve(&self, request: &Request) -> Result<Entry, SourceError> {
        match request {
            Request::Url { urls, .. } => self.resolve_url(request, urls),
            Request::Git { url, commit, submodules } => {
                let (name, meter) = (git::file_name(url, commit), self.progress.start(&crate::mask::text(url), None));
                let (sha256, size) = git::archive(self.store, url, commit, *submodules, &*meter)?;
                let at = Location::Git { url: url.clone(), commit: commit.clone() };
                Ok(entry(request, vec![LockedFile { name, version: None, suite: None, at, sha256, size }]))
            }
            Request::Debian { suites, packages, closure } => {
                let index = self.packages(suites)?;
                let files = index.choose(suites, packages, *closure)?;
                Ok(Entry { request: request.clone(), archive_date: ArchiveDate::new(index.dates()), files })
            }
            Request::DebianSource { archive, package, version, file } => {
                let index = self.sources(archive)?;
                let files = vec![index.file(archive, package, version, file)?];
                Ok(Entry { request: request.clone(), archive_date: index.date.clone().map(ArchiveDate::One), files })
            }
        }
    }

    fn resolve_url(&self, request: &Request, urls: &[String]) -> Result<Entry, SourceError> {
        let Some(name) = urls.first().and_then(|url| file_name(url)) else {
            let message = "a URL is expected that ends in a file's name".to_owned();
            return Err(SourceError::BadRequest { request: request.to_string(), message });
        };
        let meter = self.progress.start(&name, None);
        let (sha256, size) = match request {
            Request::Url { sha256: Some(pin), .. } => {
                let if_gone = "the recipe's `url` names a file that is not there".to_owned();
                let wanted = Wanted { name: name.clone(), sha256: *pin, size: None, urls: urls.to_vec(), if_gone };
                fetch_file(self.network, self.store, &wanted, &*meter)?;
                let path = self.store.verified_blob(pin)?;
                let size = fs::metadata(&path).map_err(StoreError::io("read", &path))?.len();
                (*pin, size)
            }
            _ => fetch_unknown(self.network, self.store, &name, urls, &*meter)?,
        };
        let at = Location::Urls(urls.to_vec());
        Ok(entry(request, vec![LockedFile { name, version: None, suite: None, at, sha256, size }]))
    }
}

fn entry(request: &Request, files: Vec<LockedFile>) -> Entry {
    Entry { request: request.clone(), archive_date: None, files }
}
