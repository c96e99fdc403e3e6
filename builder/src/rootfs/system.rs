//! The files that a recipe's `hostname`, `timezone`, `locale`, `keymap` and `network` become; `docs/system.md` has them for
//! users. The scripts of `recipes/overlays/base` read those of layout `split`.

use std::fmt::Write as _;

use super::StatedFile;
use crate::recipe::rootfs::{Interface, Layout, StaticInterface, SystemKeys};

/// All files.
pub fn files(system: &SystemKeys, layout: Layout) -> Vec<StatedFile> {
    system.stated().into_iter().flat_map(|(key, _)| files_of(key, system, layout)).collect()
}

/// The files of one of the keys; none if it is not stated.
pub fn files_of(key: &str, system: &SystemKeys, layout: Layout) -> Vec<StatedFile> {
    let SystemKeys { hostname, timezone, locale, keymap, network } = system;
    let etc = layout.etc();
    let file = |name: &str, content: Vec<u8>| StatedFile {
        path: format!("/{etc}/{name}"),
        content,
        mode: 0o644,
        owner: (0, 0),
    };
    let line = |name: &str, text: &str| file(name, format!("{text}\n").into_bytes());
    let mut files = Vec::new();
    match key {
        "hostname" => files.extend(hostname.iter().map(|name| line("hostname", &name.0))),
        "timezone" => {
            if let Some(zone) = timezone {
                files.push(file("localtime", zone.data.to_vec()));
                // The zone's name, which its data does not have.
                files.push(line("timezone", zone.name));
            }
        }
        "locale" => {
            if let Some(locale) = locale {
                let text = format!("LANG={}", locale.0);
                files.push(line("locale.conf", &text));
                // Debian's login and sshd, by PAM.
                files.extend((layout == Layout::Fhs).then(|| line("default/locale", &text)));
            }
        }
        "keymap" => files.extend(keymap.iter().map(|map| line("vconsole.conf", &format!("KEYMAP={}", map.0)))),
        _ if network.is_empty() => {}
        _ => {
            files.push(file("network/interfaces", interfaces(network.iter().map(|(name, of)| (name.as_str(), of)))));
            let names = names(network.iter().map(|(_, of)| of));
            if !names.is_empty() {
                // The first is what programs read, until a lease is added to the second.
                files.push(line("resolv.conf", names.trim_end()));
                files.push(line("network/resolv.conf", names.trim_end()));
            }
        }
    }
    files
}

/// interfaces(5), as busybox's ifup reads it: all of it is said by `up`, as `inet` and `inet6` take one address each, and no
/// gateway of the link.
fn interfaces<'a>(network: impl Iterator<Item = (&'a str, &'a Interface)>) -> Vec<u8> {
    let mut text = String::from("# Made from the recipe's `network`. Form as in interfaces(5).\n");
    for (name, interface) in network {
        match interface {
            Interface::Manual => {
                let _ = write!(text, "\niface {name} inet manual\n");
            }
            // The script asks by DHCP for a card that is named here without a method.
            Interface::Dhcp => {
                let _ = write!(text, "\nauto {name}\n");
            }
            Interface::Static(StaticInterface { addresses, gateways, dns: _, search: _, mtu }) => {
                let _ = write!(text, "\niface {name} inet manual\n");
                let mtu = mtu.as_ref().map(|mtu| format!(" mtu {}", mtu.value)).unwrap_or_default();
                let _ = writeln!(text, "\tup ip link set {name}{mtu} up");
                for address in addresses {
                    let _ = writeln!(text, "\tup ip address replace {} dev {name}", address.value);
                }
                for gateway in gateways {
                    let family = if gateway.value.is_ipv6() { "-6 " } else { "" };
                    let _ = writeln!(text, "\tup ip {family}route replace default via {} dev {name}", gateway.value);
                }
            }
        }
    }
    text.into_bytes()
}

/// resolv.conf(5); empty if no card names a server or a domain. Each once, as several cards may have the same.
fn names<'a>(network: impl Iterator<Item = &'a Interface>) -> String {
    let (mut domains, mut servers): (Vec<&str>, Vec<String>) = Default::default();
    for interface in network {
        let Interface::Static(StaticInterface { dns, search, .. }) = interface else { continue };
        for domain in search.iter().map(|domain| domain.value.as_str()) {
            if !domains.contains(&domain) {
                domains.push(domain);
            }
        }
        for server in dns.iter().map(|server| server.value.to_string()) {
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
    }
    let mut text = String::new();
    if !domains.is_empty() {
        let _ = writeln!(text, "search {}", domains.join(" "));
    }
    servers.iter().for_each(|server| text.push_str(&format!("nameserver {server}\n")));
    text
}
