use super::{Check, CheckInput};
use crate::recipe::decode::FindingSink;

pub const CHECK: Check = Check {
    id: "layouts",
    rule: "A component that is built for certain layouts is used in a root with one of them.",
    run,
};

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    for rootfs in subject.contents() {
        for name in &rootfs.components {
            let Some(component) = subject.components.get(&name.value) else { continue };
            if component.layouts.is_empty() || component.layouts.contains(&rootfs.layout) {
                continue;
            }
            let layouts: Vec<String> = component.layouts.iter().map(|layout| format!("`{}`", layout.name())).collect();
            let (layout, layouts) = (rootfs.layout.name(), layouts.join(" or "));
            let message = format!(
                "component `{}` is built for layout {layouts}, this root has `{layout}`: the files that it opens by fixed paths \
                 would be missing",
                name.value
            );
            let help = format!(
                "leave it out (a list under `components` replaces the extended recipe's), use layout {layouts}, or build it for \
                 the paths of `{layout}` in a component of your own"
            );
            sink.borrow_mut().add(CHECK.id, name.span, message).help(help);
        }
    }
}
