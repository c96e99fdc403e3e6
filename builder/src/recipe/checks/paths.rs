use super::{Check, CheckInput};
use crate::recipe::decode::{At, FindingSink};
use crate::recipe::rootfs::{Layout, Rootfs};
use crate::tree::TreePath;

pub const CHECK: Check =
    Check { id: "paths", rule: "Paths in the image are absolute, contain no `..`, and keep to the layout.", run };

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    for rootfs in subject.contents() {
        check_rootfs(rootfs, sink);
    }
}

fn check_rootfs(rootfs: &Rootfs, sink: &FindingSink) {
    // Patterns have their own check.
    let paths = rootfs.attributes.iter().filter(|stated| !stated.path.contains(['*', '?', '[']));
    let stated = paths.chain(&rootfs.dirs).map(|stated| &stated.path);
    let nodes = rootfs.nodes.iter().map(|node| &node.path);
    let links = rootfs.links.iter().map(|(path, _)| path);
    for path in stated.chain(nodes).chain(links) {
        check(path, rootfs.layout, sink);
    }
    for (path, target) in &rootfs.links {
        if target.is_empty() || target.contains(char::is_control) {
            let message = format!("the link `{}` has an invalid target: {target:?}", path.value);
            sink.borrow_mut().add(CHECK.id, path.span, message).label("expected the path that it points to");
        }
    }
}

fn check(path: &At<String>, layout: Layout, sink: &FindingSink) {
    let mut findings = sink.borrow_mut();
    if !path.starts_with('/') {
        let message = format!("`{}` is not absolute", path.value);
        findings.add(CHECK.id, path.span, message).label("a path in the image begins with `/`");
        return;
    }
    match TreePath::new(path) {
        Err(error) => {
            findings.add(CHECK.id, path.span, error.to_string());
        }
        Ok(inside) => {
            if layout.top().is_some_and(|top| !top.contains(&inside.top())) {
                let top = layout.top().unwrap_or_default().join(", /");
                let message = format!("`{}` is outside of layout `{}`", path.value, layout.name());
                findings.add(CHECK.id, path.span, message).help(format!("allowed at the top: /{top}"));
            }
        }
    }
}
