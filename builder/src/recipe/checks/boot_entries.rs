use super::{Check, CheckInput};
use crate::image::serial::Serial;
use crate::recipe::boot::BootMode;
use crate::recipe::decode::FindingSink;

pub const CHECK: Check = Check {
    id: "boot-entries",
    rule: "The boot menu has entries with unique ids; each has the keys that its mode needs and no others.",
    run,
};

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    let entries = &subject.image.boot.entries;
    if entries.is_empty() {
        sink.borrow_mut().add(CHECK.id, subject.image.span, "the boot menu has no entries");
    }
    for (index, entry) in entries.iter().enumerate() {
        if entries[..index].iter().any(|before| before.id.value == entry.id.value) {
            let message = format!("two entries of the boot menu have the id `{}`", entry.id.value);
            sink.borrow_mut().add(CHECK.id, entry.id.span, message);
        }
        if let Err(why) = Serial::of(&subject.image.boot.parameters(entry), subject.image.platform) {
            let message = format!("entry `{}`: {why}", entry.id.value);
            sink.borrow_mut().add(CHECK.id, entry.id.span, message);
        }
        if entry.mode == BootMode::Disk && entry.root.is_none() {
            let message = format!("entry `{}` boots from a disk but names no `root`", entry.id.value);
            sink.borrow_mut().add(CHECK.id, entry.id.span, message).help("root: /dev/vda1");
        }
        if entry.mode != BootMode::Disk && entry.root.is_some() {
            let message = format!("entry `{}` has an initrd: `root` is only valid with mode `disk`", entry.id.value);
            sink.borrow_mut().add(CHECK.id, entry.id.span, message);
        }
        if entry.mode == BootMode::Live && entry.system.is_some() {
            let message = format!("entry `{}` is live: `system` is only valid with the other modes", entry.id.value);
            sink.borrow_mut().add(CHECK.id, entry.id.span, message);
        }
        if entry.mode.enters_system() && entry.system.is_none() {
            let message = format!("entry `{}` enters a system but does not name it", entry.id.value);
            sink.borrow_mut().add(CHECK.id, entry.id.span, message).help("system: /system0");
        }
        if entry.mode == BootMode::Disk && (entry.disk.is_some() || entry.waitusb.is_some()) {
            let message = format!("entry `{}` has no initrd, which would look for `disk`: use `root`", entry.id.value);
            sink.borrow_mut().add(CHECK.id, entry.id.span, message);
        }
        let known = |disk: &str| {
            ["LABEL=", "UUID="].iter().any(|kind| disk.strip_prefix(kind).is_some_and(|name| !name.is_empty()))
                || disk.strip_prefix("/dev/").is_some_and(|name| !name.is_empty())
        };
        if let Some(disk) = entry.disk.as_ref().filter(|disk| !known(disk) || disk.contains(char::is_whitespace)) {
            let message = format!("`{}` is not a disk", disk.value);
            sink.borrow_mut().add(CHECK.id, disk.span, message).help("LABEL=…, UUID=… or a device: /dev/vda1");
        }
    }
}
