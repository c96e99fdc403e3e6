//! Resolving a path in a tree, following links.

use super::{Entry, Node, Tree, TreePath};

/// As many links as the kernel follows in one path (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

impl Tree {
    /// The entry that a path leads to for a program in that root: every link is followed, including the last. `None` if
    /// the path, or a link on the way, leads to nothing.
    pub fn find(&self, path: &TreePath) -> Option<&Entry> {
        let mut at = TreePath::ROOT;
        let mut rest: Vec<String> = path.as_str().split('/').rev().map(str::to_owned).collect();
        let mut links = 0;
        while let Some(part) = rest.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    at = at.parent().unwrap_or(TreePath::ROOT);
                    continue;
                }
                _ => {}
            }
            let next = at.join(&TreePath::new(&part).ok()?);
            match &self.get(&next)?.node {
                Node::Symlink { target } => {
                    links += 1;
                    if links > MOST_LINKS {
                        return None;
                    }
                    if target.starts_with('/') {
                        at = TreePath::ROOT;
                    }
                    rest.extend(target.split('/').rev().map(str::to_owned));
                }
                Node::Dir => at = next,
                _ if rest.iter().all(|part| part.is_empty()) => return self.get(&next),
                _ => return None,
            }
        }
        self.get(&at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn links_are_followed_as_in_that_root() {
        let mut tree = Tree::new();
        let mut add = |path: &str, entry: Entry| tree.insert(TreePath::new(path).unwrap(), entry);
        add("usr/bin/busybox", Entry::file(Digest::of("x"), 1, 0o755));
        for (path, target) in [
            ("bin", "usr/bin"),
            ("usr/bin/sh", "busybox"),
            ("init", "/bin/sh"),
            ("up", "../../usr/bin/./sh"),
            ("loop", "loop"),
            ("out", "/proc/1/exe"),
            ("usr/bin/env", "../../bin/busybox"),
        ] {
            add(path, Entry::symlink(target));
        }
        tree.complete();
        let file = |path: &str| {
            tree.find(&TreePath::new(path).unwrap()).is_some_and(|entry| entry.mode == 0o755 && !entry.is_dir())
        };
        for path in ["bin/sh", "init", "up", "usr/bin/busybox", "bin/env"] {
            assert!(file(path), "{path}");
        }
        for path in ["loop", "out", "bin/bash", "init/x", "bin/sh/x"] {
            assert!(!file(path), "{path}");
        }
        assert!(tree.find(&TreePath::new("bin").unwrap()).unwrap().is_dir());
    }
}
