//! Messages for everyday mistakes: what was expected, where, and what to do.

mod project;

use project::{Project, RECIPE};

#[test]
fn memory_ports_and_processors_are_told_with_their_units_and_ranges() {
    for (stated, parts) in [
        ("memory: 512M", &["`512M` is not a positive number of MiB", "MiB, without a unit", "512M is 512"][..]),
        ("memory: 1G", &["`1G` is not a positive number of MiB", "1G is 1024"]),
        ("memory: 2GiB", &["2GiB is 2048"]),
        ("memory: much", &["`much` is not a positive number of MiB"]),
        ("memory: 0", &["`0` is not a positive number of MiB"]),
        ("memory: [1]", &["expected a number of MiB, found a list"]),
        ("forward: [80800]", &["`80800` is not a port", "expected a number from 1 to 65535"]),
        ("forward: [0]", &["`0` is not a port"]),
        ("forward: [http]", &["`http` is not a port"]),
        ("forward: [[80]]", &["a list is not a port"]),
        ("cpus: 0", &["a positive whole number"]),
    ] {
        let project = Project::with("medium: kernel,", &format!("medium: kernel, {stated},"));
        project.dbco(&["check", "small.yaml"]).ends(2).says(parts).says(&["1 finding; nothing was built"]);
    }
}

/// A missing key of an account does not hide its other errors, nor a missing overlay errors elsewhere.
#[test]
fn findings_of_all_kinds_come_at_once() {
    let project = Project::new();
    let users =
        "    - {name: root, uid: 0, password: hunter2}\n    - {name: a, uid: 0, shell: /system/bin/sh, home: x}\n";
    let recipe = RECIPE
        .replace("overlays: [overlay]", "overlays: [overlay, missing]")
        .replace("    - {name: root, uid: 0, shell: /system/bin/sh, home: /system/root}\n", users)
        .replace("medium: kernel,", "medium: kernel, memory: 512M, forward: [80800],")
        .replace("entry: live,", "entry: lve,");
    project.write("small.yaml", recipe);
    project.dbco(&["check", "small.yaml"]).ends(2).says(&[
        "there is no overlay `missing`",
        "an account lacks `shell`",
        "`password` of account `root` is not a crypt(5) hash",
        "uid 0 is already used by another account",
        "`home` of account `a` is `x`",
        "`512M` is not a positive number of MiB",
        "`80800` is not a port",
        "the boot menu has no entry `lve`",
    ]);
}

