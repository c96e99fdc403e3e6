//! Addresses, as people write them.

use super::Error;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An IP address with the length of its network's prefix. Written `10.0.0.1` (a prefix of all bits), `10.0.0.1/24`, or the
/// classic `10.0.0.1/255.255.255.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// The prefix in bits: up to 32, or 128.
    pub prefix: u8,
}

impl Address {
    /// The number of bits of an address of this family.
    pub fn bits(ip: IpAddr) -> u8 {
        if ip.is_ipv4() { 32 } else { 128 }
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Address {
        Address { ip, prefix: Address::bits(ip) }
    }
}

impl fmt::Display for Address {
    /// The prefix is left out when it is all bits, as in classic configuration files.
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        if self.prefix == Address::bits(self.ip) {
            self.ip.fmt(out)
        } else {
            write!(out, "{}/{}", self.ip, self.prefix)
        }
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Address, Error> {
        let bad = || Error::invalid("IP address", text, "an address such as 10.0.0.1, 10.0.0.1/24 or 2001:db8::1/64");
        let (ip, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((ip, prefix)) => (ip, Some(prefix)),
        };
        let ip: IpAddr = ip.parse().map_err(|_| bad())?;
        if ip.is_unspecified() || ip.is_multicast() {
            return Err(bad());
        }
        let Some(prefix) = prefix else { return Ok(ip.into()) };
        let prefix = match (ip, prefix.parse::<std::net::Ipv4Addr>()) {
            (IpAddr::V4(_), Ok(mask)) => {
                let mask = mask.to_bits();
                if mask.leading_ones() + mask.trailing_zeros() != 32 {
                    return Err(bad());
                }
                mask.leading_ones() as u8
            }
            _ => prefix.parse().map_err(|_| bad())?,
        };
        if prefix > Address::bits(ip) {
            return Err(bad());
        }
        Ok(Address { ip, prefix })
    }
}

/// An Ethernet address, written `00:18:51:AB:CD:EF`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{f:02X}")
    }
}

impl FromStr for Mac {
    type Err = Error;

    fn from_str(text: &str) -> Result<Mac, Error> {
        let bad = || Error::invalid("MAC address", text, "six bytes such as 00:18:51:AB:CD:EF, not of a group");
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(bad)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        // A device can't have the address of a group (IEEE 802: the lowest bit of the first byte), nor none.
        if parts.next().is_some() || bytes[0] & 1 == 1 || bytes == [0; 6] {
            return Err(bad());
        }
        Ok(Mac(bytes))
    }
}
