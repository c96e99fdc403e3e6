//! Recipes of the right shape that break a rule, as the command line shows them: names, boot entries and tests, accounts, overlays,
//! suites and packages.

mod project;

use project::{Project, refused};

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
    refused("  overlays: [overlay]", "  dirs: [/var]", &["`/var` is outside of layout `split`", "[paths]"]);
    refused("  overlays: [overlay]", "  dirs: [usr/bin]", &["`usr/bin` is not absolute", "[paths]"]);
    refused("  overlays: [overlay]", "  dirs: [/usr/../x]", &["contains `..`", "[paths]"]);
    refused("  overlays: [overlay]", "  replace: [etc/*]", &["does not begin with `/`", "did you mean `/etc/*`?"]);
    refused("  overlays: [overlay]", "  exclude: [/usr/a***]", &["`/usr/a***` is not a valid pattern", "[patterns]"]);
    refused("  overlays: [overlay]", "  audit: {allow: [/a]}", &["does not have the form", "small.yaml:12:19"]);
    let project = Project::new();
    project.edit("components/kernel.yaml", "kconfig: {base: tinyconfig}\n", "");
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["component `kernel` has no `kconfig`", "small.yaml:9:12"]);
    refused("uid: 0,", "uid: 0, groups: [wheel],", &["there is no group `wheel`", "[users]"]);
}

/// Names are rejected where they are stated, before they are used.
#[test]
fn what_can_not_be_a_name_is_refused_with_its_place() {
    let long = "n".repeat(260);
    for name in ["/abs/x", "../x", "..", "a/b", "''", "\"a\\nb\"", "-o", ".git", &long, "\"\\x1b[2J\""] {
        let ran = Project::with("recipe: small", &format!("recipe: {name}")).dbco(&["check", "small.yaml"]).ends(2);
        ran.says(&["error[name]", "small.yaml:1:9", "can't be used as a name"]).never_says("\x1b");
    }
    for from in ["name: first", "id: live, title"] {
        let to = from.replace("first", "../x").replace("live", "a/b");
        let ran = Project::with(from, &to).dbco(&["check", "small.yaml"]).ends(2);
        ran.says(&["error[name]", "can't be used as a name"]);
    }
    let project = Project::with("component: kernel", "component: ../sources/kernel");
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["error[name]", "can't be the name of a component"]);
}

