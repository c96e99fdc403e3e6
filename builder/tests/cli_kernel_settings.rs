//! `dbco check` of a kernel's settings: by the Kconfig files of its source, without building anything.

mod project;

use project::Project;

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
        "help: add `CONFIG_PCI=y` and `CONFIG_USB=y`",
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
        "the kernel's settings were not checked: what `make randconfig` does can't be told without running it",
    ]);
    let odd = project("CONFIG_SUB=y\n");
    odd.write("sources/kernel/sub/Kconfig", "config SUB\n\tbool \"sub\"\n\tfrobnicate\n");
    odd.dbco(&["check", "small.yaml"]).ends(0).says(&["not checked: sub/Kconfig:3: unknown keyword `frobnicate`"]);
    // A source without Kconfig files is somebody else's.
    Project::new().dbco(&["check", "small.yaml"]).ends(0).never_says("kernel's settings");
    let remote = project("CONFIG_SUB=y\n");
    let source = "source: {url: \"https://example.org/linux-6.1.tar.xz\"}";
    remote.edit("components/kernel.yaml", "source: {path: ../sources/kernel}", source);
    remote.dbco(&["check", "small.yaml"]).ends(0).says(&["its source is not locked: run `dbco lock small.yaml`"]);
    assert!(!remote.path("home/.cache/dbco").exists(), "the store is not made for it");
}
