//! One file of a Debian source package.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::suites::{SourceContext, archive_differences, check_suite, keyring};
use super::{Fetching, Request, Resolved, SourceContent, SourceKind, StatedSource, changed, misplaced};
use crate::source::keys;
use crate::source::locked::{ArchiveDate, Location, LockedFile};
use crate::source::{Archive, Resolver, SourceError};
use crate::yaml::decode::{At, FindingSink, Table};
use crate::yaml::node::YamlNode;

/// One file of a Debian source package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DebianSource {
    /// The archive.
    pub archive: Archive,
    /// The source package.
    pub package: String,
    /// Its version: exactly, with `*` for any part, or `newest`.
    pub version: String,
    /// One of its files.
    pub file: String,
}

impl fmt::Display for DebianSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { archive, package, version, file } = self;
        write!(f, "{file} of {package} {version} from Debian {}", archive.suite)
    }
}

impl SourceKind for DebianSource {
    fn subject(&self) -> String {
        format!("Debian source package {}", self.package)
    }

    fn names(&self) -> Vec<String> {
        vec![self.package.clone(), self.file.clone()]
    }

    fn content(&self) -> SourceContent {
        SourceContent::File
    }

    fn archives(&self) -> &[Archive] {
        std::slice::from_ref(&self.archive)
    }

    fn resolve(&self, resolver: &Resolver<'_>) -> Result<Resolved, SourceError> {
        let index = resolver.sources(&self.archive)?;
        let file = index.file(&self.archive, &self.package, &self.version, &self.file)?;
        Ok(Resolved { archive_date: index.date.clone().map(ArchiveDate::One), files: vec![file] })
    }

    /// The meaning of a version or of a file's pattern was decided when it was resolved.
    fn broken(&self, _files: &[LockedFile]) -> Vec<String> {
        Vec::new()
    }

    fn likeness(&self, other: &Request) -> usize {
        match other {
            Request::DebianSource(other) if self.package == other.package => 1 + usize::from(self.file == other.file),
            _ => 0,
        }
    }

    fn differences(&self, locked: &Request) -> Vec<String> {
        let mut words = Vec::new();
        let Request::DebianSource(locked) = locked else { return words };
        archive_differences(&mut words, &locked.archive, &self.archive);
        changed(&mut words, "version", &locked.version, &self.version);
        changed(&mut words, "file", &locked.file, &self.file);
        words
    }

    fn archive_of(&self, _file: &LockedFile) -> Option<&Archive> {
        Some(&self.archive)
    }

    /// The recipe pins a source package to a version: locking it again would give the same result.
    fn fetch(&self, file: &LockedFile, with: &Fetching<'_>) -> Result<u64, SourceError> {
        let Location::Pool(path) = &file.at else { return Err(misplaced(self, file)) };
        let package = &self.package;
        with.by_mirrors(file, &self.archive, path, |name| {
            format!(
                "the mirror's index lists {name}, but the file is not on the mirror: set another `version` of \
                 source package `{package}` in the component (`newest`, or a pattern), run `dbco lock`, or use a mirror \
                 that keeps old versions (--mirror URL)"
            )
        })
    }
}

/// Reads `debian-source`.
pub(super) fn decode(
    node: &YamlNode,
    _: &Table<'_>,
    scope: SourceContext<'_>,
    sink: &FindingSink,
) -> Option<StatedSource> {
    let table = Table::open(node, &keys::DEBIAN_SOURCE, sink)?;
    let suite: Option<At<String>> = table.required("suite");
    let components = table.optional("components");
    let keyring = keyring(&table, scope, sink);
    let package = table.required("package");
    let version = table.required("version");
    let file = table.required("file");
    table.close();
    let suite = suite?;
    check_suite(&suite, keyring.as_deref(), sink);
    let archive = Archive {
        suite: suite.value,
        components: components.unwrap_or_else(|| vec!["main".into()]),
        arch: scope.platform.names().debian.into(),
        keyring,
    };
    Some(StatedSource::of(Request::DebianSource(DebianSource {
        archive,
        package: package?,
        version: version?,
        file: file?,
    })))
}
