//! `hostname`, `timezone`, `locale`, `keymap` and `network` of a recipe: their rules, and the files that they become.

mod project;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use dbco::process::command;
use project::{Project, refused};

/// The small project with further keys of its root, at line 13, of which only the root is made.
fn project(keys: &str) -> Project {
    let project = Project::with("outputs: [initrd, grub-cfg]", "outputs: [rootfs]");
    project.edit("small.yaml", "  users:\n", &format!("{keys}  users:\n"));
    project.edit("small.yaml", "livefs: none", "livefs: squashfs");
    project
}

/// The files of the root below a folder, by path.
fn files(project: &Project, below: &str) -> BTreeMap<String, Vec<u8>> {
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let script = "rm -rf root && mkdir root && zstd -dc out/small/small.rootfs.tar.zst | tar -xf - -C root";
    let status = command("sh").args(["-ec", script]).current_dir(project.path("")).status().unwrap();
    assert!(status.success());
    let root = project.path("root").join(below);
    let (mut found, mut open) = (BTreeMap::new(), vec![root.clone()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn text<'a>(files: &'a BTreeMap<String, Vec<u8>>, name: &str) -> &'a str {
    std::str::from_utf8(files.get(name).unwrap_or_else(|| panic!("{name} is not there: {:?}", files.keys()))).unwrap()
}

/// Everything but `network`, whose file has a test of its own.
const KEYS: &str = "  hostname: ${host}.example.org\n  timezone: Europe/Berlin\n  locale: de_DE.UTF-8\n";

#[test]
fn each_key_is_a_file_where_the_layout_has_its_configuration() {
    let split = project(&format!("{KEYS}  keymap: de\n"));
    split.write("overlay/usr/share/kmap/de.kmap", "a map\n");
    let files_of_split = files(&split, "system/etc");
    assert_eq!(text(&files_of_split, "hostname"), "box.example.org\n");
    assert_eq!(text(&files_of_split, "timezone"), "Europe/Berlin\n");
    assert_eq!(text(&files_of_split, "locale.conf"), "LANG=de_DE.UTF-8\n");
    assert_eq!(text(&files_of_split, "vconsole.conf"), "KEYMAP=de\n");
    let expected: Vec<&str> =
        "group hostname locale.conf localtime motd passwd shadow timezone vconsole.conf".split(' ').collect();
    assert_eq!(files_of_split.keys().collect::<Vec<_>>(), expected);

    let fhs = project(KEYS);
    fhs.edit("small.yaml", "layout: split", "layout: fhs");
    let files_of_fhs = files(&fhs, "etc");
    assert_eq!(files_of_fhs["localtime"], files_of_split["localtime"]);
    assert_eq!(text(&files_of_fhs, "default/locale"), "LANG=de_DE.UTF-8\n");
    assert_eq!(text(&files_of_fhs, "locale.conf"), "LANG=de_DE.UTF-8\n");
    assert_eq!(text(&files_of_fhs, "hostname"), "box.example.org\n");
    assert_eq!(text(&files_of_fhs, "timezone"), "Europe/Berlin\n");

    // The line that states each.
    for (file, key, line) in [
        ("hostname", "hostname", 13),
        ("localtime", "timezone", 14),
        ("locale.conf", "locale", 15),
        ("vconsole.conf", "keymap", 16),
    ] {
        let ran = split.dbco(&["why", "--offline", "small.yaml", &format!("/system/etc/{file}")]).ends(0);
        assert!(ran.out.contains(&format!("small.yaml:{line}:")) && ran.out.contains(key), "{file}: {}", ran.out);
    }
}

/// The C library of this machine reads the file that another library's data became.
#[test]
fn a_c_library_reads_the_time_zone() {
    for (zone, winter, summer) in [
        ("Europe/Berlin", "CET +0100", "CEST +0200"),
        ("America/New_York", "EST -0500", "EDT -0400"),
        ("Europe/Dublin", "GMT +0000", "IST +0100"),
        ("Asia/Kolkata", "IST +0530", "IST +0530"),
        ("UTC", "UTC +0000", "UTC +0000"),
        ("Etc/GMT-2", "+02 +0200", "+02 +0200"),
        ("Australia/Lord_Howe", "+11 +1100", "+1030 +1030"),
    ] {
        let project = project(&format!("  timezone: {zone}\n"));
        files(&project, "system/etc");
        // A time within the table of changes, and one by the rule for the future.
        for year in [2024, 2060] {
            for (month, expected) in [(1, winter), (7, summer)] {
                let mut date = command("date");
                date.env("TZ", format!(":{}", project.path("root/system/etc/localtime").display()));
                let output = date.args(["-d", &format!("{year}-{month}-10 12:00 UTC"), "+%Z %z"]).output().unwrap();
                assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), expected, "{zone} {year}-{month}");
            }
        }
    }
}

