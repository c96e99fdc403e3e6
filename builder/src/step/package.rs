//! Packages, as several kinds of step use them.

use super::{StepError, Work};
use crate::archive::{Budget, PackageFile};
use crate::digest::Digest;
use crate::source::debian::Control;
use crate::store::Store;

/// Packages in the lock's order, which is part of the key: it decides which of two equal files is written.
pub(super) fn package_rows(packages: &[PackageFile]) -> impl Iterator<Item = (String, Digest)> {
    packages.iter().enumerate().map(|(index, package)| (format!("package {index}"), package.blob))
}

/// The package in a row of [`package_rows`]: its name and version.
pub(super) fn package_name(packages: &[PackageFile], row: &str) -> Option<String> {
    let index: usize = row.strip_prefix("package ")?.parse().ok()?;
    Some(packages.get(index)?.name.clone())
}

/// The packages' files.
pub(super) fn package_blobs(packages: &[PackageFile]) -> Vec<Digest> {
    packages.iter().map(|package| package.blob).collect()
}

/// The content of a package's control file, and whether its maintainer scripts divert paths.
pub fn control(package: &PackageFile, store: &Store, budget: &Budget) -> Result<(Control, bool), StepError> {
    const CALL: &[u8] = b"dpkg-divert";
    let PackageFile { name, blob, format } = package;
    let files = format.metadata(Box::new(store.open_blob(blob)?), name, budget)?;
    let text = files.get("control").map(Vec::as_slice).unwrap_or_default();
    let control = Control::parse(text).map_err(|why| StepError::Control { package: name.to_owned(), why })?;
    let mut scripts = ["preinst", "postinst"].iter().filter_map(|name| files.get(*name));
    Ok((control, scripts.any(|script| script.windows(CALL.len()).any(|word| word == CALL))))
}

impl Work<'_> {
    /// See [`control`].
    pub(super) fn control(&self, package: &PackageFile) -> Result<(Control, bool), StepError> {
        control(package, self.store(), self.budget())
    }
}
