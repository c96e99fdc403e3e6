//! `dbco shell`: a command or a terminal in a step's sandbox, as the step sees it.

mod project;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;
use std::sync::mpsc::{self};
use std::time::Duration;

use dbco::process::command;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use project::terminal::at_terminal;
use project::{Project, host};

/// Columns and rows of the terminals.
const SIZE: (usize, usize) = (97, 31);

const COMPONENT: &str = "\
source: {path: ../sources/tool}
patches: [tool.patch]
env: {FLAVOUR: sweet}
build: |
  echo building
  cat text > made
  test ! -e broken
install: |
  mkdir -p $OUT/usr
  cp made $OUT/usr/made
";

const PATCH: &str = "\
--- a/text
+++ b/text
@@ -1 +1 @@
-one
+two
";

/// A project with a component that is patched and built by the host's programs, and more of these.
fn project_with(more: &[&str]) -> Project {
    let project = Project::new();
    host::add_tool(&project, COMPONENT);
    project.write("dbco.lock", project::LOCK);
    host::provide_with(&project, more);
    project.write("sources/tool/text", "one\n");
    project.write("patches/tool.patch", PATCH);
    project
}

fn project() -> Project {
    project_with(&[])
}

/// Everything in the project's output folder and in the results of its store, by name.
fn results(project: &Project) -> Vec<String> {
    let mut names = Vec::new();
    for folder in ["store/steps", "out"] {
        let mut open = vec![project.path(folder)];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.exists() {
                names.push(path.display().to_string());
            }
        }
    }
    names.sort();
    names
}

#[test]
fn a_command_sees_what_the_build_script_would() {
    let project = project();
    let script =
        "pwd; cat text; echo $FLAVOUR $OUT $HOME $SOURCE_DATE_EPOCH; ls made 2>/dev/null; env | grep -c TERM= ; true";
    let script = script.replace("ls made 2>/dev/null", "test -e made || echo unmade");
    let ran = project.dbco(&["shell", "--offline", "small.yaml", "tool", "--command", &script]).ends(0);
    assert_eq!(ran.out, "/build/src\ntwo\nsweet /build/out /build 1609459200\nunmade\n0\n");
    // Only what the step needs was built, and the step itself has no result.
    let labels: Vec<String> = results(&project).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    assert_eq!(labels.len(), 1, "{labels:?}");
    assert!(labels[0].contains("\"label\": \"toolchain host\""), "{labels:?}");
    // A cached step can be entered all the same, and its result stays.
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let before = results(&project);
    let ran = project.dbco(&["shell", "--offline", "small.yaml", "component tool", "-c", "rm text; test ! -e text"]);
    ran.ends(0);
    assert_eq!(results(&project), before);
    assert_eq!(project.read("sources/tool/text"), "one\n");
    assert_eq!(fs::read_dir(project.path("store/tmp")).unwrap().count(), 0, "nothing is left");
}

#[test]
fn there_is_no_network_and_the_root_stays_as_it_is() {
    let project = project();
    let script = "cat /proc/net/dev | grep -v -e lo: -e packets -e Receive; echo $?; (echo x > /usr/new) 2>/dev/null || echo refused";
    let ran = project.dbco(&["shell", "--offline", "small.yaml", "tool", "-c", script]).ends(0);
    assert_eq!(ran.out, "1\nrefused\n");
}

