//! From package names to the complete set of packages.
//!
//! `Pre-Depends` and `Depends` count; `Recommends` don't, and `Essential` packages are only included if something
//! depends on them: the result is a root for a purpose, not a host. The choice is a pure function of index and request:
//!
//! 1. the requested packages, each in its candidate version (see [`super::candidates`]);
//! 2. everything that leaves no choice: a dependency without alternatives on a package that exists;
//! 3. only then choices: nothing if a chosen package already satisfies the dependency, otherwise the first available
//!    alternative, a real package before those that provide the name, and of these the one with the highest priority.
//!
//! Versions that are not candidates are only considered if no candidate satisfies a dependency; apt would give up
//! there.
//!
//! There is no backtracking. If a choice leads to a conflict, the error names both packages, and naming the other
//! alternative in the recipe resolves it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::source::{LockedFile, SourceError, Suites};

use super::candidates::Candidates;
use super::error::ClosureError;
use super::index::{BinaryPackage, PackageId, Packages};
use super::relation::{self, Alternatives, Relation, VersionOp};

impl Packages {
    /// The packages for a request, sorted by name.
    pub(in crate::source) fn choose(
        &self,
        suites: &Suites,
        packages: &[String],
        closure: bool,
    ) -> Result<Vec<LockedFile>, SourceError> {
        let fail = |error| SourceError::Closure { archive: suites.to_string(), source: Box::new(error) };
        let chosen = choose(self, packages, closure).map_err(fail)?;
        Ok(chosen.into_iter().map(|(id, requested)| self.locked(id, requested)).collect())
    }
}

/// The packages for a request, sorted by name, each with the index of the requested suite.
fn choose(index: &Packages, wanted: &[String], deep: bool) -> Result<Vec<(PackageId, Option<usize>)>, ClosureError> {
    let candidates = Candidates::new(index, wanted)?;
    let mut requested: HashMap<PackageId, Option<usize>> = HashMap::new();
    for &(id, suite) in &candidates.requested {
        match requested.entry(id).or_insert(suite) {
            Some(first) if suite.is_some_and(|suite| suite != *first) => {
                let named = [*first, suite.unwrap_or(*first)].map(|suite| index.suites[suite].name.clone());
                return Err(ClosureError::TwoSuites { package: index.all[id].name.to_string(), suites: named });
            }
            known => *known = known.or(suite),
        }
    }
    let mut solver = Solver::new(index, &candidates);
    for &(id, _) in &candidates.requested {
        solver.take(id, None)?;
    }
    if deep {
        solver.follow()?;
    } else {
        solver.follow_parts()?;
    }
    let chosen = solver.chosen.into_values();
    Ok(chosen.map(|id| (id, requested.get(&id).copied().flatten())).collect())
}

