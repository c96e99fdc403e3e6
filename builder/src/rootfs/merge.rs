//! Layers merged into one tree, without silent overrides.

use std::collections::BTreeMap;
use std::fmt;

use super::Pattern;
use super::layer::{Layer, LayerOrigin};
use super::usrmerge::follow_usr_links;
use crate::tree::{Entry, Node, Tree, TreePath};

/// The result of merging layers.
#[derive(Debug)]
pub struct Merged {
    /// The tree.
    pub tree: Tree,
    /// Patterns of `replace` that matched no conflict.
    pub unused: Vec<Pattern>,
    /// Which layer brought each path.
    pub origins: Origins,
}

/// Which layer brought each path of a merged tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// The layers, in order.
    layers: Vec<LayerOrigin>,
    /// The layer of each path, by its position. A folder above what layers bring, which none of them has, is not here.
    paths: BTreeMap<TreePath, usize>,
    /// The layers whose entry at a path was replaced, in order.
    replaced: BTreeMap<TreePath, Vec<usize>>,
}

impl Origins {
    /// The origin of a path, and those whose entries it replaced, the earliest first.
    pub fn of(&self, path: &TreePath) -> Option<(&LayerOrigin, Vec<&LayerOrigin>)> {
        let layer = self.paths.get(path)?;
        let replaced = self.replaced.get(path).into_iter().flatten();
        Some((&self.layers[*layer], replaced.map(|layer| &self.layers[*layer]).collect()))
    }

    /// States more precisely where the paths of one layer come from, by the origins of the tree that it is.
    pub fn refine(&mut self, layer: usize, inner: &Self) {
        let first = self.layers.len();
        self.layers.extend(inner.layers.iter().cloned());
        for (path, from) in self.paths.iter_mut().filter(|(_, from)| **from == layer) {
            if let Some(own) = inner.paths.get(path) {
                *from = first + own;
            }
            if let Some(replaced) = inner.replaced.get(path) {
                let all = self.replaced.entry(path.clone()).or_default();
                all.splice(0..0, replaced.iter().map(|own| first + own));
            }
        }
    }

    /// A path that no layer has, and that was added for the last one.
    pub fn complete(&mut self, path: TreePath, tree: &Tree) {
        if tree.get(&path).is_some() && !self.layers.is_empty() {
            self.paths.entry(path).or_insert(self.layers.len() - 1);
        }
    }

    /// The path comes from a layer, which replaces what another one has there.
    fn replace(&mut self, path: &TreePath, by: usize) {
        if let Some(before) = self.paths.insert(path.clone(), by) {
            self.replaced.entry(path.clone()).or_default().push(before);
        }
    }

    fn name(&self, path: &TreePath) -> String {
        self.paths.get(path).map_or_else(String::new, |layer| self.layers[*layer].to_string())
    }
}

/// Two origins with different content at the same path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The path.
    pub path: TreePath,
    /// The earlier origin.
    pub first: String,
    /// The later origin.
    pub second: String,
    /// How they differ.
    pub difference: String,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, first, second, difference } = self;
        write!(f, "{path} comes from {first} and from {second}: {difference}")
    }
}

