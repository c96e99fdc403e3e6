use core::net::IpAddr;

use super::{Check, CheckInput};
use crate::recipe::decode::{At, FindingSink};
use crate::recipe::rootfs::{Address, Interface, StaticInterface};

pub const CHECK: Check = Check {
    id: "network",
    rule: "Network cards have names that Linux accepts and addresses that hosts can have, each once, gateways that these reach, and no \
           more name servers than programs ask.",
    run,
};

/// The longest name of an interface in bytes: `IFNAMSIZ` of Linux without the byte that ends it.
const NAME: usize = 15;

/// The most name servers that C libraries read: `MAXNS` of resolv.h.
const SERVERS: usize = 3;

/// The longest search list in bytes that all C libraries read (musl's resolv.conf buffer, glibc's `MAXDNSRCH` of old).
const SEARCH: usize = 256;

fn run(subject: &CheckInput<'_>, sink: &FindingSink) {
    for rootfs in subject.contents() {
        let network = &rootfs.system.network;
        let cards = || {
            network.iter().filter_map(|(name, interface)| match interface {
                Interface::Static(card) => Some((name, card)),
                Interface::Dhcp | Interface::Manual => None,
            })
        };
        for (name, _) in network {
            if let Some(why) = bad_name(name) {
                let message = format!("{:?} can't be the name of a network card: {why}", name.value);
                sink.borrow_mut().add(CHECK.id, name.span, message);
            }
        }
        let mut addresses: Vec<&At<Address>> = Vec::new();
        let mut gateways: Vec<&At<IpAddr>> = Vec::new();
        let mut servers: Vec<&At<IpAddr>> = Vec::new();
        for (name, card) in cards() {
            check_card(name, card, sink);
            for address in &card.addresses {
                if let Some(other) = addresses.iter().find(|other| other.value.ip == address.value.ip) {
                    let message = format!("the address {} is stated twice", address.value.ip);
                    sink.borrow_mut().add(CHECK.id, address.span, message).relate(other.span, "the first time");
                }
                addresses.push(address);
            }
            for gateway in &card.gateways {
                let same = |other: &&&At<IpAddr>| other.value.is_ipv4() == gateway.value.is_ipv4();
                if let Some(other) = gateways.iter().find(same) {
                    let family = if gateway.value.is_ipv4() { "IPv4" } else { "IPv6" };
                    let message = format!("a second gateway of {family}: the default route leads to one");
                    sink.borrow_mut()
                        .add(CHECK.id, gateway.span, message)
                        .relate(other.span, "the first")
                        .help("keep one; a route to a certain network is a line of an overlay's script");
                }
                gateways.push(gateway);
            }
            let new = card.dns.iter().filter(|server| !servers.iter().any(|other| other.value == server.value));
            let new: Vec<_> = new.collect();
            servers.extend(new);
        }
        if let Some(last) = servers.get(SERVERS) {
            let message = format!("a {}. name server: C libraries ask the first {SERVERS}", SERVERS + 1);
            sink.borrow_mut().add(CHECK.id, last.span, message);
        }
        let domains: Vec<&At<String>> = cards().flat_map(|(_, card)| &card.search).collect();
        let length: usize = domains.iter().map(|domain| domain.value.len() + 1).sum();
        if let Some(last) = domains.last().filter(|_| length > SEARCH) {
            let message = format!(
                "the domains under `search` have {length} bytes with spaces between, of which programs read {SEARCH}"
            );
            sink.borrow_mut().add(CHECK.id, last.span, message);
        }
    }
}

/// Why a text is not the name of a network card (`dev_valid_name` of net/core/dev.c, and what scripts can have in a word).
fn bad_name(name: &str) -> Option<String> {
    if name == "lo" {
        return Some("the loopback interface always has its addresses".into());
    }
    if name.is_empty() || name == "." || name == ".." {
        return Some("the kernel accepts none such".into());
    }
    if name.len() > NAME {
        return Some(format!("it has {} bytes, the kernel's limit is {NAME}", name.len()));
    }
    let wrong = name.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_.@+".contains(*c))?;
    Some(format!("it contains {wrong:?}; letters of ASCII, digits, `-`, `_`, `.`, `@` and `+` are allowed"))
}

/// Why no host can have an address.
fn bad_address(address: &Address) -> Option<&'static str> {
    match address.ip {
        ip if ip.is_unspecified() => Some("the address that stands for any"),
        ip if ip.is_loopback() => Some("the loopback interface's"),
        ip if ip.is_multicast() => Some("an address of a group (multicast)"),
        IpAddr::V4(ip) if ip.is_broadcast() => Some("the address of all hosts (broadcast)"),
        _ => address.reserved(),
    }
}

fn check_card(name: &str, card: &StaticInterface, sink: &FindingSink) {
    let StaticInterface { addresses, gateways, dns, search: _, mtu } = card;
    let mut findings = sink.borrow_mut();
    for address in addresses {
        if let Some(why) = bad_address(address) {
            findings.add(
                CHECK.id,
                address.span,
                format!("{} can't be a card's own address: it is {why}", address.value),
            );
        }
    }
    for gateway in gateways {
        let on_link = matches!(gateway.value, IpAddr::V6(ip) if ip.is_unicast_link_local());
        if let Some(own) = addresses.iter().find(|address| address.ip == gateway.value) {
            let message = format!("the gateway {} is the card's own address", gateway.value);
            findings.add(CHECK.id, gateway.span, message).relate(own.span, "here");
        } else if !on_link && !addresses.iter().any(|address| address.contains(&gateway.value)) {
            let family = |address: &&At<Address>| address.ip.is_ipv4() == gateway.value.is_ipv4();
            let networks: Vec<String> = addresses.iter().filter(family).map(|of| of.value.to_string()).collect();
            let message = format!("the gateway {} is in no network of {name}", gateway.value);
            let finding = findings.add(CHECK.id, gateway.span, message);
            match networks.as_slice() {
                [] => finding.help("the card has no address of the same family"),
                networks => finding.help(format!("its addresses are {}: is the length right?", networks.join(", "))),
            };
        }
    }
    for server in dns.iter().filter(|server| server.value.is_unspecified() || server.value.is_multicast()) {
        findings.add(CHECK.id, server.span, format!("{} can't be the address of a name server", server.value));
    }
    // RFC 791 and RFC 8200; the kernel removes the IPv6 addresses of a card with less.
    let least = if addresses.iter().any(|address| address.ip.is_ipv6()) { 1280 } else { 68 };
    if let Some(mtu) = mtu.as_ref().filter(|mtu| !(least..=65535).contains(&mtu.value)) {
        let message = format!("{} is not possible as `mtu` of this card", mtu.value);
        findings.add(CHECK.id, mtu.span, message).label(format!("expected a number from {least} to 65535"));
    }
}

#[cfg(test)]
mod tests {
    use super::bad_name;

    #[test]
    fn a_card_has_a_name_that_the_kernel_and_scripts_accept() {
        for name in ["eth0", "enp0s31f6", "eth0.100", "br-lan", "wlan_0", "a", "veth0@if2", "abcdefghijklmno"] {
            assert_eq!(bad_name(name), None, "{name}");
        }
        for name in
            ["", ".", "..", "lo", "abcdefghijklmnop", "eth 0", "eth/0", "eth:0", "eth0\n", "ethø", "$(id)", "e'h"]
        {
            assert!(bad_name(name).is_some(), "{name:?}");
        }
    }
}
