//! The boot tests of a recipe.

use super::decode::{At, Decode, FindingSink, Mebibytes, Port, Positive, Size, Table, required, word};
use super::keys;
use super::name::Name;
use super::node::{YamlNode, YamlValue};
use super::text::Span;
use crate::boot::Bus;
use crate::boot::test::{Cuts, Login, TestStep, peer_name};

/// The firmware of a test's machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestFirmware {
    /// SeaBIOS.
    Bios,
    /// OVMF.
    Uefi,
    /// QEMU loads the kernel itself.
    None,
}

/// The boot medium of a test's machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestMedium {
    /// The ISO as a CD.
    Cd,
    /// The ISO as a USB disk.
    Usb,
    /// The first of the test's disks, after an installation.
    Hd,
    /// Kernel and initrd, loaded by QEMU.
    Kernel,
    /// The kernel alone, with the system on an ext4 disk.
    Disk,
}

/// A boot test: a machine with its disks, and its starts.
#[derive(Clone, Debug)]
pub struct Test {
    /// Its name in the table.
    pub name: At<Name>,
    /// Its machine.
    pub machine: TestMachine,
    /// Time limit in seconds for the whole test under TCG; with `cut`, for each start.
    pub timeout: u32,
    /// TCP ports of the machine that the test connects to.
    pub forward: Vec<At<u16>>,
    /// Each start of the machine, in order; never empty.
    pub boots: Vec<TestBoot>,
    /// A second machine.
    pub peer: Option<TestPeer>,
}

/// The machine of a test.
#[derive(Clone, Debug)]
pub struct TestMachine {
    /// Its firmware.
    pub firmware: TestFirmware,
    /// Its boot medium, unless a boot sets another.
    pub medium: TestMedium,
    /// Memory in MiB.
    pub memory: u32,
    /// Number of processors.
    pub cpus: u32,
    /// Whether the processors run in parallel under TCG, for measurements, instead of taking turns, which is reliable.
    pub parallel: bool,
    /// Disks that are created for the test and deleted after it.
    pub disks: Vec<TestDisk>,
}

/// The second machine of a test, such as a server or the destination of a migration: it boots the same outputs, is
/// started once, and runs its steps before the test's own machine is started. Both have a second network card, on a
/// link that connects nothing else. It has to run until the end of the test, unless its `end` is `itself`.
#[derive(Clone, Debug)]
pub struct TestPeer {
    /// The machine; what its table does not state is as in the test's, except for the disks.
    pub machine: TestMachine,
    /// Its start, which has no power cuts. Its end is that of the test.
    pub boot: TestBoot,
    /// Its location in the recipe.
    pub span: Span,
}

/// A disk of a test.
#[derive(Clone, Debug)]
pub struct TestDisk {
    /// Its bus.
    pub bus: Bus,
    /// Size in bytes; None if it depends on the content.
    pub size: Option<u64>,
    /// Label of its ext4 file system; a disk with neither label nor systems is blank.
    pub label: Option<String>,
    /// Folders that hold the recipe's root filesystem: `/system0`.
    pub systems: Vec<At<String>>,
    /// Whether it holds the recipe's template where vzctl looks for it on the systems' disk: `/vz/template/cache`.
    pub template: bool,
    /// Its location in the recipe.
    pub span: Span,
}

/// One start of a test's machine.
#[derive(Clone, Debug)]
pub struct TestBoot {
    /// The boot menu's entry.
    pub entry: At<String>,
    /// Its boot medium, if not that of the test.
    pub medium: Option<TestMedium>,
    /// Further kernel parameters, for media `kernel` and `disk`.
    pub cmdline: String,
    /// The text that has to appear on the serial console.
    pub expect: String,
    /// The login for its commands.
    pub login: Option<Login>,
    /// The steps after the login, in order.
    pub run: Vec<TestAction>,
    /// How it ends.
    pub end: TestEnd,
    /// The power cuts that it describes, if it is to be started repeatedly.
    pub cut: Option<Cut>,
}

