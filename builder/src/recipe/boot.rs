//! The boot menu and the boot tests as a recipe states them.

use super::decode::{At, Decode, Sink, Table, word};
use super::image::required;
use super::node::{Node, Value};

/// The boot menu.
#[derive(Clone, Debug)]
pub struct Boot {
    /// Seconds until the first entry starts by itself.
    pub timeout: u32,
    /// Parameters of every entry.
    pub cmdline: String,
    /// The menu, the first being the default.
    pub entries: Vec<Entry>,
}

/// How an entry finds its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootMode {
    /// Kernel and initrd; the live system stays in memory.
    Live,
    /// No initrd: the kernel mounts `root=` and enters `system=`.
    Disk,
}

/// One entry of the boot menu.
#[derive(Clone, Debug)]
pub struct Entry {
    /// How tests and GRUB's `default` name it.
    pub id: At<String>,
    /// What the menu shows.
    pub title: String,
    /// How it finds its root.
    pub mode: BootMode,
    /// The device of the root: `/dev/vda`.
    pub root: Option<String>,
    /// The folder that becomes the root: `/system0`.
    pub system: Option<String>,
    /// Further parameters.
    pub cmdline: String,
}

impl Boot {
    /// All parameters that an entry hands to the kernel.
    pub fn parameters(&self, entry: &Entry) -> String {
        let root = entry.root.as_ref().map(|root| format!("root={root}"));
        let system = entry.system.as_ref().map(|system| format!("system={system}"));
        let parts = [Some(self.cmdline.clone()), root, system, Some(entry.cmdline.clone())];
        parts.into_iter().flatten().filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// What starts the machine of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    /// SeaBIOS.
    Bios,
    /// OVMF.
    Uefi,
    /// QEMU loads the kernel itself.
    None,
}

/// What the machine of a test starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// The ISO as a CD.
    Cd,
    /// The ISO as a USB disk.
    Usb,
    /// Kernel and initrd, handed over by QEMU.
    Kernel,
    /// The kernel alone, with the system on an ext4 disk.
    Disk,
}

/// A boot test.
#[derive(Clone, Debug)]
pub struct Test {
    /// Its name in the table.
    pub name: At<String>,
    /// The boot menu's entry.
    pub entry: At<String>,
    /// What starts the machine.
    pub firmware: Firmware,
    /// What it starts from.
    pub medium: Medium,
    /// MiB.
    pub memory: u32,
    /// Seconds for the whole test under TCG.
    pub timeout: u32,
    /// What has to appear on the serial console.
    pub expect: String,
    /// Who logs in to run commands.
    pub login: Option<Login>,
    /// Commands to run after the login.
    pub run: Vec<Command>,
}

/// Who logs in.
#[derive(Clone, Debug)]
pub struct Login {
    /// Name.
    pub user: String,
    /// Password, if one is asked for.
    pub password: Option<String>,
}

/// A command of a boot test.
#[derive(Clone, Debug)]
pub struct Command {
    /// As typed at the shell.
    pub command: String,
    /// What its output has to hold.
    pub expect: Option<String>,
    /// Its exit status.
    pub status: u32,
}

impl Decode for Boot {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        let table = Table::open(node, "`boot`", sink)?;
        let timeout = table.optional("timeout").unwrap_or(3);
        let cmdline = table.or_default("cmdline");
        let entries = table.required("entries");
        table.close();
        Some(Self { timeout, cmdline, entries: entries? })
    }
}

impl Decode for Entry {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        let table = Table::open(node, "an entry of the boot menu", sink)?;
        let (id, title) = (table.required("id"), table.required("title"));
        let modes = [("live", BootMode::Live), ("disk", BootMode::Disk)];
        let mode = required(&table, "mode", |node| word(node, &modes, sink));
        let (root, system) = (table.optional("root"), table.optional("system"));
        let cmdline = table.or_default("cmdline");
        table.close();
        Some(Self { id: id?, title: title?, mode: mode?, root, system, cmdline })
    }
}

impl Decode for Test {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        let table = Table::open(node, "a boot test", sink)?;
        let (name, entry) = (table.required("name"), table.required("entry"));
        let firmwares = [("bios", Firmware::Bios), ("uefi", Firmware::Uefi), ("none", Firmware::None)];
        let firmware = table.node("firmware").map(|node| word(node, &firmwares, sink));
        let media = [("cd", Medium::Cd), ("usb", Medium::Usb), ("kernel", Medium::Kernel), ("disk", Medium::Disk)];
        let medium = required(&table, "medium", |node| word(node, &media, sink));
        let memory = table.optional("memory").unwrap_or(256);
        let timeout = table.optional("timeout").unwrap_or(90);
        let expect = table.required("expect");
        let login = table.optional("login");
        let run = table.or_default("run");
        table.close();
        let firmware = firmware.unwrap_or(Some(Firmware::None))?;
        Some(Self {
            name: name?,
            entry: entry?,
            firmware,
            medium: medium?,
            memory,
            timeout,
            expect: expect?,
            login,
            run,
        })
    }
}

impl Decode for Login {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        let table = Table::open(node, "a login", sink)?;
        let (user, password) = (table.required("user"), table.optional("password"));
        table.close();
        Some(Self { user: user?, password })
    }
}

impl Decode for Command {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        if let Value::Text { text, .. } = &node.value {
            return Some(Self { command: text.clone(), expect: None, status: 0 });
        }
        let table = Table::open(node, "a command of a test", sink)?;
        let (command, expect) = (table.required("command"), table.optional("expect"));
        let status = table.or_default("status");
        table.close();
        Some(Self { command: command?, expect, status })
    }
}
