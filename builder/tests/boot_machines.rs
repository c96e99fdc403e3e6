//! Boots of a real kernel: an ISO as CD and as USB stick, with BIOS and with UEFI, and a kernel loaded by QEMU.
//!
//! The kernel is Debian's (`/boot/vmlinuz-*-amd64`, or the one in DBCO_TEST_KERNEL) and the initramfs a static busybox:
//! everything between the two is tested. Slow, so it is run separately: `ci/test.sh machines`, which `.ci/run` runs,
//! too.

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use dbco::boot::test::{BootEnd, Login, TestEvent, TestRunner, TestStep};
use dbco::boot::{
    Accel, Accelerator, Boot, BootTest, Bus, DiskContent, Firmware, HostAccess, HostQemu, Launch, Machine, MachineDisk,
    Medium, accel, junit,
};
use dbco::image::Compression;
use dbco::image::cpio::{Segment, write_initrd};
use dbco::image::grub::{Menu, MenuEntry};
use dbco::image::iso::Iso;
use dbco::platform::Platform;
use dbco::tree::{Entry, Node, Tree};
use support::{EPOCH, HostTools, Memory, path};

const INIT: &str = "#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /bin
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
test -d /sys/firmware/efi && echo 'started by UEFI' || echo 'started by BIOS'
stty -F /dev/console sane
while :; do printf 'sample login: '; read user; test \"$user\" = tc && setsid cttyhack sh; done
";

fn kernel() -> PathBuf {
    if let Some(path) = std::env::var_os("DBCO_TEST_KERNEL") {
        return path.into();
    }
    let mut kernels: Vec<PathBuf> = std::fs::read_dir("/boot")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-")))
        .collect();
    kernels.sort();
    kernels.pop().expect("this test needs a kernel: install linux-image-cloud-amd64, or name one in DBCO_TEST_KERNEL")
}

fn initrd(compression: Compression) -> Vec<u8> {
    let mut memory = Memory::default();
    let mut tree = Tree::new();
    let busybox = std::fs::read("/bin/busybox").expect("this test needs busybox-static");
    tree.insert(path("bin/busybox"), memory.file(busybox, 0o755));
    tree.insert(path("init"), memory.file(INIT, 0o755));
    tree.insert(path("dev/console"), Entry::of(Node::Char { major: 5, minor: 1 }, 0o600));
    let shared = memory.file("several names\n", 0o644);
    for name in ["etc/one", "sbin/three", "sbin/two"] {
        tree.insert(path(name), Entry { inode: Some(1), ..shared.clone() });
    }
    let empty = memory.file("", 0o644);
    for name in ["etc/empty", "sbin/empty"] {
        tree.insert(path(name), Entry { inode: Some(2), ..empty.clone() });
    }
    tree.insert(path("etc/copy"), shared);
    tree.complete();
    tree.settle_links();
    let mut early = Tree::new();
    early.insert(path("kernel/x86/microcode/GenuineIntel.bin"), memory.file([0; 1000], 0o644));
    early.complete();
    let mut bytes = Vec::new();
    let segments = [Segment { tree: &early, compression: Compression::None }, Segment { tree: &tree, compression }];
    write_initrd(&segments, &memory, EPOCH, &mut bytes).unwrap();
    bytes
}

fn iso(tools: &HostTools, tag: &str) -> PathBuf {
    const MARKER: &str = "boot/grub/dbco-sample";
    let entry = |id: &str| MenuEntry {
        title: format!("样品 {id}"),
        id: id.into(),
        cmdline: format!("console=ttyS0 panic=-1 entry={id} medium={tag} \"words=two three\""),
        initrd: true,
    };
    let menu = Menu {
        platform: Platform::BUILD,
        timeout: 30,
        serial: Default::default(),
        entries: vec![entry("first"), entry("second")],
    };
    let mut memory = Memory::default();
    let mut tree = Tree::new();
    tree.insert(path("boot/bzImage"), memory.file(std::fs::read(kernel()).unwrap(), 0o644));
    tree.insert(path("boot/initrd.img"), memory.file(initrd(Compression::Zstd), 0o644));
    tree.insert(path("boot/grub/grub.cfg"), memory.file(menu.config().unwrap(), 0o644));
    tree.complete();
    tools.iso(&Iso { volume: "SAMPLE", epoch: EPOCH, marker: MARKER }, &tree, &memory)
}