/// A pattern of `replace` means the same in a check and in a build, and not all of many differences are shown.
#[test]
fn overlays_that_differ_are_found_unless_replaced() {
    let check = |replace: &str, files: &[&str]| {
        let project = Project::with("overlays: [overlay]", &format!("overlays: [overlay, other]{replace}"));
        for file in files {
            project.write(&format!("overlay/{file}"), "one");
            project.write(&format!("other/{file}"), "two");
        }
        project.dbco(&["check", "small.yaml"])
    };
    let files = ["system/etc/a", "system/etc/d/b"];
    check("", &files).ends(2).says(&["`/system/etc/a` of this overlay differs from", "replace: [/system/etc/d/b]"]);
    check("\n  replace: [/system/etc/**]", &files).ends(0);
    check("\n  replace: [/system/etc/*]", &files).ends(2).says(&["`/system/etc/d/b`", "1 finding"]);
    check("\n  replace: [/system/etc/a, '/system/*/?/b']", &files).ends(0);
    let many: Vec<String> = (0..300).map(|number| format!("system/{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    check("", &many).ends(2).says(&["and at least 1 more; the first 100 findings are shown"]);
}

/// Nor do they hide errors in fragments and patches, whose own lines are shown.
#[test]
fn fragments_and_patches_are_looked_at_with_the_recipe() {
    let project = Project::with("layout: split", "layuot: split");
    project.write("kernel-config/tiny.config", "CONFIG_64BIT=y\nCONFIG_SMP y\n\n  what\n");
    project.write("patches/first.patch", "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n one\n-two\n");
    let ran = project.dbco(&["check", "small.yaml"]).ends(2);
    let ran = ran.says(&["did you mean `layout`?", "kernel-config/tiny.config:2:1", "kernel-config/tiny.config:4:1"]);
    ran.says(&["error[fragment]", "2 | CONFIG_SMP y", "error[patch]", "patches/first.patch:", "small.yaml:8:13"]);
    let ran = project.dbco(&["check", "--json", "small.yaml"]).ends(2);
    let lines: Vec<_> = ran.out.lines().collect();
    assert!(
        lines.iter().any(|line| line.contains("\"code\":\"fragment\"") && line.contains("\"line\":2")),
        "{lines:?}"
    );
}

#[test]
fn a_recipe_that_is_not_there_is_told_with_those_that_are() {
    let project = Project::new();
    project.write("recipes/quick.yaml", RECIPE);
    project.write("recipes/other.yaml", RECIPE);
    for (name, parts) in [
        ("quick", &["can't read the recipe quick (did you mean recipes/quick.yaml?)"][..]),
        ("small", &["(did you mean small.yaml?)"]),
        ("smal.yaml", &["(did you mean small.yaml?)"]),
        ("recipes", &["can't read the recipe recipes (there are: recipes/other.yaml, recipes/quick.yaml, small.yaml)"]),
        ("recipes/quikc.yaml", &["(did you mean recipes/quick.yaml?)"]),
    ] {
        project.dbco(&["check", name]).ends(2).says(parts);
    }
    // None was named, and the default one is not here.
    project.dbco(&["check"]).ends(2).says(&["recipes/dbcolinux.yaml (there are: recipes/other.yaml,"]);
    project.write("mine.yaml", "recipe: mine\nextends: smal.yaml\n");
    project.dbco(&["check", "mine.yaml"]).ends(2).says(&["mine.yaml:2:10", "did you mean `small.yaml`?"]);
    project.dbco(&["build", "-j", "0", "small.yaml"]).ends(2).says(&["expected a positive whole number"]);
}

#[test]
fn disks_labels_and_a_hidden_menu_have_rules() {
    for (from, to, parts) in [
        (
            "medium: kernel,",
            "medium: kernel, disks: [{bus: sd}],",
            &["an SD card needs a `size` that is a power of two"][..],
        ),
        ("medium: kernel,", "medium: kernel, disks: [{bus: sd, size: 3M}],", &["that is a power of two", "size: 512M"]),
        (
            "medium: kernel,",
            "medium: kernel, disks: [{bus: sd, size: 1M}, {bus: sd, size: 1M}],",
            &["at most 1 of bus `sd`"],
        ),
        ("medium: kernel,", "medium: kernel, disks: [{bus: nvm, size: 1M}],", &["did you mean `nvme`?"]),
        ("outputs:", "iso: {label: kiosk}\noutputs:", &["`kiosk` can't be an ISO's volume name", "A–Z, 0–9"]),
        ("outputs:", "iso: {label: \"\"}\noutputs:", &["can't be an ISO's volume name"]),
        ("outputs:", "iso: {lable: X}\noutputs:", &["did you mean `label`?"]),
    ] {
        Project::with(from, to).dbco(&["check", "small.yaml"]).ends(2).says(parts);
    }
    for bus in ["virtio", "usb", "scsi", "nvme", "sata", "sd"] {
        let disks = format!("medium: kernel, disks: [{{bus: {bus}, size: 1M}}],");
        Project::with("medium: kernel,", &disks).dbco(&["check", "small.yaml"]).ends(0);
    }
    let project = Project::with("boot:\n", "boot:\n  timeout: 0\n");
    project.edit("small.yaml", "mode: live}\n", "mode: live}\n    - {id: other, title: Other, mode: live}\n");
    project.edit("small.yaml", "outputs: [", "iso: {label: KIOSK_1}\noutputs: [iso, ");
    project.edit("small.yaml", "entry: live, medium: kernel", "entry: other, medium: cd, firmware: bios");
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["this test can't choose `other`", "a `timeout` of 1"]);
    project.edit("small.yaml", "entry: other", "entry: live");
    project.dbco(&["check", "small.yaml"]).ends(0);
    project.dbco(&["build", "--offline", "--only", "grub-cfg", "small.yaml"]).ends(0);
    let menu = project.read("out/small/grub.cfg");
    assert!(menu.contains("set timeout_style=hidden\nset timeout=0\n"), "{menu}");
}
