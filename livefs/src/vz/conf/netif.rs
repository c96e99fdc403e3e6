//! `NETIF`: Ethernet interfaces, as `ifname=eth0,bridge=br0,mac=…,host_ifname=…,host_mac=…,mac_filter=on`, separated by `;`.

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
    /// Whether other addresses than its own may pass.
    pub mac_filter: Option<bool>,
}

impl Netif {
    /// All of a `NETIF` line. None: one is not of the form.
    pub fn parse_all(text: &str) -> Option<Vec<Netif>> {
        text.split(';').map(str::trim).filter(|one| !one.is_empty()).map(Netif::parse).collect()
    }

    /// One in `key=value` form.
    pub fn parse(text: &str) -> Option<Netif> {
        let mut made = Netif::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=')?;
            made.set(key, value)?;
        }
        valid_name(&made.ifname).then_some(made)
    }

    /// One in the form of `--netif_add`: `ifname[,mac,host_ifname,host_mac,bridge]`, an empty part stands for what is made up.
    pub fn parse_option(text: &str) -> Option<Netif> {
        let mut parts = text.split(',');
        let mut made = Netif::default();
        made.set("ifname", parts.next()?)?;
        for key in ["mac", "host_ifname", "host_mac", "bridge"] {
            if let Some(value) = parts.next().filter(|value| !value.is_empty()) {
                made.set(key, value)?;
            }
        }
        parts.next().is_none().then_some(made)
    }

    /// Sets one property. None: there is no such, or the value is not of its form.
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

/// A `NETIF` line's value.
pub fn join(all: &[Netif]) -> String {
    all.iter().map(Netif::to_string).collect::<Vec<_>>().join(";")
}

/// Whether the kernel takes this for an interface's name: 1 to 15 bytes, and those that would end a field are left out.
pub fn valid_name(name: &str) -> bool {
    let bytes = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    (1..=15).contains(&name.len()) && bytes && name != "." && name != ".."
}

fn valid_mac(mac: &str) -> bool {
    let parts: Vec<&str> = mac.split(':').collect();
    parts.len() == 6 && parts.iter().all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let one = Netif::parse_option("eth0,,veth101.0,,br0").unwrap();
        assert_eq!(one.to_string(), "ifname=eth0,bridge=br0,host_ifname=veth101.0");
        assert_eq!(Netif::parse(&one.to_string()).unwrap(), one);
        let text = "ifname=eth0,mac=00:18:51:A4:B2:01,mac_filter=off;ifname=eth1";
        assert_eq!(join(&Netif::parse_all(text).unwrap()), text);
        for bad in ["", "eth0,xx", "averyveryverylongname", "eth0,,,,br0,more", "a/b"] {
            assert_eq!(Netif::parse_option(bad), None, "{bad}");
        }
        assert_eq!(Netif::parse("bridge=br0"), None);
        assert_eq!(Netif::parse("ifname=eth0,color=red"), None);
    }
}
