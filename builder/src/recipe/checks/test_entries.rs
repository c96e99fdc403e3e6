use super::{Check, CheckInput};
use crate::boot::Bus;
use crate::boot::test::TestStep;
use crate::image::serial::LAST_PORT;
use crate::printable::file_name;
use crate::recipe::OutputKind;
use crate::recipe::boot::BootMode;
use crate::recipe::decode::{At, FindingSink};
use crate::recipe::test::{Test, TestBoot, TestEnd, TestFirmware, TestMachine, TestMedium};
use crate::recipe::text::Span;
use crate::similar;

pub const CHECK: Check = Check {
    id: "test-entries",
    rule: "A boot test names an entry of the menu, and a firmware, a medium, disks, ports and outputs that go together.",
    run,
};

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    let tests = &subject.image.tests;
    for (index, test) in tests.iter().enumerate() {
        let earlier: Vec<String> =
            tests[..index].iter().flat_map(Test::machines).map(|(name, ..)| file_name(&name)).collect();
        // A test may also have the name of another one's peer.
        if let Some((name, ..)) = test.machines().find(|(name, ..)| earlier.contains(&file_name(name))) {
            let message = format!("two tests are named `{name}`");
            sink.borrow_mut().add(CHECK.id, test.name.span, message).label("the name of its log and of its disks");
        }
        if test.boots.is_empty() {
            sink.borrow_mut().add(CHECK.id, test.name.span, format!("test `{}` has no boots", test.name.value));
        }
        let own = Tested { test, machine: &test.machine, span: test.name.span, forward: Some(&test.forward) };
        for boot in &test.boots {
            check_boot(subject, &own, boot, sink);
            check_cut(test, boot, sink);
        }
        check_machine(&own, sink);
        if let Some(peer) = &test.peer {
            let peers = Tested { test, machine: &peer.machine, span: peer.span, forward: None };
            check_boot(subject, &peers, &peer.boot, sink);
            check_machine(&peers, sink);
        }
    }
}

/// A machine of a test.
struct Tested<'a> {
    test: &'a Test,
    machine: &'a TestMachine,
    /// The location of findings about the machine.
    span: Span,
    /// The forwarded ports; None if it can't have any.
    forward: Option<&'a [At<u16>]>,
}

fn check_machine(tested: &Tested<'_>, sink: &FindingSink) {
    check_disks(tested.machine, sink);
    if tested.machine.parallel && tested.machine.cpus < 2 {
        let message = "`parallel` needs several processors, and the test has one";
        sink.borrow_mut().add(CHECK.id, tested.span, message).help("cpus: 2");
    }
}

fn check_boot(subject: &CheckInput<'_>, tested: &Tested<'_>, boot: &TestBoot, sink: &FindingSink) {
    let Tested { test, machine, span, forward } = *tested;
    let image = subject.image;
    let mut findings = sink.borrow_mut();
    let Some(entry) = image.entry(&boot.entry) else {
        let ids = || image.boot.entries.iter().map(|entry| &*entry.id.value);
        let message = format!("the boot menu has no entry `{}`", boot.entry.value);
        let finding = findings.add(CHECK.id, boot.entry.span, message);
        match similar::nearest(&boot.entry, ids()) {
            Some(near) => finding.suggest(near),
            None => finding.help(format!("there are: {}", ids().collect::<Vec<_>>().join(", "))),
        };
        return;
    };
    let name = &test.name.value;
    let medium = boot.medium.unwrap_or(machine.medium);
    let iso = matches!(medium, TestMedium::Cd | TestMedium::Usb);
    let menu = iso || medium == TestMedium::Hd;
    if menu != (machine.firmware != TestFirmware::None) {
        let message = "media `cd`, `usb` and `hd` need firmware `bios` or `uefi`; `kernel` and `disk` need `none`";
        findings.add(CHECK.id, span, message);
    }
    if (medium == TestMedium::Disk) != (entry.mode == BootMode::Disk) && !menu {
        let message = "medium `disk` needs an entry of mode `disk`, `kernel` one of the other modes";
        findings.add(CHECK.id, span, message);
    }
    let first = image.boot.entries.first().is_some_and(|first| first.id == entry.id);
    if iso && image.boot.timeout == 0 && !first {
        let message = format!(
            "with `timeout: 0` the first entry of the menu starts at once, so this test can't choose `{}`",
            entry.id.value
        );
        findings.add(CHECK.id, boot.entry.span, message).help("give the menu a `timeout` of 1");
    }
    if medium == TestMedium::Hd && machine.disks.is_empty() {
        let message = "medium `hd` is the first of the test's `disks`, and the test has none";
        findings.add(CHECK.id, span, message).help("disks: [{size: 512M}]");
    }
    let parameters = format!("{} {}", image.boot.parameters(entry), boot.cmdline);
    let port = image.boot.port(image.platform, &parameters, menu);
    if port > LAST_PORT {
        let message = {
            let serial = image.platform.names().serial;
            format!("its console is {serial}{port}, and the machine of a test has {serial}0 to {serial}{LAST_PORT}")
        };
        findings.add(CHECK.id, boot.entry.span, message);
    }
    if menu && !boot.cmdline.is_empty() {
        let message =
            "`cmdline` is only valid with media `kernel` and `disk`; with others the boot menu sets the parameters";
        findings.add(CHECK.id, boot.entry.span, message);
    }
    if iso && !image.gives(OutputKind::Iso) {
        let message = format!("test `{name}` boots the ISO, which is not in `outputs`");
        findings.add(CHECK.id, span, message);
    }
    let commands = boot.run.iter().any(|action| matches!(action.step, TestStep::Command { .. }));
    if boot.login.is_none() && (commands || matches!(boot.end, TestEnd::Poweroff | TestEnd::Reboot)) {
        let message = format!("test `{name}` has commands to run but no `login`");
        findings.add(CHECK.id, boot.entry.span, message);
    }
    for action in &boot.run {
        let TestStep::Tcp { port, .. } = &action.step else { continue };
        match forward {
            Some(forward) if forward.iter().any(|of| of.value == *port) => {}
            Some(_) => {
                let message = format!("port {port} is not forwarded");
                findings.add(CHECK.id, action.span, message).help(format!("forward: [{port}]"));
            }
            None => {
                let message = "only the test's own machine has forwarded ports, its peer has none";
                findings.add(CHECK.id, action.span, message).label("the other machine can connect to it");
            }
        }
    }
}

