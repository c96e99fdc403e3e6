//! Packages in one tree: dpkg's behaviour if several bring the same path.

use std::collections::BTreeMap;

use crate::rootfs::{Conflict, Layer, follow_usr_links, usr_links};
use crate::source::debian::Control;
use crate::tree::contested::keepers;
use crate::tree::usrmerge::resolve;
use crate::tree::{Entry, TreePath};

/// A path of packages that is moved (dpkg-divert(1)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diversion {
    /// The path.
    pub from: TreePath,
    /// The new path.
    pub to: TreePath,
    /// The package whose own file stays; `None` if the files of all packages are diverted.
    pub by: Option<String>,
    /// Its place in the recipe, for messages.
    pub place: String,
}

/// An unpacked package.
pub(super) struct Unpacked {
    pub control: Control,
    pub layer: Layer,
    /// Whether its maintainer scripts call dpkg-divert(1).
    pub diverts: bool,
}

/// A package with a maintainer script that diverts paths.
#[derive(Clone, Debug)]
pub struct Diverting {
    /// Its name.
    pub package: String,
    /// The name of its layer.
    pub origin: String,
}

/// Resolves paths that several packages bring, as dpkg does: diversions (dpkg-divert(1)) move a path of all packages
/// but one, and a package that `Replaces` another one keeps the path ([`keepers`]). Anything else is a conflict, which
/// [`merge`](crate::rootfs::merge) reports. Returns the layers, and the diversions that moved nothing.
pub(super) fn settle(packages: Vec<Unpacked>, diversions: &[Diversion]) -> (Vec<Layer>, Vec<&Diversion>) {
    let (controls, mut layers): (Vec<Control>, Vec<Layer>) =
        packages.into_iter().map(|package| (package.control, package.layer)).unzip();
    follow_usr_links(&mut layers);
    let links = usr_links(&layers);
    let mut unused = Vec::new();
    for diversion in diversions {
        let (from, to) = (resolve(&diversion.from, &links), resolve(&diversion.to, &links));
        let mut moved = false;
        for (control, layer) in controls.iter().zip(&mut layers) {
            if diversion.by.as_ref() == Some(&control.package) {
                continue;
            }
            // A file that would collide with another one of its own package stays, and is a conflict with the other
            // package's.
            if layer.tree.get(&from).is_none_or(Entry::is_dir) || layer.tree.get(&to).is_some() {
                continue;
            }
            if let Some(entry) = layer.tree.entries.remove(&from) {
                layer.tree.insert(to.clone(), entry);
                moved = true;
            }
        }
        if !moved {
            unused.push(diversion);
        }
    }
    for (path, owners) in contested(&layers) {
        let entry = |owner: usize| layers[owner].tree.get(&path);
        let same = |one, other| entry(one).zip(entry(other)).is_some_and(|(one, other)| one.same(other));
        let kept = keepers(&owners, same, |one, other| controls[one].replaces(&controls[other]));
        // If each of them gives way to another one, it is a conflict.
        for loser in owners.iter().filter(|owner| !kept.is_empty() && !kept.contains(owner)) {
            layers[*loser].tree.entries.remove(&path);
        }
    }
    (layers, unused)
}

/// The paths that several layers have with different content, except folders; each with the layers.
fn contested(layers: &[Layer]) -> BTreeMap<TreePath, Vec<usize>> {
    let mut all: BTreeMap<&TreePath, Vec<(usize, &Entry)>> = BTreeMap::new();
    for (number, layer) in layers.iter().enumerate() {
        for (path, entry) in layer.tree.entries.iter().filter(|(_, entry)| !entry.is_dir()) {
            all.entry(path).or_default().push((number, entry));
        }
    }
    let differ = |of: &[(usize, &Entry)]| of.iter().any(|(_, entry)| !entry.same(of[0].1));
    all.into_iter()
        .filter(|(_, of)| differ(of))
        .map(|(path, of)| (path.clone(), of.into_iter().map(|(number, _)| number).collect()))
        .collect()
}

/// Advice for paths at which packages differ, some of which have a maintainer script that diverts paths.
pub(in crate::step) fn remedy(conflicts: &[Conflict], diverting: &[Diverting]) -> String {
    let Some(conflict) = conflicts.first() else { return String::new() };
    let path = &conflict.path;
    let diverting = diverting.iter().find(|one| [&conflict.first, &conflict.second].contains(&&one.origin));
    let (script, by) = match diverting {
        Some(Diverting { package, .. }) => {
            (format!("{package}'s maintainer script, which is not run here, diverts paths (dpkg-divert)"), &**package)
        }
        None => {
            ("if a maintainer script of one, which is not run here, diverts the path (dpkg-divert)".into(), "PACKAGE")
        }
    };
    format!(
        "none of these packages replaces the other; {script}: declare it with `diversions: [{{from: {path}, to: {path}.other, by: {by}}}]`, \
         where `by` is the package that keeps the path, or leave one of the packages out"
    )
}
