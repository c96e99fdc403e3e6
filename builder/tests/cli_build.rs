//! Builds with real tools, with a toolchain of the host's own programs, through the command line.

mod project;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use dbco::process::command;
use project::{Project, host};

/// Its configuration drops symbols that are not visible in any Kconfig file, as the kernel's does.
const MAKEFILE: &str = "\
tinyconfig:
\techo '# CONFIG_64BIT is not set' > .config
olddefconfig:
\tgrep -v CONFIG_WATCHDOG .config > new
\tmv new .config
all:
\tcat .config init.c > bzImage
";

const KCONFIG: &str = "\
config 64BIT
\tbool \"64-bit kernel\"
config CLOCK
\tbool \"A clock\"
config WATCHDOG
\tbool \"A watchdog\"
\tdepends on CLOCK
";

const PATCH: &str = "\
--- a/init.c
+++ b/init.c
@@ -1,3 +1,3 @@
 one
-two
+zwei
 three
";

/// The small project with a kernel to build and a toolchain that can.
fn project() -> Project {
    let project = Project::with("[initrd, grub-cfg]", "[bzimage]");
    project.edit("small.yaml", "{build: none,", "{build: host,");
    let component = project.read("components/kernel.yaml") + "build: make all\n";
    project.write("components/kernel.yaml", component);
    project.write("sources/kernel/Makefile", MAKEFILE);
    project.write("sources/kernel/Kconfig", KCONFIG);
    project.write("sources/kernel/init.c", "one\ntwo\nthree\n");
    project.write("patches/first.patch", PATCH);
    host::provide(&project);
    project
}

#[test]
fn a_kernel_is_patched_configured_and_built() {
    let project = project();
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let built = project.read("out/small/bzImage");
    assert_eq!(
        built,
        "# CONFIG_64BIT is not set\none\nzwei\nthree\n".replace("# CONFIG_64BIT is not set", "CONFIG_64BIT=y")
    );
}

#[test]
fn a_configuration_of_the_project_is_read_where_it_is() {
    let project = project();
    project.edit("components/kernel.yaml", "{base: tinyconfig}", "{config: {path: ../configs/base}}");
    project.write("configs/base", "CONFIG_CLOCK=y\n");
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    assert!(project.read("out/small/bzImage").starts_with("CONFIG_CLOCK=y\nCONFIG_64BIT=y\n"));
    // It is an input like any other.
    project.write("configs/base", "# CONFIG_CLOCK is not set\n");
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    assert!(project.read("out/small/bzImage").starts_with("# CONFIG_CLOCK is not set\n"));
}

#[test]
fn a_patch_that_does_not_apply_is_named_with_its_hunk() {
    let project = project();
    project.write("sources/kernel/init.c", "one\nzwo\nthree\n");
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    ran.says(&["error: component kernel failed: the patch series does not apply:", "first.patch", "init.c", "hunk 1"]);
    assert!(!project.path("out").exists());
    // Nor one whose context differs, which patch by itself would let pass.
    project.write("sources/kernel/init.c", "one\ntwo\nfour\n");
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    ran.says(&["the patch series does not apply:", "first.patch"]);
}

#[test]
fn a_setting_that_did_not_take_effect_is_named_with_the_reason() {
    let project = project();
    project.write("kernel-config/tiny.config", "CONFIG_64BIT=y\nCONFIG_WATCHDOG=y\n");
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    let ran = ran.says(&["error: component kernel failed: 1 setting did not take effect:", "CONFIG_WATCHDOG"]);
    ran.says(&["tiny.config:2", "CLOCK"]).never_says("CONFIG_64BIT");
    assert!(!project.path("out").exists());
}

#[test]
fn a_script_that_fails_shows_the_end_of_its_output_and_its_log() {
    let project = project();
    project.edit("components/kernel.yaml", "build: make all", "build: 'echo nearly; exit 7'");
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    let ran = ran.says(&["component kernel failed: its build script failed", "  | nearly", "the full log:\n"]);
    let log = ran.err.rsplit("the full log:\n").next().unwrap().lines().next().unwrap();
    assert!(fs::read_to_string(log).unwrap().contains("nearly"));
}

