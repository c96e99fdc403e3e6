//! Lints that read overlays, accounts, the boot menu and tests: what each warns of, and what it does not.

mod project;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use project::Project;

/// `dbco check` of a recipe warns of all of this, with the lint's id.
#[track_caller]
fn warns(project: &Project, id: &str, said: &[&str]) {
    project.dbco(&["check", "small.yaml"]).ends(0).says(&["warning: ", &format!("[{id}]")]).says(said);
}

#[track_caller]
fn is_silent(project: &Project, about: &str) {
    let ran = project.dbco(&["check", "small.yaml"]).ends(0);
    assert!(!ran.err.contains("warning"), "{about}:\n{}", ran.err);
}

fn rootfs(keys: &str) -> Project {
    Project::with("  users:\n", &format!("{keys}  users:\n"))
}

#[test]
fn a_boot_code_that_overrides_a_key_is_named_with_both_places() {
    let id = "overridden-settings";
    let cards = "network: {eth0: {address: 10.0.0.2/24}, eth1: dhcp}";
    for (key, code) in [
        ("hostname: crate", "host=box"),
        ("timezone: UTC", "tz=CET-1"),
        ("locale: C.UTF-8", "lang=de_DE.UTF-8"),
        ("keymap: de", "kmap=fr"),
        (cards, "nodhcp"),
        ("network: {eth0: {address: 10.0.0.2/24, dns: 10.0.0.3}}", "dns=10.0.0.4"),
        (cards, "ip=10.0.0.3:::24::eth0"),
        (cards, "ip=10.0.0.3::10.0.0.1:255.255.255.0::eth1::10.0.0.4"),
    ] {
        let name = key.split(':').next().unwrap();
        let said = format!("the boot code `{code}` overrides the recipe's `{name}`");
        let project = rootfs(&format!("  {key}\n"));
        project.edit("small.yaml", "cmdline: host=${host}", &format!("cmdline: \"quiet x=${{host}} {code}\""));
        warns(&project, id, &[&said, "small.yaml:21:12", "small.yaml:13:"]);
        let project = rootfs(&format!("  {key}\n"));
        project.edit("small.yaml", "cmdline: host=${host}", "cmdline: x=${host}");
        project.edit("small.yaml", "mode: live}", &format!("mode: live, cmdline: \"{code}\"}}"));
        warns(&project, id, &[&said, "small.yaml:23:"]);
    }
    for (key, code) in [
        ("timezone: UTC", "host=${host}"),
        ("hostname: crate", "x=${host} host= hostname=b xhost=c"),
        ("network: {eth0: {address: 10.0.0.2/24}}", "x=${host} nodhcp dns=10.0.0.4"),
        (cards, "x=${host} ip=10.0.0.3:::24::eth2 ip=10.0.0.3:::24 ip=dhcp"),
        ("locale: C.UTF-8", "x=${host} kmap=de tz=UTC"),
    ] {
        let project = rootfs(&format!("  {key}\n"));
        project.edit("small.yaml", "cmdline: host=${host}", &format!("cmdline: \"{code}\""));
        is_silent(&project, code);
    }
}