/// Power cuts while a command runs, each followed by a start that checks the result.
#[derive(Clone, Debug)]
pub struct Cut {
    /// The command, the number of cuts, and the permitted outcomes.
    pub cuts: Cuts,
    /// The location of the number.
    pub times: Span,
    /// Its location.
    pub span: Span,
}

/// A step after the login.
#[derive(Clone, Debug)]
pub struct TestAction {
    /// The action, and its expected result.
    pub step: TestStep,
    /// Its location; for a connection, that of its port.
    pub span: Span,
}

/// How a boot ends, after all its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestEnd {
    /// The power is cut: QEMU is killed. What the machine has written to its disks is kept, flushed or not.
    Cut,
    /// `poweroff` is typed, and the machine has to exit.
    Poweroff,
    /// `reboot` is typed, and the machine has to exit.
    Reboot,
    /// The machine has to exit because of the test's steps.
    Itself,
}

impl Test {
    /// Its machines, each with the name of its log and disks, and its starts.
    pub fn machines(&self) -> impl Iterator<Item = (String, &TestMachine, &[TestBoot])> {
        let own = (self.name.to_string(), &self.machine, &*self.boots);
        let peer = self.peer.as_ref();
        let peer = peer.map(|peer| (peer_name(&self.name), &peer.machine, std::slice::from_ref(&peer.boot)));
        std::iter::once(own).chain(peer)
    }
}

impl TestDisk {
    /// Whether it has no file system.
    pub fn is_blank(&self) -> bool {
        self.label.is_none() && self.systems.is_empty() && !self.template
    }
}

impl Decode for Test {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let table = Table::open(node, &keys::TEST, sink)?;
        let name = table.required("name");
        let medium = required(&table, "medium", |node| decode_medium(node, sink));
        let machine = decode_machine(&table, medium, &SMALL);
        let timeout = table.or("timeout", 90);
        let forward = table.or_default::<Vec<At<Port>>>("forward");
        let forward = forward.into_iter().map(|port| At { value: port.value.0, span: port.span }).collect();
        let boots = match table.node("boots") {
            Some(_) => table.required("boots"),
            // A single boot is written in the test itself.
            None => decode_boot(&table, true).map(|boot| vec![boot]),
        };
        let peer = table.node("peer").map(|node| decode_peer(node, machine.as_ref().unwrap_or(&SMALL), sink));
        table.close();
        // An invalid peer has been reported already.
        let peer = peer.flatten();
        Some(Self { name: name?, machine: machine?, timeout, forward, boots: boots?, peer })
    }
}

/// The defaults of a test's machine.
const SMALL: TestMachine = TestMachine {
    firmware: TestFirmware::None,
    medium: TestMedium::Kernel,
    memory: 256,
    cpus: 1,
    parallel: false,
    disks: Vec::new(),
};

/// The keys of a machine; what they do not state is as in `base`.
fn decode_machine(table: &Table<'_>, medium: Option<TestMedium>, base: &TestMachine) -> Option<TestMachine> {
    let firmwares = [("bios", TestFirmware::Bios), ("uefi", TestFirmware::Uefi), ("none", TestFirmware::None)];
    let firmware = table.word_or("firmware", &firmwares, base.firmware);
    let memory = table.or("memory", Mebibytes(base.memory)).0;
    let cpus = table.optional::<Positive>("cpus");
    table.note_default("cpus", &base.cpus);
    let cpus = cpus.map_or(base.cpus, |cpus| u32::try_from(cpus.0).unwrap_or(u32::MAX));
    let parallel = base.parallel && cpus > 1;
    if parallel {
        table.note_default("parallel", &parallel);
    }
    let parallel = table.optional("parallel").unwrap_or(parallel);
    let disks = table.or_default("disks");
    Some(TestMachine { firmware: firmware?, medium: medium?, memory, cpus, parallel, disks })
}

fn decode_peer(node: &YamlNode, base: &TestMachine, sink: &FindingSink) -> Option<TestPeer> {
    let table = Table::open(node, &keys::PEER, sink)?;
    let medium = table.node("medium").map_or(Some(base.medium), |node| decode_medium(node, sink));
    let machine = decode_machine(&table, medium, base);
    let boot = decode_boot(&table, false);
    let span = table.span;
    table.close();
    Some(TestPeer { machine: machine?, boot: boot?, span })
}

