//! The binary packages of several suites, with the fields that resolving needs.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::io::{BufReader, Read};

use deb822_fast::{Deb822, Paragraph};

use crate::digest::Digest;
use crate::source::suites::MOST_SUITES;
use crate::source::{Location, LockedFile, is_pool_path};

use super::relation::{self, Relation};
use super::version::compare;

/// One binary package. Relations are only parsed when they are needed, as few of them are.
pub(super) struct BinaryPackage {
    pub(super) name: Box<str>,
    pub(super) version: Box<str>,
    pub(super) pre_depends: Box<str>,
    pub(super) depends: Box<str>,
    pub(super) conflicts: Box<str>,
    pub(super) breaks: Box<str>,
    pub(super) provides: Box<str>,
    /// 0 is `required`; higher numbers are less important.
    pub(super) priority: u8,
    path: Box<str>,
    sha256: Digest,
    size: u64,
    /// A bit for each suite that has it, the lowest for the first.
    suites: u16,
}

const _: () = assert!(MOST_SUITES <= u16::BITS as usize, "Package::suites has a bit for each");

impl BinaryPackage {
    fn is_in(&self, suite: usize) -> bool {
        self.suites & 1 << suite != 0
    }
}

/// A suite whose packages were read.
pub(super) struct Suite {
    pub(super) name: String,
    /// Its priority in apt: [`super::release::Release::priority`].
    priority: u16,
    date: Option<String>,
}

/// A package's index in [`Packages::all`].
pub(super) type PackageId = usize;

/// All packages of the suites for one architecture.
pub(in crate::source) struct Packages {
    pub(super) arch: String,
    pub(super) suites: Vec<Suite>,
    pub(super) all: Vec<BinaryPackage>,
    /// The version that apt would install: with the highest priority, and of these the highest version.
    by_name: HashMap<Box<str>, Vec<PackageId>>,
    /// The providers of a name: those with the highest priority of their suites first, and of these the most important.
    providers: HashMap<Box<str>, Vec<PackageId>>,
}

impl Packages {
    pub(super) fn new(arch: &str) -> Self {
        let (by_name, providers) = (HashMap::new(), HashMap::new());
        Self { arch: arch.to_owned(), suites: Vec::new(), all: Vec::new(), by_name, providers }
    }

    /// Packages read from now on belong to this suite.
    pub(super) fn begin_suite(&mut self, name: &str, priority: u16, date: Option<String>) {
        self.suites.push(Suite { name: name.to_owned(), priority, date });
    }

    /// Reads an index of the current suite to its end; [`Packages::finish`] must follow.
    pub(super) fn read(&mut self, reader: &mut dyn Read) -> Result<(), String> {
        let suite = 1 << self.suites.len().saturating_sub(1);
        for paragraph in Deb822::iter_paragraphs_from_reader(BufReader::with_capacity(1 << 17, reader)) {
            let paragraph = paragraph.map_err(|error| error.to_string())?;
            let arch = paragraph.get("Architecture").map(str::trim);
            if arch == Some("all") || arch == Some(&self.arch) {
                self.all.push(package(&paragraph, suite)?);
            }
        }
        Ok(())
    }