/// Every kind of entry that a script may leave where dbco reads a file: each with a command that creates it at `$at`.
fn traps(secret: &Path) -> Vec<(String, &'static str)> {
    let secret = secret.display();
    vec![
        (format!("ln -s {secret} $at"), "a link to `"),
        (format!("ln -s ../../../../../../../../../..{secret} $at"), "a link to `../"),
        ("ln -s /dev/zero $at".to_owned(), "a link to `/dev/zero`"),
        ("mkfifo $at".to_owned(), "a named pipe"),
        ("mkfifo pipe; ln -s pipe $at".to_owned(), "pipe"),
        ("ln -s nowhere $at".to_owned(), "a link to `nowhere`"),
        ("mkdir $at".to_owned(), "a folder"),
    ]
}

/// Runs a build whose scripts try to lead dbco outside; it has to fail, name `path`, and leave and show nothing of the
/// host's file.
#[track_caller]
fn refused(project: &Project, path: &str, why: &str) {
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    let ran = ran.says(&[&format!("`{path}`"), why]).never_says("host's secret");
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    assert!(!project.path("out").exists());
    assert_eq!(project.read("home/secret"), "the host's secret\n");
    let blobs = command("grep").args(["-rl", "the host's secret"]).arg(project.path("store")).output().unwrap();
    assert_eq!(String::from_utf8(blobs.stdout).unwrap(), "", "it is in the store");
}

#[test]
fn what_a_script_leaves_at_a_named_output_is_a_file_of_the_source_or_refused() {
    let project = project();
    project.write("home/secret", "the host's secret\n");
    let component = project.read("components/kernel.yaml");
    for (make, why) in traps(&project.path("home/secret")) {
        let script = format!("build: 'make all; rm bzImage; at=bzImage; {make}'");
        project.write("components/kernel.yaml", component.replace("build: make all", &script));
        refused(&project, "src/bzImage", why);
    }
    // A folder on the way, the source's folder, the folder of what is installed.
    let home = project.path("home").display().to_string();
    for (script, file, path, why) in [
        (format!("ln -s {home} way"), "way/secret", "src/way/secret", "`way`, a link to `"),
        (
            format!("ln -s ../../../../../../../../..{home} way"),
            "way/secret",
            "src/way/secret",
            "`way`, a link to `../",
        ),
        (format!("mv /build/src /build/was; ln -s {home} /build/src"), "secret", "src", "`src`, a link to `"),
        (format!("make all; rm -r /build/out; ln -s {home} /build/out"), "bzImage", "out", "`out`, a link to `"),
        ("make all; rm -r /build/out; mkfifo /build/out".to_owned(), "bzImage", "out", "is not a folder"),
    ] {
        let text = component.replace("build: make all", &format!("build: '{script}'"));
        project.write("components/kernel.yaml", text.replace("bzImage: bzImage", &format!("bzImage: {file}")));
        refused(&project, path, why);
    }
    // One that stays inside is followed.
    let script = "build: 'make all; mkdir a b; mv bzImage b/image; ln -s ../b/image a/bzImage'";
    let text = component.replace("build: make all", script).replace("bzImage: bzImage", "bzImage: a/bzImage");
    project.write("components/kernel.yaml", text);
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    assert!(project.read("out/small/bzImage").starts_with("CONFIG_64BIT=y"));
}

/// An archive of the project with these files.
fn archive(project: &Project, files: &[&str]) {
    let mut tar = tar::Builder::new(Vec::new());
    for name in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        let folder = name.ends_with('/');
        header.set_entry_type(if folder { tar::EntryType::Directory } else { tar::EntryType::Regular });
        let content = if folder { String::new() } else { format!("{name}\n") };
        header.set_size(content.len() as u64);
        // The crate itself would take a leading `./` off.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, content.as_bytes()).unwrap();
    }
    project.write("sources/kernel.tar", tar.into_inner().unwrap());
}