fn check_cut(test: &Test, boot: &TestBoot, sink: &FindingSink) {
    let Some(cut) = &boot.cut else { return };
    let mut findings = sink.borrow_mut();
    if boot.login.is_none() {
        findings.add(CHECK.id, cut.span, "a boot with `cut` has a command to run but no `login`");
    }
    if boot.end != TestEnd::Cut {
        findings.add(CHECK.id, cut.span, "a boot with `cut` ends with the power cut: `end` must be `cut` or left out");
    }
    if test.machine.disks.is_empty() {
        let message = format!("test `{}` cuts the power but has no `disks` that keep data", test.name.value);
        findings.add(CHECK.id, cut.span, message).help("disks: [{size: 512M, label: dbcolinux}]");
    }
    if cut.cuts.times == 0 {
        findings.add(CHECK.id, cut.times, "`times` must be at least 1");
    }
    let plain = |word: &String| !word.is_empty() && !word.contains(char::is_whitespace);
    if cut.cuts.words.is_empty() || !cut.cuts.words.iter().all(plain) {
        let message = "`words` lists what `outcome` may print as its last word: at least one, without spaces";
        findings.add(CHECK.id, cut.span, message).help("words: [old, incomplete, new]");
    }
}

/// The maximum number of a machine's disks on one bus: what the test machine has room for.
const PLACES: [(Bus, usize, &str); 2] = [(Bus::Sata, 5, "sata"), (Bus::Sd, 1, "sd")];

fn check_disks(machine: &TestMachine, sink: &FindingSink) {
    for (bus, most, name) in PLACES {
        if let Some(disk) = machine.disks.iter().filter(|disk| disk.bus == bus).nth(most) {
            let message = format!("a test machine has at most {most} of bus `{name}`");
            sink.borrow_mut().add(CHECK.id, disk.span, message);
        }
    }
    for disk in &machine.disks {
        let plain =
            |label: &String| !label.contains(|c: char| c.is_control() || c.is_whitespace() || "/\"'\\".contains(c));
        if let Some(label) = disk.label.as_ref().filter(|label| label.is_empty() || !plain(label)) {
            let message =
                format!("{label:?} can't be a disk's label: it is empty, or contains a space, a quote or `/`");
            sink.borrow_mut().add(CHECK.id, disk.span, message);
        }
        if disk.is_blank() && disk.size.is_none() {
            let message = "a blank disk needs a `size`";
            sink.borrow_mut().add(CHECK.id, disk.span, message).help("size: 512M");
        }
        let sd = |size: u64| disk.bus == Bus::Sd && !size.is_power_of_two();
        if disk.bus == Bus::Sd && disk.size.is_none_or(sd) {
            let message = "an SD card needs a `size` that is a power of two";
            sink.borrow_mut().add(CHECK.id, disk.span, message).help("size: 512M");
        }
        for system in &disk.systems {
            if !system.starts_with('/') || system.len() < 2 {
                let message = format!("`{}` is not a folder of the disk", system.value);
                sink.borrow_mut().add(CHECK.id, system.span, message).help("/system0");
            }
        }
        if let Some(label) = disk.label.as_ref().filter(|label| label.len() > 16) {
            let message = format!("`{label}` is too long: a label of ext4 has at most 16 bytes");
            sink.borrow_mut().add(CHECK.id, disk.span, message);
        }
    }
}
