use super::{Check, CheckInput};
use crate::platform::{Gap, Platform};
use crate::recipe::OutputKind;
use crate::recipe::decode::FindingSink;
use crate::recipe::image::{Image, Kernel};

pub const CHECK: Check = Check {
    id: "platform",
    rule: "What the recipe asks for can be made for its `arch`; each feature that dbco does not support for it yet is reported.",
    run,
};

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    let image = subject.image;
    let span = image.arch.unwrap_or(image.span);
    for gap in image.platform.gaps() {
        if let Some(needs) = needs(*gap, subject) {
            let message =
                format!("`{}` lacks {}, and {needs}", image.platform.names().arch, describe_gap(*gap, image.platform));
            sink.borrow_mut().add(CHECK.id, span, message);
        }
    }
}

/// The missing features of dbco.
fn describe_gap(gap: Gap, platform: Platform) -> String {
    let names = platform.names();
    match gap {
        Gap::Compile => {
            format!("toolchains whose compiler is {}-gcc on {}", names.compiler, Platform::BUILD.names().arch)
        }
        Gap::Kernel => format!("support for `{}` in kernel packages", names.kernel.image),
        Gap::Media => {
            format!("media that its firmware can boot (GRUB `{}` as {})", names.grub.efi, names.grub.efi_program)
        }
        Gap::Machines => format!("machines for boot tests ({} -machine {})", names.qemu.program, names.qemu.machine),
    }
}

/// The part of the recipe that needs it, as the end of a sentence.
fn needs(gap: Gap, subject: &CheckInput<'_>) -> Option<String> {
    let image: &Image = subject.image;
    match gap {
        Gap::Compile => {
            let names: Vec<&str> = subject.components.keys().map(String::as_str).collect();
            (!names.is_empty()).then(|| format!("the recipe has components: {}", names.join(", ")))
        }
        Gap::Kernel => matches!(image.kernel, Kernel::Package { .. }).then(|| "its kernel is a package".to_owned()),
        Gap::Media => {
            let kinds = [OutputKind::Iso, OutputKind::GrubCfg].into_iter().filter(|kind| image.gives(*kind));
            let words: Vec<&str> = kinds.map(OutputKind::word).collect();
            (!words.is_empty()).then(|| format!("`outputs` has {}", words.join(" and ")))
        }
        Gap::Machines => {
            let names: Vec<&str> = image.tests.iter().map(|test| &*test.name.value).collect();
            (!names.is_empty()).then(|| format!("the recipe has boot tests: {}", names.join(", ")))
        }
    }
}