/// Merges layers in order. Identical entries are fine; different ones are a conflict unless a pattern of `replace`
/// matches the path: then the later one wins. Folders merge; one that is not plain (owned by root, mode 755) wins over
/// a plain one, and one of a layer that keeps its modes wins over all before it. If one layer has `/lib` as a link into
/// `/usr`, the others follow it.
pub fn merge(mut layers: Vec<Layer>, replace: &[Pattern]) -> Result<Merged, Vec<Conflict>> {
    follow_usr_links(&mut layers);
    let mut used = vec![false; replace.len()];
    let mut tree = Tree::new();
    let mut origins = Origins::default();
    let mut conflicts = Vec::new();
    for (number, layer) in layers.into_iter().enumerate() {
        origins.layers.push(layer.origin);
        // The numbers of two layers are unrelated.
        let others = tree.free_inode();
        for (path, mut entry) in layer.tree.entries {
            entry.inode = entry.inode.map(|inode| inode + others);
            let Some(present) = tree.entries.get_mut(&path) else {
                tree.insert(path.clone(), entry);
                origins.paths.insert(path, number);
                continue;
            };
            let plain = |entry: &Entry| *entry == Entry::dir(0o755);
            if layer.keep_modes && present.is_dir() && entry.is_dir() {
                *present = entry;
                continue;
            }
            if present.same(&entry) || (present.is_dir() && plain(&entry)) {
                continue;
            }
            let mut replaced = false;
            for (pattern, used) in replace.iter().zip(&mut used) {
                if pattern.matches(&path) {
                    (replaced, *used) = (true, true);
                }
            }
            if (entry.is_dir() && plain(present)) || replaced {
                *present = entry;
                match replaced {
                    true => origins.replace(&path, number),
                    // A plain folder states nothing.
                    false => _ = origins.paths.insert(path, number),
                }
                continue;
            }
            conflicts.push(Conflict {
                first: origins.name(&path),
                second: origins.layers[number].to_string(),
                difference: difference(present, &entry),
                path,
            });
        }
    }
    for path in below_no_folder(&tree) {
        let parent = path.parent().expect("the root is a folder");
        let difference = format!("{parent} is not a folder, so nothing can be below it");
        conflicts.push(Conflict { first: origins.name(&parent), second: origins.name(&path), difference, path });
    }
    tree.settle_links();
    let unused = replace.iter().zip(used).filter(|(_, used)| !used).map(|(pattern, _)| pattern.clone()).collect();
    if conflicts.is_empty() { Ok(Merged { tree, unused, origins }) } else { Err(conflicts) }
}

fn below_no_folder(tree: &Tree) -> Vec<TreePath> {
    let blocked = |path: &&TreePath| {
        let parent = path.parent().and_then(|parent| tree.get(&parent));
        parent.is_some_and(|parent| !parent.is_dir())
    };
    tree.entries.keys().filter(blocked).cloned().collect()
}

fn difference(first: &Entry, second: &Entry) -> String {
    match (&first.node, &second.node) {
        (Node::File { blob: a, .. }, Node::File { blob: b, .. }) if a != b => "the contents differ".to_owned(),
        (a, b) if a != b => format!("{} there, {} here", first.node.kind(), second.node.kind()),
        _ => format!(
            "mode and owner {:o} {}:{} there, {:o} {}:{} here",
            first.mode, first.uid, first.gid, second.mode, second.uid, second.gid
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn layer(origin: &str, path: &str, content: &str) -> Layer {
        let mut tree = Tree::new();
        let entry = Entry::file(Digest::of(content), content.len() as u64, 0o644);
        tree.insert(TreePath::new(path).unwrap(), entry);
        tree.complete();
        Layer::new(origin, tree)
    }

    #[test]
    fn a_conflict_names_both_origins() {
        let conflicts = merge(vec![layer("one", "etc/a", "x"), layer("two", "etc/a", "y")], &[]).unwrap_err();
        assert_eq!(conflicts[0].to_string(), "/etc/a comes from one and from two: the contents differ");
    }

    #[test]
    fn the_later_wins_where_the_recipe_says_so() {
        let replace = [Pattern::new("/etc/*").unwrap()];
        let merged = merge(vec![layer("one", "etc/a", "x"), layer("two", "etc/a", "yy")], &replace).unwrap();
        assert_eq!(merged.tree.size(), 2);
        assert!(merged.unused.is_empty());
        for layers in [vec![layer("one", "etc/a", "x")], vec![layer("one", "etc/a", "x"), layer("two", "etc/a", "x")]] {
            assert_eq!(merge(layers, &replace).unwrap().unused, replace, "it let nothing win");
        }
    }

    #[test]
    fn the_same_twice_is_no_conflict_and_a_file_is_no_folder() {
        assert!(merge(vec![layer("one", "a", "x"), layer("two", "a", "x")], &[]).is_ok());
        let conflicts = merge(vec![layer("one", "a", "x"), layer("two", "a/b", "x")], &[]).unwrap_err();
        assert!(conflicts.iter().any(|conflict| conflict.path.to_string() == "/a/b"), "{conflicts:?}");
    }
}
