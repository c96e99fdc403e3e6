//! Which version of each package is to be installed: apt's candidates.
//!
//! Without a word about it that is the first by apt's order, as [`Packages::named`] has them. A request changes it for
//! the packages that it names with a version or a suite; and where one is to come from a suite, for what it depends on,
//! too, as far as the other candidates don't serve (`apt-get install name/suite`, apt-get(8)).

use std::collections::{HashMap, HashSet};

use crate::source::PackageRequest;

use super::error::{ClosureError, UnknownPackage, did_you_mean, similar};
use super::index::{PackageId, Packages};
use super::relation::{self, Relation};
use super::version::{VersionPattern, compare};
use crate::source::list::list;

/// The packages that a request names, and the candidates that it makes.
pub(super) struct Candidates<'a> {
    index: &'a Packages,
    /// The packages asked for, in the order in which they were, each with the suite that was.
    pub(super) asked: Vec<(PackageId, Option<usize>)>,
    /// Where it is not the first by apt's order.
    changed: HashMap<&'a str, PackageId>,
}

impl<'a> Candidates<'a> {
    /// Finds the packages that are `wanted`.
    pub(super) fn new(index: &'a Packages, wanted: &[String]) -> Result<Self, ClosureError> {
        let mut asked = Vec::new();
        let mut unknown = Vec::new();
        for text in wanted {
            let request = PackageRequest::parse(text);
            match find(index, &request) {
                Some(found) => asked.push(found),
                None => unknown.push(UnknownPackage { name: text.clone(), instead: instead(index, &request) }),
            }
        }
        if !unknown.is_empty() {
            return Err(ClosureError::Unknown(unknown));
        }
        let mut candidates = Self { index, asked: Vec::new(), changed: HashMap::new() };
        asked.iter().for_each(|asked| candidates.set(asked.id));
        let stated = asked.iter().filter_map(|asked| Some((asked.id, asked.suite?)));
        candidates.draw(stated.rev().collect());
        let same_name = |one: PackageId, other: PackageId| index.all[one].name == index.all[other].name;
        for &RequestedPackage { id, suite, stated } in &asked {
            // What is named without a word about its version is drawn along.
            let again = || asked.iter().filter(|other| same_name(other.id, id)).count() > 1;
            let drawn = candidates.of(&index.all[id].name).filter(|_| !stated && !again());
            candidates.asked.push((drawn.unwrap_or(id), suite));
        }
        Ok(candidates)
    }

    /// Whether it is its package's candidate.
    pub(super) fn has(&self, id: PackageId) -> bool {
        self.of(&self.index.all[id].name) == Some(id)
    }

    /// A package's candidate.
    fn of(&self, name: &str) -> Option<PackageId> {
        self.changed.get(name).copied().or_else(|| self.index.named(name).first().copied())
    }

    fn set(&mut self, id: PackageId) {
        let index = self.index;
        self.changed.insert(&index.all[id].name, id);
    }

    /// Makes candidates of what packages depend on and only the suite has that each is from; the last of `open` is the
    /// first.
    fn draw(&mut self, mut open: Vec<(PackageId, usize)>) {
        let index = self.index;
        // Two versions may want each other's opposite for ever.
        let mut drawn = HashSet::new();
        while let Some((id, suite)) = open.pop() {
            if !drawn.insert((id, suite)) {
                continue;
            }
            let package = &index.all[id];
            for field in [&package.pre_depends, &package.depends] {
                // What can't be read is an error when the package is taken.
                for group in relation::parse(field).unwrap_or_default() {
                    if group.iter().any(|relation| self.served(relation)) {
                        continue;
                    }
                    let from_suite = |relation: &Relation<'_>| {
                        let mut ids = index.named(relation.name).iter().copied();
                        ids.find(|&id| index.is_in(id, suite) && index.fits(id, relation))
                    };
                    if let Some(id) = group.iter().find_map(from_suite) {
                        self.set(id);
                        open.push((id, suite));
                    }
                }
            }
        }
    }

    /// Whether the candidates that there are satisfy a relation.
    fn served(&self, relation: &Relation<'_>) -> bool {
        let named = self.of(relation.name).into_iter();
        let providers = self.index.providers(relation.name).iter().copied().filter(|&id| self.has(id));
        named.chain(providers).any(|id| self.index.fits(id, relation))
    }
}

/// A package that was asked for.
struct RequestedPackage {
    id: PackageId,
    /// The number of the suite that it must be from.
    suite: Option<usize>,
    /// Whether the request says something of its version or suite.
    stated: bool,
}

/// The package that a request names.
fn find(index: &Packages, request: &PackageRequest<'_>) -> Option<RequestedPackage> {
    let suite = match request.suite {
        Some(name) => Some(index.suite(name)?),
        None => None,
    };
    let version = request.version.map(VersionPattern::new);
    let fits = |id: &PackageId| {
        suite.is_none_or(|suite| index.is_in(*id, suite))
            && version.as_ref().is_none_or(|wanted| wanted.fits(&index.all[*id].version))
    };
    let mut fitting = index.named(request.name).iter().copied().filter(fits);
    let first = fitting.next()?;
    if version.is_none() && suite.is_none() {
        return Some(RequestedPackage { id: first, suite, stated: false });
    }
    // What is stated goes before priorities: of all that fits, the highest version.
    let higher = |best: PackageId, id: PackageId| {
        if compare(&index.all[id].version, &index.all[best].version).is_gt() { id } else { best }
    };
    Some(RequestedPackage { id: fitting.fold(first, higher), suite, stated: true })
}

/// What there is instead of a package that is not there, in words; may be empty.
fn instead(index: &Packages, request: &PackageRequest<'_>) -> String {
    if let Some(suite) = request.suite.filter(|suite| index.suite(suite).is_none()) {
        let known: Vec<_> = index.suites.iter().map(|suite| suite.name.as_str()).collect();
        return format!(": `{suite}` is not among the suites, which are {}", list(&known));
    }
    let name = request.name;
    let versions = index.named(name);
    if !versions.is_empty() {
        let versions: Vec<_> = versions.iter().map(|&id| index.version_and_suites(id)).collect();
        return format!("; available: {name} {}", list(&versions));
    }
    let providers: Vec<_> = index.providers(name).iter().map(|&id| index.all[id].name.to_string()).collect();
    if !providers.is_empty() {
        return format!(": it is a virtual package; request {}", list(&providers).replace(" and ", " or "));
    }
    did_you_mean(&similar(name, index.names()))
}
