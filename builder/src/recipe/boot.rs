//! The boot menu of a recipe.

use super::decode::{At, Decode, FindingSink, Table, required, word};
use super::keys;
use super::name::Name;
use super::node::YamlNode;
use super::text::Span;
use crate::image::serial::Serial;
use crate::platform::Platform;

/// The boot menu.
#[derive(Clone, Debug)]
pub struct BootMenu {
    /// Seconds until the default entry starts.
    pub timeout: u32,
    /// Kernel parameters of every entry.
    pub cmdline: String,
    /// Their location, if there are any.
    pub cmdline_span: Option<Span>,
    /// The entries; the first is the default.
    pub entries: Vec<BootEntry>,
}

/// How an entry finds its root filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootMode {
    /// Kernel and initrd; the live system stays in memory.
    Live,
    /// The same, and a system on the systems' disk gets the console, inside the live system.
    Chroot,
    /// Kernel and initrd; a system on the systems' disk replaces the live system.
    Switch,
    /// No initrd: the kernel mounts `root=` and enters `system=`.
    Disk,
}

impl BootMode {
    /// Whether GRUB loads the initrd.
    pub fn initrd(self) -> bool {
        self != Self::Disk
    }

    /// Whether it starts a system on the systems' disk through the live system.
    pub fn enters_system(self) -> bool {
        matches!(self, Self::Chroot | Self::Switch)
    }
}

/// One entry of the boot menu.
#[derive(Clone, Debug)]
pub struct BootEntry {
    /// Its identifier in tests and in GRUB's `default`.
    pub id: At<Name>,
    /// Its title in the menu.
    pub title: String,
    /// How it finds its root filesystem.
    pub mode: BootMode,
    /// The device of the root: `/dev/vda`.
    pub root: Option<String>,
    /// The folder that becomes the root: `/system0`.
    pub system: Option<String>,
    /// The systems' disk: `LABEL=…`, `UUID=…` or a device; the early init's default if not given.
    pub disk: Option<At<String>>,
    /// Seconds that the early init waits for that disk.
    pub waitusb: Option<u32>,
    /// Further kernel parameters.
    pub cmdline: String,
    /// Their location, if there are any.
    pub cmdline_span: Option<Span>,
}

impl BootMenu {
    /// The serial line of the boot menu: the console of the default entry. An invalid console is reported by a check.
    pub fn serial(&self, platform: Platform) -> Serial {
        let parameters = self.entries.first().map(|entry| self.parameters(entry)).unwrap_or_default();
        Serial::of(&parameters, platform).ok().flatten().unwrap_or_default()
    }

    /// The serial port of a machine's console: the menu's if it boots through the menu, otherwise the one in the
    /// kernel's parameters.
    pub fn port(&self, platform: Platform, parameters: &str, menu: bool) -> u8 {
        let menus = self.serial(platform).port;
        if menu { menus } else { Serial::of(parameters, platform).ok().flatten().map_or(menus, |serial| serial.port) }
    }

    /// All kernel parameters of an entry.
    pub fn parameters(&self, entry: &BootEntry) -> String {
        let mode = match entry.mode {
            BootMode::Live | BootMode::Disk => None,
            BootMode::Chroot => Some("mode=chroot".to_owned()),
            BootMode::Switch => Some("mode=switch".to_owned()),
        };
        let root = entry.root.as_ref().map(|root| format!("root={root}"));
        let system = entry.system.as_ref().map(|system| format!("system={system}"));
        let disk = entry.disk.as_ref().map(|disk| format!("hd={}", disk.value));
        let wait = entry.waitusb.map(|seconds| format!("waitusb={seconds}"));
        // The parameters that determine how it boots come first: they survive if the line is truncated.
        let parts = [mode, root, system, disk, wait, Some(self.cmdline.clone()), Some(entry.cmdline.clone())];
        parts.into_iter().flatten().filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join(" ")
    }
}

impl Decode for BootMenu {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let table = Table::open(node, &keys::BOOT, sink)?;
        let timeout = table.or("timeout", 3);
        let (cmdline, cmdline_span) = (table.or_default("cmdline"), table.value("cmdline"));
        let entries = table.required("entries");
        table.close();
        Some(Self { timeout, cmdline, cmdline_span, entries: entries? })
    }
}

impl Decode for BootEntry {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let table = Table::open(node, &keys::BOOT_ENTRY, sink)?;
        let (id, title) = (table.required("id"), table.required("title"));
        let modes = [
            ("live", BootMode::Live),
            ("chroot", BootMode::Chroot),
            ("switch", BootMode::Switch),
            ("disk", BootMode::Disk),
        ];
        let mode = required(&table, "mode", |node| word(node, &modes, sink));
        let (root, system) = (table.optional("root"), table.optional("system"));
        let (disk, waitusb) = (table.optional("disk"), table.optional("waitusb"));
        let (cmdline, cmdline_span) = (table.or_default("cmdline"), table.value("cmdline"));
        table.close();
        Some(Self { id: id?, title: title?, mode: mode?, root, system, disk, waitusb, cmdline, cmdline_span })
    }
}
