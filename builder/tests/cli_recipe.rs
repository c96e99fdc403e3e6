//! Wrong recipes, as the command line shows them: status 2, and each mistake with its place, its line and what to do.

mod project;

use project::{Project, RECIPE};

/// `dbco check` of the recipe with one change refuses it and says all of `parts`.
#[track_caller]
fn refused(from: &str, to: &str, parts: &[&str]) {
    Project::with(from, to).dbco(&["check", "small.yaml"]).ends(2).says(parts).says(&["nothing was built"]);
}

#[test]
fn the_recipe_of_these_tests_passes() {
    let ran = Project::new().dbco(&["check", "--locked", "small.yaml"]).ends(0);
    assert_eq!(ran.err, "small: 1 components, 1 boot entries, 1 tests\n");
    assert_eq!(ran.out, "");
}

#[test]
fn a_misspelt_key_is_shown_with_its_place_its_line_and_what_was_meant() {
    let ran = Project::with("  layout: split", "  layuot: split").dbco(&["check", "small.yaml"]).ends(2);
    let ran = ran.says(&[
        "error[unknown-key]: unknown key `layuot` in `rootfs`",
        "small.yaml:11:3",
        "11 |   layuot: split",
        "did you mean `layout`?",
        "error[missing-key]: `rootfs` lacks `layout`",
        "error: 2 findings; nothing was built",
    ]);
    assert_eq!(ran.out, "");
}

#[test]
fn a_key_like_no_other_gets_the_list_of_those_there_are() {
    refused("  layout: split", "  layout: split\n  wallpaper: x", &["unknown key `wallpaper`", "known here: layout, "]);
}

#[test]
fn a_file_of_a_component_can_not_take_the_name_of_its_install_tree() {
    let project = Project::new();
    project.edit("components/kernel.yaml", "license: MIT", "license: MIT\nfiles: {install: a}");
    let ran = project.dbco(&["check", "small.yaml"]).ends(2);
    ran.says(&["error[reserved-name]", "components/kernel.yaml:4:9", "give the file another name"]);
}

#[test]
fn a_components_own_toolchain_has_to_be_there_and_right() {
    let project = Project::new();
    project.edit("components/kernel.yaml", "license: MIT", "license: MIT\ntoolchain: nome");
    let ran = project.dbco(&["check", "small.yaml"]).ends(2);
    ran.says(&["there is no toolchain `nome`", "components/kernel.yaml:4:12", "did you mean `none`?"]);
    // One that several name is read once, and what is wrong in it said once.
    project.edit("components/kernel.yaml", "nome", "none");
    project.edit("toolchains/none.yaml", "debian:", "debain:");
    let ran = project.dbco(&["check", "small.yaml"]).ends(2);
    ran.says(&["unknown key `debain` in a toolchain", "error: 2 findings; nothing was built"]);
}

#[test]
fn a_components_own_toolchain_has_to_be_in_the_lock() {
    let project = Project::new();
    project.write("toolchains/own.yaml", "toolchain: own\ndebian: bookworm\npackages: [cc]\n");
    project.edit("components/kernel.yaml", "license: MIT", "license: MIT\ntoolchain: own");
    let ran = project.dbco(&["check", "--locked", "small.yaml"]).ends(2);
    ran.says(&["small.lock does not fit the recipe:", "cc of Debian bookworm main (amd64): not in the lock"]);
}

#[test]
fn a_build_refuses_what_a_check_refuses() {
    let project = Project::with("compression: none", "compresion: none");
    project
        .dbco(&["build", "--offline", "small.yaml"])
        .ends(2)
        .says(&["small.yaml:16:3", "did you mean `compression`?"]);
    assert!(!project.path("out").exists());
}

#[test]
fn a_value_of_the_wrong_type_is_told_from_the_type_that_belongs_there() {
    refused(
        "uid: 0,",
        "uid: nobody,",
        &[
            "error[wrong-type]: expected a whole number from 0 to 4294967295, found text",
            "small.yaml:14:25",
            "uid: nobody",
        ],
    );
    refused("  overlays: [overlay]", "  overlays: overlay", &["expected a list, found text", "small.yaml:12:13"]);
    refused("  patches: [first.patch]", "  patches: first.patch", &["expected a list of patches", "small.yaml:8:12"]);
    refused("toolchains: {build: none, image: none, boot: none}", "toolchains: [none]", &["(a mapping), found a list"]);
    refused("epoch: 2021-01-01", "epoch: yesterday", &["expected a date (2026-11-01) or seconds since 1970"]);
}

