use super::{Check, CheckInput};
use crate::recipe::OutputKind;
use crate::recipe::decode::FindingSink;
use crate::recipe::image::Kernel;

pub const CHECK: Check = Check {
    id: "kernel-image",
    rule: "A kernel that is built from source lists its image under `files`, by its architecture's name for it (`bzImage`), where an output is or contains it.",
    run,
};

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    let Kernel::Component { component, .. } = &subject.image.kernel else { return };
    let Some(described) = subject.components.get(&component.value) else { return };
    let names = &subject.image.platform.names().kernel;
    let needs = |output: &OutputKind| matches!(output, OutputKind::BzImage | OutputKind::Iso);
    let output = subject.image.outputs.iter().map(|output| output.value).find(needs);
    if let Some(output) = output.filter(|_| !described.files.contains_key(names.image)) {
        let message = format!(
            "component `{}` has no file `{}` under `files`, which output `{}` needs",
            component.value,
            names.image,
            output.word()
        );
        sink.borrow_mut()
            .add(CHECK.id, component.span, message)
            .help(format!("files: {{{}: {}}}", names.image, names.image_path));
    }
}
