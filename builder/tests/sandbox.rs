//! What tools see and can't do inside the sandbox, in each mode that this host allows.
//!
//! The root is made of a few of the host's programs with the libraries they need, so that nothing has to be downloaded.
#![allow(clippy::disallowed_methods)]

use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use dbco::process::ProcessError;
use dbco::sandbox::{Bind, Mode, SKELETON, Sandbox, SandboxError, Spec};

#[path = "sandbox/place.rs"]
mod place;

use place::Place;

const DBCO: &str = env!("CARGO_BIN_EXE_dbco");

fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// Runs `test` in each mode. At least one must work, and for root the chroot must.
fn in_each_mode(test: impl Fn(&Place)) {
    let mut modes = 0;
    for mode in [Mode::Namespaces, Mode::Chroot] {
        match Sandbox::in_mode(Path::new(DBCO), Some(mode)) {
            Ok(sandbox) => {
                assert_eq!(sandbox.mode(), mode);
                modes += 1;
                test(&Place::new(sandbox));
            }
            Err(error) => {
                assert!(mode != Mode::Chroot || !is_root(), "root can't use a chroot on this host: {error}");
                eprintln!("{mode:?} is not tested on this host: {error}");
            }
        }
    }
    assert!(modes > 0, "neither mode works on this host");
}

#[test]
fn tools_see_nothing_of_the_host() {
    in_each_mode(|place| {
        let lines = place.sh("id -u; id -g; pwd; umask; ulimit -c; ls /; ls /sys /deps /tmp | wc -l; set");
        let (head, rest) = lines.split_at(5);
        assert_eq!(head, ["0", "0", "/build", "0022", "0"]);
        let mut expected: Vec<_> = SKELETON.iter().copied().chain(["usr", "bin", "lib", "lib64"]).collect();
        expected.sort_unstable();
        assert_eq!(rest[..expected.len()], expected);
        // Apart from the shell's own variables, the environment is that of the specification.
        let user = std::env::var("USER").unwrap_or("root".into());
        assert!(!rest.iter().any(|line| line.starts_with("HOME=") || line.starts_with("USER=")), "{user}: {rest:?}");
        assert_eq!(
            place.sh("for d in null zero full random urandom; do test -c /dev/$d; done; wc -c </dev/null"),
            ["0"]
        );
        if place.sandbox.mode() == Mode::Namespaces {
            assert_eq!(place.sh("uname -n; ls /proc | grep -c '^[0-9]' || true; cat /proc/net/dev | wc -l")[0], "dbco");
            // Two heading lines, and loopback.
            assert_eq!(place.sh("wc -l </proc/net/dev"), ["3"]);
            assert_eq!(place.sh("echo $$"), ["2"]);
        }
    });
}

#[test]
fn the_root_stays_as_it_is() {
    in_each_mode(|place| {
        let shell = place.root().join("usr/bin/sh");
        let before = fs::read(&shell).unwrap();
        for script in [
            ">/usr/new",
            ">/new",
            "rm /usr/bin/cat",
            "echo x >/usr/bin/sh",
            "mkdir /usr/lib/x",
            "chmod 777 /usr/lib",
            "mknod /build/n c 1 3",
        ] {
            let error = place.lines(&place.spec(script)).expect_err(script);
            assert!(matches!(error, SandboxError::Tool(ProcessError::Failed { .. })), "{script}: {error:?}");
        }
        assert!(fs::read(&shell).unwrap() == before);
        place.sh("echo x >/tmp/x; echo x >/run/x; echo x >/dev/shm/x; echo x >/deps/x; echo x >/build/kept");
        assert_eq!(place.sh("ls /tmp /run /dev/shm /deps | grep x || echo gone").last().unwrap(), "gone");
        for name in ["tmp", "run", "deps"] {
            assert_eq!(fs::read_dir(place.root().join(name)).unwrap().count(), 0, "{name}");
        }
        assert_eq!(fs::read_to_string(place.work().join("kept")).unwrap(), "x\n");
        // Only the root exists where roots are.
        assert_eq!(fs::read_dir(place.root().parent().unwrap()).unwrap().count(), 1);
    });
}

