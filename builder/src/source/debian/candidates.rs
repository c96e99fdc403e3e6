//! The version of each package to install: apt's candidates.
//!
//! By default that is the first in apt's order, as [`Packages::named`] has them. A request changes it for the packages
//! that it names with a version or a suite; and if one is to come from a suite, also for its dependencies, as far as
//! the other candidates don't satisfy them (`apt-get install name/suite`, apt-get(8)).

use std::collections::{HashMap, HashSet};

use crate::source::PackageRequest;

use super::error::{ClosureError, UnknownPackage};
use super::index::{PackageId, Packages};
use super::relation::{self, Relation};
use super::version::{VersionPattern, compare};
use crate::similar::{or_did_you_mean, similar};
use crate::source::list::list;

/// The packages that a request names, and the candidates that follow from it.
pub(super) struct Candidates<'a> {
    index: &'a Packages,
    /// The requested packages, in their order, each with its requested suite.
    pub(super) requested: Vec<(PackageId, Option<usize>)>,
    /// The candidates that are not the first in apt's order.
    changed: HashMap<&'a str, PackageId>,
}

impl<'a> Candidates<'a> {
    /// Finds the `wanted` packages.
    pub(super) fn new(index: &'a Packages, wanted: &[String]) -> Result<Self, ClosureError> {
        let mut requested = Vec::new();
        let mut unknown = Vec::new();
        for text in wanted {
            let request = PackageRequest::parse(text);
            match find(index, &request) {
                Some(found) => requested.push(found),
                None => {
                    unknown.push(UnknownPackage { name: text.clone(), alternatives: alternatives(index, &request) })
                }
            }
        }
        if !unknown.is_empty() {
            return Err(ClosureError::Unknown(unknown));
        }
        let mut candidates = Self { index, requested: Vec::new(), changed: HashMap::new() };
        requested.iter().for_each(|requested| candidates.set(requested.id));
        let stated = requested.iter().filter_map(|requested| Some((requested.id, requested.suite?)));
        candidates.draw(stated.rev().collect());
        let same_name = |one: PackageId, other: PackageId| index.all[one].name == index.all[other].name;
        for &RequestedPackage { id, suite, stated } in &requested {
            // A package named without a version may be changed as a dependency.
            let again = || requested.iter().filter(|other| same_name(other.id, id)).count() > 1;
            let drawn = candidates.of(&index.all[id].name).filter(|_| !stated && !again());
            candidates.requested.push((drawn.unwrap_or(id), suite));
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

    /// Makes candidates of dependencies that only the suite of their dependent has; starts with the last of `open`.
    fn draw(&mut self, mut open: Vec<(PackageId, usize)>) {
        let index = self.index;
        // Two versions may each require the other's opposite, endlessly.
        let mut drawn = HashSet::new();
        while let Some((id, suite)) = open.pop() {
            if !drawn.insert((id, suite)) {
                continue;
            }
            let package = &index.all[id];
            for field in [&package.pre_depends, &package.depends] {
                // A relation that can't be read becomes an error when the package is chosen.
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

    /// Whether the current candidates satisfy a relation.
    fn served(&self, relation: &Relation<'_>) -> bool {
        let named = self.of(relation.name).into_iter();
        let providers = self.index.providers(relation.name).iter().copied().filter(|&id| self.has(id));
        named.chain(providers).any(|id| self.index.fits(id, relation))
    }
}

/// A requested package.
struct RequestedPackage {
    id: PackageId,
    /// The index of the suite that it must be from.
    suite: Option<usize>,
    /// Whether the request gives a version or suite.
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
    // A stated version or suite takes precedence over priorities: the highest version that matches.
    let higher = |best: PackageId, id: PackageId| {
        if compare(&index.all[id].version, &index.all[best].version).is_gt() { id } else { best }
    };
    Some(RequestedPackage { id: fitting.fold(first, higher), suite, stated: true })
}

/// The alternatives to a missing package, as text; may be empty.
fn alternatives(index: &Packages, request: &PackageRequest<'_>) -> String {
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
    or_did_you_mean(&similar(name, index.names()))
}
