//! Why an image contains a package: the chain of dependencies from one that the recipe requests.

use std::collections::{BTreeMap, VecDeque};

use crate::plan::Plan;
use crate::source::debian::Control;
use crate::step::{Materials, StepError, control};
use crate::store::Store;

/// The packages of a build's root filesystems, with the package that each was taken for.
#[derive(Debug, Default)]
pub struct PackageReasons {
    /// By name: the version, and the package that depends on it; `None` for one that is requested, or that no other
    /// depends on.
    packages: BTreeMap<String, (String, Option<String>)>,
}

impl PackageReasons {
    /// Reads the control files of all packages in root filesystems; `requested` has the names that the recipe states.
    pub fn of(plan: &Plan, store: &Store, requested: &[String]) -> Result<Self, StepError> {
        let mut controls = Vec::new();
        for step in &plan.graph.steps {
            let Materials::Packages(packages) = step.action.materials() else { continue };
            for package in packages {
                controls.push(control(package, store, plan.graph.budget(step))?.0);
            }
        }
        Ok(Self::from_controls(&controls, requested))
    }

    fn from_controls(controls: &[Control], requested: &[String]) -> Self {
        let provided = |name: &str| {
            let own = controls.iter().find(|control| control.package == name);
            own.or_else(|| controls.iter().find(|control| control.provides().iter().any(|other| other == name)))
        };
        let mut packages = BTreeMap::new();
        let mut queue = VecDeque::new();
        for control in requested.iter().filter_map(|name| provided(name)) {
            packages.insert(control.package.clone(), (control.version.clone(), None));
            queue.push_back(control);
        }
        // In order of distance, so that the chains are the shortest.
        while let Some(control) = queue.pop_front() {
            for needed in control.depends().iter().filter_map(|name| provided(name)) {
                if !packages.contains_key(&needed.package) {
                    let reason = (needed.version.clone(), Some(control.package.clone()));
                    packages.insert(needed.package.clone(), reason);
                    queue.push_back(needed);
                }
            }
        }
        for control in controls {
            packages.entry(control.package.clone()).or_insert_with(|| (control.version.clone(), None));
        }
        Self { packages }
    }

    /// The packages from one that the recipe requests to the given one, which is the last.
    pub fn chain(&self, package: &str) -> Vec<String> {
        let mut chain = vec![package.to_owned()];
        while let Some((_, Some(by))) = chain.last().and_then(|last| self.packages.get(last)) {
            chain.push(by.clone());
        }
        chain.reverse();
        chain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_the_shortest_from_a_requested_package() {
        let control = |name: &str, fields: &str| {
            Control::parse(format!("Package: {name}\nVersion: 1\n{fields}Description: x\n").as_bytes()).unwrap()
        };
        let controls = [
            control("curl", "Depends: libcurl4 (>= 7), zlib1g\n"),
            control("libcurl4", "Pre-Depends: libc6\nDepends: libssl3 | libssl1.1, awk\n"),
            control("libssl3", "Depends: libc6, curl\n"),
            control("libc6", ""),
            control("zlib1g", "Depends: libc6\n"),
            control("mawk", "Provides: awk (= 1)\n"),
            control("left", ""),
        ];
        let reasons = PackageReasons::from_controls(&controls, &["curl".into(), "libc6".into()]);
        for (package, chain) in [
            ("curl", "curl"),
            ("libssl3", "curl libcurl4 libssl3"),
            ("mawk", "curl libcurl4 mawk"),
            ("libc6", "libc6"),
            ("left", "left"),
        ] {
            assert_eq!(reasons.chain(package).join(" "), chain);
        }
    }
}
