//! Layers merged over a root with merged /usr.

use super::Layer;
use crate::tree::usrmerge::{FOLDERS, is_link, is_within, resolve};
use crate::tree::{Node, Tree, TreePath};

/// The top folders that a layer has as links into `/usr`.
pub fn usr_links(layers: &[Layer]) -> Vec<&'static str> {
    FOLDERS.into_iter().filter(|name| layers.iter().any(|layer| has_link(&layer.tree, name))).collect()
}

/// Moves files of layers below a top folder to the target of another layer's link, as dpkg and cp(1) do, which write
/// through the link. A file that would collide with another one of its own layer stays, and is a conflict with the
/// link.
pub fn follow_usr_links(layers: &mut [Layer]) {
    let links = usr_links(layers);
    if links.is_empty() {
        return;
    }
    for layer in layers {
        let tree = &mut layer.tree;
        let moved = |path: &&TreePath| is_within(path.as_str().as_bytes(), &links);
        let from: Vec<TreePath> = tree.entries.keys().filter(moved).cloned().collect();
        for path in from {
            let to = resolve(&path, &links);
            let Some(entry) = tree.get(&path).filter(|entry| path.as_str() != path.top() || entry.is_dir()) else {
                continue;
            };
            match tree.get(&to) {
                Some(there) if !(there.same(entry) || there.is_dir() && entry.is_dir()) => continue,
                Some(_) => drop(tree.entries.remove(&path)),
                None => {
                    if let Some(entry) = tree.entries.remove(&path) {
                        tree.insert(to, entry);
                    }
                }
            }
        }
    }
}

fn has_link(tree: &Tree, name: &str) -> bool {
    let entry = TreePath::new(name).ok().and_then(|path| tree.get(&path).cloned());
    let Some(Node::Symlink { target }) = entry.map(|entry| entry.node) else { return false };
    is_link(name.as_bytes(), target.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::rootfs::merge;
    use crate::tree::Entry;

    fn layer(origin: &str, entries: &[(&str, Entry)]) -> Layer {
        let mut tree = Tree::new();
        for (path, entry) in entries {
            tree.insert(TreePath::new(path).unwrap(), entry.clone());
        }
        tree.complete();
        Layer::new(origin, tree)
    }

    fn file(text: &str) -> Entry {
        Entry::file(Digest::of(text), text.len() as u64, 0o644)
    }

    #[test]
    fn what_lies_below_a_link_into_usr_goes_there() {
        for target in ["usr/lib", "/usr/lib", "usr/lib/"] {
            let base = layer("base-files", &[("lib", Entry::symlink(target)), ("usr/lib/os-release", file("os"))]);
            let modules = layer("modules", &[("lib/modules/6.12/a.ko", file("a")), ("bin/sh", file("sh"))]);
            for layers in [vec![base.clone(), modules.clone()], vec![modules.clone(), base.clone()]] {
                let tree = merge(layers, &[]).unwrap().tree;
                let paths: Vec<_> = tree.entries.keys().map(TreePath::as_str).collect();
                let below = ["usr", "usr/lib", "usr/lib/modules", "usr/lib/modules/6.12", "usr/lib/modules/6.12/a.ko"];
                assert_eq!(paths[..4], ["", "bin", "bin/sh", "lib"], "/bin is no link here");
                assert_eq!(paths[4..9], below);
                assert_eq!(paths[9..], ["usr/lib/os-release"]);
            }
        }
    }

    #[test]
    fn nothing_is_overwritten_on_the_way() {
        let base = layer("base-files", &[("lib", Entry::symlink("usr/lib"))]);
        let same = layer("same", &[("lib/a", file("a")), ("usr/lib/a", file("a"))]);
        assert!(merge(vec![base.clone(), same], &[]).is_ok());
        let own = layer("own", &[("lib/a", file("a")), ("usr/lib/a", file("b"))]);
        assert!(!merge(vec![base.clone(), own], &[]).unwrap_err().is_empty());
        let (one, two) = (layer("one", &[("lib/a", file("a"))]), layer("two", &[("usr/lib/a", file("b"))]));
        let conflicts = merge(vec![base.clone(), one, two], &[]).unwrap_err();
        assert_eq!(conflicts[0].to_string(), "/usr/lib/a comes from one and from two: the contents differ");
        // A link with another target is not a merged folder.
        let other = layer("other", &[("lib", Entry::symlink("opt/lib"))]);
        assert!(merge(vec![other, layer("one", &[("lib/a", file("a"))])], &[]).is_err());
    }
}