#[test]
fn a_forwarded_port_is_connected_to() {
    let id = "unused-ports";
    let with = |more: &str| Project::with("expect: \"login:\"}", &format!("expect: \"login:\", {more}}}"));
    warns(&with("forward: [80]"), id, &["test `first` forwards port 80, and none of its steps", "small.yaml:25:76"]);
    warns(&with("forward: [80, 22], run: [{tcp: 22, expect: SSH}]"), id, &["forwards port 80"]);
    warns(&with("forward: [22, 22], run: [{tcp: 22, expect: SSH}]"), id, &["forwards port 22 twice"]);
    is_silent(&with("forward: [80, 22], run: [{tcp: 22, expect: SSH}, {tcp: 80, expect: HTTP}]"), "both are used");
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f ann";

/// A project with a further account, a service, and the programs that they name.
fn accounts(user: &str, command: &str) -> Project {
    let project = rootfs(&format!("  services: [{{name: remote, command: \"{command}\"}}]\n"));
    project.edit(
        "small.yaml",
        "home: /system/root}",
        &format!("home: /system/root}}\n    - {{name: ann, uid: 7, {user}}}"),
    );
    executable(&project, "overlay/system/bin/runsvdir", true);
    project
}

fn executable(project: &Project, path: &str, executable: bool) {
    project.write(path, "#!/system/bin/sh\n");
    let mode = if executable { 0o755 } else { 0o644 };
    fs::set_permissions(project.path(path), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn an_account_without_a_password_is_not_open_to_the_network() {
    let id = "login-accounts";
    let open = "shell: /system/bin/sh, password: ''";
    for command in [
        "/system/sbin/telnetd -F",
        "/system/bin/busybox telnetd -F -p 23",
        "/usr/sbin/dropbear -F -B",
        "/usr/sbin/dropbear -FRB",
        "/usr/sbin/dropbear -F -B -g",
    ] {
        warns(&accounts(open, command), id, &["can log in as `ann`", "small.yaml:13:", "small.yaml:16:"]);
    }
    for command in [
        "/usr/sbin/dropbear -F -R",
        "/usr/sbin/dropbear -F -B -s",
        "/usr/sbin/sshd -D",
        "/system/sbin/telnetd -F -l /usr/bin/menu",
        "/system/sbin/httpd -f",
        "/usr/bin/client -B telnetd",
    ] {
        is_silent(&accounts(open, command), command);
    }
    for user in
        ["shell: /system/bin/sh", "shell: /system/bin/false, password: ''", "shell: /usr/sbin/nologin, password: ''"]
    {
        is_silent(&accounts(user, "/system/sbin/telnetd -F"), user);
    }
}

#[test]
fn an_account_with_keys_has_a_shell_that_servers_accept() {
    let id = "login-accounts";
    let with = |shell: &str, key: &str| accounts(&format!("shell: {shell}, ssh-keys: ['{key}']"), "/usr/sbin/sshd -D");
    for shell in ["/system/bin/false", "/usr/sbin/nologin"] {
        let said = format!("account `ann` has `ssh-keys`, and a shell that ends at once: {shell}");
        warns(&with(shell, KEY), id, &[&said, "small.yaml:16:"]);
        is_silent(&with(shell, &format!("restrict,port-forwarding {KEY}")), "it is for forwarding");
    }
    is_silent(&with("/system/bin/sh", KEY), "a shell");

    // The server that compares shells with a file, and one that is not there.
    let shells = |listed: &str, server: bool| {
        let project = with("/system/bin/sh", KEY);
        project.write("overlay/system/etc/shells", format!("# Comment\n{listed}\n"));
        if server {
            project.edit("small.yaml", "  overlays: [overlay]", "  overlays: [overlay]\n  components: [dropbear]");
            let component = "component: dropbear\nversion: '1'\nlicense: MIT\nsource: {path: ../sources/kernel}\n";
            project.write("components/dropbear.yaml", component);
        }
        project
    };
    warns(
        &shells("/usr/bin/bash", true),
        id,
        &["dropbear refuses account `ann`", "/system/bin/sh is not in /system/etc/shells"],
    );
    is_silent(&shells("/system/bin/sh", true), "listed");
    is_silent(&shells("/usr/bin/bash", false), "no dropbear");
}

#[test]
fn a_script_in_init_d_is_named_by_something() {
    let id = "unstarted-scripts";
    let init = |project: Project| {
        project.write("overlay/system/etc/inittab", "::sysinit:/system/bin/sh\n");
        project
    };
    let project = init(Project::new());
    executable(&project, "overlay/system/etc/init.d/S99mine", true);
    warns(
        &project,
        id,
        &[
            "/system/etc/init.d/S99mine: nothing starts this script",
            "::once:/system/etc/init.d/S99mine",
            "small.yaml:12:14",
        ],
    );
    // A part of the name, or the script itself, is not enough.
    project.write("overlay/system/etc/profile", "/system/etc/init.d/S99mine2\n");
    project.write("overlay/system/etc/init.d/S99mine", "usage: /system/etc/init.d/S99mine start\n");
    warns(&project, id, &["S99mine: nothing starts"]);
    for (file, text) in [
        ("overlay/system/etc/inittab", "::once:/system/etc/init.d/S99mine\n"),
        ("overlay/usr/bin/tool", "[ -x /system/etc/init.d/S99mine ] && . /system/etc/init.d/S99mine\n"),
        ("overlay/usr/bin/tool", "for script in /system/etc/init.d/S*; do $script; done\n"),
        ("overlay/usr/bin/tool", "run-parts /system/etc/init.d\n"),
    ] {
        let project = init(Project::new());
        executable(&project, "overlay/system/etc/init.d/S99mine", true);
        project.write(file, text);
        is_silent(&project, file);
    }
    // Another init than the one whose table is known.
    let other = Project::new();
    executable(&other, "overlay/system/etc/init.d/S99mine", true);
    is_silent(&other, "no inittab");
    let linked = init(rootfs("  links: {/system/sbin/mine: ../etc/init.d/mine}\n"));
    executable(&linked, "overlay/system/etc/init.d/mine", true);
    linked.write("overlay/system/etc/init.d/.keep", "");
    is_silent(&linked, "a link");
    let served = init(rootfs("  services: [{name: mine, command: [/system/bin/sh, /system/etc/init.d/mine]}]\n"));
    executable(&served, "overlay/system/etc/init.d/mine", false);
    executable(&served, "overlay/system/bin/runsvdir", true);
    is_silent(&served, "a service");
    let fhs = init(Project::with("layout: split", "layout: fhs"));
    executable(&fhs, "overlay/system/etc/init.d/mine", true);
    is_silent(&fhs, "another init");
}

#[test]
fn a_script_that_its_runner_passes_over_is_named() {
    let id = "unstarted-scripts";
    for (path, is_executable, said) in [
        (
            "system/etc/init.d/rcS",
            false,
            "/system/etc/init.d/rcS: init can't start this script, as it is not executable",
        ),
        ("system/etc/sv/web/run", false, "the supervisor can't start run of service `web`, as it is not executable"),
        ("system/etc/sv/web/log/run", false, "the supervisor can't start log/run of service `web`"),
        ("system/etc/network/if-up.d/route.sh", true, "ifup does not run this script of if-up.d, because of its name"),
        (
            "system/etc/network/if-pre-up.d/route",
            false,
            "ifup does not run this script of if-pre-up.d, as it is not executable",
        ),
    ] {
        let make = |is_executable| {
            let project = Project::new();
            project.write("overlay/system/etc/inittab", "::sysinit:/system/etc/init.d/rcS\n");
            executable(&project, "overlay/system/etc/sv/web/run", true);
            executable(&project, "overlay/system/bin/runsvdir", true);
            executable(&project, &format!("overlay/{path}"), is_executable);
            project
        };
        warns(&make(is_executable), id, &[said, "small.yaml:12:14"]);
        if !is_executable {
            is_silent(&make(true), path);
            let stated = make(false);
            stated.edit(
                "small.yaml",
                "  users:\n",
                &format!("  attributes: [{{path: /{path}, mode: \"0755\"}}]\n  users:\n"),
            );
            is_silent(&stated, "the recipe states the mode");
        }
    }
    let unsupervised = Project::new();
    executable(&unsupervised, "overlay/system/etc/sv/web/run", true);
    warns(&unsupervised, id, &["nothing starts service `web`", "add the component `runit`"]);
    let empty = Project::new();
    executable(&empty, "overlay/system/bin/runsvdir", true);
    empty.write("overlay/system/etc/sv/web/README", "");
    warns(&empty, id, &["/system/etc/sv/web has no script `run`"]);
}
