//! The scripts of `recipes/overlays/base` that read what a recipe's keys become: run by this machine's `sh`, in a copy below
//! another folder, with programs that note how they are called. (Debian's busybox would run its own programs instead of these,
//! so it only reads the scripts.)

mod project;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::{fs, io};

use dbco::process::command;
use project::{Project, repository};

/// A system below the folder `root`, whose scripts refer to that folder.
struct System {
    project: Project,
}

impl System {
    fn new() -> Self {
        let system = Self { project: Project::new() };
        let base = repository().join("recipes/overlays/base/system");
        system.copy(&base, "root/system").unwrap();
        for folder in ["root/system/run", "root/system/var", "programs", "root/net"] {
            fs::create_dir_all(system.project.path(folder)).unwrap();
        }
        system.project.write("root/cmdline", "quiet\n");
        for program in ["ip", "ifup", "udhcpc", "loadkmap", "adduser", "passwd", "kill"] {
            system.program(program, "");
        }
        system
    }

    /// Copies a folder with its paths moved below `root`.
    fn copy(&self, from: &Path, to: &str) -> io::Result<()> {
        let root = self.project.path("root");
        for entry in fs::read_dir(from)? {
            let path = entry?.path();
            let to = format!("{to}/{}", path.file_name().unwrap().to_str().unwrap());
            if path.is_dir() {
                self.copy(&path, &to)?;
                continue;
            }
            let text = fs::read_to_string(&path)?;
            let moved = text.replace("/system/", &format!("{}/system/", root.display()));
            let moved = moved.replace("/proc/cmdline", &root.join("cmdline").display().to_string());
            let moved = moved.replace("/sys/class/net", &root.join("net").display().to_string());
            self.project
                .write(&to, moved.replace("/usr/share/kmap", &root.join("usr/share/kmap").display().to_string()));
        }
        Ok(())
    }

    /// A program that notes its name and its arguments, and then does this.
    fn program(&self, name: &str, script: &str) {
        let calls = self.project.path("calls");
        let path = format!("programs/{name}");
        self.project.write(&path, format!("#!/bin/sh\necho {name} \"$@\" >>{}\n{script}", calls.display()));
        fs::set_permissions(self.project.path(&path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A network card, or a link without a device.
    fn link(&self, name: &str, card: bool) {
        self.project.write(&format!("root/net/{name}/type"), "1\n");
        if card {
            fs::create_dir_all(self.project.path(&format!("root/net/{name}/device"))).unwrap();
        }
    }

    /// Runs a line of shell and gives its output.
    fn run(&self, line: &str) -> String {
        let line = line.replace("/system/", &format!("{}/system/", self.project.path("root").display()));
        // In namespaces of its own: whatever a script does, this machine's network and mounts stay as they are.
        let mut shell = command("unshare");
        shell.args(["--user", "--map-root-user", "--mount", "--net", "sh", "-c", &line]);
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.project.path("programs").display());
        let output = self.project.prepare(&mut shell).env("PATH", path).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts the network, and gives all calls, without the system's root.
    fn network(&self, cmdline: &str) -> Vec<String> {
        self.project.write("root/cmdline", format!("{cmdline}\n"));
        // What it leaves in the background has the third file open, so that its end is waited for.
        self.run("exec 3>&1; set --; (. /system/etc/init.d/network)");
        self.calls()
    }

    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.project.path("calls")).unwrap_or_default();
        let root = self.project.path("root").display().to_string();
        text.lines().map(|line| line.replace(&root, "")).collect()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.project.path("root").join(name)).unwrap_or_default()
    }
}

/// What the recipe's `network` becomes, of which `system_keys.rs` compares the bytes.
const INTERFACES: &str =
    "iface eth0 inet manual\n\tup ip link set eth0 up\n\nauto eth1\n\nauto veth0\n\niface eth2 inet manual\n";

