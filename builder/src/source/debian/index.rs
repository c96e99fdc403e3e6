//! The binary packages of an archive, as far as resolving needs them.

use std::collections::HashMap;
use std::io::{BufReader, Read};

use deb822_fast::{Deb822, Paragraph};

use crate::digest::Digest;
use crate::lock::{Location, LockedFile, is_pool_path};
use crate::source::{Archive, SourceError};

use super::closure;
use super::relation::{self, Relation};
use super::version::compare;

/// One binary package. Relations stay text until they are needed: few of the many are.
pub(super) struct Package {
    pub(super) name: Box<str>,
    pub(super) version: Box<str>,
    pub(super) pre_depends: Box<str>,
    pub(super) depends: Box<str>,
    pub(super) conflicts: Box<str>,
    pub(super) breaks: Box<str>,
    pub(super) provides: Box<str>,
    /// 0 is `required`; the higher, the less common.
    pub(super) priority: u8,
    path: Box<str>,
    sha256: Digest,
    size: u64,
}

/// A package's place in [`Packages::all`].
pub(super) type Id = usize;

/// All packages of an archive for one architecture.
pub(in crate::source) struct Packages {
    pub(super) arch: String,
    pub(in crate::source) date: Option<String>,
    pub(super) all: Vec<Package>,
    /// Highest version first.
    by_name: HashMap<Box<str>, Vec<Id>>,
    /// Who provides a name; the best known first.
    providers: HashMap<Box<str>, Vec<Id>>,
}

impl Packages {
    pub(super) fn new(arch: &str, date: Option<String>) -> Self {
        let (by_name, providers) = (HashMap::new(), HashMap::new());
        Self { arch: arch.to_owned(), date, all: Vec::new(), by_name, providers }
    }

    /// Reads an index to its end; [`Packages::finish`] must follow.
    pub(super) fn read(&mut self, reader: &mut dyn Read) -> Result<(), String> {
        for paragraph in Deb822::iter_paragraphs_from_reader(BufReader::with_capacity(1 << 17, reader)) {
            let paragraph = paragraph.map_err(|error| error.to_string())?;
            let arch = paragraph.get("Architecture").map(str::trim);
            if arch == Some("all") || arch == Some(&self.arch) {
                self.all.push(package(&paragraph)?);
            }
        }
        Ok(())
    }

    /// Sorts what was read.
    pub(super) fn finish(&mut self) {
        self.all.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| compare(&b.version, &a.version)));
        self.all.dedup_by(|later, first| later.name == first.name && later.version == first.version);
        for (id, package) in self.all.iter().enumerate() {
            self.by_name.entry(package.name.clone()).or_default().push(id);
            // What can't be read provides nothing; a dependency on it then says so.
            for provided in relation::parse(&package.provides).unwrap_or_default().into_iter().flatten() {
                self.providers.entry(provided.name.into()).or_default().push(id);
            }
        }
        let all = &self.all;
        for ids in self.providers.values_mut() {
            ids.sort_by_key(|&id| (all[id].priority, id));
            ids.dedup();
        }
    }

    /// All versions of a package, the highest first.
    pub(super) fn named(&self, name: &str) -> &[Id] {
        self.by_name.get(name).map_or(&[], Vec::as_slice)
    }

    /// All packages that provide a name, in whatever version.
    pub(super) fn providers(&self, name: &str) -> &[Id] {
        self.providers.get(name).map_or(&[], Vec::as_slice)
    }

    /// The name of every package.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(|name| &**name)
    }

    /// Whether a package is what a relation asks for, by its own name or one it provides.
    pub(super) fn fits(&self, id: Id, relation: &Relation<'_>) -> bool {
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

    /// The packages that a request stands for, sorted by name.
    pub(in crate::source) fn choose(
        &self,
        archive: &Archive,
        packages: &[String],
        closure: bool,
    ) -> Result<Vec<LockedFile>, SourceError> {
        let fail = |error| SourceError::Closure { archive: archive.to_string(), source: Box::new(error) };
        let ids = closure::choose(self, packages, closure).map_err(fail)?;
        Ok(ids.into_iter().map(|id| self.all[id].locked()).collect())
    }
}

impl Package {
    fn locked(&self) -> LockedFile {
        LockedFile {
            name: self.name.to_string(),
            version: Some(self.version.to_string()),
            at: Location::Pool(self.path.to_string()),
            sha256: self.sha256,
            size: self.size,
        }
    }
}

fn package(paragraph: &Paragraph) -> Result<Package, String> {
    let optional = |name: &str| paragraph.get(name).map_or("", str::trim);
    let name = optional("Package");
    let field = |field: &str| match optional(field) {
        "" if name.is_empty() => Err("a package has no name".to_owned()),
        "" => Err(format!("package `{name}` has no field `{field}`")),
        value => Ok(value),
    };
    let path = field("Filename")?.trim_start_matches("./");
    if !is_pool_path(path) {
        return Err(format!("package `{name}`: `{path}` is no path inside the archive"));
    }
    let number = |_| format!("package `{name}`: its size is no number");
    Ok(Package {
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
    })
}