/// As installers do. GNU's cp has to change the mode of a copy if the original is read-only.
#[test]
fn folders_of_the_root_can_be_copied() {
    in_each_mode(|place| {
        ["cp", "stat"].iter().for_each(|tool| place.install(tool));
        assert_eq!(place.sh("cp -RL /usr/lib copied; stat -c %a:%u copied"), ["755:0"]);
        assert!(fs::read_dir(place.work().join("copied")).unwrap().count() > 0);
    });
}

/// In a chroot a tool can replace a work folder that is inside another one of its work folders.
#[test]
fn a_work_folder_that_was_exchanged_does_not_come_back() {
    in_each_mode(|place| {
        let out = place.folder.path().join("tmp/out");
        fs::create_dir(&out).unwrap();
        for exchange in ["ln -s /tmp out", "mkdir out", "ln -s /usr/lib out"] {
            let mut spec = place.spec(&format!("mv out was && {exchange}"));
            spec.binds.push(Bind { host: out.clone(), inside: "/build/out".into(), writable: true });
            let error = place.lines(&spec).expect_err("it was exchanged");
            match place.sandbox.mode() {
                Mode::Namespaces => assert!(matches!(error, SandboxError::Tool(_)), "{error:?}"),
                Mode::Chroot => {
                    assert!(error.to_string().contains("the tool has replaced it"), "{error}");
                    assert!(fs::symlink_metadata(&out).is_err());
                    fs::create_dir(&out).unwrap();
                }
            }
            assert!(fs::symlink_metadata(&out).unwrap().is_dir());
            fs::remove_dir_all(place.work()).unwrap();
            fs::create_dir(place.work()).unwrap();
        }
    });
}

#[test]
fn a_tool_may_give_files_capabilities_and_has_none_of_them() {
    in_each_mode(|place| {
        ["cp", "setcap", "getcap"].iter().for_each(|tool| place.install(tool));
        let given =
            "cp /usr/bin/mknod /usr/bin/cat . && setcap cap_mknod+ep mknod && setcap all=ep cat && getcap mknod";
        assert_eq!(place.sh(given), ["mknod cap_mknod=ep"]);
        for mknod in ["mknod", "./mknod"] {
            let script = format!("{mknod} node c 1 3");
            let error = place.lines(&place.spec(&script)).expect_err(&script);
            assert!(matches!(error, SandboxError::Tool(ProcessError::Failed { .. })), "{script}: {error:?}");
        }
        if place.sandbox.mode() == Mode::Namespaces {
            // `CAP_SETFCAP` is number 31.
            for (cat, most) in [("cat", 1u64 << 31), ("./cat", 1 << 31)] {
                let lines = place.sh(&format!("{cat} /proc/self/status"));
                for set in ["CapPrm:", "CapEff:", "CapAmb:"] {
                    let line = lines.iter().find_map(|line| line.strip_prefix(set)).unwrap();
                    assert_eq!(u64::from_str_radix(line.trim(), 16).unwrap() & !most, 0, "{cat}: {set} {line}");
                }
            }
        }
    });
}

#[test]
fn binds_appear_where_they_are_asked_for() {
    in_each_mode(|place| {
        let other = place.folder.path().join("tmp/other");
        fs::create_dir_all(other.join("include")).unwrap();
        fs::write(other.join("include/a.h"), "a").unwrap();
        let file = place.folder.path().join("tmp/file");
        fs::write(&file, "f").unwrap();
        let mut spec = place.spec("cat /deps/musl/include/a.h /in/deep/file; echo x >/build/out/x");
        let out = place.folder.path().join("tmp/out");
        fs::create_dir(&out).unwrap();
        // Given in no order: the inner one comes before the outer one.
        spec.binds.insert(0, Bind { host: out.clone(), inside: "/build/out".into(), writable: true });
        spec.binds.push(Bind { host: other.clone(), inside: "/deps/musl".into(), writable: false });
        spec.binds.push(Bind { host: file.clone(), inside: "/in/deep/file".into(), writable: false });
        assert_eq!(place.lines(&spec).unwrap(), ["af"]);
        assert_eq!(fs::read_to_string(out.join("x")).unwrap(), "x\n");
        assert_eq!(fs::read_to_string(&file).unwrap(), "f");
        assert!(other.join("include/a.h").exists());
        if place.sandbox.mode() == Mode::Namespaces {
            spec.argv[2] = "echo y >/deps/musl/new".into();
            assert!(matches!(place.lines(&spec), Err(SandboxError::Tool(_))));
            spec.argv[2] = "true".into();
            spec.binds.push(Bind { host: file, inside: "/opt/file".into(), writable: false });
            let error = place.lines(&spec).expect_err("no mount point").to_string();
            assert!(error.contains("use one below /build"), "{error}");
        }
    });
}

