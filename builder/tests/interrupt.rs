//! SIGINT, SIGTERM and SIGHUP: dbco ends, leaves nothing behind, reports the truth, and the next run is unaffected.

mod project;

use std::ffi::c_long;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use dbco::digest::Digest;
use dbco::process::command;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use project::{Project, host, seccomp};

/// The time limit for ending: a second by design, more on a machine with other work.
const LIMIT: Duration = Duration::from_secs(5);

/// The number of moments at which a build is interrupted; `INTERRUPTS` sets another.
const MOMENTS: u32 = 6;

const SIGNALS: [(Signal, i32); 3] = [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)];

/// Text that compresses like ordinary text, different for each seed.
fn text(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        b"etaoin shrdlu\n.E"[(state >> 60) as usize]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A project with many kinds of steps: a toolchain's root, a kernel that is made by scripts, overlays that are hashed
/// and packed, two compressors, a template.
fn project() -> Project {
    let project = Project::with("[initrd, grub-cfg]", "[bzimage, initrd, grub-cfg, template]");
    project.edit("small.yaml", "{build: none,", "{build: host,");
    project.edit("small.yaml", "compression: none", "compression: zstd");
    project.edit("small.yaml", "  patches: [first.patch]\n  config: [tiny]\n", "");
    let kernel = "component: kernel\nversion: '1'\nlicense: MIT\nsource: {path: ../sources/kernel}\nbuild: make all\n\
                  files: {bzImage: bzImage}\n";
    project.write("components/kernel.yaml", kernel);
    let turns: String = (0..300).map(|turn| format!("\tcat input > {turn}.o\n")).collect();
    project.write("sources/kernel/Makefile", format!("all:\n{turns}\tcat *.o > bzImage\n"));
    project.write("sources/kernel/input", text(1, 10_000));
    for index in 0..10 {
        project.write(&format!("overlay/usr/share/{index}"), text(index + 2, 100_000));
    }
    host::provide(&project);
    project
}

fn start(project: &Project, arguments: &[&str], path: &str) -> Child {
    start_on(project, arguments, path, &[])
}

/// As [`start`], on a host that denies these system calls.
fn start_on(project: &Project, arguments: &[&str], path: &str, refused: &'static [(c_long, Errno)]) -> Child {
    // Whatever the tests themselves were started to ignore.
    let mut command = command("env");
    command.args(["--default-signal", env!("CARGO_BIN_EXE_dbco")]).args(arguments);
    let command = project.prepare(&mut command).env("PATH", path);
    // SAFETY: it makes two system calls, and allocates nothing.
    unsafe { command.pre_exec(|| if refused.is_empty() { Ok(()) } else { seccomp::refuse(refused) }) };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Lets a run continue for `time` and then interrupts it; gives its output and how long it took to end, if it was
/// interrupted.
fn interrupted(child: Child, time: Duration, signal: Signal) -> (Output, Option<Duration>) {
    let pid = Pid::from_raw(child.id().cast_signed());
    let (sender, ended) = mpsc::channel();
    let waiting = std::thread::spawn(move || sender.send(child.wait_with_output().unwrap()).unwrap());
    let result = match ended.recv_timeout(time) {
        Ok(output) => (output, None),
        Err(_) => {
            let sent = Instant::now();
            kill(pid, signal).unwrap();
            match ended.recv_timeout(LIMIT) {
                Ok(output) => (output, Some(sent.elapsed())),
                Err(_) => {
                    let _ = kill(pid, Signal::SIGKILL);
                    panic!("{signal} did not end it within {} s", LIMIT.as_secs());
                }
            }
        }
    };
    waiting.join().unwrap();
    result
}

/// Processes that work for this project: the sandbox's have its store's path in their arguments.
fn processes(project: &Project) -> Vec<String> {
    let store = project.path("store").display().to_string();
    let commands = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&command).replace('\0', " "))
    });
    commands.filter(|command| command.contains(&store)).collect()
}

#[track_caller]
fn nothing_is_left(project: &Project) {
    let names = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(project.path(folder)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
    };
    assert_eq!(names("store/tmp"), Vec::<String>::new());
    let left: Vec<_> = names("out").into_iter().filter(|name| name != "small").collect();
    assert_eq!(left, Vec::<String>::new());
    let left: Vec<_> = names("store/roots").into_iter().filter(|name| name.contains('.')).collect();
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(processes(project), Vec::<String>::new());
}

fn sums(project: &Project) -> String {
    let sums = project.read("out/small/SHA256SUMS");
    for (digest, name) in sums.lines().filter_map(|line| line.split_once("  ")) {
        assert_eq!(Digest::of_file(&project.path("out/small").join(name)).unwrap().0.to_string(), digest, "{name}");
    }
    sums
}

