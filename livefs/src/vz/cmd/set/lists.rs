//! Options of `set` that add to a list or take from it.

use super::change;
use crate::vz::conf::Config;
use crate::vz::conf::netif::{self, Netif};
use crate::vz::exit::{Error, Result};
use crate::vz::options::{Given, Known};
use crate::vz::spec::{IMPOSSIBLE, impossible};
use crate::vz::spec::{address, device, permissions};

/// The options; `forward_add` and `forward_del` are ours.
pub(super) const KNOWN: &[Known] = &[
    ("ipadd", None, true),
    ("ip", None, true),
    ("ipdel", None, true),
    ("netdev_add", None, true),
    ("netdev_del", None, true),
    ("netif_add", None, true),
    ("netif_del", None, true),
    ("ifname", None, true),
    ("mac", None, true),
    ("host_mac", None, true),
    ("host_ifname", None, true),
    ("bridge", None, true),
    ("mac_filter", None, true),
    ("capability", None, true),
    ("features", None, true),
    ("devices", None, true),
    ("devnodes", None, true),
    ("forward_add", None, true),
    ("forward_del", None, true),
];

/// capabilities(7), and the two that OpenVZ's kernel added.
const CAPABILITIES: &str = "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service \
    net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice \
    sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm \
    block_suspend audit_read perfmon bpf checkpoint_restore setveid ve_admin";

const FEATURES: &str = "sysfs nfs sit ipip ppp ipgre bridge nfsd";

/// Changes the lists as the options say.
pub(super) fn edit(given: &Given, new: &mut Config, keys: &mut Vec<String>) -> Result<()> {
    addresses(given, new, keys)?;
    words(given, new, keys, ("NETDEV", "netdev_add", "netdev_del"), |name| {
        netif::valid_name(name) && !["venet", "tun", "tap", "lo"].iter().any(|kind| name.starts_with(kind))
    })?;
    words(given, new, keys, ("FORWARD", "forward_add", "forward_del"), forward)?;
    switches(given, new, keys, "CAPABILITY", CAPABILITIES)?;
    switches(given, new, keys, "FEATURES", FEATURES)?;
    interfaces(given, new, keys)?;
    devices(given, new, keys)
}

fn bad(option: &str, value: &str) -> Error {
    Error::Value(format!("Bad parameter for --{option}: {value}"))
}

/// `tcp:8080:80`
fn forward(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
    matches!(parts[..], ["tcp" | "udp", host, inside] if port(host) && port(inside))
}

fn addresses(given: &Given, new: &mut Config, keys: &mut Vec<String>) -> Result<()> {
    let mut all: Vec<String> = new.list("IP_ADDRESS").into_iter().map(str::to_owned).collect();
    let same = |a: &str, b: &str| address(a).map(|(ip, _)| ip) == address(b).map(|(ip, _)| ip);
    let mut touched = false;
    // Removal comes first, whatever the order on the command line: `--ipdel all --ipadd X` leaves X.
    for value in given.values("ipdel").flat_map(str::split_whitespace) {
        touched = true;
        if value == "all" {
            all.clear();
            continue;
        }
        address(value).ok_or_else(|| bad("ipdel", value))?;
        all.retain(|old| !same(old, value));
    }
    for option in ["ipadd", "ip"] {
        for value in given.values(option).flat_map(str::split_whitespace) {
            touched = true;
            // The classic word for an address that is got inside.
            if ["0.0.0.0", "::", "::0"].contains(&value) {
                continue;
            }
            address(value).ok_or_else(|| bad(option, value))?;
            all.retain(|old| !same(old, value));
            all.push(value.to_owned());
        }
    }
    if touched {
        change(new, keys, "IP_ADDRESS", all.join(" "));
    }
    Ok(())
}

fn words(
    given: &Given,
    new: &mut Config,
    keys: &mut Vec<String>,
    (key, add, del): (&str, &str, &str),
    good: impl Fn(&str) -> bool,
) -> Result<()> {
    if !given.has(add) && !given.has(del) {
        return Ok(());
    }
    let mut all: Vec<String> = new.list(key).into_iter().map(str::to_owned).collect();
    for value in given.values(del).flat_map(str::split_whitespace) {
        all.retain(|old| old != value && value != "all");
    }
    for value in given.values(add).flat_map(str::split_whitespace) {
        if !good(value) {
            return Err(bad(add, value));
        }
        if !all.iter().any(|old| old == value) {
            all.push(value.to_owned());
        }
    }
    change(new, keys, key, all.join(" "));
    Ok(())
}

