//! The source packages of an archive.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};

use deb822_fast::Deb822;

use crate::similar::{or_did_you_mean, similar};
use crate::source::list::list;
use crate::source::{Archive, Location, LockedFile, SourceError, is_pool_path};

use super::version::{VersionPattern, compare};

/// All source packages.
pub(in crate::source) struct Sources {
    pub(in crate::source) date: Option<String>,
    by_name: BTreeMap<Box<str>, Vec<SourcePackage>>,
}

struct SourcePackage {
    version: Box<str>,
    folder: Box<str>,
    /// The field `Checksums-Sha256`, unparsed.
    files: Box<str>,
}

impl Sources {
    pub(super) fn new(date: Option<String>) -> Self {
        Self { date, by_name: BTreeMap::new() }
    }

    /// Reads an index to its end.
    pub(super) fn read(&mut self, reader: &mut dyn Read) -> Result<(), String> {
        for paragraph in Deb822::iter_paragraphs_from_reader(BufReader::with_capacity(1 << 17, reader)) {
            let paragraph = paragraph.map_err(|error| error.to_string())?;
            let field = |name: &str| paragraph.get(name).map(|value| Box::<str>::from(value.trim()));
            let named = (field("Package"), field("Version"), field("Directory"), field("Checksums-Sha256"));
            if let (Some(name), Some(version), Some(folder), Some(files)) = named {
                self.by_name.entry(name).or_default().push(SourcePackage { version, folder, files });
            }
        }
        Ok(())
    }

    /// One file of a source package, pinned.
    pub(in crate::source) fn file(
        &self,
        archive: &Archive,
        package: &str,
        version: &str,
        file: &str,
    ) -> Result<LockedFile, SourceError> {
        let fail = |message: String| SourceError::DebianSource { archive: archive.to_string(), message };
        let Some(all) = self.by_name.get(package) else {
            let near = similar(package, self.by_name.keys().map(|name| &**name));
            return Err(fail(format!("there is no source package `{package}`{}", or_did_you_mean(&near))));
        };
        let mut all: Vec<&SourcePackage> = all.iter().collect();
        all.sort_by(|a, b| compare(&b.version, &a.version));
        let wanted = VersionPattern::new(version);
        let Some(source) = all.iter().find(|source| wanted.fits(&source.version)) else {
            let versions: Vec<&str> = all.iter().map(|source| &*source.version).collect();
            let there = list(&versions);
            let newest = "`version: newest` selects the newest, and `*` matches any part";
            return Err(fail(format!(
                "source package `{package}` has no version `{version}`; there is {there} ({newest})"
            )));
        };
        let lines = || source.files.lines().filter(|line| !line.trim().is_empty());
        let names: Vec<&str> = lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
        let pattern = glob::Pattern::new(file).ok().filter(|_| file.contains('*'));
        let fits = |name: &str| pattern.as_ref().map_or(name == file, |pattern| pattern.matches(name));
        let mut found = lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let (sha256, size, name) = (words.next()?, words.next()?, words.next()?);
            if fits(name) { Some((sha256.parse().ok()?, size.parse().ok()?, name)) } else { None }
        });
        let (version, there) = (&*source.version, list(&names));
        let (sha256, size, file) = match (found.next(), found.next()) {
            (Some(one), None) => one,
            (None, _) => {
                return Err(fail(format!("source package `{package}` {version} has no file `{file}`; it has {there}")));
            }
            (Some(_), Some(_)) => {
                return Err(fail(format!(
                    "several files of source package `{package}` {version} match `{file}`: {there}"
                )));
            }
        };
        let path = format!("{}/{file}", source.folder);
        if !is_pool_path(&path) {
            return Err(fail(format!("the index lists `{path}`, which is not a path inside the archive")));
        }
        Ok(LockedFile {
            name: file.to_owned(),
            version: Some(version.to_owned()),
            suite: None,
            at: Location::Pool(path),
            sha256,
            size,
        })
    }
}