    /// Sorts the packages that were read.
    pub(super) fn finish(&mut self) {
        self.all.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| compare(&b.version, &a.version)));
        // One version in several suites is one package with all their priorities, unless the suites have different
        // files for it.
        let mut merged: Vec<BinaryPackage> = Vec::with_capacity(self.all.len());
        for package in std::mem::take(&mut self.all) {
            let same_version =
                |known: &&mut BinaryPackage| known.name == package.name && known.version == package.version;
            let mut known = merged.iter_mut().rev().take_while(same_version);
            let same =
                |known: &&mut BinaryPackage| known.sha256 == package.sha256 || known.suites & package.suites != 0;
            match known.find(same) {
                Some(known) => known.suites |= package.suites,
                None => merged.push(package),
            }
        }
        self.all = merged;
        let suites = &self.suites;
        let priority = |package: &BinaryPackage| {
            let own = suites.iter().enumerate().filter(|(number, _)| package.is_in(*number));
            own.map(|(_, suite)| suite.priority).max()
        };
        self.all.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| priority(b).cmp(&priority(a))));
        for (id, package) in self.all.iter().enumerate() {
            self.by_name.entry(package.name.clone()).or_default().push(id);
            // A field that can't be parsed provides nothing; a dependency on it then reports that.
            for provided in relation::parse(&package.provides).unwrap_or_default().into_iter().flatten() {
                self.providers.entry(provided.name.into()).or_default().push(id);
            }
        }
        let all = &self.all;
        for ids in self.providers.values_mut() {
            // Suites that are never used by default, such as backports, come last: nobody requested them.
            ids.sort_by_key(|&id| (Reverse(priority(&all[id])), all[id].priority, id));
            ids.dedup();
        }
    }

    /// The date of each suite's signed index, in the order of the suites.
    pub(in crate::source) fn dates(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.suites.iter().map(|suite| (suite.name.as_str(), suite.date.as_deref()))
    }

    /// The index of a suite.
    pub(super) fn suite(&self, name: &str) -> Option<usize> {
        self.suites.iter().position(|suite| suite.name == name)
    }

    /// Whether a suite has a package.
    pub(super) fn is_in(&self, id: PackageId, suite: usize) -> bool {
        self.all[id].is_in(suite)
    }

    /// A package's version, with the suites that have it if there are several.
    pub(super) fn version_and_suites(&self, id: PackageId) -> String {
        let version = &self.all[id].version;
        if self.suites.len() < 2 {
            return version.to_string();
        }
        let own = self.suites.iter().enumerate().filter(|(suite, _)| self.is_in(id, *suite));
        format!("{version} ({})", own.map(|(_, suite)| suite.name.as_str()).collect::<Vec<_>>().join(", "))
    }

    /// All versions of a package, the one that apt would install first.
    pub(super) fn named(&self, name: &str) -> &[PackageId] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// All packages that provide a name, in any version.
    pub(super) fn providers(&self, name: &str) -> &[PackageId] {
        self.providers.get(name).map_or(&[], Vec::as_slice)
    }

    /// The name of every package.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(|name| &**name)
    }

    /// Whether a package satisfies a relation, by its own name or one that it provides.
    pub(super) fn fits(&self, id: PackageId, relation: &Relation<'_>) -> bool {
        let package = &self.all[id];
        if !relation.admits_arch(&self.arch) {
            return false;
        }
        if *package.name == *relation.name && relation.admits(&package.version) {
            return true;
        }
        let provided = relation::parse(&package.provides).unwrap_or_default();
        provided.into_iter().flatten().any(|provided| {
            provided.name == relation.name
                && match (relation.bound, provided.bound) {
                    (None, _) => true,
                    // Policy §7.5: only a versioned `Provides` satisfies a versioned relation.
                    (Some(_), None) => false,
                    (Some(_), Some((_, version))) => relation.admits(version),
                }
        })
    }

    /// A package's file, from the requested suite, or from the first that has it.
    pub(super) fn locked(&self, id: PackageId, requested: Option<usize>) -> LockedFile {
        let package = &self.all[id];
        let suite = requested.unwrap_or(package.suites.trailing_zeros() as usize);
        let several = self.suites.len() > 1;
        LockedFile {
            name: package.name.to_string(),
            version: Some(package.version.to_string()),
            suite: self.suites.get(suite).filter(|_| several).map(|suite| suite.name.clone()),
            at: Location::Pool(package.path.to_string()),
            sha256: package.sha256,
            size: package.size,
        }
    }
}

fn package(paragraph: &Paragraph, suites: u16) -> Result<BinaryPackage, String> {
    let optional = |name: &str| paragraph.get(name).map_or("", str::trim);
    let name = optional("Package");
    let field = |field: &str| match optional(field) {
        "" if name.is_empty() => Err("a package has no name".to_owned()),
        "" => Err(format!("package `{name}` has no field `{field}`")),
        value => Ok(value),
    };
    let path = field("Filename")?.trim_start_matches("./");
    if !is_pool_path(path) {
        return Err(format!("package `{name}`: `{path}` is not a path inside the archive"));
    }
    let number = |_| format!("package `{name}`: its size is not a number");
    Ok(BinaryPackage {
        version: field("Version")?.into(),
        pre_depends: optional("Pre-Depends").into(),
        depends: optional("Depends").into(),
        conflicts: optional("Conflicts").into(),
        breaks: optional("Breaks").into(),
        provides: optional("Provides").into(),
        priority: match optional("Priority") {
            "required" => 0,
            "important" => 1,
            "standard" => 2,
            "optional" => 3,
            _ => 4,
        },
        path: path.into(),
        sha256: field("SHA256")?.parse().map_err(|error| format!("package `{name}`: {error}"))?,
        size: field("Size")?.parse().map_err(number)?,
        name: field("Package")?.into(),
        suites,
    })
}
