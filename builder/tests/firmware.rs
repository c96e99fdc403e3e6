//! Firmware that a kernel's modules request: reported if nothing provides it.

mod project;

use std::fs;

use dbco::process::command;
use project::{Project, host};

/// A kernel module, as far as its `.modinfo` is concerned, made by the C compiler.
fn module(info: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let text = |(number, text): (usize, &&str)| {
        format!(
            "static const char i{number}[] __attribute__((section(\".modinfo\"), used, aligned(1))) = \"{text}\";\n"
        )
    };
    let source: String = info.iter().enumerate().map(text).collect();
    fs::write(folder.path().join("m.c"), source).unwrap();
    let status = command("gcc").args(["-c", "m.c", "-o", "m.ko"]).current_dir(folder.path()).status().unwrap();
    assert!(status.success());
    fs::read(folder.path().join("m.ko")).unwrap()
}

/// The small project with two modules, one of which requests seven files and depends on the other, which requests one.
fn project(kernel: &str) -> Project {
    let mut info = vec!["name=bnx2x", "depends=mdio"];
    let names: Vec<String> = (1..=7).map(|number| format!("firmware=bnx2x/e{number}.fw")).collect();
    info.extend(names.iter().map(String::as_str));
    let (bnx2x, mdio) = (module(&info), module(&["name=mdio", "depends=", "firmware=mdio.bin"]));
    let plain = module(&["name=plain", "depends="]);
    host::with_kernel_package(
        kernel,
        &[
            ("./boot/vmlinuz-1", b"kernel"),
            ("./lib/modules/1/kernel/bnx2x.ko", &bnx2x),
            ("./lib/modules/1/kernel/mdio.ko", &mdio),
            ("./lib/modules/1/kernel/plain.ko", &plain),
        ],
    )
}

fn build(project: &Project) -> project::Ran {
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0)
}

#[test]
fn firmware_that_is_missing_is_named_with_the_module_and_its_place() {
    let ran = build(&project("modules: [plain, bnx2x]"));
    ran.says(&[
        "warning: initramfs: small.yaml:9:20: module bnx2x may ask for firmware that is not in the image: \
         bnx2x/e1.fw, bnx2x/e2.fw, bnx2x/e3.fw, bnx2x/e4.fw, bnx2x/e5.fw and 2 more",
        "module mdio may ask for firmware that is not in the image: mdio.bin\n",
        "`absent-firmware: [\"bnx2x/*\"]` in `kernel`",
        "overlay of `initrd`, below lib/firmware",
    ])
    .never_says("module plain");
    build(&project("modules: [plain]")).never_says("warning");
}

#[test]
fn firmware_that_is_there_or_stated_as_absent_is_not_spoken_of() {
    let state = "modules: [bnx2x]\n  absent-firmware: [\"bnx2x/*\", mdio.bin]";
    build(&project(state)).never_says("warning");
    let ran = build(&project("modules: [bnx2x]\n  absent-firmware: [\"bnx2x/e[1-6].fw\", \"*.bin\", other/x]"));
    ran.says(&["bnx2x/e7.fw\n", "small.yaml:10:", "`absent-firmware` has other/x, which matches no missing firmware"])
        .never_says("e6.fw");
    // In the initramfs, also compressed, and at a path given by a parameter.
    let project = project("modules: [bnx2x]");
    for number in 1..=5 {
        project.write(&format!("early/lib/firmware/bnx2x/e{number}.fw"), "x");
    }
    project.write("early/lib/firmware/bnx2x/e6.fw.xz", "x");
    project.write("early/own/firmware/mdio.bin", "x");
    project.edit("small.yaml", "cmdline: host=${host}", "cmdline: host=${host} firmware_class.path=/own/firmware");
    let ran = build(&project);
    ran.says(&["not in the image: bnx2x/e7.fw\n"]).never_says("e6.fw").never_says("mdio");
    project.dbco(&["check", "small.yaml"]).ends(0);
}

#[test]
fn a_pattern_that_is_none_is_a_finding() {
    let project = project("modules: [bnx2x]\n  absent-firmware: [\"bnx2x/[\"]");
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["error[patterns]", "`bnx2x/[` is not a valid pattern"]);
}