#[test]
fn everything_that_is_wrong_is_shown_at_once_in_the_order_of_its_places() {
    let project = Project::with("epoch: 2021-01-01", "epoch: soon");
    project.edit("small.yaml", "compression: none", "compression: zip");
    project.edit("small.yaml", "[first.patch]", "[fist.patch]");
    project.edit("small.yaml", "mode: live", "mode: lief");
    project.edit("components/kernel.yaml", "license: MIT", "licence: MIT");
    project.edit("toolchains/none.yaml", "packages: []", "packages: dash");
    let ran = project.dbco(&["check", "small.yaml"]).ends(2);
    let places =
        ["small.yaml:2:8", "small.yaml:8:13", "small.yaml:16:16", "small.yaml:21:37", "components/kernel.yaml:3:1"];
    let at: Vec<_> =
        places.iter().map(|place| ran.err.find(place).unwrap_or_else(|| panic!("{place}:\n{}", ran.err))).collect();
    assert!(at.is_sorted(), "{}", ran.err);
    ran.says(&["did you mean `license`?", "toolchains/none.yaml:3:11"]);
}

#[test]
fn a_missing_fragment_is_named_with_its_nearest() {
    let parts = ["there is no fragment `tiney`", "small.yaml:9:12", "did you mean `tiny`?"];
    refused("config: [tiny]", "config: [tiney]", &parts);
    refused("config: [tiny]", "config: [sound]", &["there is no fragment", "there are: tiny"]);
    refused("config: [tiny]", "config: [my/own.config]", &["there is no fragment `my/own.config`", "looked for"]);
}

#[test]
fn a_missing_component_toolchain_patch_and_overlay_are_named_where_they_are_wanted() {
    let parts = ["there is no component `kernle`", "small.yaml:7:14", "did you mean `kernel`?"];
    refused("component: kernel", "component: kernle", &parts);
    refused("build: none", "build: nine", &["there is no toolchain `nine`", "small.yaml:3:21", "did you mean `none`?"]);
    refused("[first.patch]", "[frist.patch]", &["there is no patch `frist.patch`", "did you mean `first.patch`?"]);
    refused("[overlay]", "[overlays]", &["there is no overlay `overlays`", "small.yaml:12:14", "looked for"]);
}

#[test]
fn a_component_may_not_need_itself_and_its_file_names_it_rightly() {
    let project = Project::new();
    project.edit("components/kernel.yaml", "license: MIT", "license: MIT\nneeds: [other]");
    let other = project.read("components/kernel.yaml").replace("[other]", "[kernel]");
    project.write("components/other.yaml", &other);
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["this file names component `kernel`, not `other`"]);
    project.write("components/other.yaml", other.replace("component: kernel", "component: other"));
    let ran = project.dbco(&["check", "small.yaml"]).ends(2);
    ran.says(&["needs itself", "components/"]);
}

#[test]
fn an_unknown_parameter_is_refused_with_its_nearest() {
    let project = Project::new();
    let check = |set| project.dbco(&["check", "small.yaml", "--set", set]).ends(2);
    check("hots=x").says(&["`--set hots=…`: the recipe has no parameter `hots`; did you mean `host`?"]);
    check("colour=x").says(&["there are: host"]);
    check("host=tent").says(&["`tent` is no choice of parameter `host`", "one of: box, crate", "small.yaml:5:3"]);
    check("host").says(&["expected NAME=VALUE"]);
    project.dbco(&["check", "small.yaml", "--set", "host=crate"]).ends(0);
}

#[test]
fn a_parameter_that_is_not_stated_is_shown_where_it_is_used() {
    refused(
        "host=${host}",
        "host=${hosd}",
        &["there is no parameter `hosd`", "small.yaml:19:12", "did you mean `host`?"],
    );
    refused("{default: box, choices: [box, crate]}", "{help: a name}", &["has no default", "pass --set host=…"]);
}

