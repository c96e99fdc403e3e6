//! Links of an install tree that only work where it was built.

use crate::tree::{Node, Tree, TreePath};

/// Folders that only exist during a component's build.
const BUILD: [&str; 2] = ["build", "deps"];

/// The symbolic links of an install tree whose target can't exist where the tree is used, each as `path -> target`:
/// those that lead above the tree, such as a link that was copied from the toolchain, and those into the folders of the
/// build. A link to a missing target below the tree's top is not included: another component may provide the target.
pub(super) fn astray(tree: &Tree) -> Vec<String> {
    let links = tree.entries.iter().filter_map(|(path, entry)| match &entry.node {
        Node::Symlink { target } => Some((path, target)),
        _ => None,
    });
    links
        .filter(|(path, target)| leads_astray(path, target))
        .map(|(path, target)| format!("{path} -> {target}"))
        .collect()
}

fn leads_astray(path: &TreePath, target: &str) -> bool {
    if let Some(absolute) = target.strip_prefix('/') {
        let top = absolute.split('/').find(|part| !part.is_empty() && *part != ".");
        return top.is_some_and(|top| BUILD.contains(&top));
    }
    let mut depth = path.as_str().split('/').count() - 1;
    for part in target.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match part {
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Entry;

    #[test]
    fn links_that_work_only_in_the_build_are_found() {
        for (path, target, expected) in [
            ("include/asm/types.h", "../../../lib/linux/uapi/x86/asm/types.h", true),
            ("include/asm", "../../asm-generic", true),
            ("lib", "../lib", true),
            ("bin/cc", "x/../../../cc", true),
            ("system/lib/modules/6.1/build", "/build/src", true),
            ("lib/libc.a", "/deps/musl/lib/libc.a", true),
            ("lib/libc.a", "//deps/./musl", true),
            ("system/bin/sh", "busybox", false),
            ("system/sbin/init", "../bin/busybox", false),
            ("system/sbin/x", "../../usr/bin/x", false),
            ("system/etc/mtab", "/proc/mounts", false),
            ("system/x", "/system/buildings", false),
            ("a/b", "..", false),
        ] {
            let mut tree = Tree::new();
            tree.insert(TreePath::new(path).unwrap(), Entry::symlink(target));
            let found = astray(&tree);
            assert_eq!(!found.is_empty(), expected, "{path} -> {target}");
            assert!(found.iter().all(|link| *link == format!("/{path} -> {target}")), "{found:?}");
        }
    }
}