fn boot(name: &str, firmware: Firmware, medium: Medium, menu: Option<usize>) -> BootTest {
    let started = if firmware == Firmware::Uefi { "started by UEFI" } else { "started by BIOS" };
    let step = |command: &str, expect: &str| TestStep::Command {
        command: command.into(),
        expect: Some(expect.into()),
        status: 0,
    };
    let mut run = vec![step("echo it is $((6 * 7))", "it is 42"), step("dmesg | grep -c .", "")];
    // The kernel's own unpacking has created one file with several names.
    let one = "test /etc/one -ef /sbin/two && test /etc/one -ef /sbin/three && ! test /etc/one -ef /etc/copy";
    run.push(step(&format!("{one} && stat -c '%h names' /sbin/three && cat /sbin/two"), "3 names"));
    run.push(step("cat /etc/one /sbin/two /sbin/three | sort | uniq -c", "3 several names"));
    run.push(step("test /etc/empty -ef /sbin/empty && stat -c '%h names, %s bytes' /etc/empty", "2 names, 0 bytes"));
    if menu == Some(1) {
        run.push(step("cat /proc/cmdline", "entry=second medium=one \"words=two three\""));
    }
    run.push(TestStep::Command { command: "exit_with() { return $1; }; exit_with 3".into(), expect: None, status: 3 });
    BootTest {
        name: name.into(),
        boots: vec![Boot {
            machine: Machine {
                platform: Platform::BUILD,
                port: 0,
                firmware,
                medium,
                memory: 512,
                cpus: 1,
                parallel: false,
                disks: Vec::new(),
                served: false,
                network: false,
                forward: Vec::new(),
                link: None,
            },
            menu,
            expect: started.into(),
            login: Some(Login { user: "tc".into(), password: None }),
            run,
            end: BootEnd::Cut,
        }],
        timeout: Duration::from_secs(180),
        forward: Vec::new(),
        peer: None,
    }
}

fn run(tests: &[BootTest], jobs: usize) -> Vec<dbco::boot::TestOutcome> {
    let work = tempfile::tempdir().unwrap();
    let accel = Accel::detect(&HostQemu, work.path(), Platform::BUILD);
    println!("{accel}");
    let watch = |event: TestEvent<'_>| println!("{event:?}");
    let logs = std::env::var_os("DBCO_TEST_LOGS").map_or(work.path().to_owned(), PathBuf::from);
    TestRunner { launch: &HostQemu, accel, work: work.path(), logs: &logs, jobs }.run(tests, &watch)
}

#[test]
#[ignore = "boots four machines"]
fn an_iso_boots_as_cd_and_usb_in_bios_and_uefi() {
    let tools = HostTools::new();
    let iso = iso(&tools, "one");
    let tests: Vec<BootTest> = [Firmware::Bios, Firmware::Uefi]
        .into_iter()
        .flat_map(|firmware| [(firmware, Medium::Cd(iso.clone())), (firmware, Medium::Usb(iso.clone()))])
        .enumerate()
        .map(|(index, (firmware, medium))| boot(&format!("boot-{index}"), firmware, medium, Some(1)))
        .collect();
    for outcome in run(&tests, 2) {
        assert!(outcome.passed(), "{:?}\n{}", outcome, outcome.tail.join("\n"));
    }
}

/// Two media of one recipe in one machine: each starts its own kernel.
#[test]
#[ignore = "boots four machines"]
fn grub_takes_the_medium_that_it_was_started_from() {
    let folders = [HostTools::new(), HostTools::new()];
    let (one, other) = (iso(&folders[0], "one"), iso(&folders[1], "other"));
    let tests: Vec<BootTest> = [Firmware::Bios, Firmware::Uefi]
        .into_iter()
        .flat_map(|firmware| [(firmware, Medium::Cd(one.clone())), (firmware, Medium::Usb(one.clone()))])
        .enumerate()
        .map(|(index, (firmware, medium))| {
            let mut test = boot(&format!("own-{index}"), firmware, medium, Some(1));
            test.boots[0].machine.disks =
                vec![MachineDisk { bus: Bus::Virtio, content: DiskContent::Image(other.clone()) }];
            test
        })
        .collect();
    for outcome in run(&tests, 2) {
        assert!(outcome.passed(), "{:?}\n{}", outcome, outcome.tail.join("\n"));
    }
}

#[test]
#[ignore = "boots five machines"]
fn the_kernel_unpacks_every_compression() {
    let folder = tempfile::tempdir().unwrap();
    let tests: Vec<BootTest> =
        [Compression::Zstd, Compression::Xz, Compression::Gzip, Compression::Lz4, Compression::None]
            .into_iter()
            .map(|compression| {
                let file = folder.path().join(compression.to_string());
                std::fs::write(&file, initrd(compression)).unwrap();
                let cmdline = "console=ttyS0 panic=-1".to_owned();
                let medium = Medium::Kernel { kernel: kernel(), initrd: Some(file), cmdline };
                boot(&compression.to_string(), Firmware::Bios, medium, None)
            })
            .collect();
    for outcome in run(&tests, 2) {
        assert!(outcome.passed(), "{:?}\n{}", outcome, outcome.tail.join("\n"));
    }
}

