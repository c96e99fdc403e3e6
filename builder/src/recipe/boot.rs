//! The boot menu as a recipe states it.

use super::decode::{At, Decode, Sink, Table, required, word};
use super::name::Name;
use super::node::YamlNode;
use crate::image::serial::Serial;
use crate::platform::Platform;

/// The boot menu.
#[derive(Clone, Debug)]
pub struct BootMenu {
    /// Seconds until the first entry starts by itself.
    pub timeout: u32,
    /// Parameters of every entry.
    pub cmdline: String,
    /// The menu, the first being the default.
    pub entries: Vec<BootEntry>,
}

/// How an entry finds its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootMode {
    /// Kernel and initrd; the live system stays in memory.
    Live,
    /// The same, and a system of the systems' disk gets the console, inside of the live one.
    Chroot,
    /// Kernel and initrd; a system of the systems' disk takes the live system's place.
    Switch,
    /// No initrd: the kernel mounts `root=` and enters `system=`.
    Disk,
}

impl BootMode {
    /// Whether GRUB loads the initrd.
    pub fn initrd(self) -> bool {
        self != Self::Disk
    }

    /// Whether it starts a system of the systems' disk by way of the live one.
    pub fn enters_system(self) -> bool {
        matches!(self, Self::Chroot | Self::Switch)
    }
}

/// One entry of the boot menu.
#[derive(Clone, Debug)]
pub struct BootEntry {
    /// How tests and GRUB's `default` name it.
    pub id: At<Name>,
    /// What the menu shows.
    pub title: String,
    /// How it finds its root.
    pub mode: BootMode,
    /// The device of the root: `/dev/vda`.
    pub root: Option<String>,
    /// The folder that becomes the root: `/system0`.
    pub system: Option<String>,
    /// The systems' disk: `LABEL=…`, `UUID=…` or a device; the early init's default where there is none.
    pub disk: Option<At<String>>,
    /// Seconds that the early init waits for that disk.
    pub waitusb: Option<u32>,
    /// Further parameters.
    pub cmdline: String,
}

impl BootMenu {
    /// The serial line of the boot menu: the default entry's console. A console that makes no sense is a finding of its
    /// own.
    pub fn serial(&self, platform: Platform) -> Serial {
        let parameters = self.entries.first().map(|entry| self.parameters(entry)).unwrap_or_default();
        Serial::of(&parameters, platform).ok().flatten().unwrap_or_default()
    }

    /// The serial port that the console of a machine is at: the menu's where it starts by that, else the one of the
    /// kernel's parameters.
    pub fn port(&self, platform: Platform, parameters: &str, menu: bool) -> u8 {
        let menus = self.serial(platform).port;
        if menu { menus } else { Serial::of(parameters, platform).ok().flatten().map_or(menus, |serial| serial.port) }
    }

    /// All parameters that an entry hands to the kernel.
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
        // What decides how it boots comes first: should anything cut the line off, it is not lost.
        let parts = [mode, root, system, disk, wait, Some(self.cmdline.clone()), Some(entry.cmdline.clone())];
        parts.into_iter().flatten().filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join(" ")
    }
}

impl Decode for BootMenu {
    fn decode(node: &YamlNode, sink: &Sink) -> Option<Self> {
        let table = Table::open(node, "`boot`", sink)?;
        let timeout = table.optional("timeout").unwrap_or(3);
        let cmdline = table.or_default("cmdline");
        let entries = table.required("entries");
        table.close();
        Some(Self { timeout, cmdline, entries: entries? })
    }
}

impl Decode for BootEntry {
    fn decode(node: &YamlNode, sink: &Sink) -> Option<Self> {
        let table = Table::open(node, "an entry of the boot menu", sink)?;
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
        let cmdline = table.or_default("cmdline");
        table.close();
        Some(Self { id: id?, title: title?, mode: mode?, root, system, disk, waitusb, cmdline })
    }
}
