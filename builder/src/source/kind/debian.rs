//! Debian packages from one suite or several.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::suites::{SourceContext, archive_differences, decode_suites};
use super::{Fetching, Request, Resolved, SourceContent, SourceKind, StatedSource, misplaced};
use crate::archive::Deb;
use crate::similar;
use crate::source::debian::offline::compare_versions;
use crate::source::keys;
use crate::source::locked::{ArchiveDate, Location, LockedFile};
use crate::source::{Archive, PackageRequest, Resolver, SourceError, Suites};
use crate::yaml::decode::{At, Decode, FindingSink, Table, required, wrong_type};
use crate::yaml::node::{YamlNode, YamlValue};
use crate::yaml::text::Span;

/// Debian packages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DebianPackages {
    /// The suites; `archive` in a lock, where most requests have one.
    #[serde(rename = "archive")]
    pub suites: Suites,
    /// Sorted; each is parsed by [`PackageRequest`].
    // serde-saphyr 2.1 writes an empty list here on a line of its own, which it can't read back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// Whether all dependencies are included; otherwise only dependencies on exactly their own version, as the parts of
    /// one program have.
    pub closure: bool,
}

impl DebianPackages {
    /// The packages' names, in the request's order.
    pub fn package_names(&self) -> impl Iterator<Item = &str> {
        self.packages.iter().map(|package| PackageRequest::parse(package).name)
    }

    fn suites_differences(&self, words: &mut Vec<String>, old: &Suites) {
        let new = &self.suites;
        if !old.several() && !new.several() {
            return archive_differences(words, old.first(), new.first());
        }
        for archive in new.all() {
            match old.find(Some(&archive.suite)) {
                Some(before) => archive_differences(words, before, archive),
                None => words.push(format!("the suite `{}` was added", archive.suite)),
            }
        }
        let gone = old.names().filter(|suite| new.find(Some(suite)).is_none());
        words.extend(gone.map(|suite| format!("the suite `{suite}` was removed")));
        if words.is_empty() && old != new {
            words.push("the order of its suites changed".to_owned());
        }
    }
}

impl fmt::Display for DebianPackages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { suites, packages, closure } = self;
        let exactly = if *closure { "" } else { "exactly " };
        match packages.as_slice() {
            [] => write!(f, "no packages of {suites}"),
            [first, second, third, rest @ ..] if rest.len() > 1 => {
                write!(f, "{exactly}{first}, {second}, {third} and {} more of {suites}", rest.len())
            }
            few => write!(f, "{exactly}{} of {suites}", few.join(", ")),
        }
    }
}

impl SourceKind for DebianPackages {
    fn subject(&self) -> String {
        format!("Debian {} packages", self.suites.names().collect::<Vec<_>>().join("+"))
    }

    fn names(&self) -> Vec<String> {
        self.package_names().map(str::to_owned).collect()
    }

    fn content(&self) -> SourceContent {
        SourceContent::Packages(&Deb)
    }

    fn archives(&self) -> &[Archive] {
        self.suites.all()
    }

    fn is_empty(&self) -> bool {
        self.packages.is_empty()
    }

    /// Resolving does not fetch packages: their digests are in the signed index. A request without packages needs no
    /// index.
    fn resolve(&self, resolver: &Resolver<'_>) -> Result<Resolved, SourceError> {
        if self.packages.is_empty() {
            return Ok(Resolved { archive_date: None, files: Vec::new() });
        }
        let index = resolver.packages(&self.suites)?;
        let files = index.choose(&self.suites, &self.packages, self.closure)?;
        Ok(Resolved { archive_date: ArchiveDate::new(index.dates()), files })
    }

    fn broken(&self, files: &[LockedFile]) -> Vec<String> {
        let mut reasons = Vec::new();
        for package in &self.packages {
            let wanted = PackageRequest::parse(package);
            // A pattern was resolved when the entry was locked.
            let version = wanted.exact_version();
            // Compared as when resolving: `1.0-0` is `0:1.0` to dpkg.
            let same = |own: &str, version: &str| compare_versions(own, version).is_eq();
            let suite = |file: &LockedFile| self.archive_of(file).map(|archive| archive.suite.as_str());
            let fits = |file: &LockedFile| {
                file.name == wanted.name
                    && version.is_none_or(|version| file.version.as_deref().is_some_and(|own| same(own, version)))
                    && (wanted.suite.is_none() || suite(file) == wanted.suite)
            };
            if !files.iter().any(fits) {
                reasons.push(format!("`{package}` is not among its files"));
            }
        }
        reasons
    }

    fn likeness(&self, other: &Request) -> usize {
        let Request::Debian(other) = other else { return 0 };
        let (own, others): (BTreeSet<_>, BTreeSet<_>) =
            (self.package_names().collect(), other.package_names().collect());
        own.intersection(&others).count() + usize::from(self.suites.first().suite == other.suites.first().suite)
    }

