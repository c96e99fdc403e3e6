use super::{Check, CheckInput};
use crate::recipe::decode::FindingSink;
use crate::tree::TreePath;

pub const CHECK: Check = Check {
    id: "diversions",
    rule: "Diversions apply to packages, from one absolute path to another; each path is diverted once.",
    run,
};

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    for rootfs in subject.contents() {
        for (index, diversion) in rootfs.diversions.iter().enumerate() {
            let from = &diversion.from;
            let add = |message: String| {
                sink.borrow_mut().add(CHECK.id, from.span, message);
            };
            for path in [&from.value, &diversion.to] {
                if !path.starts_with('/') || TreePath::new(path).map_or(true, |path| path.is_root()) {
                    add(format!(
                        "`{path}` can't be diverted or be the target of a diversion; expected an absolute path without `..`"
                    ));
                }
            }
            let path = TreePath::new(from).ok();
            if path == TreePath::new(&diversion.to).ok() {
                add(format!("`{}` is diverted to itself", from.value));
            }
            if rootfs.diversions[..index].iter().any(|other| TreePath::new(&other.from).ok() == path) {
                add(format!("`{}` is diverted twice", from.value));
            }
            if rootfs.packages.is_none() {
                add("`diversions` apply to packages, and there are no `packages`".to_owned());
            }
        }
    }
}
