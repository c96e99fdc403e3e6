//! `NETIF`: Ethernet interfaces, as `ifname=eth0,bridge=br0,mac=…,host_ifname=…,host_mac=…,mac_filter=on`, separated by `;`.

use crate::net::Mac;
use std::fmt;

/// One Ethernet interface of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Netif {
    /// Its name inside.
    pub ifname: String,
    /// Its address inside.
    pub mac: Option<String>,
    /// Its name on the host.
    pub host_ifname: Option<String>,
    /// Its address on the host.
    pub host_mac: Option<String>,
    /// The bridge that it joins.
    pub bridge: Option<String>,
    /// Whether addresses other than its own may pass.
    pub mac_filter: Option<bool>,
}

impl Netif {
    /// All interfaces of a `NETIF` line. Unknown properties are skipped without a warning, as in the classic tool;
    /// missing values are generated. None: one has no valid name, or a known property has an invalid value.
    pub fn read(text: &str, ctid: u32) -> Option<Vec<Netif>> {
        let mut all: Vec<Netif> = Vec::new();
        for one in text.split(';').map(str::trim).filter(|one| !one.is_empty()) {
            let mut made = Netif::default();
            for (key, value) in one.split(',').filter_map(|part| part.split_once('=')).filter(|(key, _)| known(key)) {
                made.set(key, value)?;
            }
            if !valid_name(&made.ifname) {
                return None;
            }
            made.make_addresses(ctid);
            if !all.iter().any(|other| other.ifname == made.ifname) {
                all.push(made);
            }
        }
        Some(all)
    }

    /// One in the form of `--netif_add`: `ifname[,mac,host_ifname,host_mac,bridge]`. Missing or empty values are
    /// generated.
    pub fn parse_option(text: &str, ctid: u32) -> Option<Netif> {
        let mut parts = text.split(',');
        let mut made = Netif::default();
        made.set("ifname", parts.next()?)?;
        for key in ["mac", "host_ifname", "host_mac", "bridge"] {
            if let Some(value) = parts.next().filter(|value| !value.is_empty()) {
                made.set(key, value)?;
            }
        }
        made.make_addresses(ctid);
        parts.next().is_none().then_some(made)
    }

    /// Generates missing values: the name on the host from the one inside, addresses from both. The ends never have the
    /// same address, unlike in the classic tool: a bridge would keep packets for the container on the host.
    fn make_addresses(&mut self, ctid: u32) {
        let host = self.host_ifname.get_or_insert_with(|| host_ifname(ctid, &self.ifname));
        self.host_mac.get_or_insert_with(|| address(ctid, host));
        self.mac.get_or_insert_with(|| address(ctid, &self.ifname));
    }

    /// Takes over the values that another one has.
    pub fn fill(&mut self, new: &Netif) {
        let Netif { ifname, mac, host_ifname, host_mac, bridge, mac_filter } = new.clone();
        self.ifname = ifname;
        self.mac = mac.or(self.mac.take());
        self.host_ifname = host_ifname.or(self.host_ifname.take());
        self.host_mac = host_mac.or(self.host_mac.take());
        self.bridge = bridge.or(self.bridge.take());
        self.mac_filter = mac_filter.or(self.mac_filter);
    }

    /// Sets one property. None: there is no such property, or the value is invalid.
    pub fn set(&mut self, key: &str, value: &str) -> Option<()> {
        let name = || valid_name(value).then(|| value.to_owned());
        let mac = || valid_mac(value).then(|| value.to_uppercase());
        match key {
            "ifname" => self.ifname = name()?,
            "host_ifname" => self.host_ifname = Some(name()?),
            "bridge" => self.bridge = Some(name()?),
            "mac" => self.mac = Some(mac()?),
            "host_mac" => self.host_mac = Some(mac()?),
            "mac_filter" => {
                self.mac_filter = Some(match value {
                    "on" => true,
                    "off" => false,
                    _ => return None,
                });
            }
            _ => return None,
        }
        Some(())
    }
}

impl fmt::Display for Netif {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "ifname={}", self.ifname)?;
        let filter = self.mac_filter.map(|on| if on { "on" } else { "off" }.to_owned());
        let rest = [
            ("bridge", &self.bridge),
            ("mac", &self.mac),
            ("host_ifname", &self.host_ifname),
            ("host_mac", &self.host_mac),
            ("mac_filter", &filter),
        ];
        for (key, value) in rest {
            if let Some(value) = value {
                write!(out, ",{key}={value}")?;
            }
        }
        Ok(())
    }
}