fn decode_medium(node: &YamlNode, sink: &FindingSink) -> Option<TestMedium> {
    let media = [
        ("cd", TestMedium::Cd),
        ("usb", TestMedium::Usb),
        ("hd", TestMedium::Hd),
        ("kernel", TestMedium::Kernel),
        ("disk", TestMedium::Disk),
    ];
    word(node, &media, sink)
}

fn decode_boot(table: &Table<'_>, cuts: bool) -> Option<TestBoot> {
    let entry = table.required("entry");
    let cmdline = table.or_default("cmdline");
    let expect = table.required("expect");
    let login = table.optional("login");
    let run = table.or_default("run");
    let ends = [
        ("cut", TestEnd::Cut),
        ("poweroff", TestEnd::Poweroff),
        ("reboot", TestEnd::Reboot),
        ("itself", TestEnd::Itself),
    ];
    let end = table.word_or("end", &ends, TestEnd::Cut);
    let cut = if cuts { table.optional("cut") } else { None };
    Some(TestBoot { entry: entry?, medium: None, cmdline, expect: expect?, login, run, end: end?, cut })
}

impl Decode for Cut {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let table = Table::open(node, &keys::CUT, sink)?;
        let (during, times) = (table.required("during"), table.required::<At<u32>>("times"));
        let (outcome, words) = (table.required("outcome"), table.required("words"));
        let span = table.span;
        table.close();
        let times = times?;
        let cuts = Cuts { during: during?, times: times.value, outcome: outcome?, words: words? };
        Some(Self { cuts, times: times.span, span })
    }
}

impl Decode for TestBoot {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let table = Table::open(node, &keys::TEST_BOOT, sink)?;
        let medium = table.node("medium").map(|node| decode_medium(node, sink));
        let boot = decode_boot(&table, true);
        table.close();
        let boot = boot?;
        Some(Self { medium: medium.unwrap_or(None), ..boot })
    }
}

impl Decode for TestDisk {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let table = Table::open(node, &keys::DISK, sink)?;
        let buses = [
            ("virtio", Bus::Virtio),
            ("usb", Bus::Usb),
            ("scsi", Bus::Scsi),
            ("nvme", Bus::Nvme),
            ("sata", Bus::Sata),
            ("sd", Bus::Sd),
        ];
        let bus = table.word_or("bus", &buses, Bus::Virtio);
        let size = table.node("size").map(|node| Size::decode(node, sink));
        let (label, systems) = (table.optional("label"), table.or_default("systems"));
        let template = table.or_default("template");
        let span = table.span;
        table.close();
        let size = match size {
            Some(decoded) => Some(decoded?.0),
            None => None,
        };
        Some(Self { bus: bus?, size, label, systems, template, span })
    }
}

impl Decode for Login {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let table = Table::open(node, &keys::LOGIN, sink)?;
        let (user, password) = (table.required("user"), table.optional("password"));
        table.close();
        Some(Self { user: user?, password })
    }
}

impl Decode for TestAction {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        if let YamlValue::Text { text, .. } = &node.value {
            let step = TestStep::Command { command: text.clone(), expect: None, status: 0 };
            return Some(Self { step, span: node.span });
        }
        let mut span = node.span;
        let table = Table::open(node, &keys::STEP, sink)?;
        let step = if table.node("tcp").is_some() {
            let (port, send, expect) =
                (table.required::<At<Port>>("tcp"), table.or_default("send"), table.required("expect"));
            span = port.as_ref().map_or(span, |port| port.span);
            port.zip(expect).map(|(port, expect)| TestStep::Tcp { port: port.value.0, send, expect })
        } else if table.node("type").is_some() {
            let (keys, expect) = (table.required("type"), table.optional("expect"));
            keys.map(|keys| TestStep::Type { keys, expect })
        } else {
            let (command, expect) = (table.required("command"), table.optional("expect"));
            let status = table.or_default("status");
            command.map(|command| TestStep::Command { command, expect, status })
        };
        table.close();
        Some(Self { step: step?, span })
    }
}
