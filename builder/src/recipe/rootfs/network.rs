//! How network cards are configured.

use core::net::{IpAddr, Ipv4Addr};

use super::super::decode::{At, Decode, FindingSink, Table, word, wrong_type};
use super::super::keys;
use super::super::node::{YamlNode, YamlValue};
use super::domain::domain_fault;

/// How a network card is configured.
#[derive(Clone, Debug)]
pub enum Interface {
    /// By DHCP.
    Dhcp,
    /// Not at all.
    Manual,
    /// With stated addresses.
    Static(StaticInterface),
}

/// The configuration of a network card that has stated addresses.
#[derive(Clone, Debug)]
pub struct StaticInterface {
    /// Its addresses; at least one.
    pub addresses: Vec<At<Address>>,
    /// Where the default routes lead, at most one of IPv4 and one of IPv6.
    pub gateways: Vec<At<IpAddr>>,
    /// Name servers.
    pub dns: Vec<At<IpAddr>>,
    /// Domains that names without a dot are looked up in.
    pub search: Vec<At<String>>,
    /// The largest packet in bytes.
    pub mtu: Option<At<u32>>,
}

/// An address and the length of its network's prefix in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// The length: 1 to 32, or 128 for IPv6.
    pub prefix: u8,
}

impl Address {
    /// Whether another address is in the network of this one.
    pub fn contains(&self, other: &IpAddr) -> bool {
        match (self.ip, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }

    /// What the network uses its first and its last address for, if this is one of them: no host can have it. Networks of
    /// one or two addresses have none (RFC 3021), nor has IPv6.
    pub fn reserved(&self) -> Option<&'static str> {
        let IpAddr::V4(ip) = self.ip else { return None };
        let hosts = u32::MAX.checked_shr(self.prefix.into()).unwrap_or(0);
        match ip.to_bits() & hosts {
            _ if self.prefix > 30 => None,
            0 => Some("the address of the network itself"),
            bits if bits == hosts => Some("the broadcast address of its network"),
            _ => None,
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

impl Decode for Address {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let text = String::decode(node, sink)?;
        let (ip, length) = text.split_once('/').map_or((text.as_str(), None), |(ip, of)| (ip, Some(of)));
        let parsed = ip.parse::<IpAddr>().ok();
        let most = if parsed.is_some_and(|ip| ip.is_ipv6()) { 128 } else { 32 };
        let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = length.filter(digits).and_then(|text| text.parse().ok()).filter(|of| (1..=most).contains(of));
        if let (Some(ip), Some(prefix)) = (parsed, prefix) {
            return Some(Self { ip, prefix });
        }
        let mut findings = sink.borrow_mut();
        let finding =
            findings.add("network", node.span, format!("{text:?} is not an address with the length of its network"));
        let mask = length.and_then(|text| text.parse::<Ipv4Addr>().ok()).map(Ipv4Addr::to_bits);
        match (parsed, mask.filter(|mask| mask.leading_ones() + mask.trailing_zeros() == 32)) {
            (Some(ip), Some(mask)) => finding.help(format!("{ip}/{}", mask.leading_ones())),
            (Some(ip), None) => finding.help(format!("expected {ip}/LENGTH, with a length from 1 to {most} bits")),
            (None, _) => finding.help("expected the form of 192.168.1.2/24 or fd00::2/64"),
        };
        None
    }
}

impl Decode for IpAddr {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let text = String::decode(node, sink)?;
        let parsed = text.parse().ok();
        if parsed.is_none() {
            let mut findings = sink.borrow_mut();
            let finding = findings.add("network", node.span, format!("{text:?} is not an address of IPv4 or IPv6"));
            if let Some(ip) = text.split_once('/').and_then(|(ip, _)| ip.parse::<Self>().ok()) {
                finding.help(format!("without the length of a network: {ip}"));
            }
        }
        parsed
    }
}

/// A domain of the search list.
struct Domain(String);

impl Decode for Domain {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let text = String::decode(node, sink)?;
        if let Some(why) = domain_fault(&text) {
            sink.borrow_mut().add("network", node.span, format!("{text:?} can't be a domain: {why}"));
            return None;
        }
        Some(Self(text))
    }
}

/// A list, of which one element may be written alone.
struct OneOrMore<T>(Vec<T>);

impl<T> Default for OneOrMore<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Decode> Decode for OneOrMore<T> {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        match &node.value {
            YamlValue::List(_) => Vec::decode(node, sink).map(Self),
            YamlValue::Text { .. } => Some(Self(vec![T::decode(node, sink)?])),
            _ => {
                wrong_type(node, "text, or a list of texts", sink);
                None
            }
        }
    }
}

impl Decode for Interface {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        match &node.value {
            YamlValue::Text { .. } => word(node, &[("dhcp", 0), ("none", 1)], sink).map(|word| match word {
                0 => Self::Dhcp,
                _ => Self::Manual,
            }),
            YamlValue::Map(_) => {
                let table = Table::open(node, &keys::INTERFACE, sink)?;
                let addresses: Option<OneOrMore<At<Address>>> = table.required("address");
                let gateways: OneOrMore<At<IpAddr>> = table.or_default("gateway");
                let dns: OneOrMore<At<IpAddr>> = table.or_default("dns");
                let search: OneOrMore<At<Domain>> = table.or_default("search");
                let mtu = table.optional("mtu");
                table.close();
                let search = search.0.into_iter().map(|at| At { value: at.value.0, span: at.span }).collect();
                let addresses = addresses?.0;
                Some(Self::Static(StaticInterface { addresses, gateways: gateways.0, dns: dns.0, search, mtu }))
            }
            _ => {
                wrong_type(node, "`dhcp`, `none`, or a mapping with `address`", sink);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        let (ip, prefix) = text.split_once('/').unwrap();
        Address { ip: ip.parse().unwrap(), prefix: prefix.parse().unwrap() }
    }

    #[test]
    fn a_network_contains_the_addresses_of_its_prefix() {
        for (network, ip, expected) in [
            ("192.168.1.2/24", "192.168.1.1", true),
            ("192.168.1.2/24", "192.168.2.1", false),
            ("192.168.1.2/23", "192.168.0.1", true),
            ("10.0.0.1/32", "10.0.0.1", true),
            ("10.0.0.1/32", "10.0.0.2", false),
            ("10.0.0.1/1", "100.0.0.2", true),
            ("fd00::2/64", "fd00::1", true),
            ("fd00::2/64", "fd01::1", false),
            ("fd00::2/128", "fd00::2", true),
            ("fd00::2/64", "192.168.1.1", false),
        ] {
            assert_eq!(address(network).contains(&ip.parse().unwrap()), expected, "{network} {ip}");
        }
    }

    #[test]
    fn the_first_and_the_last_address_of_a_network_are_no_hosts() {
        for (text, reserved) in [
            ("192.168.1.0/24", true),
            ("192.168.1.255/24", true),
            ("192.168.0.255/23", false),
            ("192.168.1.255/23", true),
            ("192.168.1.1/24", false),
            ("192.168.1.0/31", false),
            ("192.168.1.0/32", false),
            ("192.168.1.4/30", true),
            ("192.168.1.7/30", true),
            ("fd00::/64", false),
        ] {
            assert_eq!(address(text).reserved().is_some(), reserved, "{text}");
        }
    }
}