    fn differences(&self, locked: &Request) -> Vec<String> {
        let mut words = Vec::new();
        let Request::Debian(locked) = locked else { return words };
        self.suites_differences(&mut words, &locked.suites);
        let (had, want): (BTreeSet<_>, BTreeSet<_>) =
            (locked.packages.iter().collect(), self.packages.iter().collect());
        words.extend(want.difference(&had).map(|package| format!("`{package}` was added")));
        words.extend(had.difference(&want).map(|package| format!("`{package}` was removed")));
        if locked.closure != self.closure {
            words.push(format!("dependencies are {} included", if self.closure { "now" } else { "no longer" }));
        }
        words
    }

    fn archive_of(&self, file: &LockedFile) -> Option<&Archive> {
        self.suites.find(file.suite.as_deref())
    }

    fn fetch(&self, file: &LockedFile, with: &Fetching<'_>) -> Result<u64, SourceError> {
        let (Location::Pool(path), Some(archive)) = (&file.at, self.archive_of(file)) else {
            return Err(misplaced(self, file));
        };
        with.by_mirrors(file, archive, path, |name| {
            format!(
                "{name} was removed from the mirror: run `dbco lock --update` to lock its successor, \
                 or use a mirror that keeps old versions (--mirror URL)"
            )
        })
    }
}

/// Reads `deb`: an archive in a package.
pub(super) fn decode_deb(
    node: &YamlNode,
    _: &Table<'_>,
    scope: SourceContext<'_>,
    sink: &FindingSink,
) -> Option<StatedSource> {
    let table = Table::open(node, &keys::DEB, sink)?;
    let suites = required(&table, "debian", |node| decode_suites(node, scope, sink));
    let package: Option<At<PackageText>> = table.required("package");
    let inside: Option<At<String>> = table.optional("file");
    table.close();
    if let Some(file) = &inside
        && (file.starts_with('/') || file.split('/').any(|part| part.is_empty() || part == ".."))
    {
        let message = format!("`{}` is not a path in the package", file.value.escape_debug());
        sink.borrow_mut().add("source-kind", file.span, message).label("such as `usr/src/linux-source-6.1.tar.xz`");
    }
    let request = packages_of(suites?, vec![package?], false, sink);
    Some(StatedSource { request, inside: inside.map(|file| file.value) })
}

/// A package in a recipe: `name`, `name/suite`, `name=version`, or a mapping with these parts; stored in the text form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageText(pub String);

impl Decode for PackageText {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let text = match &node.value {
            YamlValue::Map(_) => {
                let table = Table::open(node, &keys::PACKAGE, sink)?;
                let name: Option<String> = table.required("name");
                let suite: Option<String> = table.optional("suite");
                let version: Option<String> = table.optional("version");
                table.close();
                PackageRequest { name: &name?, suite: suite.as_deref(), version: version.as_deref() }.to_string()
            }
            YamlValue::Text { text, .. } => text.clone(),
            _ => {
                wrong_type(node, "a package's name or a mapping with `name`", sink);
                return None;
            }
        };
        check_package(&text, node.span, sink);
        Some(Self(text))
    }
}

/// Package names: Debian policy §5.6.1; versions: §5.6.12, with `*` for a pattern.
fn check_package(text: &str, span: Span, sink: &FindingSink) {
    let PackageRequest { name, suite, version } = PackageRequest::parse(text);
    let of = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || more.contains(&c))
    };
    let valid = of(name, b"+-._") && suite.is_none_or(|suite| of(suite, b"+-._~/"));
    if !valid || !version.is_none_or(|version| of(version, b"+-.:~*")) {
        let message = format!("`{}` is not a package", text.escape_debug());
        let help = "a name, `name/suite` or `name=version`";
        sink.borrow_mut().add("package", span, message).label("expected a package here").help(help);
    }
}

/// The request for packages of suites, once each.
pub fn packages_of(suites: Suites, packages: Vec<At<PackageText>>, closure: bool, sink: &FindingSink) -> Request {
    for package in &packages {
        let Some(suite) = PackageRequest::parse(&package.value.0).suite else { continue };
        if suites.find(Some(suite)).is_none() {
            let mut findings = sink.borrow_mut();
            let message = format!("the suite `{suite}` of the package is not listed under `debian`");
            let finding = findings.add("suites", package.span, message);
            match similar::nearest(suite, suites.names()) {
                Some(near) => finding.suggest(near),
                None => finding.help(format!("listed: {}", suites.names().collect::<Vec<_>>().join(", "))),
            };
        }
    }
    let mut packages: Vec<String> = packages.into_iter().map(|package| package.value.0).collect();
    packages.sort();
    packages.dedup();
    Request::Debian(DebianPackages { suites, packages, closure })
}