#[test]
fn a_command_that_fails_is_an_error_and_its_input_is_ours() {
    let project = project();
    let ran = project.dbco(&["shell", "--offline", "small.yaml", "tool", "-c", "exit 7"]).ends(1);
    ran.says(&["error: the command exited with status 7"]);
    let mut dbco = command(env!("CARGO_BIN_EXE_dbco"));
    dbco.args(["shell", "--offline", "small.yaml", "tool", "-c", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = project.prepare(&mut dbco).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"typed\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"typed\n"[..]));
}

#[test]
fn a_shell_starts_where_a_patch_or_an_earlier_script_failed() {
    let project = project();
    project.write("sources/tool/text", "three\n");
    project.dbco(&["build", "--offline", "small.yaml"]).ends(1).says(&["the patch series does not apply"]);
    let ran = project.dbco(&["shell", "--offline", "small.yaml", "tool", "-c", "cat text"]).ends(0);
    assert_eq!(ran.out, "three\n");
    ran.says(&["this is where it failed"]);
    project.write("sources/tool/text", "one\n");
    // The build script has run before the install script.
    let from = ["shell", "--offline", "small.yaml", "tool", "--from", "install", "-c", "cat made"];
    assert_eq!(project.dbco(&from).ends(0).out, "two\n");
    project.write("sources/tool/broken", "");
    let ran = project.dbco(&from).ends(0);
    assert_eq!(ran.out, "two\n");
    ran.says(&["this is where it failed"]);
    let ran = project.dbco(&["shell", "--offline", "small.yaml", "tool", "--from", "link", "-c", "true"]).ends(1);
    ran.says(&["it runs no `link`; it runs: build, install"]);
}

#[test]
fn settings_that_do_not_take_effect_are_reported_and_the_shell_starts() {
    let project = project();
    let kconfig = "kconfig: {base: tinyconfig, fragments: [tool]}\n";
    project.write("components/tool.yaml", project.read("components/tool.yaml") + kconfig);
    project.write("kernel-config/tool.config", "CONFIG_A=y\nCONFIG_B=y\n");
    project.write("sources/tool/Kconfig", "config A\n\tbool \"A\"\nconfig B\n\tbool \"B\"\n\tdepends on C\n");
    let makefile = "tinyconfig:\n\techo > .config\nolddefconfig:\n\tgrep -v CONFIG_B .config > new\n\tmv new .config\n";
    project.write("sources/tool/Makefile", makefile);
    project.dbco(&["build", "--offline", "small.yaml"]).ends(1).says(&["CONFIG_B=y is wanted"]);
    let ran = project.dbco(&["shell", "--offline", "small.yaml", "tool", "-c", "cat .config"]).ends(0);
    assert!(ran.out.contains("CONFIG_A=y") && !ran.out.contains("CONFIG_B"), "{}", ran.out);
    ran.says(&["CONFIG_B=y is wanted"]);
}

#[test]
fn what_is_made_there_can_be_kept() {
    let project = project();
    let script = "sh -eu /in/dbco-shell/build; mkfifo pipe; ln -s text link";
    let keep = ["shell", "--offline", "small.yaml", "tool", "--keep", "kept", "-c", script];
    let ran = project.dbco(&keep).ends(0);
    assert_eq!(ran.out, "building\n");
    ran.says(&["not copied, as it is no file: /build/src/pipe", "/build is kept in kept"]);
    assert_eq!(project.read("kept/src/made"), "two\n");
    assert_eq!(fs::read_link(project.path("kept/src/link")).unwrap().to_str(), Some("text"));
    project.dbco(&keep).ends(2).says(&["--keep kept: the folder is not empty"]);
}

#[test]
fn only_steps_that_run_tools_can_be_entered() {
    let project = project();
    let ran = project.dbco(&["shell", "--offline", "small.yaml", "initrd", "-c", "true"]).ends(2);
    ran.says(&["initrd runs no tools; these steps do: component tool"]);
    project.dbco(&["shell", "small.yaml"]).ends(2).says(&["expected a STEP"]);
    project.dbco(&["shell", "--offline", "small.yaml", "tol", "-c", "x"]).ends(2).says(&["did you mean `tool`?"]);
    project.dbco(&["shell", "--offline", "small.yaml", "tool"]).ends(2).says(&["not a terminal: pass --command"]);
}

#[test]
fn the_content_of_an_image_is_a_file_for_the_tool_that_packs_it() {
    let project = Project::with("outputs: [initrd, grub-cfg]", "outputs: [squashfs]");
    project.edit("small.yaml", "image: none", "image: host");
    host::provide_with(&project, &["mksquashfs", "tar", "ls"]);
    let script = "tar -tf /in/dbco-shell/input-0.tar | grep motd; grep -c mksquashfs /in/dbco-shell/history; ls /build";
    let ran = project.dbco(&["shell", "--offline", "small.yaml", "squashfs", "-c", script]).ends(0);
    assert_eq!(ran.out, "./system/etc/motd\n1\n");
}

#[test]
fn a_terminal_has_history_size_job_control_and_its_own_interrupts() {
    let project = project_with(&["bash", "sleep", "stty"]);
    // A job prints when it is in the foreground already. ^C ends what runs in the shell, neither the shell nor dbco; ^Z suspends it.
    let shown = at_terminal(
        &project,
        SIZE,
        "$DBCO shell --offline small.yaml tool",
        &[
            ("[component tool]", "stty size; echo size-$?\r"),
            ("size-0", "sh -c 'echo waiting; exec sleep 1000'\r"),
            ("waiting\r\n", "\x03"),
            ("[component tool]", "echo status-$?\r"),
            ("status-130", "sh -c 'echo again; exec sleep 1000'\r"),
            ("again\r\n", "\x1a"),
            ("Stopped", "kill %1; echo still-here\r"),
            ("\nstill-here", &format!("{}\r", "\x1b[A".repeat(8))),
            ("\nbuilding", "cat made; exit 3\r"),
        ],
    )
    .success();
    for text in ["31 97", "sh -eu /in/dbco-shell/build", "sh -eu /in/dbco-shell/install", "\ntwo\r"] {
        assert!(shown.contains(text), "no `{text}` in {shown}");
    }
}

#[test]
fn a_root_without_bash_has_a_plain_shell() {
    let project = project();
    let keys = [("# ", "echo $TERM; cat text\r"), ("\ntwo", "exit\r")];
    let shown = at_terminal(&project, SIZE, "$DBCO shell --offline small.yaml tool", &keys).success();
    assert!(shown.contains("[component tool] /build/src# ") && shown.contains("\ndumb\r"), "{shown}");
}

/// Where namespaces are forbidden, root's tools run in a chroot. Root of a user namespace can't make its device nodes.
#[test]
fn in_a_chroot_it_is_the_same() {
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let project = project();
    let words = ["shell", "--offline", "--sandbox", "chroot", "small.yaml", "tool", "--keep", "kept", "-c", "cat text"];
    assert_eq!(project.dbco(&words).ends(0).out, "two\n");
    assert_eq!(project.read("kept/src/text"), "two\n");
    let line = "$DBCO shell --offline --sandbox chroot small.yaml tool";
    let shown = at_terminal(&project, SIZE, line, &[("# ", "cat text\r"), ("\ntwo", "exit\r")]).success();
    assert!(shown.contains("[component tool] /build/src# "), "{shown}");
}

#[test]
fn an_interrupted_command_has_not_failed() {
    let project = project_with(&["sleep"]);
    project.edit("components/tool.yaml", "  cat text > made\n", "  exec sleep 1000\n");
    let mut dbco = command("env");
    dbco.args(["--default-signal", env!("CARGO_BIN_EXE_dbco"), "shell", "--offline", "--json", "small.yaml", "tool"]);
    dbco.args(["--from", "install", "--keep", "kept", "-c", "echo entered"]);
    let mut child = project.prepare(&mut dbco).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut shown = String::new();
    while !shown.contains("building") {
        assert!(output.read_line(&mut shown).unwrap() > 0, "{shown}");
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    output.read_to_string(&mut shown).unwrap();
    let ended = child.wait_with_output().unwrap();
    shown += &String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{shown}");
    assert!(!shown.contains("where it failed") && !shown.contains("entered"), "{shown}");
    assert_eq!(fs::read_dir(project.path("kept")).unwrap().count(), 0);
}

/// Even if SIGHUP is ignored, as it is below nohup(1).
#[test]
fn without_the_terminal_the_shell_ends() {
    let project = project();
    mkfifo(&project.path("alive"), Mode::S_IRWXU).unwrap();
    // The pipe is open for writing as long as dbco runs.
    let line = "trap '' HUP; echo $$ > pid; exec $DBCO shell --offline small.yaml tool 3> alive";
    let mut script = command("script");
    script.args(["-qec", line, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = project.prepare(&mut script).spawn().unwrap();
    let mut alive = fs::File::open(project.path("alive")).unwrap();
    let (sender, ended) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let count = alive.read(&mut [0]);
        sender.send(count.unwrap()).unwrap();
    });
    let (mut output, mut shown, mut buffer) = (child.stdout.take().unwrap(), String::new(), [0; 4096]);
    while !shown.contains("[component tool] ") {
        let count = output.read(&mut buffer).unwrap();
        assert!(count > 0, "{shown}");
        shown += &String::from_utf8_lossy(&buffer[..count]);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    if ended.recv_timeout(Duration::from_secs(60)) != Ok(0) {
        kill(Pid::from_raw(project.read("pid").trim().parse().unwrap()), Signal::SIGKILL).unwrap();
        panic!("it runs on for a minute without its terminal");
    }
    reader.join().unwrap();
}

#[test]
fn a_command_leaves_the_terminal_as_it_was() {
    let project = project_with(&["stty"]);
    let words = "stty -g; $DBCO shell --offline small.yaml tool -c 'stty raw -echo'; stty -g";
    let mut script = command("script");
    script.args(["-qec", words, "/dev/null"]).stdin(Stdio::null()).stderr(Stdio::null());
    let output = project.prepare(&mut script).stdout(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    let settings: Vec<&str> = shown.lines().map(str::trim).filter(|line| line.split(':').count() > 30).collect();
    assert!(settings.len() == 2 && settings[0] == settings[1], "{shown}");
}
