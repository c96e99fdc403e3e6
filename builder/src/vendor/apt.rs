//! The index that makes a vendored folder a flat repository of apt (`Packages`: deb822(5), sources.list(5)).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;

use super::{Manifest, VendorError, VendoredFile};
use crate::archive::{Budget, Deb, PackageFormat as _};
use crate::digest::Digest;

/// The name of the index.
pub const INDEX: &str = "Packages";

/// Opens the content of a file.
pub type OpenContent<'a> = &'a dyn Fn(&Digest) -> Result<Content, VendorError>;

/// A file's content, from its start.
pub type Content = Box<dyn Read + Send>;

/// The index of a manifest's Debian packages, ordered by their paths; `open` gives the content of a file.
pub fn index(manifest: &Manifest, open: OpenContent<'_>) -> Result<String, VendorError> {
    let mut packages = BTreeMap::new();
    for file in manifest.0.values() {
        let Some(pool) = file.pool.as_deref().filter(|pool| is_package(pool)) else { continue };
        packages.extend(stanza(file, pool, open(&file.sha256)?)?.map(|text| (pool, text)));
    }
    Ok(packages.into_values().collect())
}

fn is_package(pool: &str) -> bool {
    pool.ends_with(".deb")
}

/// The package's own control file, with its location; `None` if it does not name the package, since apt rejects an index with
/// such a stanza (deb822 of an index, <https://wiki.debian.org/DebianRepository/Format>).
fn stanza(file: &VendoredFile, pool: &str, content: Content) -> Result<Option<String>, VendorError> {
    let mut metadata = Deb.metadata(content, &file.name, &Budget::USUAL)?;
    let control = metadata.remove("control").unwrap_or_default();
    let mut text = String::from_utf8_lossy(&control).trim().to_owned();
    if !text.lines().any(|line| line.to_ascii_lowercase().starts_with("package:")) {
        return Ok(None);
    }
    let _ = write!(text, "\nFilename: {pool}\nSize: {}\nSHA256: {}\n\n", file.size, file.sha256);
    Ok(Some(text))
}
