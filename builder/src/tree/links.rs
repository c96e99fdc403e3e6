//! Hard links: several names of one file.

use std::collections::{BTreeMap, HashMap};

use super::{Entry, Node, Tree, TreePath};

/// The names of a tree's files that have several, in the tree's order.
pub struct HardLinks<'a>(HashMap<u32, Vec<&'a TreePath>>);

impl<'a> HardLinks<'a> {
    /// All names of an entry's file; empty if it has only one.
    pub fn names(&self, entry: &Entry) -> &[&'a TreePath] {
        entry.inode.and_then(|inode| self.0.get(&inode)).map_or(&[], Vec::as_slice)
    }

    /// The first name of the entry's file, if the entry at `path` is a later one.
    pub fn earlier(&self, path: &TreePath, entry: &Entry) -> Option<&'a TreePath> {
        self.names(entry).first().copied().filter(|first| *first != path)
    }
}

impl Tree {
    /// Which names share a file. The tree must be in the state that [`Tree::settle_links`] leaves.
    pub fn hard_links(&self) -> HardLinks<'_> {
        let mut names: HashMap<u32, Vec<&TreePath>> = HashMap::new();
        for (path, entry) in &self.entries {
            if let Some(inode) = entry.inode {
                names.entry(inode).or_default().push(path);
            }
        }
        HardLinks(names)
    }

    /// A number that no file of the tree has, nor any above it.
    pub fn free_inode(&self) -> u32 {
        self.entries.values().filter_map(|entry| entry.inode).max().map_or(1, |inode| inode + 1)
    }

    /// Makes the numbers of files canonical: from 1 in the order of first names, and only if there are several names.
    /// Names whose attributes have become different are no longer one file.
    pub fn settle_links(&mut self) {
        let mut groups: BTreeMap<u32, Vec<(Entry, Vec<TreePath>)>> = BTreeMap::new();
        for (path, entry) in &mut self.entries {
            let Some(inode) = entry.inode.take() else { continue };
            if !matches!(entry.node, Node::File { .. }) {
                continue;
            }
            let files = groups.entry(inode).or_default();
            match files.iter_mut().find(|(file, _)| file == entry) {
                Some((_, names)) => names.push(path.clone()),
                None => files.push((entry.clone(), vec![path.clone()])),
            }
        }
        let mut files: Vec<Vec<TreePath>> =
            groups.into_values().flatten().map(|(_, names)| names).filter(|names| names.len() > 1).collect();
        files.sort();
        for (names, inode) in files.iter().zip(1..) {
            for name in names {
                if let Some(entry) = self.entries.get_mut(name) {
                    entry.inode = Some(inode);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn file(inode: u32, mode: u32) -> Entry {
        Entry { inode: Some(inode), ..Entry::file(Digest::of("x"), 1, mode) }
    }

    fn path(text: &str) -> TreePath {
        TreePath::new(text).unwrap()
    }

    #[test]
    fn numbers_are_canonical_and_a_group_that_is_cut_apart_stays_right() {
        let mut tree = Tree::new();
        for (name, inode, mode) in
            [("a", 9, 0o644), ("b", 5, 0o644), ("c", 9, 0o644), ("d", 5, 0o600), ("e", 5, 0o644), ("f", 7, 0o644)]
        {
            tree.insert(path(name), file(inode, mode));
        }
        tree.insert(path("link"), Entry { inode: Some(9), ..Entry::symlink("a") });
        tree.settle_links();
        let inodes: Vec<_> = tree.entries.values().map(|entry| entry.inode).collect();
        assert_eq!(inodes, [Some(1), Some(2), Some(1), None, Some(2), None, None]);
        let links = tree.hard_links();
        assert_eq!(links.names(tree.get(&path("e")).unwrap()), [&path("b"), &path("e")]);
        assert_eq!(links.earlier(&path("e"), tree.get(&path("e")).unwrap()), Some(&path("b")));
        assert_eq!(links.earlier(&path("b"), tree.get(&path("b")).unwrap()), None);
        assert_eq!(tree.free_inode(), 3);
        let settled = tree.clone();
        tree.settle_links();
        assert_eq!(tree, settled);
    }

    #[test]
    fn a_tree_with_links_has_an_encoding_of_its_own() {
        let mut tree = Tree::new();
        tree.insert(path("a"), Entry::file(Digest::of("x"), 1, 0o644));
        let encoded = |tree: &Tree| {
            let mut bytes = Vec::new();
            tree.encode(&mut bytes).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        assert!(encoded(&tree).starts_with("dbco tree 1\n"), "readable for those before");
        for name in ["b", "c"] {
            tree.insert(path(name), file(1, 0o644));
        }
        assert!(encoded(&tree).starts_with("dbco tree 2\n"));
        assert_eq!(Tree::decode(encoded(&tree).as_bytes()).unwrap(), tree);
    }
}
