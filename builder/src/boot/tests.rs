//! Machines of the host's QEMU that start from a disk of each bus, and the errors for machines that don't boot.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::LaunchError;
use super::running::MachineHost;
use super::test::{Boot, BootEnd, BootTest, Login, TestRunner};
use super::{Accel, Bus, DiskContent, Firmware, HostAccess, HostQemu, Launch, Machine, MachineDisk, Medium, probe};
use crate::platform::Platform;

fn machine(bus: Bus, content: DiskContent) -> Machine {
    Machine {
        platform: Platform::BUILD,
        port: 0,
        firmware: Firmware::Bios,
        medium: Medium::Disk,
        memory: 64,
        cpus: 1,
        parallel: false,
        disks: vec![MachineDisk { bus, content }],
        served: false,
        network: false,
        forward: Vec::new(),
    }
}

/// SeaBIOS starts the probe's boot sector from each.
#[test]
fn a_machine_starts_from_a_disk_of_each_bus() {
    for bus in [Bus::Virtio, Bus::Usb, Bus::Scsi, Bus::Nvme, Bus::Sata, Bus::Sd] {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("probe.img");
        let mut sector = probe::BOOT_SECTOR.to_vec();
        sector.resize(1 << 20, 0);
        fs::write(&image, sector).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let accel = Accel::detect_on(&HostQemu, folder.path(), Path::new("/nonexistent/kvm"));
        let launch = &HostQemu;
        let host = MachineHost { launch, accel: &accel, folder: folder.path(), log: &log, forward: &[] };
        let mut running = host.start(&machine(bus, DiskContent::Image(image)), false).unwrap();
        let word = str::from_utf8(probe::WORD).unwrap().trim();
        let seen = running.console.expect(word, Instant::now() + Duration::from_secs(60));
        assert!(seen.is_ok(), "{bus:?}: {seen:?}, {:?}", fs::read_to_string(folder.path().join("qemu.err")));
    }
}

/// A shell script in place of QEMU.
struct ShellScript(&'static str);

impl Launch for ShellScript {
    fn command(&self, _: &[String], _: &Path, _: &HostAccess) -> Result<Command, LaunchError> {
        let mut command = crate::process::command("/bin/sh");
        command.args(["-c", self.0]);
        Ok(command)
    }

    fn file(&self, inside: &str) -> std::io::Result<File> {
        File::open(inside)
    }
}

/// Why a test of such a machine failed.
fn failure(script: &'static str, password: Option<&str>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let accel = Accel::detect_on(&HostQemu, folder.path(), Path::new("/nonexistent/kvm"));
    let logs = folder.path().to_owned();
    let launch = ShellScript(script);
    let tests = TestRunner { launch: &launch, accel, work: folder.path(), logs: &logs, jobs: 1 };
    let login = Login { user: "bob".into(), password: password.map(str::to_owned) };
    let boot = Boot {
        machine: Machine { memory: 32, ..machine(Bus::Virtio, DiskContent::Blank(1 << 20)) },
        menu: None,
        expect: "login:".into(),
        login: Some(login),
        run: Vec::new(),
        end: BootEnd::Cut,
    };
    let test = BootTest { name: "t".into(), boots: vec![boot], timeout: Duration::from_secs(60), forward: Vec::new() };
    let outcomes = tests.run(&[test], &|_| {});
    outcomes.into_iter().next().unwrap().failure.unwrap()
}

#[test]
fn a_refused_login_and_a_silent_machine_are_told_as_such() {
    let no_user = "while printf 'box login: '; read user; do echo; echo Login incorrect; done";
    let password = "while printf 'box login: '; read user; do printf 'Password: '; read p; echo Login incorrect; done";
    assert_eq!(failure(no_user, None), "login as `bob` was refused (Login incorrect)");
    assert_eq!(failure(password, Some("wrong")), "login as `bob` was refused (Login incorrect)");
    let asked = "login as `bob` was refused (Login incorrect); it asks for a password, and `login` has none";
    assert_eq!(failure(password, None), asked);
    let silent = failure("exit 1", None);
    assert!(silent.starts_with("QEMU exited after "), "{silent}");
    assert!(silent.ends_with(" s without any output; 32 MiB of memory may be too little"), "{silent}");
    // A machine with some output is reported by the text that it did not show.
    assert_eq!(failure("echo SeaBIOS", None), "the machine stopped before its console showed `login:`");
}