/// `NAME:on,NAME:off`: merged with what is set.
fn switches(given: &Given, new: &mut Config, keys: &mut Vec<String>, key: &str, known: &str) -> Result<()> {
    let option = key.to_lowercase();
    if !given.has(&option) {
        return Ok(());
    }
    let mut all: Vec<String> = new.list(key).into_iter().map(str::to_lowercase).collect();
    for value in given.values(&option) {
        for one in value.split([',', ' ', '\t']).filter(|one| !one.is_empty()) {
            let lower = one.to_lowercase();
            let (name, state) = lower.split_once(':').ok_or_else(|| bad(&option, value))?;
            if !known.split_whitespace().any(|known| known == name) || !["on", "off"].contains(&state) {
                return Err(bad(&option, value));
            }
            if key == "FEATURES" && state == "on" && IMPOSSIBLE.contains(&name) {
                return Err(Error::Value(impossible(name)));
            }
            all.retain(|old| old.split(':').next() != Some(name));
            all.push(lower);
        }
    }
    change(new, keys, key, all.join(" "));
    Ok(())
}

fn interfaces(given: &Given, new: &mut Config, keys: &mut Vec<String>) -> Result<()> {
    const PROPERTIES: &[&str] = &["mac", "host_mac", "host_ifname", "bridge", "mac_filter"];
    let edits = PROPERTIES.iter().any(|name| given.has(name)) || given.has("ifname");
    if !edits && !given.has("netif_add") && !given.has("netif_del") {
        return Ok(());
    }
    let text = new.get("NETIF").unwrap_or_default();
    let mut all =
        Netif::parse_all(text).ok_or_else(|| Error::InvalidConfig(format!("Invalid value for NETIF: {text}")))?;
    for name in given.values("netif_del") {
        if name != "all" && !all.iter().any(|one| one.ifname == name) {
            return Err(Error::Interface(format!("Container does not have configured veth: {name}")));
        }
        all.retain(|one| name != "all" && one.ifname != name);
    }
    for value in given.values("netif_add") {
        let one = Netif::parse_option(value).ok_or_else(|| bad("netif_add", value))?;
        if all.iter().any(|other| other.ifname == one.ifname) {
            return Err(Error::Interface(format!("Network interface {} already exists", one.ifname)));
        }
        all.push(one);
    }
    if edits {
        let name = match (given.value("ifname"), given.values("netif_add").last()) {
            (Some(name), _) => name.to_owned(),
            // Properties beside --netif_add are those of the new one.
            (None, Some(added)) => added.split(',').next().unwrap_or_default().to_owned(),
            (None, None) => return Err(Error::Value("Invalid usage.  Option --ifname not specified".into())),
        };
        let one = all.iter_mut().find(|one| one.ifname == name);
        let one = one.ok_or_else(|| Error::Interface(format!("Container does not have configured veth: {name}")))?;
        for property in PROPERTIES {
            if let Some(value) = given.value(property) {
                one.set(property, value).ok_or_else(|| bad(property, value))?;
            }
        }
    }
    change(new, keys, "NETIF", netif::join(&all));
    Ok(())
}

/// Devices by number and by name: a new one replaces the same one's permissions, `none` takes it out.
fn devices(given: &Given, new: &mut Config, keys: &mut Vec<String>) -> Result<()> {
    for (option, key) in [("devices", "DEVICES"), ("devnodes", "DEVNODES")] {
        if !given.has(option) {
            continue;
        }
        let mut all: Vec<String> = new.list(key).into_iter().map(str::to_owned).collect();
        for value in given.values(option).flat_map(str::split_whitespace) {
            let (name, may) = value.rsplit_once(':').ok_or_else(|| bad(option, value))?;
            let good = match option {
                "devices" => device(value).is_some(),
                _ => {
                    permissions(may)
                        && !name.is_empty()
                        && !name.split('/').any(|part| ["", ".", ".."].contains(&part))
                        && !name.contains([':', '"'])
                }
            };
            if !good {
                return Err(bad(option, value));
            }
            all.retain(|old| old.rsplit_once(':').is_none_or(|(other, _)| other != name));
            if may != "none" {
                all.push(value.to_owned());
            }
        }
        change(new, keys, key, all.join(" "));
    }
    Ok(())
}