#[test]
fn what_is_not_there_is_named() {
    in_each_mode(|place| {
        let mut spec = place.spec("true");
        let why = |spec: &Spec| match place.lines(spec) {
            Err(SandboxError::Setup { command, why }) => {
                assert!(command.contains(&spec.argv[0]), "{command}");
                why
            }
            other => panic!("{other:?}"),
        };
        spec.argv[0] = "no-such-tool".into();
        assert!(why(&spec).contains("can't start `no-such-tool`"), "{}", why(&spec));
        spec = place.spec("true");
        spec.cwd = "/missing".into();
        assert!(why(&spec).contains("no folder `/missing` in the sandbox"), "{}", why(&spec));
        spec = place.spec("true");
        spec.binds[0].host = place.folder.path().join("missing");
        assert!(why(&spec).contains("can't bind"), "{}", why(&spec));
        spec = place.spec("true");
        spec.root = place.folder.path().join("missing");
        assert!(why(&spec).contains("no toolchain root at"), "{}", why(&spec));
        // A failed run leaves the work folder where it was.
        assert!(place.work().is_dir());
    });
}

#[test]
fn a_device_that_is_asked_for_is_there() {
    in_each_mode(|place| {
        let mut spec = place.spec("test -c /dev/ptmx; : >/dev/null");
        assert!(matches!(place.lines(&spec), Err(SandboxError::Tool(_))), "no device but the harmless ones");
        // An existing one may be named, too.
        spec.devices = vec!["/dev/ptmx".into(), "/dev/null".into()];
        place.lines(&spec).unwrap();
        spec.devices = vec!["/dev/no-such-device".into()];
        let error = place.lines(&spec).expect_err("no device").to_string();
        assert!(error.contains("/dev/no-such-device"), "{error}");
    });
}

#[test]
fn status_signal_output_and_input_come_through() {
    in_each_mode(|place| {
        let failed = |script: &str| match place.lines(&place.spec(script)) {
            Err(SandboxError::Tool(ProcessError::Failed { command, status, tail })) => (command, status.code(), tail),
            other => panic!("{other:?}"),
        };
        let (command, code, tail) = failed("echo to stdout; echo to stderr >&2; exit 3");
        assert_eq!(command, "sh -euc 'echo to stdout; echo to stderr >&2; exit 3'");
        assert_eq!((code, tail), (Some(3), vec!["to stdout".to_owned(), "to stderr".to_owned()]));
        assert_eq!(failed("kill -KILL $$").1, Some(128 + 9));
        assert_eq!(failed("exit 125").1, Some(125));

        let lines = Mutex::new(Vec::new());
        let watch = |line: &str| lines.lock().unwrap().push(line.to_owned());
        let log = place.folder.path().join("log");
        let feed: dbco::process::Feed<'_> = Box::new(|out| out.write_all(b"fed\n"));
        place.sandbox.run(&place.spec("cat"), Some(&log), Some(&watch), Some(feed)).unwrap();
        assert_eq!(*lines.lock().unwrap(), ["fed"]);
        assert_eq!(fs::read_to_string(&log).unwrap(), "fed\n");
        assert_eq!(place.sh("wc -c"), ["0"], "standard input is empty unless it is fed");
    });
}

