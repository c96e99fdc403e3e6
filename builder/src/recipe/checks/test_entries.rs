use super::{Check, Subject};
use crate::recipe::boot::{BootMode, Firmware, Medium};
use crate::recipe::decode::Sink;
use crate::recipe::image::OutputKind;
use crate::recipe::text::suggestion;

pub const CHECK: Check = Check {
    id: "test-entries",
    rule: "A boot test names an entry of the menu, and a firmware, a medium and outputs that go together.",
    run,
};

fn run(subject: &Subject<'_>, sink: &Sink) {
    let image = subject.image;
    for test in &image.tests {
        let mut findings = sink.borrow_mut();
        let Some(entry) = image.entry(&test.entry) else {
            let ids = || image.boot.entries.iter().map(|entry| entry.id.value.as_str());
            let message = format!("the boot menu has no entry `{}`", test.entry.value);
            let finding = findings.add(CHECK.id, test.entry.span, message);
            match suggestion(&test.entry, ids()) {
                Some(near) => finding.label(format!("did you mean `{near}`?")),
                None => finding.help(format!("there are: {}", ids().collect::<Vec<_>>().join(", "))),
            };
            continue;
        };
        let iso = matches!(test.medium, Medium::Cd | Medium::Usb);
        if iso != (test.firmware != Firmware::None) {
            let message = "media `cd` and `usb` need firmware `bios` or `uefi`; `kernel` and `disk` need `none`";
            findings.add(CHECK.id, test.name.span, message);
        }
        if (test.medium == Medium::Disk) != (entry.mode == BootMode::Disk) {
            let message = "medium `disk` goes with an entry of mode `disk`, the others with `live`";
            findings.add(CHECK.id, test.name.span, message);
        }
        if iso && !image.outputs.iter().any(|output| output.value == OutputKind::Iso) {
            let message = format!("test `{}` boots the ISO, which `outputs` does not ask for", test.name.value);
            findings.add(CHECK.id, test.name.span, message);
        }
        if test.login.is_none() && !test.run.is_empty() {
            let message = format!("test `{}` has commands to run but no `login`", test.name.value);
            findings.add(CHECK.id, test.name.span, message);
        }
    }
}