#[test]
fn a_recipe_that_extends_itself_is_refused_directly_or_through_another() {
    refused("recipe: small", "extends: small.yaml\nrecipe: small", &["`small.yaml` extends itself", "small.yaml:1:10"]);
    let project = Project::with("recipe: small", "extends: base.yaml\nrecipe: small");
    project.write("base.yaml", "extends: ./small.yaml\n");
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["`./small.yaml` extends itself", "base.yaml:1:10"]);
    refused(
        "recipe: small",
        "extends: bass.yaml\nrecipe: small",
        &["can't read the recipe ./bass.yaml", "small.yaml:1:10"],
    );
}

#[test]
fn a_repeated_key_is_refused() {
    let parts = ["error[repeated-key]: the key `epoch` stands here a second time", "small.yaml:3:1"];
    refused("epoch: 2021-01-01", "epoch: 2021-01-01\nepoch: 2022-01-01", &parts);
}

#[test]
fn what_is_not_yaml_is_shown_where_it_stops_being_so() {
    refused("recipe: small", "recipe: [small", &["error[yaml]: this is not YAML", "small.yaml:2:"]);
    refused("epoch: 2021-01-01", "\tepoch: 2021-01-01", &["error[yaml]: this is not YAML", "found a tab"]);
    let project = Project::new();
    project.write("small.yaml", "");
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["the file is empty"]);
    project.write("small.yaml", format!("{RECIPE}---\n{RECIPE}"));
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["a second document begins here"]);
    project.write("small.yaml", b"recipe: \xff\n");
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["can't read the recipe small.yaml"]);
}

#[test]
fn an_unknown_word_is_shown_with_those_there_are() {
    let parts =
        ["error[unknown-word]: `zst` is not known here", "one of: zstd, xz, gzip, lz4, none", "did you mean `zstd`?"];
    refused("compression: none", "compression: zst", &parts);
    refused("[initrd, grub-cfg]", "[initrd, grubcfg]", &["`grubcfg` is not known here", "did you mean `grub-cfg`?"]);
    refused("layout: split", "layout: flat", &["one of: split, fhs"]);
}

#[test]
fn each_rule_beyond_the_shape_is_kept() {
    refused(
        "{id: live, title: Live, mode: live}",
        "{id: d, title: D, mode: disk}",
        &["names no `root`", "[boot-entries]"],
    );
    refused(
        "entry: live",
        "entry: life",
        &["the boot menu has no entry `life`", "did you mean `live`?", "[test-entries]"],
    );
    refused("  overlays: [overlay]", "  dirs: [/var]", &["`/var` lies outside of layout `split`", "[paths]"]);
    refused("  overlays: [overlay]", "  dirs: [usr/bin]", &["`usr/bin` is not absolute", "[paths]"]);
    refused("  overlays: [overlay]", "  dirs: [/usr/../x]", &["climbs out with `..`", "[paths]"]);
    refused("  overlays: [overlay]", "  replace: [etc/*]", &["does not begin with `/`", "did you mean `/etc/*`?"]);
    refused("  overlays: [overlay]", "  exclude: [/usr/a***]", &["`/usr/a***` is no pattern", "[patterns]"]);
    refused("  overlays: [overlay]", "  audit: {allow: [/a]}", &["does not say which text", "small.yaml:12:19"]);
    let project = Project::new();
    project.edit("components/kernel.yaml", "kconfig: {base: tinyconfig}\n", "");
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["component `kernel` has no `kconfig`", "small.yaml:9:12"]);
    refused("uid: 0,", "uid: 0, groups: [wheel],", &["there is no group `wheel`", "[users]"]);
}