#[test]
fn an_archive_is_unpacked_whole_and_loses_only_a_folder_that_holds_all() {
    let project = project();
    project.edit("small.yaml", "  patches: [first.patch]\n  config: [tiny]\n", "");
    let component = "component: kernel\nversion: '1'\nlicense: MIT\nsource: {path: ../sources/kernel.tar}\n\
                     build: 'for f in * */*; do if [ -f $f ]; then echo $f; fi; done > list'\nfiles: {bzImage: list}\n";
    project.write("components/kernel.yaml", component);
    for (files, expected) in [
        (&["top/", "top/Makefile", "top/src/a.c"][..], "Makefile\nsrc/a.c\n"),
        (&["./top/Makefile", "./top/src/a.c"], "Makefile\nsrc/a.c\n"),
        (&["Makefile", "run.sh", "src/a.c"], "Makefile\nrun.sh\nsrc/a.c\n"),
        (&["./", "./Makefile", "./src/a.c"], "Makefile\nsrc/a.c\n"),
        (&["a/x", "b/x"], "a/x\nb/x\n"),
        (&["only"], "only\n"),
        (&["unpacked/x", "unpacked/unpacked/x"], "x\nunpacked/x\n"),
        (&["src/src/x", "src/out/y"], "out/y\nsrc/x\n"),
    ] {
        archive(&project, files);
        project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
        let mut list: Vec<_> = project.read("out/small/bzImage").lines().map(str::to_owned).collect();
        list.retain(|line| line != "list");
        let mut expected: Vec<_> = expected.lines().map(str::to_owned).collect();
        list.sort();
        expected.sort();
        assert_eq!(list, expected, "{files:?}");
    }
}

#[test]
fn modes_and_empty_files_of_a_git_patch_are_applied() {
    let project = project();
    project.write("sources/kernel/gone", "");
    project.write("sources/kernel/old-name", "moved\n");
    let patch = "diff --git a/init.c b/init.c\nold mode 100644\nnew mode 100755\n\
                 diff --git a/empty b/empty\nnew file mode 100644\nindex 0000000..e69de29\n\
                 diff --git a/gone b/gone\ndeleted file mode 100644\nindex e69de29..0000000\n\
                 diff --git a/old-name b/new-name\nsimilarity index 100%\nrename from old-name\nrename to new-name\n";
    project.write("patches/first.patch", patch);
    let check = "[ -x init.c ] && [ -f empty ] && [ ! -s empty ] && [ ! -e gone ] && [ -s new-name ]";
    project.edit("components/kernel.yaml", "build: make all", &format!("build: '{check} && make all'"));
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
}

#[test]
fn what_stands_at_the_configuration_is_neither_read_nor_written_through() {
    let project = project();
    project.write("home/secret", "the host's secret\n");
    let makefile = project.read("sources/kernel/Makefile");
    for (make, why) in traps(&project.path("home/secret")) {
        for target in ["tinyconfig", "olddefconfig"] {
            let make = make.replace("$at", ".config");
            let trap = format!("{target}:\n\trm -f .config; {make}\nold_{target}:\n");
            project.write("sources/kernel/Makefile", makefile.replace(&format!("{target}:\n"), &trap));
            refused(&project, "src/.config", why);
        }
    }
    // The source itself contains the link; a configuration of the project replaces it.
    project.write("sources/kernel/Makefile", makefile);
    project.write("start.config", "CONFIG_CLOCK=y\n");
    project.edit("components/kernel.yaml", "{base: tinyconfig}", "{config: {path: ../start.config}}");
    let secret = project.path("home/secret");
    for target in [secret.as_path(), Path::new("../../../../../home/secret"), Path::new("/dev/null")] {
        let link = project.path("sources/kernel/.config");
        let _ = fs::remove_file(&link);
        symlink(target, &link).unwrap();
        project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
        assert!(project.read("out/small/bzImage").starts_with("CONFIG_CLOCK=y\nCONFIG_64BIT=y"));
        assert_eq!(project.read("home/secret"), "the host's secret\n");
    }
}

/// In a chroot no process may create a user namespace (user_namespaces(7)), and root has lost the right to create a
/// chroot.
#[test]
fn a_host_that_allows_neither_namespaces_nor_chroot_is_told_what_to_change() {
    let project = project();
    let script = "mkdir r; mount --rbind / r; here=$PWD; \
                  exec chroot r setpriv --bounding-set=-all --inh-caps=-all \
                  env -C \"$here\" \"$DBCO\" build --offline small.yaml";
    let ran = project.unshared(script).ends(1);
    ran.says(&[
        "cannot create a sandbox for the tools on this host",
        "namespaces: ",
        "chroot: ",
        "help: or give root the capabilities SYS_CHROOT, MKNOD, SETFCAP and SETPCAP",
    ]);
    assert!(!project.path("out").exists());
}