#[test]
fn a_build_ends_soon_at_any_moment_and_leaves_nothing_behind() {
    ends_soon_at_any_moment(&[]);
}

/// Tools then run in a chroot, where no namespace ends what a killed tool has started, and work folders are moved.
#[test]
fn so_does_one_on_a_host_without_namespaces() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("the mode `chroot` is not tested: only root has it");
        return;
    }
    ends_soon_at_any_moment(&[(nix::libc::SYS_unshare, Errno::EPERM)]);
}

fn ends_soon_at_any_moment(refused: &'static [(c_long, Errno)]) {
    const BUILD: [&str; 5] = ["build", "--offline", "--jobs", "2", "small.yaml"];
    let whole = project();
    let begin = Instant::now();
    let output = start_on(&whole, &BUILD, "/usr/bin:/bin", refused).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (length, right) = (begin.elapsed(), sums(&whole));
    let moments = std::env::var("INTERRUPTS").ok().and_then(|text| text.parse().ok()).unwrap_or(MOMENTS);
    let mut slowest = Duration::ZERO;
    for moment in 0..moments {
        let project = project();
        let (signal, code) = SIGNALS[moment as usize % SIGNALS.len()];
        // Spread over the whole build, each somewhere in its share.
        let part = length / moments;
        let time = part * moment + part * (moment * 7919 % 100) / 100;
        let (output, took) = interrupted(start_on(&project, &BUILD, "/usr/bin:/bin", refused), time, signal);
        let said = String::from_utf8(output.stderr).unwrap();
        if took.is_none() {
            assert_eq!(output.status.code(), Some(0), "{said}");
        } else if output.status.signal() == Some(signal as i32) {
            // It came before dbco listened: no work had been started.
            assert!(time < Duration::from_secs(1), "{said}");
        } else if output.status.code() != Some(0) {
            assert_eq!(output.status.code(), Some(code), "{said}");
            let line = said.lines().last().unwrap_or_default();
            assert!(line.starts_with("interrupted: "), "{said}");
            let written = project.path("out/small").exists();
            match line {
                // It came while they were moved into place: before or after that, the folder may also be in its
                // previous state.
                line if line.contains("all of the old outputs or all of the new ones") => {}
                line if line.contains("nothing in the output folder has changed") => assert!(!written, "{said}"),
                line => assert!(line.contains("complete") && written, "{said}"),
            }
            assert!(!said.contains("error") && !said.contains("failed"), "{said}");
        }
        slowest = slowest.max(took.unwrap_or_default());
        nothing_is_left(&project);
        project.dbco(&BUILD).ends(0);
        assert_eq!(sums(&project), right);
    }
    println!("{moments} moments of a build of {length:?}: the slowest end took {slowest:?}");
}

#[test]
fn a_step_that_another_process_makes_is_not_waited_for_after_a_signal() {
    let project = project();
    // Its build never ends.
    project.edit("components/kernel.yaml", "build: make all", "build: 'while :; do :; done'");
    let arguments = ["build", "--offline", "small.yaml"];
    let mut first = start(&project, &arguments, "/usr/bin:/bin");
    says(&mut first, "component kernel");
    let mut second = start(&project, &arguments, "/usr/bin:/bin");
    says(&mut second, "waiting for another build");
    for child in [second, first] {
        let (output, took) = interrupted(child, Duration::ZERO, Signal::SIGTERM);
        assert_eq!((output.status.code(), took.is_some()), (Some(143), true));
    }
    nothing_is_left(&project);
}

/// Waits until standard error contains a text.
fn says(child: &mut Child, text: &str) {
    use std::io::{BufRead, BufReader};
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(text)), "it never said `{text}`");
}

/// The machine of this test never shows the expected text.
#[test]
fn a_killed_boot_test_does_not_start_the_next_one() {
    let project = project();
    project.edit(
        "small.yaml",
        "expect: \"login:\"}\n",
        "expect: \"login:\"}\n  - {name: second, entry: live, medium: kernel, expect: x}\n",
    );
    let qemu = "#!/bin/sh\ncase \"$*\" in *probe.img*) exit 1;; esac\necho started >> \"$HOME/starts\"\necho up > \"$HOME/fifo\"\nexec sleep 1000\n";
    project.write("bin/qemu-system-x86_64", qemu);
    command("chmod").arg("755").arg(project.path("bin/qemu-system-x86_64")).status().unwrap();
    assert!(command("mkfifo").arg(project.path("home/fifo")).status().unwrap().success());
    let path = format!("{}:/usr/bin:/bin", project.path("bin").display());
    let child = start(&project, &["test", "--offline", "--jobs", "1", "--host-qemu", "small.yaml"], &path);
    assert_eq!(project.read("home/fifo"), "up\n");
    let (output, _) = interrupted(child, Duration::ZERO, Signal::SIGINT);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("interrupted: unfinished work was discarded") && !said.contains("FAIL"), "{said}");
    assert_eq!(project.read("home/starts"), "started\n");
    assert!(!project.path("out/small.tests/junit.xml").exists());
    let store = fs::read_dir(project.path("store/tmp")).unwrap().count();
    assert_eq!(store, 0);
}

