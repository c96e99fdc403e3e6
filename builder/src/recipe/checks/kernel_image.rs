use super::{Check, Subject};
use crate::recipe::OutputKind;
use crate::recipe::decode::Sink;
use crate::recipe::image::Kernel;

pub const CHECK: Check = Check {
    id: "kernel-image",
    rule: "A kernel that is built from source names its image as the file `bzImage`, where an output is or holds it.",
    run,
};

fn run(subject: &Subject<'_>, sink: &Sink) {
    let Kernel::Component { component, .. } = &subject.image.kernel else { return };
    let Some(described) = subject.components.get(&component.value) else { return };
    let needs = |output: &OutputKind| matches!(output, OutputKind::BzImage | OutputKind::Iso);
    let output = subject.image.outputs.iter().map(|output| output.value).find(needs);
    if let Some(output) = output.filter(|_| !described.files.contains_key("bzImage")) {
        let message =
            format!("component `{}` names no file `bzImage`, which output `{}` needs", component.value, output.word());
        sink.borrow_mut().add(CHECK.id, component.span, message).help("files: {bzImage: arch/x86/boot/bzImage}");
    }
}
