use super::{Check, CheckInput};
use crate::recipe::decode::FindingSink;
use crate::recipe::image::Kernel;

pub const CHECK: Check = Check {
    id: "kernel-config",
    rule: "The kernel's fragments need a component that Kconfig configures; without `kconfig` they would do nothing.",
    run,
};

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    let Kernel::Component { component, config, .. } = &subject.image.kernel else { return };
    let Some(described) = subject.components.get(&component.value) else { return };
    if let (Some(first), None) = (config.first(), &described.kconfig) {
        let message = format!("component `{}` has no `kconfig`, so no fragment can take effect", component.value);
        sink.borrow_mut().add(CHECK.id, first.span, message).help("kconfig: {base: tinyconfig}");
    }
}