#[test]
fn cards_are_configured_as_interfaces_says_and_by_dhcp_otherwise() {
    let system = System::new();
    system.project.write("root/system/etc/network/interfaces", INTERFACES);
    for (name, card) in
        [("eth0", true), ("eth1", true), ("eth2", true), ("eth3", true), ("veth0", false), ("br0", false)]
    {
        system.link(name, card);
    }
    let asked = |calls: &[String], card: &str| {
        calls.iter().any(|call| call.starts_with("udhcpc ") && call.contains(&format!(" -i {card} ")))
    };
    let by_ifup = |calls: &[String], card: &str| {
        calls.iter().any(|call| *call == format!("ifup -i /system/etc/network/interfaces {card}"))
    };
    let calls = system.network("quiet");
    for (card, ifup, dhcp) in [
        ("eth0", true, false),
        ("eth1", false, true),
        ("eth2", true, false),
        ("eth3", false, true),
        ("veth0", false, true),
        ("br0", false, false),
    ] {
        assert_eq!((by_ifup(&calls, card), asked(&calls, card)), (ifup, dhcp), "{card}: {calls:#?}");
    }
    // ifup would complain of each that is missing.
    for folder in ["if-pre-up.d", "if-up.d"] {
        assert!(system.project.path(&format!("root/system/etc/network/{folder}")).is_dir(), "{folder}");
    }
}

#[test]
fn boot_codes_override_the_network_of_the_recipe() {
    let system = System::new();
    let recipes = "search example.org\nnameserver 192.0.2.1\n";
    for file in ["network/resolv.conf", "resolv.conf"] {
        system.project.write(&format!("root/system/etc/{file}"), recipes);
    }
    system.project.write("root/system/etc/network/interfaces", INTERFACES);
    for name in ["eth0", "eth1", "eth2"] {
        system.link(name, true);
    }
    let calls = system.network("nodhcp ip=10.0.0.2::10.0.0.1:24::eth0::10.0.0.3 ip=10.1.0.2:::24::eth2::10.1.0.3");
    assert!(!calls.iter().any(|call| call.starts_with("udhcpc") || call.starts_with("ifup")), "{calls:#?}");
    for call in [
        "ip address replace 10.0.0.2/24 dev eth0",
        "ip route replace default via 10.0.0.1 dev eth0",
        "ip address replace 10.1.0.2/24 dev eth2",
    ] {
        assert!(calls.iter().any(|line| line == call), "no `{call}` in {calls:#?}");
    }
    assert_eq!(system.read("system/etc/resolv.conf"), "nameserver 10.0.0.3\nnameserver 10.1.0.3\n");
    // A lease of another card adds its servers behind.
    lease(&system, "eth1", "dns='10.2.0.3' domain=leased.example.org");
    let names = "nameserver 10.0.0.3\nnameserver 10.1.0.3\nsearch leased.example.org\nnameserver 10.2.0.3\n";
    assert_eq!(system.read("system/etc/resolv.conf"), names);
}

/// udhcpc has a lease for a card.
fn lease(system: &System, card: &str, variables: &str) {
    fs::create_dir_all(system.project.path(&format!("root/system/run/network/{card}"))).unwrap();
    let line = format!(
        "export interface={card} ip=10.9.0.2 mask=24 {variables}; set -- bound; . /system/share/udhcpc/default.script"
    );
    system.run(&line);
}

#[test]
fn a_lease_adds_to_the_names_of_the_recipe() {
    let leased = "dns='10.2.0.3 10.2.0.4' domain=leased.example.org";
    for (recipe, expected) in [
        (
            Some("search example.org\nnameserver 192.0.2.1\n"),
            "search example.org\nnameserver 192.0.2.1\nnameserver 10.2.0.3\nnameserver 10.2.0.4\n",
        ),
        (
            Some("nameserver 192.0.2.1\n"),
            "nameserver 192.0.2.1\nsearch leased.example.org\nnameserver 10.2.0.3\nnameserver 10.2.0.4\n",
        ),
        (None, "search leased.example.org\nnameserver 10.2.0.3\nnameserver 10.2.0.4\n"),
    ] {
        let system = System::new();
        if let Some(text) = recipe {
            system.project.write("root/system/etc/network/resolv.conf", text);
        }
        lease(&system, "eth0", leased);
        assert_eq!(system.read("system/etc/resolv.conf"), expected, "{recipe:?}");
        // The next lease replaces it.
        lease(&system, "eth0", leased);
        assert_eq!(system.read("system/etc/resolv.conf"), expected, "{recipe:?}");
    }
}