#[test]
fn a_killed_boot_test_ends_both_of_its_machines() {
    let project = project();
    project.edit("small.yaml", "expect: \"login:\"}\n", "expect: \"login:\", peer: {entry: live, expect: up}}\n");
    let qemu = "#!/bin/sh\ncase \"$*\" in *probe.img*) exit 1;; esac\necho $$ >> \"$HOME/pids\"\n\
                case $PWD in *.peer) echo up;; *) echo up > \"$HOME/fifo\";; esac\nexec sleep 1000\n";
    project.write("bin/qemu-system-x86_64", qemu);
    command("chmod").arg("755").arg(project.path("bin/qemu-system-x86_64")).status().unwrap();
    assert!(command("mkfifo").arg(project.path("home/fifo")).status().unwrap().success());
    let path = format!("{}:/usr/bin:/bin", project.path("bin").display());
    let child = start(&project, &["test", "--offline", "--host-qemu", "small.yaml"], &path);
    assert_eq!(project.read("home/fifo"), "up\n");
    let (output, _) = interrupted(child, Duration::ZERO, Signal::SIGINT);
    assert_eq!(output.status.code(), Some(130), "{}", String::from_utf8_lossy(&output.stderr));
    let pids = project.read("home/pids");
    assert_eq!(pids.lines().count(), 2);
    for pid in pids.lines() {
        assert!(!fs::exists(format!("/proc/{pid}")).unwrap(), "{pid} still runs");
    }
    assert_eq!(fs::read_dir(project.path("store/tmp")).unwrap().count(), 0);
}

/// dbco itself can do nothing then; git's helpers hold connections, and don't know dbco.
#[test]
fn a_kill_of_dbco_ends_the_hosts_programs_with_all_that_they_started() {
    for (program, source) in [
        (
            "git",
            "{git: {url: \"https://host.example/tool.git\", commit: \"0123456789012345678901234567890123456789\"}}",
        ),
        ("cargo", "{path: ../sources/kernel}\ncargo: {lock: ../Cargo.lock}"),
    ] {
        let project = Project::with("layout: split", "layout: split\n  components: [part]");
        let text = format!("component: part\nversion: '1'\nlicense: MIT\nsource: {source}\nfiles: {{a: a}}\n");
        project.write("components/part.yaml", text);
        let crates = "version = 4\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \
                      \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \
                      \"0000000000000000000000000000000000000000000000000000000000000000\"\n";
        project.write("Cargo.lock", crates);
        let pids = project.path("pids");
        nix::unistd::mkfifo(&pids, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // It starts others, one through another, and none ends by itself.
        let script = format!(
            "#!/bin/sh\nexec 3> {}\nsleep 1000 & sh -c 'sleep 1000; :' &\necho $$ $! >&3\nwait\n",
            pids.display()
        );
        project.write(&format!("bin/{program}"), script);
        let path = project.path(&format!("bin/{program}"));
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let command = if program == "git" { "lock" } else { "fetch" };
        let search = format!("{}:/usr/bin:/bin", project.path("bin").display());
        let mut child = start(&project, &[command, "small.yaml"], &search);
        let (sender, opened) = mpsc::channel();
        std::thread::spawn(move || {
            let mut pipe = std::io::BufReader::new(fs::File::open(&pids).unwrap());
            let mut line = String::new();
            std::io::BufRead::read_line(&mut pipe, &mut line).unwrap();
            sender.send((pipe, line)).unwrap();
        });
        let Ok((mut pipe, line)) = opened.recv_timeout(2 * LIMIT) else {
            child.kill().unwrap();
            panic!("{program} was not started: {:?}", child.wait_with_output());
        };
        assert_eq!(line.split_whitespace().count(), 2, "{program}: {line}");
        child.kill().unwrap();
        child.wait().unwrap();
        // Each of them has the pipe open: it ends when the last one has.
        let (sender, ended) = mpsc::channel();
        std::thread::spawn(move || sender.send(std::io::Read::read_to_end(&mut pipe, &mut Vec::new()).unwrap()));
        assert!(ended.recv_timeout(LIMIT).is_ok(), "{program}: something still runs");
    }
}
