//! Formats of packages: the files that a package installs, and those that describe it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;

use super::decompress::Stream;
use super::{ArchiveError, Budget, deb};
use crate::digest::Digest;

/// A package's file.
#[derive(Clone, Debug)]
pub struct PackageFile {
    /// Name and version, for messages: `gcc-12 12.2.0-14`.
    pub name: String,
    /// The file in the store.
    pub blob: Digest,
    /// Its format.
    pub format: &'static dyn PackageFormat,
}

/// A format of packages. A new one is an implementation of this, and the kinds of source with such packages return it as their
/// content ([`SourceContent::Packages`](crate::source::SourceContent::Packages)).
pub trait PackageFormat: fmt::Debug + Send + Sync {
    /// The files that a package installs, as a tar archive, decompressed by at most `threads` threads. `package` is its name in
    /// errors.
    fn files<'a>(
        &self,
        reader: Box<dyn Read + Send + 'a>,
        package: &str,
        threads: usize,
        budget: &Budget,
    ) -> Result<Stream<'a>, ArchiveError>;

    /// The files that describe a package, by name. `control` is its description in Debian's format (deb-control(5)); `preinst` and
    /// `postinst` are scripts that other systems run while they install it.
    fn metadata(
        &self,
        reader: Box<dyn Read + Send + '_>,
        package: &str,
        budget: &Budget,
    ) -> Result<BTreeMap<String, Vec<u8>>, ArchiveError>;
}

/// Debian's packages (deb(5)).
#[derive(Debug)]
pub struct Deb;

impl PackageFormat for Deb {
    fn files<'a>(
        &self,
        reader: Box<dyn Read + Send + 'a>,
        package: &str,
        threads: usize,
        budget: &Budget,
    ) -> Result<Stream<'a>, ArchiveError> {
        deb::data(reader, package, threads, budget)
    }

    fn metadata(
        &self,
        reader: Box<dyn Read + Send + '_>,
        package: &str,
        budget: &Budget,
    ) -> Result<BTreeMap<String, Vec<u8>>, ArchiveError> {
        deb::control(reader, package, budget)
    }
}