#[test]
fn logs_of_tests_are_not_written_over_what_dbco_did_not_write() {
    let project = Project::new();
    project.write("out/small.tests/first.log", "a diary");
    let test = |more: &[&str]| project.dbco(&[&["test", "small.yaml", "--offline", "--host-qemu"], more].concat());
    test(&[]).ends(2).says(&["out/small.tests", "`first.log`", "--output"]).never_says("kernel");
    std::fs::remove_file(project.path("out/small.tests/first.log")).unwrap();
    project.write("out/small.tests/junit.xml", "a report");
    test(&[]).ends(2).says(&["`junit.xml`"]);
    // A file named by the user is not dbco's to check; and the following build fails, as there is no kernel here.
    test(&["--junit", "report.xml"]).ends(1).never_says("junit.xml");
    test(&["--junit", "out/../out/small.tests/junit.xml"]).ends(1).never_says("junit.xml");
    test(&["--junit", "./out/small.tests/junit.xml"]).ends(2).says(&["`junit.xml`"]);
    std::os::unix::fs::symlink("elsewhere", project.path("out/link")).unwrap();
    std::fs::remove_dir_all(project.path("out/small.tests")).unwrap();
    std::fs::rename(project.path("out/link"), project.path("out/small.tests")).unwrap();
    test(&[]).ends(2).says(&["symbolic link"]);
    assert!(!project.path("out/elsewhere").exists());
}

#[test]
fn the_log_of_a_peer_is_one_of_the_logs() {
    let project = Project::with("expect: \"login:\"}", "expect: \"login:\", peer: {entry: live, expect: x}}");
    project.write("out/small.tests/first.peer.log", "a diary");
    let ran = project.dbco(&["test", "small.yaml", "--offline", "--host-qemu"]);
    ran.ends(2).says(&["out/small.tests", "`first.peer.log`"]).never_says("kernel");
}

/// The message of a failing script, its location in the component's file, and what to do.
#[test]
fn a_script_that_fails_is_named_with_its_line_and_the_remedy() {
    let project = project();
    let component = project.read("components/kernel.yaml");
    let build = component.lines().position(|line| line.starts_with("build:")).unwrap() + 1;
    let cmake =
        "`cmake` is not in toolchain host: add the package that contains it to `packages` in toolchains/host.yaml";
    let network = "steps have no network: declare what it fetches as a component's `source`";
    for (script, line, parts) in [
        ("cmake .", format!("{build}:8"), &[cmake][..]),
        ("|\n  true\n  cmake .\n", format!("{}", build + 2), &[cmake]),
        ("|-\n  true\n  cmake .\n", format!("{}", build + 2), &[cmake]),
        // Lines of other scalars are not those of the file.
        ("\"true\\ncmake .\"", format!("{build}:8"), &[cmake]),
        (">\n  true;\n  cmake .\n", format!("{}:3", build + 1), &[cmake]),
        ("|\n  true\n\n  if true; fi\n", format!("{}", build + 3), &["yntax error"]),
        ("\"printf 'all:\\n\\tbison x\\n' | make -f -\"", format!("{build}:8"), &["`bison` is not in toolchain host"]),
        ("'echo curl: Could not resolve host: x.org; exit 6'", format!("{build}:8"), &[network]),
        ("'exit 7'", format!("{build}:8"), &["exit status: 7"]),
    ] {
        project.write("components/kernel.yaml", component.replace("build: make all", &format!("build: {script}")));
        let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1).says(parts);
        let ran =
            ran.says(&[&format!("components/kernel.yaml:{line}: component kernel failed: its build script failed")]);
        // The script itself is in the recipe.
        ran.never_says("-euc '").never_says("printf 'all");
    }
}

/// Also as root, without the capabilities that let it read everything.
#[test]
fn an_output_that_can_not_be_read_is_not_called_changed() {
    let project = Project::new();
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let build = "chmod 000 out/small/grub.cfg; exec setpriv --bounding-set -dac_override,-dac_read_search \
                 \"$DBCO\" build --offline small.yaml";
    let said =
        ["can't replace out/small: `grub.cfg` can't be read (Permission denied", "make it readable", "--overwrite"];
    project.unshared(build).ends(1).says(&said).never_says("changed since dbco wrote it: move");
    project.unshared(&format!("{build} --overwrite")).ends(0);
    assert!(project.path("out/small.edited/grub.cfg").is_file());
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
}