#[test]
fn what_a_recipe_states_replaces_what_an_overlay_has_and_says_so() {
    let project = project("  hostname: crate\n");
    project.write("overlay/system/etc/hostname", "overlay\n");
    project.write("overlay/system/etc/network/interfaces", "# of the overlay\n");
    let found = files(&project, "system/etc");
    assert_eq!(text(&found, "hostname"), "crate\n");
    assert_eq!(text(&found, "network/interfaces"), "# of the overlay\n", "nothing is stated of it");
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(0).never_says("unused");
    assert!(!ran.err.contains("replace"), "{}", ran.err);
    let ran = project.dbco(&["why", "--offline", "small.yaml", "/system/etc/hostname"]).ends(0);
    assert!(ran.out.contains("the recipe") && ran.out.contains("overlay"), "{}", ran.out);
    // Without the key the overlay's stays.
    project.edit("small.yaml", "  hostname: crate\n", "");
    assert_eq!(text(&files(&project, "system/etc"), "hostname"), "overlay\n");
}

#[test]
fn network_becomes_interfaces_and_names() {
    let project = project(
        "  network:\n    eth0:\n      address: [192.168.1.2/24, \"fd00::2/64\"]\n      gateway: [192.168.1.1, \"fe80::1\"]\n      \
         dns: [192.168.1.1, 9.9.9.9]\n      search: [example.org, a.example.org]\n      mtu: 1400\n    \
         eth1: {address: 10.0.0.1/31, dns: 9.9.9.9, search: example.org}\n    eth2: dhcp\n    eth3: none\n",
    );
    let found = files(&project, "system/etc");
    let expected = "# Made from the recipe's `network`. Form as in interfaces(5).\n\n\
        iface eth0 inet manual\n\tup ip link set eth0 mtu 1400 up\n\tup ip address replace 192.168.1.2/24 dev eth0\n\
        \tup ip address replace fd00::2/64 dev eth0\n\tup ip route replace default via 192.168.1.1 dev eth0\n\
        \tup ip -6 route replace default via fe80::1 dev eth0\n\n\
        iface eth1 inet manual\n\tup ip link set eth1 up\n\tup ip address replace 10.0.0.1/31 dev eth1\n\n\
        auto eth2\n\niface eth3 inet manual\n";
    assert_eq!(text(&found, "network/interfaces"), expected);
    let names = "search example.org a.example.org\nnameserver 192.168.1.1\nnameserver 9.9.9.9\n";
    assert_eq!(text(&found, "resolv.conf"), names);
    assert_eq!(text(&found, "network/resolv.conf"), names);
    let ran = project.dbco(&["why", "--offline", "small.yaml", "/system/etc/network/interfaces"]).ends(0);
    assert!(ran.out.contains("network") && ran.out.contains("small.yaml:14:5"), "{}", ran.out);

    // The program that reads it in the system, here of another build: what it would run, of each card.
    let ifup = |card: &str| {
        let interfaces = project.path("root/system/etc/network/interfaces");
        let mut busybox = command("busybox");
        let output = busybox.args(["ifup", "-n", "-i", interfaces.to_str().unwrap(), card]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter(|line| line.starts_with("ip ")).map(|line| format!("\tup {line}\n")).collect::<String>()
    };
    for card in ["eth0", "eth1"] {
        let said = ifup(card);
        assert!(
            !said.is_empty() && expected.contains(&format!("iface {card} inet manual\n{said}\n")),
            "{card}: {said}"
        );
    }
    assert_eq!(ifup("eth3"), "");
}

#[test]
fn cards_without_names_write_no_resolv_conf() {
    let project = project("  network: {eth0: dhcp, eth1: {address: 10.0.0.1/24}}\n");
    let found = files(&project, "system/etc");
    assert!(found.contains_key("network/interfaces"));
    assert!(!found.contains_key("resolv.conf") && !found.contains_key("network/resolv.conf"), "{:?}", found.keys());
}

/// Each change of a key is another root; a recipe without them has the one that it had.
#[test]
fn an_extending_recipe_merges_and_replaces_the_keys() {
    let project = project("  hostname: crate\n  network: {eth0: dhcp, eth1: {address: 10.0.0.1/24, mtu: 1400}}\n");
    project.write(
        "mine.yaml",
        "recipe: mine\nextends: small.yaml\nrootfs:\n  hostname: mine\n  timezone: UTC\n  network: {eth0: , eth1: {address: 10.0.0.2/24}, eth2: none}\n",
    );
    let ran = project.dbco(&["show", "mine.yaml", "rootfs.network"]).ends(0);
    assert_eq!(ran.out, "eth1: {address: 10.0.0.2/24, mtu: 1400}\neth2: none\n");
    let ran = project.dbco(&["show", "mine.yaml", "rootfs.hostname", "--origin"]).ends(0);
    assert!(ran.out.contains("mine.yaml:4, over small.yaml:13"), "{}", ran.out);
    project.edit("mine.yaml", "eth0: ,", "eth9: ,");
    project.dbco(&["check", "mine.yaml"]).ends(2).says(&["the extended `network` has no `eth9`"]);
}

#[test]
fn wrong_keys_are_findings() {
    for (keys, parts) in [
        ("hostname: a_b", &["\"a_b\" can't be a host name: it contains '_'", "small.yaml:13:13"][..]),
        ("hostname: -a", &["begins or ends with `-`"]),
        ("hostname: a..b", &["two in a row"]),
        ("hostname: \"\"", &["it is empty"]),
        ("hostname: [a]", &["expected text"]),
        (&format!("hostname: {}.{}", "a".repeat(32), "b".repeat(32)), &["it has 65 bytes, the kernel's limit is 64"]),
        ("timezone: Europe/Berlim", &["no time zone \"Europe/Berlim\"", "did you mean `Europe/Berlin`?"]),
        ("timezone: europe/berlin", &["did you mean `Europe/Berlin`?"]),
        ("timezone: Vienna", &["did you mean `Europe/Vienna`?"]),
        ("timezone: \"CET-1CEST,M3.5.0,M10.5.0/3\"", &["the boot code `tz=`"]),
        ("locale: de-DE.UTF-8", &["is not the name of a locale", "de_DE.UTF-8"]),
        ("locale: german", &["is not the name of a locale"]),
        ("keymap: a/b", &["can't be the name of a keyboard map"]),
        ("network: [eth0]", &["expected a mapping"]),
        ("network: {eth0: dchp}", &["unknown value `dchp`", "did you mean `dhcp`?"]),
        ("network: {eth0: [dhcp]}", &["expected `dhcp`, `none`, or a mapping with `address`"]),
        ("network: {eth0: {mtu: 1400}}", &["a network card lacks `address`"]),
        ("network: {eth0: {address: 192.168.1.2/24, gatway: 192.168.1.1}}", &["did you mean `gateway`?"]),
        ("network: {eth0: {address: 192.168.1.2}}", &["is not an address with the length", "192.168.1.2/LENGTH"]),
        ("network: {eth0: {address: 192.168.1.2/33}}", &["a length from 1 to 32 bits"]),
        ("network: {eth0: {address: 192.168.1.2/+24}}", &["a length from 1 to 32 bits"]),
        ("network: {eth0: {address: \"fd00::2/129\"}}", &["a length from 1 to 128 bits"]),
        ("network: {eth0: {address: 192.168.1.2/255.255.254.0}}", &["help: 192.168.1.2/23"]),
        ("network: {eth0: {address: 192.168.1.300/24}}", &["expected the form of 192.168.1.2/24"]),
        ("network: {eth0: {address: [192.168.1.0/24]}}", &["the address of the network itself"]),
        ("network: {eth0: {address: 127.0.0.1/8}}", &["the loopback interface's"]),
        ("network: {eth0: {address: 224.0.0.1/24}}", &["multicast"]),
        (
            "network: {eth0: {address: 192.168.1.2/24, gateway: 192.168.2.1}}",
            &["192.168.2.1 is in no network of eth0", "is the length right?"],
        ),
        ("network: {eth0: {address: 192.168.1.2/24, gateway: \"fd00::1\"}}", &["no address of the same family"]),
        ("network: {eth0: {address: 192.168.1.2/24, gateway: 192.168.1.2}}", &["is the card's own address"]),
        (
            "network: {eth0: {address: 192.168.1.2/24, gateway: 192.168.1.1/24}}",
            &["without the length of a network: 192.168.1.1"],
        ),
        (
            "network: {eth0: {address: 192.168.1.2/24, gateway: [192.168.1.1, 192.168.1.3]}}",
            &["a second gateway of IPv4"],
        ),
        (
            "network: {eth0: {address: 192.168.1.2/24}, eth1: {address: 192.168.1.2/16}}",
            &["192.168.1.2 is stated twice"],
        ),
        (
            "network: {eth0: {address: 192.168.1.2/24, dns: dns.example.org}}",
            &["\"dns.example.org\" is not an address"],
        ),
        ("network: {eth0: {address: 192.168.1.2/24, dns: 0.0.0.0}}", &["can't be the address of a name server"]),
        (
            "network: {eth0: {address: 192.168.1.2/24, dns: [1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4]}}",
            &["a 4. name server"],
        ),
        ("network: {eth0: {address: 192.168.1.2/24, search: [a_b]}}", &["\"a_b\" can't be a domain"]),
        ("network: {eth0: {address: 192.168.1.2/24, mtu: 67}}", &["expected a number from 68 to 65535"]),
        ("network: {eth0: {address: \"fd00::2/64\", mtu: 1279}}", &["expected a number from 1280 to 65535"]),
        ("network: {lo: dhcp}", &["the loopback interface always has its addresses"]),
        ("network: {abcdefghijklmnop: dhcp}", &["it has 16 bytes, the kernel's limit is 15"]),
        ("network: {\"eth 0\": dhcp}", &["can't be the name of a network card"]),
    ] {
        project(&format!("  {keys}\n")).dbco(&["check", "small.yaml"]).ends(2).says(parts).says(&["small.yaml:13:"]);
    }
}

#[test]
fn right_keys_are_accepted() {
    for keys in [
        "hostname: \"9\"",
        "timezone: UTC",
        "timezone: America/Argentina/Ushuaia",
        "locale: C",
        "locale: sr_RS.UTF-8@latin",
        "network: {}",
        "network:",
        "network: {eth0.100: dhcp}",
        "network: {eth0: {address: 10.0.0.1/32}, eth1: {address: 10.0.0.2/31, gateway: 10.0.0.3}}",
        "network: {eth0: {address: [10.0.0.2/8, \"fd00::2/64\"], gateway: [10.0.0.1, \"fe80::1\"], dns: [\"::1\", 10.0.0.1]}}",
        "network: {eth0: {address: 10.0.0.2/8, dns: [1.1.1.1, 1.1.1.2]}, eth1: {address: 11.0.0.2/8, dns: [1.1.1.2, 1.1.1.3]}}",
    ] {
        project(&format!("  {keys}\n")).dbco(&["check", "small.yaml"]).ends(0);
    }
}

#[test]
fn a_layout_that_nothing_reads_them_in_has_no_such_keys() {
    for (key, fhs) in [
        ("hostname: crate", true),
        ("timezone: UTC", true),
        ("locale: C.UTF-8", true),
        ("keymap: de", false),
        ("network: {eth0: dhcp}", false),
    ] {
        let name = key.split(':').next().unwrap();
        let of_fhs = project(&format!("  {key}\n"));
        of_fhs.edit("small.yaml", "layout: split", "layout: fhs");
        let ran = of_fhs.dbco(&["check", "small.yaml"]);
        if fhs {
            ran.ends(0);
        } else {
            ran.ends(2).says(&[&format!("`{name}` has no meaning in layout `fhs`"), "in an overlay", "small.yaml:13:"]);
        }
        let app = format!("outputs: [template]\ntemplate: {{layout: app, {key}}}");
        refused("outputs: [initrd, grub-cfg]", &app, &[&format!("`{name}` has no meaning in layout `app`")]);
    }
}

#[test]
fn a_locale_of_packages_has_to_be_there() {
    let with = |locale: &str, packages: &str| {
        project(&format!("  locale: {locale}\n  debian: bookworm\n  packages: [{packages}]\n"))
    };
    let said = ["no package of this root has the locale de_DE.UTF-8", "`locales-all`", "/usr/lib/locale/de_DE.utf8"];
    with("de_DE.UTF-8", "bash").dbco(&["check", "small.yaml"]).ends(2).says(&said);
    for (locale, packages) in
        [("C", "bash"), ("C.UTF-8", "bash"), ("POSIX", "bash"), ("de_DE.UTF-8", "bash, locales-all")]
    {
        with(locale, packages).dbco(&["check", "small.yaml"]).ends(0);
    }
    let own = with("de_DE.UTF-8", "bash");
    own.write("overlay/usr/lib/locale/de_DE.utf8/LC_CTYPE", "x");
    own.dbco(&["check", "small.yaml"]).ends(0);
    project("  locale: de_DE.UTF-8\n").dbco(&["check", "small.yaml"]).ends(0);
}

#[test]
fn a_keyboard_map_has_to_be_there() {
    // Nothing that could bring it: the build knows.
    let missing = project("  keymap: de\n");
    missing.dbco(&["check", "small.yaml"]).ends(0);
    missing.dbco(&["build", "--offline", "small.yaml"]).ends(1).says(&[
        "small.yaml:13:11: the map of `keymap: de`, /usr/share/kmap/de.kmap or /system/share/kmap/de.kmap, does not exist",
        "add the component `keymaps`",
    ]);
    for folder in ["usr/share/kmap", "system/share/kmap"] {
        let there = project("  keymap: de\n");
        there.write(&format!("overlay/{folder}/de.kmap"), "a map\n");
        there.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    }
    // The shipped component lists its maps.
    let listed = project("  keymap: dr\n  components: [keymaps]\n");
    listed.write("keymaps/maps", "br qwerty/br-abnt2\nde qwertz/de-latin1-nodeadkeys\nfr azerty/fr-latin9\n");
    listed.write(
        "components/keymaps.yaml",
        "component: keymaps\nversion: '1'\nlicense: MIT\nlayouts: [split]\nsource: {path: ../keymaps}\n",
    );
    listed.dbco(&["check", "small.yaml"]).ends(2).says(&["has no map \"dr\"", "did you mean", "it has br, de, fr"]);
    listed.edit("small.yaml", "keymap: dr", "keymap: de");
    listed.dbco(&["check", "small.yaml"]).ends(0);
}