#[test]
fn signals_are_at_their_defaults() {
    in_each_mode(|place| {
        // A pipe whose reader is gone ends a writer; if the signal is blocked or ignored the writer continues.
        assert_eq!(
            place.sh("{ while echo y; do :; done; echo not killed >&2; } 2>/dev/null | { read a; echo $a; }"),
            ["y"]
        );
        let error = place.lines(&place.spec("kill -TERM $$; echo survived")).expect_err("SIGTERM");
        let SandboxError::Tool(ProcessError::Failed { status, tail, .. }) = error else { panic!("{error:?}") };
        assert_eq!((status.code(), tail), (Some(128 + 15), vec![]));
    });
}

#[test]
fn what_a_tool_leaves_running_ends_with_it() {
    in_each_mode(|place| {
        // The pipe of the output closes when the last process that holds it is gone: otherwise this does not return.
        assert_eq!(place.sh("sleep 1000 & setsid sleep 1000 & (setsid sleep 1000 &) ; echo done"), ["done"]);
    });
}

#[test]
fn all_ends_when_dbco_does() {
    in_each_mode(|place| {
        let spec = place.spec("(setsid sleep 1000 &) ; sleep 1000 & echo up; wait");
        // For the kernel the end of a thread is that of a parent, which spares this test killing a process.
        let mut child = std::thread::scope(|scope| {
            let spawn = || {
                let mut child =
                    place.sandbox.command(&spec).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
                let mut up = [0; 3];
                child.stdout.as_mut().unwrap().read_exact(&mut up).unwrap();
                assert_eq!(&up, b"up\n");
                child
            };
            scope.spawn(spawn).join().unwrap()
        });
        let mut rest = String::new();
        child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        assert!(!child.wait().unwrap().success());
        // And the folder is unchanged: the next run finds its work folder.
        assert!(place.work().is_dir());
        assert_eq!(place.sh("echo again"), ["again"]);
        assert_eq!(fs::read_dir(place.root().parent().unwrap()).unwrap().count(), 1);
    });
}

#[test]
fn a_killed_sandbox_leaves_nothing_running() {
    in_each_mode(|place| {
        let spec = place.spec("(setsid sleep 1000 &) ; echo up; sleep 1000");
        let mut child = place.sandbox.command(&spec).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        let mut up = [0; 3];
        output.read_exact(&mut up).unwrap();
        child.kill().unwrap();
        output.read_to_end(&mut Vec::new()).unwrap();
        child.wait().unwrap();
        assert_eq!(place.sh("echo again"), ["again"]);
    });
}

#[test]
fn runs_in_the_same_root_go_side_by_side() {
    in_each_mode(|place| {
        let fifo = place.folder.path().join("tmp/both");
        // Each waits for the other to have started: a fifo opens when both of its ends do.
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        let other = place.folder.path().join("tmp/other");
        fs::create_dir(&other).unwrap();
        fs::hard_link(&fifo, place.work().join("both")).unwrap();
        fs::hard_link(&fifo, other.join("both")).unwrap();
        let (mut writer, reader) = (place.spec("echo met >both"), place.spec("cat both"));
        writer.binds[0].host = other;
        std::thread::scope(|scope| {
            let wrote = scope.spawn(|| place.lines(&writer));
            assert_eq!(place.lines(&reader).unwrap(), ["met"]);
            wrote.join().unwrap().unwrap();
        });
    });
}

#[test]
fn descriptors_of_the_caller_do_not_reach_the_tools() {
    in_each_mode(|place| {
        let secret = place.folder.path().join("secret");
        fs::write(&secret, "").unwrap();
        let argument = |command: &Command| {
            let words = std::iter::once(command.get_program()).chain(command.get_args());
            words.map(|word| dbco::process::quote(word.to_str().unwrap())).collect::<Vec<_>>().join(" ")
        };
        let command =
            place.sandbox.command(&place.spec("for n in 3 4 5 9; do if (: >&$n) 2>/dev/null; then echo $n; fi; done"));
        let helper = argument(&command).replace("/proc/self/exe", DBCO);
        // The shell becomes dbco's parent, which the sandbox would notice: it replaces itself instead.
        let script = format!("exec 9>{0} 5>{0}; exec {helper}", secret.display());
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "");
    });
}