struct Solver<'a> {
    index: &'a Packages,
    preferred: &'a Candidates<'a>,
    chosen: BTreeMap<&'a str, PackageId>,
    /// The chosen packages by each name that they have or provide.
    known_as: HashMap<&'a str, Vec<PackageId>>,
    /// What the chosen packages exclude, by name.
    excluded: HashMap<&'a str, Vec<(PackageId, Exclusion, Relation<'a>)>>,
    /// The package that caused each one to be chosen.
    wanted_by: HashMap<PackageId, PackageId>,
    /// Dependencies that leave no choice.
    forced: VecDeque<(PackageId, Alternatives<'a>)>,
    /// All others.
    open: VecDeque<(PackageId, Alternatives<'a>)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Exclusion {
    Conflicts,
    Breaks,
}

impl Exclusion {
    fn says(self, relation: &Relation<'_>) -> String {
        match self {
            Exclusion::Conflicts => format!("conflicts with `{relation}`"),
            Exclusion::Breaks => format!("breaks `{relation}`"),
        }
    }
}

impl<'a> Solver<'a> {
    fn new(index: &'a Packages, preferred: &'a Candidates<'a>) -> Self {
        Self {
            index,
            preferred,
            chosen: BTreeMap::new(),
            known_as: HashMap::new(),
            excluded: HashMap::new(),
            wanted_by: HashMap::new(),
            forced: VecDeque::new(),
            open: VecDeque::new(),
        }
    }

    fn package(&self, id: PackageId) -> &'a BinaryPackage {
        &self.index.all[id]
    }

    /// Satisfies dependencies until none is left.
    fn follow(&mut self) -> Result<(), ClosureError> {
        while let Some((by, group)) = self.forced.pop_front().or_else(|| self.open.pop_front()) {
            if group.iter().any(|relation| self.satisfied(relation)) {
                continue;
            }
            let fitting =
                || group.iter().flat_map(|relation| self.candidates(relation)).filter(|&id| self.possible(id));
            let preferred = fitting().find(|&id| self.preferred.has(id));
            match preferred.or_else(|| fitting().next()) {
                Some(id) => self.take(id, Some(by))?,
                None => self.give_up(by, &group)?,
            }
        }
        Ok(())
    }

    /// Chooses what is needed in exactly the version of its dependent: the parts of one program, such as a kernel's
    /// image, modules and configuration.
    fn follow_parts(&mut self) -> Result<(), ClosureError> {
        while let Some((by, group)) = self.forced.pop_front() {
            let own = &self.package(by).version;
            let [Relation { bound: Some((VersionOp::Equal, version)), .. }] = group[..] else { continue };
            if *version != **own || self.satisfied(&group[0]) {
                continue;
            }
            let candidate = self.candidates(&group[0]).find(|&id| self.possible(id));
            match candidate {
                Some(id) => self.take(id, Some(by))?,
                None => self.give_up(by, &group)?,
            }
        }
        Ok(())
    }

    /// Chooses a package and records its dependencies and exclusions.
    fn take(&mut self, id: PackageId, by: Option<PackageId>) -> Result<(), ClosureError> {
        let package = self.package(id);
        match self.chosen.get(&*package.name) {
            Some(&there) if there == id => return Ok(()),
            Some(&there) => {
                let versions = [there, id].map(|id| self.index.version_and_suites(id));
                return Err(ClosureError::TwoVersions { package: package.name.to_string(), versions });
            }
            None => {}
        }
        if let Some(by) = by {
            self.wanted_by.insert(id, by);
        }
        if let Some((one, other, exclusion, relation)) = self.exclusion(id)? {
            return Err(ClosureError::Conflict {
                one: self.package(one).name.to_string(),
                relation: exclusion.says(&relation),
                one_chain: self.chain(one),
                other_chain: self.chain(other),
            });
        }
        self.chosen.insert(&package.name, id);
        self.known_as.entry(&package.name).or_default().push(id);
        for provided in self.read(id, &package.provides)?.into_iter().flatten() {
            self.known_as.entry(provided.name).or_default().push(id);
        }
        for (exclusion, relation) in self.exclusions(id)? {
            self.excluded.entry(relation.name).or_default().push((id, exclusion, relation));
        }
        for field in [&package.pre_depends, &package.depends] {
            for group in self.read(id, field)? {
                let queue = if self.leaves_choice(&group) { &mut self.open } else { &mut self.forced };
                queue.push_back((id, group));
            }
        }
        Ok(())
    }

    fn read(&self, id: PackageId, field: &'a str) -> Result<Vec<Alternatives<'a>>, ClosureError> {
        relation::parse(field).map_err(|text| ClosureError::Malformed {
            package: self.package(id).name.to_string(),
            text: text.to_owned(),
        })
    }

    fn exclusions(&self, id: PackageId) -> Result<Vec<(Exclusion, Relation<'a>)>, ClosureError> {
        let package = self.package(id);
        let mut all = Vec::new();
        for (exclusion, field) in [(Exclusion::Conflicts, &package.conflicts), (Exclusion::Breaks, &package.breaks)] {
            all.extend(self.read(id, field)?.into_iter().flatten().map(|relation| (exclusion, relation)));
        }
        Ok(all)
    }

    fn leaves_choice(&self, group: &Alternatives<'_>) -> bool {
        match group.as_slice() {
            [one] => !self.index.named(one.name).iter().any(|&id| self.index.fits(id, one)),
            _ => true,
        }
    }

    fn satisfied(&self, relation: &Relation<'_>) -> bool {
        let known = self.known_as.get(relation.name);
        known.is_some_and(|ids| ids.iter().any(|&id| self.index.fits(id, relation)))
    }

    /// All matching packages, the preferred ones first.
    fn candidates<'b>(&'b self, relation: &'b Relation<'_>) -> impl Iterator<Item = PackageId> + use<'a, 'b> {
        let index = self.index;
        let ids = index.named(relation.name).iter().chain(index.providers(relation.name)).copied();
        ids.filter(move |&id| index.fits(id, relation))
    }

    /// Whether a package is compatible with all that are chosen.
    fn possible(&self, id: PackageId) -> bool {
        !self.chosen.contains_key(&*self.package(id).name) && matches!(self.exclusion(id), Ok(None))
    }

    /// What excludes a package: the package that declares it, the one affected, and the declaration.
    #[allow(clippy::type_complexity)]
    fn exclusion(
        &self,
        id: PackageId,
    ) -> Result<Option<(PackageId, PackageId, Exclusion, Relation<'a>)>, ClosureError> {
        let package = self.package(id);
        // A package may exclude a name that it provides itself: then it excludes all other providers (policy §7.6.2).
        for (exclusion, relation) in self.exclusions(id)? {
            let hit = self.known_as.get(relation.name).into_iter().flatten();
            if let Some(&other) = hit.filter(|&&other| other != id).find(|&&other| self.index.fits(other, &relation)) {
                return Ok(Some((id, other, exclusion, relation)));
            }
        }
        let provided = self.read(id, &package.provides)?;
        let names = std::iter::once(&*package.name).chain(provided.into_iter().flatten().map(|one| one.name));
        for name in names {
            for &(other, exclusion, relation) in self.excluded.get(name).into_iter().flatten() {
                if other != id && self.index.fits(id, &relation) {
                    return Ok(Some((other, id, exclusion, relation)));
                }
            }
        }
        Ok(None)
    }

    /// The dependency path from the requested package down to this one.
    fn chain(&self, id: PackageId) -> Vec<String> {
        let mut chain = vec![self.package(id).name.to_string()];
        let mut at = id;
        while let Some(&by) = self.wanted_by.get(&at) {
            chain.push(self.package(by).name.to_string());
            at = by;
        }
        chain.reverse();
        chain
    }

    /// If only one package could satisfy the dependency and another one excludes it, the error is about these two;
    /// otherwise about the dependency.
    fn give_up(&mut self, by: PackageId, group: &Alternatives<'a>) -> Result<(), ClosureError> {
        let mut candidates: Vec<PackageId> = group.iter().flat_map(|relation| self.candidates(relation)).collect();
        candidates.dedup();
        match candidates.as_slice() {
            &[id] if !self.chosen.contains_key(&*self.package(id).name) => self.take(id, Some(by)),
            _ => Err(self.unsatisfiable(by, group)),
        }
    }

    fn unsatisfiable(&self, by: PackageId, group: &Alternatives<'a>) -> ClosureError {
        let wanted = group.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
        let reasons: Vec<_> = group.iter().map(|relation| self.why_not(relation)).collect();
        ClosureError::Unsatisfiable { wanted, chain: self.chain(by), why: reasons.join("; ") }
    }

    fn why_not(&self, relation: &Relation<'_>) -> String {
        let name = relation.name;
        if let Some(&id) = self.chosen.get(name) {
            return format!("{name} {} is already selected", self.index.version_and_suites(id));
        }
        if let Some(id) = self.candidates(relation).next() {
            return match self.exclusion(id) {
                Ok(Some((one, other, exclusion, relation))) => {
                    let (one, other) = (&self.package(one).name, &self.package(other).name);
                    format!("`{one}` {}, so it can't be installed with `{other}`", exclusion.says(&relation))
                }
                _ => format!("another version of {} is already selected", self.package(id).name),
            };
        }
        if !relation.admits_arch(&self.index.arch) {
            return format!("the archive's architecture is {}", self.index.arch);
        }
        let mut there: Vec<String> =
            self.index.named(name).iter().map(|&id| format!("{name} {}", self.index.version_and_suites(id))).collect();
        let providers = self.index.providers(name).iter();
        there.extend(providers.map(|&id| format!("{}, which provides {name},", self.package(id).name)));
        if there.is_empty() {
            format!("there is no package {name}")
        } else {
            format!("there is only {}", there.join(" and "))
        }
    }
}