/// A firmware without anything to boot: it is ended by the deadline, and the report says what was missing.
#[test]
fn a_machine_that_does_not_get_there_is_ended_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.iso");
    std::fs::write(&empty, vec![0; 1 << 20]).unwrap();
    let mut test = boot("nothing to boot", Firmware::Bios, Medium::Cd(empty), Some(0));
    test.timeout = Duration::from_millis(500);
    let accel = Accel { kind: Accelerator::Tcg, reason: "stated".into() };
    let logs = &folder.path().to_owned();
    let work = folder.path().join("work");
    let outcomes = TestRunner { launch: &HostQemu, accel, work: &work, logs, jobs: 1 }.run(&[test], &|_| ());
    assert_eq!(outcomes[0].failure.as_deref(), Some("the console did not show `GNU GRUB` in time"));
    assert!(outcomes[0].log.ends_with("nothing_to_boot.log") && outcomes[0].log.exists());
    assert!(!work.join("0").exists(), "nothing stays behind");
    let mut xml = Vec::new();
    junit::write("sample", &outcomes, &mut xml).unwrap();
    let xml = String::from_utf8(xml).unwrap();
    assert!(xml.contains("<failure message=\"the console did not show `GNU GRUB` in time\">"), "{xml}");
    assert!(xml.contains("value=\"TCG (stated)\""), "{xml}");
}

/// The keys that [`dbco::boot::run::HINT`] promises.
#[test]
fn ctrl_a_x_ends_a_machine_at_the_terminal() {
    use dbco::boot::machine::SerialBackend;
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.iso");
    std::fs::write(&empty, vec![0; 1 << 20]).unwrap();
    let machine = boot("", Firmware::Bios, Medium::Cd(empty), None).boots.remove(0).machine;
    let accel = Accel { kind: Accelerator::Tcg, reason: "stated".into() };
    let argv = machine.prepare(&HostQemu, &accel, SerialBackend::Terminal, folder.path()).unwrap();
    let mut command = HostQemu.command(&argv, folder.path(), &HostAccess::default()).unwrap();
    let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"\x01x").unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_console_is_at_the_port_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let accel = Accel { kind: Accelerator::Tcg, reason: "stated".into() };
    for port in 0..=dbco::image::serial::LAST_PORT {
        let mut machine = boot("", Firmware::Bios, Medium::Disk, None).boots.remove(0).machine;
        machine.port = port;
        let argv = machine.prepare(&HostQemu, &accel, dbco::boot::machine::SerialBackend::Pipe, folder.path()).unwrap();
        let ports: Vec<_> = argv.windows(2).filter(|pair| pair[0] == "-serial").map(|pair| pair[1].as_str()).collect();
        assert_eq!(ports.iter().position(|port| *port == "chardev:console"), Some(port.into()), "{argv:?}");
        assert_eq!(ports.len(), usize::from(port) + 1);
    }
}

#[test]
fn what_qemu_itself_says_is_in_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let (kernel, initrd) = (folder.path().join("kernel"), None);
    std::fs::write(&kernel, "no kernel").unwrap();
    let medium = Medium::Kernel { kernel, initrd, cmdline: String::new() };
    let accel = Accel { kind: Accelerator::Tcg, reason: "stated".into() };
    let test = boot("no-kernel", Firmware::Bios, medium, None);
    let outcome =
        &TestRunner { launch: &HostQemu, accel, work: folder.path(), logs: &folder.path().to_owned(), jobs: 1 }
            .run(&[test], &|_| ())[0];
    assert!(outcome.failure.as_ref().unwrap().starts_with("QEMU exited after"), "{outcome:?}");
    assert!(outcome.tail.iter().any(|line| line.starts_with("QEMU: ")), "{outcome:?}");
}

#[test]
fn the_probe_s_guest_lives_under_tcg_and_is_ended_when_it_takes_too_long() {
    let folder = tempfile::tempdir().unwrap();
    let time = accel::guest_lives(&HostQemu, folder.path(), "tcg", Duration::from_secs(20)).unwrap();
    assert!(time.is_some());
    let none = accel::guest_lives(&HostQemu, folder.path(), "tcg", Duration::from_millis(1)).unwrap();
    assert_eq!(none, None);
    assert!(accel::guest_lives(&HostQemu, Path::new("/nonexistent"), "tcg", Duration::from_secs(1)).is_err());
}
