use super::{Check, Subject};
use crate::recipe::boot::BootMode;
use crate::recipe::decode::Sink;

pub const CHECK: Check = Check {
    id: "boot-entries",
    rule: "The boot menu has entries, each with an id of its own; mode `disk` names its `root` device.",
    run,
};

fn run(subject: &Subject<'_>, sink: &Sink) {
    let entries = &subject.image.boot.entries;
    if entries.is_empty() {
        sink.borrow_mut().add(CHECK.id, subject.image.span, "the boot menu has no entries");
    }
    for (index, entry) in entries.iter().enumerate() {
        if entries[..index].iter().any(|before| before.id.value == entry.id.value) {
            let message = format!("two entries of the boot menu have the id `{}`", entry.id.value);
            sink.borrow_mut().add(CHECK.id, entry.id.span, message);
        }
        if entry.mode == BootMode::Disk && entry.root.is_none() {
            let message = format!("entry `{}` boots from a disk but names no `root`", entry.id.value);
            sink.borrow_mut().add(CHECK.id, entry.id.span, message).help("root: /dev/vda1");
        }
        if entry.mode == BootMode::Live && (entry.root.is_some() || entry.system.is_some()) {
            let message = format!("entry `{}` is live: `root` and `system` go with mode `disk`", entry.id.value);
            sink.borrow_mut().add(CHECK.id, entry.id.span, message);
        }
    }
}
