//! Machines of the host's QEMU that start from a disk of each bus, and the errors for machines that don't boot.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::LaunchError;
use super::running::MachineHost;
use super::test::{Boot, BootEnd, BootTest, Login, TestOutcome, TestRunner, TestStep};
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
        link: None,
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
        let host = MachineHost { launch, accel: &accel, folder: folder.path(), log: &log, forward: &[], link: None };
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
    let timeout = Duration::from_secs(60);
    let test = BootTest { name: "t".into(), boots: vec![boot], timeout, forward: Vec::new(), peer: None };
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

/// Shell scripts in place of the QEMU of the test's own machine, and of its peer's.
struct TwoScripts {
    own: &'static str,
    peer: &'static str,
}

impl Launch for TwoScripts {
    fn command(&self, _: &[String], folder: &Path, _: &HostAccess) -> Result<Command, LaunchError> {
        let mut command = crate::process::command("/bin/sh");
        let peer = folder.extension().is_some_and(|extension| extension == "peer");
        command.args(["-c", if peer { self.peer } else { self.own }]).current_dir(folder);
        Ok(command)
    }

    fn file(&self, inside: &str) -> std::io::Result<File> {
        File::open(inside)
    }
}

/// A machine that becomes a shell.
const SHELL: &str = "printf 'box login: '; read user; echo $$ >../pid.$user; exec sh";

/// The outcome of a test of two such machines, and whether the peer's process has ended.
fn beside(own: &[&str], peer: &[&str], end: BootEnd) -> (TestOutcome, bool) {
    let folder = tempfile::tempdir().unwrap();
    let accel = Accel { kind: super::Accelerator::Tcg, reason: "stated".into() };
    let logs = folder.path().to_owned();
    let launch = TwoScripts { own: SHELL, peer: SHELL };
    let tests = TestRunner { launch: &launch, accel, work: folder.path(), logs: &logs, jobs: 1 };
    let boot = |user: &str, run: &[&str], end| Boot {
        machine: machine(Bus::Virtio, DiskContent::Blank(1 << 20)),
        menu: None,
        expect: "login:".into(),
        login: Some(Login { user: user.into(), password: None }),
        run: run.iter().map(|run| TestStep::Command { command: (*run).into(), expect: None, status: 0 }).collect(),
        end,
    };
    let (boots, peer) = (vec![boot("own", own, BootEnd::Cut)], Some(boot("peer", peer, end)));
    let test = BootTest { name: "t".into(), boots, timeout: Duration::from_secs(20), forward: Vec::new(), peer };
    let outcome = tests.run(&[test], &|_| {}).remove(0);
    let pid = fs::read_to_string(folder.path().join("pid.peer")).unwrap();
    assert!(logs.join("t.log").exists() && logs.join("t.peer.log").exists());
    (outcome, !Path::new("/proc").join(pid.trim()).exists())
}

/// Waits until the peer has ended.
const AWAIT: &str = "until grep -q 'State:.*Z' /proc/$(cat ../pid.peer)/status; do :; done";

/// Ends the peer.
const KILL: &str = "kill -9 $(cat ../pid.peer)";

#[test]
fn a_peer_is_ready_before_the_test_and_runs_until_its_end() {
    let ready = "echo yes >../ready; test -S link.sock && test ! -e ../pid.own";
    let (outcome, ended) = beside(&["cat ../ready && test -S link.sock"], &[ready], BootEnd::Cut);
    assert_eq!(outcome.failure, None);
    assert!(ended);
    let phases: Vec<&str> = outcome.phases.iter().map(|phase| phase.name).collect();
    assert_eq!(phases, ["start", "peer", "start", "boot", "login", "commands"]);
    let peer = outcome.peer.unwrap();
    assert!(peer.tail.iter().any(|line| line.contains("box login")), "{:?}", peer.tail);
    let (outcome, ended) = beside(&["cat ../ready"], &["echo yes >../ready"], BootEnd::After("exit"));
    assert_eq!((outcome.failure, ended), (None, true));
    let (outcome, ended) = beside(&[KILL, AWAIT], &[], BootEnd::Itself);
    assert_eq!((outcome.failure, ended), (None, true));
}

#[test]
fn a_peer_that_fails_or_ends_is_told_as_such() {
    let failure = |own: &[&str], peer: &[&str], end| {
        let (outcome, ended) = beside(own, peer, end);
        assert!(ended);
        let mut xml = Vec::new();
        super::junit::write("sample", std::slice::from_ref(&outcome), &mut xml).unwrap();
        let xml = String::from_utf8(xml).unwrap();
        let (_, shown) = xml.split_once("The peer:").unwrap_or_else(|| panic!("{xml}"));
        assert!(shown.contains("box login"), "{xml}");
        (outcome.failure.unwrap(), outcome.tail, outcome.peer.unwrap().tail)
    };
    let (said, own, peer) = failure(&["true"], &["echo broken; false"], BootEnd::Cut);
    assert_eq!(said, "on the peer: `echo broken; false` exited with status 1, expected 0; it printed:\nbroken\n");
    assert!(own.is_empty() && peer.iter().any(|line| line.contains("broken")), "{own:?} {peer:?}");
    for end in [BootEnd::Cut, BootEnd::After("exit")] {
        assert_eq!(failure(&[KILL, AWAIT], &[], end).0, "on the peer: the machine stopped");
    }
    let (said, own, _) = failure(&[KILL, AWAIT, "echo alone; false"], &[], BootEnd::Cut);
    let start = "the peer did not run until the end of the test (the machine stopped): `echo alone; false` ";
    assert!(said.starts_with(start) && said.ends_with("expected 0; it printed:\nalone\n"), "{said}");
    assert!(own.iter().any(|line| line.contains("alone")), "{own:?}");
    // What the peer's kernel shows after its last step.
    let panic = "(cat ../go; echo 'Kernel panic - not syncing: gone'; kill -9 $$) &";
    let (said, ..) = failure(&[&format!("echo x >../go; {AWAIT}")], &["mkfifo ../go", panic], BootEnd::Cut);
    assert_eq!(said, "on the peer: the kernel panicked: Kernel panic - not syncing: gone");
}
