//! Readers for an archive's files in memory: an index, a Release file or a relation, without a mirror or a lock. Entry
//! points for the fuzz targets (`builder/fuzz`).

use std::cmp::Ordering;
use std::io::Read;
use std::sync::OnceLock;

use crate::source::{Archive, LockedFile, Suites};

use super::error::SignatureError;
use super::index::Packages;
use super::release::Release;
use super::signature::Keyring;
use super::sources::Sources;
use super::{IndexError, relation, version};

/// Compares two versions (Debian policy §5.6.12).
pub fn compare_versions(one: &str, other: &str) -> Ordering {
    version::compare(one, other)
}

/// The groups of alternatives of a field such as `Depends`, each in normal form; `Err` is the part that can't be
/// parsed.
pub fn relations(field: &str) -> Result<Vec<Vec<String>>, &str> {
    let shown = |group: relation::Alternatives<'_>| group.iter().map(ToString::to_string).collect();
    Ok(relation::parse(field)?.into_iter().map(shown).collect())
}

/// The files of the `wanted` packages from the `Packages` indexes of suites, each with its priority, with all
/// dependencies if `closure` is set.
pub fn packages<'i>(
    indexes: impl IntoIterator<Item = (&'i [u8], u16)>,
    suites: &Suites,
    wanted: &[String],
    closure: bool,
) -> Result<Vec<LockedFile>, String> {
    let mut packages = Packages::new(&suites.first().arch);
    for ((mut index, priority), suite) in indexes.into_iter().zip(suites.names()) {
        packages.begin_suite(suite, priority, None);
        packages.read(&mut index)?;
    }
    packages.finish();
    packages.choose(suites, wanted, closure).map_err(|error| error.to_string())
}

/// One file of a source package of a `Sources` index.
pub fn source_file(
    mut index: impl Read,
    archive: &Archive,
    package: &str,
    version: &str,
    file: &str,
) -> Result<LockedFile, String> {
    let mut sources = Sources::new(None);
    sources.read(&mut index)?;
    sources.file(archive, package, version, file).map_err(|error| error.to_string())
}

/// The entry for the index `stem` in a `Release` file, in the smallest form that can be read.
pub fn index_path(release: &str, archive: &Archive, stem: &str) -> Result<Option<String>, IndexError> {
    // `main/binary-amd64/Packages`: a component's name may contain slashes, too.
    let component = stem.rsplitn(3, '/').nth(2).unwrap_or_default();
    let index = stem[component.len()..].trim_start_matches('/');
    Ok(Release::parse(release, archive)?.index(component, index).map(|file| file.path))
}

/// The text of a file signed in place (`InRelease`), if Debian's own keys signed it.
pub fn signed_text(bytes: &[u8]) -> Result<String, SignatureError> {
    keyring()?.open_clear(bytes)
}

/// Whether a detached signature of `data` (`Release.gpg`) was made by one of Debian's own keys.
pub fn signed_apart(data: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
    keyring()?.check_detached(data, signature)
}

/// Debian's keys, whose own signatures are verified only once, as that takes a while.
fn keyring() -> Result<&'static Keyring, SignatureError> {
    static KEYRING: OnceLock<Option<Keyring>> = OnceLock::new();
    let keyring = KEYRING.get_or_init(|| Keyring::built_in().ok());
    keyring.as_ref().ok_or_else(|| SignatureError::Malformed("the built-in keyring".to_owned()))
}
