//! The keys of the boot menu.

use super::scalars::NAME_FORM;
use crate::yaml::keys::{Form, Key, Keys, Word};

/// An entry of the boot menu.
pub static BOOT_ENTRY: Keys = Keys {
    id: "boot-entry",
    what: "an entry of the boot menu",
    about: "An entry of the boot menu.",
    example: "{id: live, title: Live, mode: live}",
    keys: &[&[
        Key::required("id", NAME_FORM, "Its identifier in tests and in GRUB's `default`.", "live"),
        Key::required("title", Form::TEXT, "Its title in the menu.", "Live system"),
        Key::required(
            "mode",
            Form::Words(&[
                Word::new("live", "kernel and initrd; the live system stays in memory"),
                Word::new("chroot", "the same, and a system on the disk gets the console, inside the live system"),
                Word::new("switch", "kernel and initrd; a system on the disk replaces the live system"),
                Word::new("disk", "no initrd: the kernel mounts `root` and enters `system`"),
            ]),
            "How it finds its root filesystem.",
            "live",
        ),
        Key::optional("root", Form::TEXT, "The device of the root, for the mode `disk`.", "/dev/vda"),
        Key::optional("system", Form::TEXT, "The folder on the disk that becomes the root.", "/system0"),
        Key::optional("disk", Form::TEXT, "The systems' disk: `LABEL=…`, `UUID=…` or a device.", "LABEL=dbcolinux")
            .depends("the early init's: `LABEL=dbcolinux`"),
        Key::optional("waitusb", Form::NUMBER, "Seconds that the early init waits for that disk.", "10")
            .depends("the early init's"),
        Key::optional("cmdline", Form::TEXT, "Kernel parameters in addition to those of the menu.", "quiet loglevel=3"),
    ]],
    rules: &[],
};

/// The boot menu.
pub static BOOT: Keys = Keys {
    id: "boot",
    what: "`boot`",
    about: "The boot menu, of GRUB. The first entry is the default.",
    example: "{entries: [{id: live, title: Live, mode: live}]}",
    keys: &[&[
        Key::optional("timeout", Form::NUMBER, "Seconds until the default entry starts; 0 hides the menu.", "5")
            .default("3"),
        Key::optional("cmdline", Form::TEXT, "Kernel parameters of every entry.", "console=tty0 console=ttyS0,115200"),
        Key::required(
            "entries",
            Form::List(&Form::Mapping(&BOOT_ENTRY)),
            "The entries; the first is the default.",
            "[{id: live, title: Live system, mode: live}]",
        ),
    ]],
    rules: &[],
};