#[test]
fn a_long_script_and_odd_characters_pass() {
    in_each_mode(|place| {
        let filler = format!(": '{}'\n", "ü\"\\\n".repeat(20_000));
        assert!(filler.len() > 90_000);
        assert_eq!(place.sh(&format!("{filler} echo \"$0\" 'a b' \"c\\\"d\"")), ["sh a b c\"d"]);
    });
}

#[test]
fn a_folder_outside_of_the_store_is_never_moved() {
    let Ok(sandbox) = Sandbox::in_mode(Path::new(DBCO), Some(Mode::Chroot)) else {
        assert!(!is_root(), "root can chroot");
        return;
    };
    let place = Place::new(sandbox);
    let outside = tempfile::tempdir().unwrap();
    let inode = fs::metadata(outside.path()).unwrap().ino();
    let mut spec = place.spec("true");
    spec.binds[0].host = outside.path().to_owned();
    let error = place.lines(&spec).expect_err("moved").to_string();
    assert!(error.contains("is outside it"), "{error}");
    assert_eq!(fs::metadata(outside.path()).unwrap().ino(), inode);
}

#[test]
fn a_copy_whose_owner_was_killed_is_swept() {
    let Ok(sandbox) = Sandbox::in_mode(Path::new(DBCO), Some(Mode::Chroot)) else {
        assert!(!is_root(), "root can chroot");
        return;
    };
    let place = Place::new(sandbox);
    let left = place.root().with_file_name(".key.run-killed");
    fs::create_dir_all(left.join("shut/in")).unwrap();
    fs::set_permissions(left.join("shut"), fs::Permissions::from_mode(0o555)).unwrap();
    place.sh("true");
    assert!(!left.exists());
}

#[test]
fn where_nothing_is_allowed_one_error_says_what_to_change() {
    if Sandbox::in_mode(Path::new(DBCO), Some(Mode::Namespaces)).is_err() {
        // Then this test can't create the namespace it needs; every other test here has seen the same error.
        return;
    }
    // A user namespace with a user other than root, in which no further one may be created: user_namespaces(7).
    let script = "echo 0 >/proc/sys/user/max_user_namespaces && exec \"$0\" \"$@\"";
    let output = Command::new("unshare")
        .args(["--user", "--map-user=1000", "--keep-caps", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "detection_in_this_process", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    for words in [
        "namespaces: unshare of a user namespace",
        "chroot: requires root",
        "sysctl user.max_user_namespaces=",
        "or run dbco as root",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

/// Not a separate test: [`where_nothing_is_allowed_one_error_says_what_to_change`] runs it in its namespace.
#[test]
#[ignore = "run by another test"]
fn detection_in_this_process() {
    match Sandbox::with_helper(Path::new(DBCO)) {
        Ok(sandbox) => println!("{:?} works", sandbox.mode()),
        Err(error) => println!("{error}"),
    }
}

#[test]
fn a_bind_below_another_one_s_folder_follows_no_link_there() {
    in_each_mode(|place| {
        let outside = tempfile::tempdir().unwrap();
        let out = place.folder.path().join("tmp/out");
        for (link, inside) in [("out", "/build/out"), ("out", "/build/out/deep"), ("a/out", "/build/a/out/new")] {
            let link = place.work().join(link);
            fs::create_dir_all(&out).unwrap();
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(outside.path(), &link).unwrap();
            let mut spec = place.spec("echo x >/build/leak");
            spec.binds.push(Bind { host: out.clone(), inside: inside.into(), writable: true });
            assert!(matches!(place.lines(&spec), Err(SandboxError::Setup { .. })), "{inside}");
            assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "{inside}");
            assert!(out.is_dir() && !place.work().join("leak").exists(), "{inside}");
            fs::remove_file(&link).unwrap();
        }
    });
}