fn known(key: &str) -> bool {
    ["ifname", "mac", "host_ifname", "host_mac", "bridge", "mac_filter"].contains(&key)
}

/// `veth101.0` for `eth0` of 101.
fn host_ifname(ctid: u32, ifname: &str) -> String {
    let digits = ifname.find(|c: char| c.is_ascii_digit()).filter(|at| *at > 0);
    let number = digits.map_or("", |at| &ifname[at..]);
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    format!("veth{ctid}.{}", number[..end].parse::<u32>().unwrap_or(0))
}

/// An address with OpenVZ's prefix, always the same for the same interface of the same container on this machine.
fn address(ctid: u32, name: &str) -> String {
    static MACHINE: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    // Distinguishes machines that share a network; without it, containers of two machines might have the same address.
    let machine = MACHINE.get_or_init(|| {
        // No machine-id: dbcolinux has none, and an image with one gives it to every machine.
        let id = std::fs::read_to_string("/sys/class/dmi/id/product_uuid").unwrap_or_default();
        let links = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
        // Only links of physical devices: those of containers come and go.
        let mut hardware: Vec<String> = links
            .filter(|link| link.path().join("device").exists())
            .filter_map(|link| std::fs::read_to_string(link.path().join("address")).ok())
            .collect();
        hardware.sort();
        format!("{id}{}", hardware.concat())
    });
    // FNV-1a, 32 bits.
    let text = format!("{name}:{ctid}:{machine}");
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [a, b, c, d] = hash.to_be_bytes();
    format!("00:18:51:{:02X}:{b:02X}:{c:02X}", a ^ d)
}

/// The value for a `NETIF` line.
pub fn join(all: &[Netif]) -> String {
    all.iter().map(Netif::to_string).collect::<Vec<_>>().join(";")
}

/// Whether the kernel accepts this as an interface name: 1 to 15 bytes, without characters that would end a field.
pub fn valid_name(name: &str) -> bool {
    let bytes = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    (1..=15).contains(&name.len()) && bytes && name != "." && name != ".."
}

/// Whether this is an Ethernet address: six numbers of two hexadecimal digits.
pub fn valid_mac(mac: &str) -> bool {
    mac.parse::<Mac>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let one = Netif::parse_option("eth0,,veth101.0,,br0", 101).unwrap();
        let (mac, host) = (one.mac.clone().unwrap(), one.host_mac.clone().unwrap());
        let text = format!("ifname=eth0,bridge=br0,mac={mac},host_ifname=veth101.0,host_mac={host}");
        assert_eq!(one.to_string(), text);
        assert_eq!(Netif::read(&text, 101).unwrap(), [one], "what is stored is read again");
        let text = "ifname=eth0,mac=00:18:51:A4:B2:01,host_ifname=v0,host_mac=00:18:51:A4:B2:02,mac_filter=off";
        let more = format!("{text},color=red;ifname=eth1;ifname=eth1,bridge=br0");
        let all = Netif::read(&more, 101).unwrap();
        assert_eq!((all.len(), all[0].to_string().as_str()), (2, text));
        assert_eq!(all[1].host_ifname.as_deref(), Some("veth101.1"));
        assert_ne!(all[1].mac, all[1].host_mac);
        for bad in ["", "eth0,xx", "averyveryverylongname", "eth0,,,,br0,more", "a/b"] {
            assert_eq!(Netif::parse_option(bad, 101), None, "{bad}");
        }
        assert_eq!(Netif::read("bridge=br0", 101), None);
        assert_eq!(Netif::read("ifname=eth0,mac=x", 101), None);
    }

    #[test]
    fn made_up() {
        let one = |text, id| Netif::parse_option(text, id).unwrap();
        let eth0 = one("eth0", 101);
        assert_eq!(eth0, one("eth0", 101), "it is the same again");
        assert_eq!(eth0.host_ifname.as_deref(), Some("veth101.0"));
        assert!(eth0.mac.as_deref().is_some_and(|mac| mac.starts_with("00:18:51:") && valid_mac(mac)));
        assert_ne!(eth0.mac, eth0.host_mac);
        assert_ne!(eth0.mac, one("eth1", 101).mac);
        assert_ne!(eth0.mac, one("eth0", 102).mac);
        let given = one("eth1,00:18:51:A4:B2:01", 101);
        assert_eq!(given.mac.as_deref(), Some("00:18:51:A4:B2:01"));
        assert_ne!(given.mac, given.host_mac, "a bridge tells both ends apart");
        assert_eq!(one("wan12x", 7).host_ifname.as_deref(), Some("veth7.12"));
    }
}