#[test]
fn boot_entries_have_the_keys_of_their_mode() {
    let entry = "{id: live, title: Live, mode: live}";
    for (stated, said) in [
        ("{id: live, title: L, mode: switch}", "enters a system but does not name it"),
        ("{id: live, title: L, mode: live, system: /system0}", "`system` is only valid with the other modes"),
        (
            "{id: live, title: L, mode: chroot, system: /system0, root: /dev/vda}",
            "`root` is only valid with mode `disk`",
        ),
        ("{id: live, title: L, mode: chroot, system: /system0, disk: vda}", "`vda` is not a disk"),
        (
            "{id: live, title: L, mode: disk, root: /dev/vda, system: /s, waitusb: 5}",
            "has no initrd, which would look for `disk`",
        ),
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
        ("medium: kernel, expect: x, disks: [{size: 5}]}", "a size: a number with K, M, G or T"),
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
        (format!("{boot}, disks: [{{size: 8M}}], end: reboot, cut: {{{cut}}}}}"), "`end` must be `cut`"),
        (format!("medium: kernel, expect: x, disks: [{{size: 8M}}], cut: {{{cut}}}}}"), "no `login`"),
        (format!("{boot}, disks: [{{size: 8M}}], cut: {{{}}}}}", cut.replace("2", "0")), "must be at least 1"),
        (format!("{boot}, disks: [{{size: 8M}}], cut: {{{}}}}}", cut.replace("[old]", "[]")), "without spaces"),
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

/// The rules for a test's machine and boots apply to its peer, with their locations.
#[test]
fn the_peer_of_a_test_is_checked_as_its_own_machine() {
    let peer = "peer: {entry: live, expect: x, login: {user: root}, run: [id]}";
    let rest = "medium: kernel, expect: \"login:\"}";
    let with = |from: &str, to: &str| format!("medium: kernel, expect: x, {}}}", peer.replacen(from, to, 1));
    for (from, to, said) in [
        ("entry: live", "entry: lve", "did you mean `live`?"),
        ("entry: live, ", "", "the second machine of a test lacks `entry`"),
        ("expect: x, ", "", "the second machine of a test lacks `expect`"),
        ("expect: x", "expect: x, exepct: y", "did you mean `expect`?"),
        ("expect: x", "expect: x, memory: 1G", "`1G` is not a positive number of MiB"),
        ("expect: x", "expect: x, medium: flopy", "`flopy`"),
        ("expect: x", "expect: x, medium: cd", "need firmware `bios` or `uefi`"),
        ("expect: x", "expect: x, medium: hd, firmware: bios", "is the first of the test's `disks`"),
        ("expect: x", "expect: x, disks: [{}]", "a blank disk needs a `size`"),
        ("expect: x", "expect: x, parallel: true", "`parallel` needs several processors"),
        ("expect: x", "expect: x, end: never", "`never`"),
        // What only the test's own machine has.
        ("expect: x", "expect: x, forward: [80]", "`forward`"),
        ("expect: x", "expect: x, cut: {during: sync, times: 2, outcome: echo a, words: [a]}", "`cut`"),
        ("expect: x", "expect: x, boots: []", "`boots`"),
        ("[id]", "[{tcp: 80, expect: y}]", "only the test's own machine has forwarded ports"),
        ("login: {user: root}, ", "", "commands to run but no `login`"),
    ] {
        refused(rest, &with(from, to), &[said, "small.yaml:25:"]);
    }
    refused(rest, "medium: kernel, expect: x, peer: other}", &["the second machine of a test", "small.yaml:25:"]);
    for end in ["cut", "poweroff", "reboot", "itself"] {
        let good = with("expect: x", &format!("expect: x, memory: 64, disks: [{{size: 8M}}], end: {end}"));
        Project::with(rest, &good).dbco(&["check", "small.yaml"]).ends(0);
    }
    // What it does not state is as in the test.
    let two = format!("medium: kernel, cpus: 2, parallel: true, expect: x, {peer}}}");
    Project::with(rest, &two).dbco(&["check", "small.yaml"]).ends(0);
    let iso = format!("medium: cd, firmware: uefi, expect: x, {peer}}}");
    refused(rest, &iso, &["boots the ISO, which is not in `outputs`", "2 findings"]);
    let again = format!("expect: x, {peer}}}\n  - {{name: first.peer, entry: live, medium: kernel, expect: x}}");
    let taken = &["two tests are named `first.peer`", "small.yaml:26:12"];
    refused("expect: \"login:\"}", &again, taken);
    let reverse = format!("name: first.peer, entry: live, {rest}\n  - {{name: first, entry: live, {}", with("", ""));
    refused(&format!("name: first, entry: live, {rest}"), &reverse, taken);
}

#[test]
fn two_tests_of_one_name_are_refused() {
    let again = "expect: \"login:\"}\n  - {name: first, entry: live, medium: kernel, expect: x}";
    let parts = ["two tests are named `first`", "small.yaml:26:12"];
    refused("expect: \"login:\"}", again, &parts);
}

#[test]
fn a_command_line_that_the_kernel_would_cut_off_is_refused() {
    let words = |length: usize| format!("cmdline: {}", "x".repeat(length));
    // BOOT_IMAGE=/boot/bzImage and a space are 25 of the 2047 bytes.
    Project::with("cmdline: host=${host}", &words(2022)).dbco(&["check", "small.yaml"]).ends(0);
    refused("cmdline: host=${host}", &words(2023), &["has 2048 bytes; x86 accepts 2047", "small.yaml:22:12"]);
    let many: String = (0..40).map(|index| format!(" w{index}=1")).collect();
    refused("cmdline: host=${host}", &format!("cmdline:{many}"), &["more than 32 it panics"]);
    let dotted: String = (0..40).map(|index| format!(" m.w{index}=1")).collect();
    Project::with("cmdline: host=${host}", &format!("cmdline:{dotted}")).dbco(&["check", "small.yaml"]).ends(0);
}

#[test]
fn accounts_are_checked_in_every_tree_that_a_recipe_states() {
    let hash = format!("$6$salt${}", "a".repeat(86));
    let cases = [
        ("{name: ann, uid: 5, shell: /sh, password: secret}", "is not a crypt(5) hash"),
        ("{name: ann, uid: 5, shell: sh}", "`shell` of account `ann` is `sh`"),
        ("{name: ann, uid: 5, shell: /sh, home: here}", "`home` of account `ann` is `here`"),
        ("{name: ann, uid: 5, shell: /sh, gecos: \"A:B\"}", "`gecos` of account `ann` contains `:`"),
        ("{name: ann, uid: 5, shell: /sh, groups: [wheel]}", "there is no group `wheel`"),
        ("{name: ann, uid: 5, shell: /sh}, {name: ann, uid: 6, shell: /sh}", "duplicate account `ann`"),
        ("{name: \"a b\", uid: 5, shell: /sh}", "can't be an account's name"),
    ];
    for (users, part) in cases {
        let root = "    - {name: root, uid: 0, shell: /system/bin/sh, home: /system/root}";
        refused(&format!("  users:\n{root}"), &format!("  users: [{users}]"), &[part]);
        let template = format!("template: {{layout: fhs, users: [{users}]}}\nboot:\n");
        refused("boot:\n", &template, &[part]);
    }
    for password in ["\"\"", "\"!\"", "\"*\"", &format!("\"{hash}\"")] {
        let template = format!(
            "template: {{layout: fhs, users: [{{name: ann, uid: 5, shell: /usr/sbin/nologin, password: {password}}}]}}\nboot:\n"
        );
        Project::with("boot:\n", &template).dbco(&["check", "small.yaml"]).ends(0);
    }
    let groups = [
        ("[{name: a, gid: 9}, {name: a, gid: 8}]", "duplicate group `a`"),
        ("[{name: a, gid: 9}, {name: b, gid: 9}]", "gid 9 is already used by group `a`"),
    ];
    for (groups, part) in groups {
        refused("  layout: split", &format!("  layout: split\n  groups: {groups}"), &[part]);
        refused("boot:\n", &format!("template: {{layout: fhs, groups: {groups}}}\nboot:\n"), &[part]);
    }
}

#[test]
fn two_overlays_with_one_file_are_told_how_to_choose() {
    let project = Project::with("overlays: [overlay]", "overlays: [overlay, other]");
    project.write("other/system/etc/motd", "hello\n");
    project.dbco(&["check", "small.yaml"]).ends(0);
    project.write("other/system/etc/motd", "welcome\n");
    let ran = project.dbco(&["check", "small.yaml"]).ends(2);
    ran.says(&["error[overlays]", "small.yaml:12:", "replace: [/system/etc/motd]"]);
    project.edit("small.yaml", "  layout: split\n", "  layout: split\n  replace: [/system/etc/motd]\n");
    project.dbco(&["check", "small.yaml"]).ends(0);
}

#[test]
fn a_link_without_a_target_is_refused() {
    refused(
        "  layout: split",
        "  layout: split\n  links: {/usr/a: \"\"}",
        &["the link `/usr/a` has an invalid target", "small.yaml:12:11"],
    );
}

#[test]
fn suites_and_packages_that_do_not_go_together_are_found() {
    let packages = |debian: &str, packages: &str| {
        let from = "  layout: split\n";
        let to = format!("  layout: split\n  debian: {debian}\n  packages: {packages}\n");
        Project::with(from, &to).dbco(&["check", "small.yaml"])
    };
    for (debian, list) in [
        ("bookworm", "[vim]"),
        ("[bookworm, bookworm-security, bookworm-updates]", "[vim/bookworm-security, 'vim-tiny=2:9.*']"),
        (
            "{suites: [bookworm, {suite: bookworm-backports, components: [main, contrib]}], components: [main]}",
            "[{name: vim, suite: bookworm-backports}, {name: ed, version: newest}]",
        ),
        ("[{suite: sid}, {suite: experimental}]", "[]"),
    ] {
        packages(debian, list).ends(0);
    }
    for (debian, list, said) in [
        (
            "[bookworm, bookworm-backport]",
            "[vim]",
            &["small.yaml:12:22", "Debian has no suite `bookworm-backport`", "did you mean `bookworm-backports`?"][..],
        ),
        ("bokworm", "[vim]", &["small.yaml:12:11", "did you mean `bookworm`?"]),
        ("{suites: [bookworm, trixi]}", "[vim]", &["small.yaml:12:31", "did you mean `trixie`?"]),
        ("[bookworm, bookworm]", "[vim]", &["duplicate suite `bookworm`"]),
        ("[]", "[vim]", &["expected at least one suite"]),
        ("[bookworm, {suite: sid, arch: arm64}]", "[vim]", &["different architectures: amd64 and arm64"]),
        ("{suite: sid, suites: [bookworm]}", "[vim]", &["`suite` and `suites` exclude each other"]),
        ("../sid", "[vim]", &["`../sid` is not the name of a suite"]),
        (
            "[bookworm, sid]",
            "[vim/sdi]",
            &["small.yaml:13:14", "`sdi` of the package is not listed", "did you mean `sid`?"],
        ),
        ("bookworm", "[{name: vim, suite: sid}]", &["`sid` of the package is not listed", "listed: bookworm"]),
        ("bookworm", "[{name: vim, suit: sid}]", &["unknown key `suit`", "did you mean `suite`?"]),
        ("bookworm", "[vim=1/2, 'a b']", &["`vim=1/2` is not a package", "`a b` is not a package"]),
    ] {
        packages(debian, list).ends(2).says(said);
    }
}

/// What is legal and probably wrong: a warning of `check`, with the same status.
#[test]
fn each_lint_warns_with_its_place() {
    for (from, to, said) in [
        (
            "config: [tiny]",
            "config: [tiny, tiny]",
            ["small.yaml:9:18: the fragment", "is named twice [repeated-fragments]"],
        ),
        ("expect: \"login:\"}", "expect: ''}", ["small.yaml:25:26: test `first` expects nothing", "[silent-tests]"]),
        (
            "cmdline: host=${host}",
            "cmdline: quiet",
            ["small.yaml:5:3: nothing uses the parameter `host`", "[unused-parameters]"],
        ),
    ] {
        Project::with(from, to).dbco(&["check", "small.yaml"]).ends(0).says(&["warning: "]).says(&said);
    }
    Project::new().dbco(&["check", "small.yaml"]).ends(0).never_says("warning");
    // What a recipe takes over may have been used by what it replaced.
    let project = Project::new();
    project.write("more.yaml", "recipe: more\nextends: small.yaml\nboot: {cmdline: quiet}\n");
    project.dbco(&["check", "more.yaml"]).ends(0).never_says("warning");
}
