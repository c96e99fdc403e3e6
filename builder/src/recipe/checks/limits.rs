use super::{Check, CheckInput};
use crate::image::grub::kernel;
use crate::recipe::OutputKind;
use crate::recipe::decode::FindingSink;
use crate::recipe::test::Test;

pub const CHECK: Check = Check {
    id: "limits",
    rule: "Command lines and names fit their limits: the kernel's buffer, its tables of words, an ISO's volume name.",
    run,
};

/// `MAX_INIT_ENVS` and `MAX_INIT_ARGS` of init/main.c: with more words that no driver handles the kernel panics.
const UNKNOWN: usize = 32;

/// Characters of the volume name of ISO 9660 (8.4.6).
const VOLUME: usize = 32;

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    let image = subject.image;
    let mut findings = sink.borrow_mut();
    if let Some(label) = &image.iso_label {
        let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        if label.is_empty() || label.len() > VOLUME || !label.chars().all(plain) {
            let message = format!("`{}` can't be an ISO's volume name (ISO 9660)", label.value);
            let what = format!("1 to {VOLUME} of A–Z, 0–9 and `_`");
            findings.add(CHECK.id, label.span, message).label(what);
        }
    }
    let length = image.name.chars().count();
    if length > VOLUME && image.iso_label.is_none() && image.gives(OutputKind::Iso) {
        let message = format!(
            "the recipe's name becomes the ISO's volume name: it has {length} characters, the limit is {VOLUME}"
        );
        findings.add(CHECK.id, image.name.span, message).help("iso: {label: SHORTER}");
    }
    let names = &image.platform.names().kernel;
    let most = names.command_line - 1;
    for entry in &image.boot.entries {
        let further = image.tests.iter().flat_map(Test::machines).flat_map(|(_, _, boots)| boots);
        let further = further.filter(|boot| boot.entry.value == *entry.id.value).map(|boot| boot.cmdline.as_str());
        let longest = further.max_by_key(|cmdline| cmdline.len()).unwrap_or_default();
        // GRUB puts the kernel's name before the parameters of an entry (grub-core/loader/i386/linux.c).
        let grub = format!("BOOT_IMAGE={}", kernel(image.platform));
        let cmdline = format!("{grub} {} {longest}", image.boot.parameters(entry));
        let cmdline = cmdline.trim_end();
        if cmdline.len() > most {
            let message = format!(
                "the command line of entry `{}` has {} bytes; {} accepts {most}, including GRUB's `{grub}`",
                entry.id.value,
                cmdline.len(),
                names.source,
            );
            findings.add(CHECK.id, entry.id.span, message).label("the kernel would truncate it");
        }
        let unknown = cmdline.split_whitespace().filter(|word| is_unknown(word)).count();
        if unknown > UNKNOWN {
            let message = format!(
                "the command line of entry `{}` has {unknown} words that the kernel may not recognise; with more than {UNKNOWN} it panics",
                entry.id.value
            );
            findings
                .add(CHECK.id, entry.id.span, message)
                .help("words for programs can be put into a file of an overlay");
        }
    }
}

/// Words that the kernel or every shipped driver handles; those with a dot belong to a module and never reach init.
const KNOWN: [&str; 22] = [
    "acpi",
    "apparmor",
    "cgroup_enable",
    "console",
    "debug",
    "earlyprintk",
    "init",
    "initcall_debug",
    "ip",
    "loglevel",
    "mitigations",
    "net.ifnames",
    "nosmp",
    "panic",
    "quiet",
    "rdinit",
    "ro",
    "root",
    "rootflags",
    "rootfstype",
    "rootwait",
    "rw",
];

fn is_unknown(word: &str) -> bool {
    let name = word.split('=').next().unwrap_or(word);
    !name.contains('.') && !KNOWN.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_that_reach_init_are_counted() {
        let words = ["console=ttyS0", "quiet", "hd=LABEL=x", "virtio_net.napi_tx=1", "norestore"];
        assert_eq!(words.map(is_unknown), [false, false, true, false, true]);
    }
}
