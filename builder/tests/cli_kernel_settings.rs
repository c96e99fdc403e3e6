//! `dbco check` of a kernel's settings: by the Kconfig files of its source, without building anything.

mod project;

use project::{Project, host};

const KCONFIG: &str = "\
mainmenu \"Linux\"
config MODULES
\tbool \"Modules\"
\tmodules
config 64BIT
\tbool \"64-bit\"
config PCI
\tbool \"PCI\"
config USB
\tbool \"USB\"
\tdepends on PCI
config LIB
\tbool
\tdefault y if USB
source \"sub/Kconfig\"
";

/// A project whose kernel has Kconfig files.
fn project(fragment: &str) -> Project {
    let project = Project::new();
    project.write("sources/kernel/Kconfig", KCONFIG);
    project.write("sources/kernel/sub/Kconfig", "config SUB\n\tbool \"sub\"\n\tdepends on USB\n");
    project.write("sources/kernel/Makefile", "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 0\n");
    project.edit("components/kernel.yaml", "base: tinyconfig", "base: allnoconfig");
    project.write("kernel-config/tiny.config", fragment);
    project
}

#[test]
fn each_lost_setting_is_an_error_at_its_line_that_says_what_to_add() {
    let ran = project("# why\nCONFIG_64BIT=y\nCONFIG_SUB=y\nCONFIG_UBS=y\n").dbco(&["check", "small.yaml"]).ends(2);
    ran.says(&[
        "kernel: 1 of 3 settings take effect",
        "tiny.config:3:1: CONFIG_SUB=y is wanted, but it is not set: it depends on USB, which is n (sub/Kconfig:3); USB in turn \
         depends on PCI, which is n (Kconfig:11)",
        "help: add `CONFIG_PCI=y`, `CONFIG_USB=y`",
        "tiny.config:4:1: CONFIG_UBS=y is wanted, but it is not set: this source has no such symbol; did you mean",
        "2 settings of the kernel will not take effect",
    ]);
    project("CONFIG_SUB=y\nCONFIG_PCI=y\nCONFIG_USB=y\n").dbco(&["check", "small.yaml"]).ends(0).says(&["3 of 3"]);
}

#[test]
fn what_can_not_be_known_is_a_note() {
    let target = project("CONFIG_SUB=y\n");
    target.edit("components/kernel.yaml", "base: allnoconfig", "base: randconfig");
    target.dbco(&["check", "small.yaml"]).ends(0).says(&[
        "the kernel's settings were not checked: what `make randconfig` does can't be known without running it",
    ]);
    let odd = project("CONFIG_SUB=y\n");
    odd.write("sources/kernel/sub/Kconfig", "config SUB\n\tbool \"sub\"\n\tfrobnicate\n");
    odd.dbco(&["check", "small.yaml"]).ends(0).says(&["not checked: sub/Kconfig:3: unknown keyword `frobnicate`"]);
    // The patches are not applied to a folder.
    let patched = project("CONFIG_SUB=y\n");
    let change = "--- a/FILE\n+++ b/FILE\n@@ -1 +1 @@\n-x\n+y\n";
    patched.write("patches/first.patch", change.replace("FILE", "sub/Kconfig"));
    patched.dbco(&["check", "small.yaml"]).ends(0).says(&["not checked: its source is a folder whose Kconfig files"]);
    patched.write("patches/first.patch", change.replace("FILE", "main.c"));
    patched.dbco(&["check", "small.yaml"]).ends(2).says(&["kernel: 0 of 1 setting"]);
    // A source without Kconfig files is somebody else's.
    Project::new().dbco(&["check", "small.yaml"]).ends(0).never_says("kernel's settings");
    let remote = project("CONFIG_SUB=y\n");
    let source = "source: {url: \"https://example.org/linux-6.1.tar.xz\"}";
    remote.edit("components/kernel.yaml", "source: {path: ../sources/kernel}", source);
    remote.dbco(&["check", "small.yaml"]).ends(0).says(&["its source is not locked: run `dbco lock small.yaml`"]);
    assert!(!remote.path("home/.cache/dbco").exists(), "the store is not made for it");
}

#[test]
fn a_program_is_missing_only_if_the_recipe_can_not_bring_another() {
    let run = |program: &str, edits: &[(&str, &str)]| {
        let project = project("CONFIG_SUB=y\n");
        let test = format!("$(shell,{{ {program} --version; }} >/dev/null 2>&1 && echo \"y\" || echo \"n\")");
        project.write("sources/kernel/Kconfig", format!("{KCONFIG}config HAS\n\tdef_bool {test}\n"));
        project.write("sources/kernel/sub/Kconfig", "config SUB\n\tbool \"sub\"\n\tdepends on HAS\n");
        project.edit("small.yaml", "{build: none,", "{build: host,");
        host::provide(&project);
        project.write(
            "components/lib.yaml",
            "component: lib\nversion: '1'\nlicense: MIT\nsource: {path: ../sources/kernel}\n",
        );
        for (from, to) in edits {
            project.edit("components/kernel.yaml", from, to);
        }
        project.dbco(&["check", "small.yaml"])
    };
    let make = |arguments: &'static str| [("allnoconfig}", arguments)];
    for program in ["rustc", "pahole"] {
        run(program, &[]).ends(2).says(&["kernel: 0 of 1 setting", "it depends on HAS, which is n"]);
        let others = make("allnoconfig, make: [RUSTDOC=x]}\nenv: {HOME: /build}");
        run(program, &others).ends(2).says(&["kernel: 0 of 1 setting"]);
        for edits in [
            make("allnoconfig}\nenv: {PATH: '/deps/bin:/usr/bin'}"),
            make("allnoconfig}\nenv: {RUSTC: x, PAHOLE: x}"),
            make("allnoconfig, make: ['PATH:=/deps/bin']}"),
            make("allnoconfig}\nneeds: [lib]"),
        ] {
            run(program, &edits).ends(0).says(&["kernel: 1 of 1 setting"]);
        }
    }
    let pahole = make("allnoconfig, make: [PAHOLE=/build/pahole]}");
    run("pahole", &pahole).ends(0).says(&["kernel: 1 of 1 setting"]);
    // The variable of one says nothing about the other.
    run("rustc", &make("allnoconfig}\nenv: {PAHOLE: x}")).ends(2).says(&["kernel: 0 of 1 setting"]);
}

