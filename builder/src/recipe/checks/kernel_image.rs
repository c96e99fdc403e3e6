use super::{Check, Subject};
use crate::recipe::OutputKind;
use crate::recipe::decode::Sink;
use crate::recipe::image::Kernel;

pub const CHECK: Check = Check {
    id: "kernel-image",
    rule: "A kernel that is built from source names its image as a file, by the name that its architecture has for it (`bzImage`), where an output is or holds it.",
    run,
};

fn run(subject: &Subject<'_>, sink: &Sink) {
    let Kernel::Component { component, .. } = &subject.image.kernel else { return };
    let Some(described) = subject.components.get(&component.value) else { return };
    let names = &subject.image.platform.names().kernel;
    let needs = |output: &OutputKind| matches!(output, OutputKind::BzImage | OutputKind::Iso);
    let output = subject.image.outputs.iter().map(|output| output.value).find(needs);
    if let Some(output) = output.filter(|_| !described.files.contains_key(names.image)) {
        let message = format!(
            "component `{}` names no file `{}`, which output `{}` needs",
            component.value,
            names.image,
            output.word()
        );
        sink.borrow_mut()
            .add(CHECK.id, component.span, message)
            .help(format!("files: {{{}: {}}}", names.image, names.image_path));
    }
}