#[test]
fn the_keyboard_is_that_of_the_boot_code_else_of_the_recipe() {
    for (cmdline, keymap, expected) in [
        ("", None, ""),
        ("", Some("de"), "loadkmap\nmap of de\n"),
        ("kmap=fr", Some("de"), "loadkmap\nmap of fr\n"),
        ("kmap=fr", None, "loadkmap\nmap of fr\n"),
    ] {
        let system = System::new();
        system.program("loadkmap", &format!("cat >>{}\n", system.project.path("calls").display()));
        system.project.write("root/system/share/kmap/de.kmap", "map of de\n");
        system.project.write("root/usr/share/kmap/fr.kmap", "map of fr\n");
        system.project.write("root/cmdline", format!("{cmdline}\n"));
        if let Some(keymap) = keymap {
            system.project.write("root/system/etc/vconsole.conf", format!("KEYMAP={keymap}\n"));
        }
        system.run("(. /system/etc/init.d/session)");
        let calls: String = system.calls().iter().map(|line| format!("{line}\n")).collect();
        assert_eq!(calls, expected, "{cmdline} {keymap:?}");
    }
}

#[test]
fn the_locale_of_logins_is_that_of_the_boot_code_else_of_the_recipe() {
    for (cmdline, locale, expected) in [
        ("", None, "<>"),
        ("", Some("de_DE.UTF-8"), "<de_DE.UTF-8>"),
        ("lang=fr_FR.UTF-8", Some("de_DE.UTF-8"), "<fr_FR.UTF-8>"),
        ("lang=fr_FR.UTF-8", None, "<fr_FR.UTF-8>"),
    ] {
        let system = System::new();
        system.project.write("root/cmdline", format!("{cmdline}\n"));
        if let Some(locale) = locale {
            system.project.write("root/system/etc/locale.conf", format!("LANG={locale}\n"));
        }
        // A program of the shell sees what is exported; services get it by the same two lines of rcS.
        let rc = system.read("system/etc/init.d/rcS");
        let lines: Vec<&str> = rc
            .lines()
            .filter(|line| line.contains("locale.conf") || line.contains("&& . ") && line.contains("run/environment"))
            .collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        for read in [". /system/etc/profile".to_owned(), lines.join("\n")] {
            let line = format!("(. /system/etc/init.d/session); {read}\nexec sh -c 'echo \"<$LANG>\"'");
            // The lines of rcS have the root's path already.
            let line = line.replace(&system.project.path("root").display().to_string(), "");
            assert_eq!(system.run(&line).trim(), expected, "{cmdline} {locale:?} {read}");
        }
    }
}

#[test]
fn the_shell_of_the_system_can_read_every_script() {
    let base = repository().join("recipes/overlays/base/system");
    for script in ["etc/init.d", "share/udhcpc"].iter().flat_map(|folder| fs::read_dir(base.join(folder)).unwrap()) {
        let path = script.unwrap().path();
        let output = command("busybox").args(["sh", "-n", path.to_str().unwrap()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_name_server_of_the_command_line_replaces_the_recipes() {
    for (cmdline, expected) in [
        ("dns=10.0.0.9", "nameserver 10.0.0.9\n"),
        ("dns=10.0.0.9 ip=10.0.0.2:::24::eth0::10.0.0.3", "nameserver 10.0.0.9\nnameserver 10.0.0.3\n"),
        ("ip=10.0.0.2:::24::eth0", "nameserver 192.0.2.1\n"),
        ("dns=", "nameserver 192.0.2.1\n"),
    ] {
        let system = System::new();
        system.project.write("root/system/etc/resolv.conf", "nameserver 192.0.2.1\n");
        system.link("eth0", true);
        system.network(cmdline);
        assert_eq!(system.read("system/etc/resolv.conf"), expected, "{cmdline}");
    }
}