/// A project whose kernel is an archive.
fn archived(fragment: &str) -> Project {
    let project = project(fragment);
    archive(&project, &["linux-6.1"]);
    let url = format!("file://{}", project.path("mirror/linux-6.1.tar").display());
    project.edit("components/kernel.yaml", "{path: ../sources/kernel}", &format!("{{url: '{url}'}}"));
    project
}

/// Writes the archive of the kernel's source: with the source in each of these folders.
fn archive(project: &Project, folders: &[&str]) {
    let mut tar = tar::Builder::new(Vec::new());
    for folder in folders {
        tar.append_dir_all(folder, project.path("sources/kernel")).unwrap();
    }
    project.write("mirror/linux-6.1.tar", tar.into_inner().unwrap());
}

#[test]
fn the_top_of_an_archive_is_handled_as_by_a_build() {
    let settings = "CONFIG_SUB=y\nCONFIG_USB=y\nCONFIG_PCI=y\n";
    for (folders, strip) in [
        (&["linux-6.1"][..], ""),
        (&["linux-6.1"], "strip: 1"),
        // No folder encloses the source; that `sub` has Kconfig files as well changes nothing.
        (&["."], ""),
        (&["."], "strip: 0"),
        (&["a/b"], "strip: 2"),
    ] {
        let project = archived(settings);
        archive(&project, folders);
        if !strip.is_empty() {
            project.edit("components/kernel.yaml", ".tar'}", &format!(".tar', {strip}}}"));
        }
        project.dbco(&["lock", "small.yaml"]).ends(0);
        project.dbco(&["check", "small.yaml"]).ends(0).says(&["kernel: 3 of 3 settings take effect"]);
    }
    // Two folders: neither is the source, which has no Kconfig files at its top.
    let project = archived(settings);
    archive(&project, &["one", "other"]);
    project.dbco(&["lock", "small.yaml"]).ends(0);
    project.dbco(&["check", "small.yaml"]).ends(0).never_says("settings take effect");
}

#[test]
fn an_archives_files_are_kept_in_the_store_and_made_again_if_they_are_damaged() {
    let project = archived("CONFIG_SUB=y\nCONFIG_USB=y\nCONFIG_PCI=y\nCONFIG_64BIT=y\n");
    let check = || project.dbco(&["check", "small.yaml"]);
    project.dbco(&["lock", "small.yaml"]).ends(0);
    std::fs::remove_dir_all(project.path("store")).unwrap();
    check().ends(0).says(&["not checked: its source is not in the store: run `dbco fetch small.yaml`"]);
    project.dbco(&["fetch", "small.yaml"]).ends(0);
    check().ends(0).says(&["kernel: 4 of 4 settings take effect"]);
    // The archive is not read again.
    let source = blob_of(&project, "linux-6.1/Kconfig");
    std::fs::rename(&source, project.path("aside")).unwrap();
    check().ends(0).says(&["kernel: 4 of 4 settings take effect"]);
    std::fs::rename(project.path("aside"), &source).unwrap();
    // A patch changes what is read, and nothing but Kconfig files is taken from it.
    let patch = "--- a/none.c\n+++ b/none.c\n@@ -1 +1 @@\n-x\n+y\n--- a/sub/Kconfig\n+++ b/sub/Kconfig\n@@ -1,3 +1,3 @@\n config SUB\n \tbool \"sub\"\n\
                 -\tdepends on USB\n+\tdepends on GONE\n";
    project.write("patches/first.patch", patch);
    check().ends(2).says(&[
        "CONFIG_SUB=y is wanted",
        "it depends on GONE, which does not exist for this architecture (sub/Kconfig:3)",
    ]);
    project.write("patches/first.patch", patch.replace("depends on USB", "depends on BUS"));
    check().ends(0).says(&["not checked:", "first.patch:8: hunk 1 does not apply to sub/Kconfig, whose lines differ"]);
    project.write("patches/first.patch", "");
    let kept = blob_of(&project, "\"sub/Kconfig\":\"config SUB\\n\\tbool \\\"sub\\\"\\n\\tdepends on USB");
    let text = std::fs::read(&kept).unwrap();
    std::fs::set_permissions(&kept, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::write(&kept, vec![b' '; text.len()]).unwrap();
    check().ends(0).says(&["kernel: 4 of 4 settings take effect", "damaged"]);
    assert_eq!(std::fs::read(&kept).unwrap(), text);
}

/// The store's blob that contains a text.
fn blob_of(project: &Project, text: &str) -> std::path::PathBuf {
    let mut folders = vec![project.path("store/blobs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(text) {
                return path;
            }
        }
    }
    panic!("no blob contains {text}");
}