#[test]
fn boot_entries_have_the_keys_of_their_mode() {
    let entry = "{id: live, title: Live, mode: live}";
    for (stated, said) in [
        ("{id: live, title: L, mode: switch}", "enters a system but does not name it"),
        ("{id: live, title: L, mode: live, system: /system0}", "`system` goes with the other modes"),
        ("{id: live, title: L, mode: chroot, system: /system0, root: /dev/vda}", "`root` goes with mode `disk`"),
        ("{id: live, title: L, mode: chroot, system: /system0, disk: vda}", "`vda` names no disk"),
        ("{id: live, title: L, mode: disk, root: /dev/vda, system: /s, waitusb: 5}", "has no initrd, whose early init"),
    ] {
        refused(entry, stated, &[said, "[boot-entries]"]);
    }
    let switch = "{id: live, title: Live, mode: switch, system: /system1, disk: LABEL=systems, waitusb: 5}";
    Project::with(entry, switch).dbco(&["check", "small.yaml"]).ends(0);
}

#[test]
fn boot_tests_have_disks_ports_and_boots_that_go_together() {
    let rest = "medium: kernel, expect: \"login:\"}";
    for (stated, said) in [
        ("medium: kernel, expect: x, disks: [{}]}", "a blank disk needs a `size`"),
        ("medium: kernel, expect: x, disks: [{size: 5}]}", "a size: a number with K, M or G"),
        ("medium: kernel, expect: x, parallel: true}", "the test has one"),
        ("medium: kernel, expect: x, disks: [{size: 8M, bus: ubs}]}", "did you mean `usb`?"),
        ("medium: kernel, expect: x, disks: [{size: 8M, label: seventeen-letters}]}", "at most 16 bytes"),
        ("medium: kernel, expect: x, disks: [{systems: [system0]}]}", "`system0` is not a folder of the disk"),
        ("medium: kernel, expect: x, run: [id]}", "commands to run but no `login`"),
        ("medium: kernel, expect: x, run: [{tcp: 80, expect: y}]}", "port 80 is not forwarded"),
        ("medium: cd, firmware: none, expect: x}", "need firmware `bios` or `uefi`"),
    ] {
        refused(rest, stated, &[said]);
    }
    let boot = "medium: kernel, expect: x, login: {user: root}";
    let cut = "during: sync, times: 2, outcome: echo old, words: [old]";
    for (stated, said) in [
        (format!("{boot}, cut: {{{cut}}}}}"), "cuts the power but has no `disks`"),
        (format!("{boot}, disks: [{{size: 8M}}], end: reboot, cut: {{{cut}}}}}"), "`end` has to be `cut`"),
        (format!("medium: kernel, expect: x, disks: [{{size: 8M}}], cut: {{{cut}}}}}"), "no `login`"),
        (format!("{boot}, disks: [{{size: 8M}}], cut: {{{}}}}}", cut.replace("2", "0")), "1 at least"),
        (format!("{boot}, disks: [{{size: 8M}}], cut: {{{}}}}}", cut.replace("[old]", "[]")), "without blanks"),
        (format!("{boot}, disks: [{{size: 8M}}], cut: {{during: sync}}}}"), "lacks `outcome`"),
    ] {
        refused(rest, &stated, &[said]);
    }
    let good = format!("{boot}, disks: [{{size: 8M}}], cut: {{{cut}}}}}");
    Project::with(rest, &good).dbco(&["check", "small.yaml"]).ends(0);
    refused(&format!("entry: live, {rest}"), "medium: kernel, boots: []}", &["test `first` has no boots"]);
    let two = "medium: kernel, disks: [{size: 64M, label: systems, systems: [/system0]}], forward: [80], \
               boots: [{entry: live, expect: x, run: [{tcp: 80, expect: y}, {type: a, expect: b}]}, \
               {entry: live, expect: x, login: {user: root}, run: [id], end: poweroff}]}";
    let entry = "entry: live, medium: kernel, expect: \"login:\"}";
    Project::with(entry, two).dbco(&["check", "small.yaml"]).ends(0);
}

#[test]
fn a_fragment_that_is_not_one_is_shown_with_its_line() {
    let project = Project::new();
    project.write("kernel-config/tiny.config", "CONFIG_64BIT=y\nCONFIG_SMP y\n");
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["kernel-config/tiny.config:2"]);
    project.dbco(&["build", "--offline", "small.yaml"]).ends(2).says(&["kernel-config/tiny.config:2"]);
}

#[test]
fn a_recipe_that_is_not_there_is_named() {
    Project::new().dbco(&["check", "smal.yaml"]).ends(2).says(&["can't read the recipe smal.yaml", "No such file"]);
}
