//! Addresses in text form.

use super::Error;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// An IP address, with the prefix length of its network if one was given: `10.0.0.1`, `10.0.0.1/24`, `2001:db8::1/64`.
///
/// Any address of either family is valid, and netmasks are not supported, as in the classic tools. The kernel decides
/// which addresses it accepts for a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// The prefix length in bits, up to [`Address::bits`]. None: none was given, which means all bits.
    pub length: Option<u8>,
}

impl Address {
    /// The number of bits of an address of this family.
    pub fn bits(ip: IpAddr) -> u8 {
        if ip.is_ipv4() { 32 } else { 128 }
    }

    /// The prefix length in bits.
    pub fn prefix(self) -> u8 {
        self.length.unwrap_or(Address::bits(self.ip))
    }
}

impl From<IpAddr> for Address {
    fn from(ip: IpAddr) -> Address {
        Address { ip, length: None }
    }
}

impl fmt::Display for Address {
    /// As it is stored in configuration files: in canonical form, with the prefix length only if one was given.
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self.length {
            None => self.ip.fmt(out),
            Some(length) => write!(out, "{}/{length}", self.ip),
        }
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Address, Error> {
        let bad = || Error::invalid("IP address", text, "an address such as 10.0.0.1, 10.0.0.1/24 or 2001:db8::1/64");
        let (ip, length) = text.split_once('/').map_or((text, None), |(ip, length)| (ip, Some(length)));
        let ip: IpAddr = ip.parse().map_err(|_| bad())?;
        let read = |text: &str| text.parse().ok().filter(|length| *length <= Address::bits(ip)).ok_or_else(bad);
        Ok(Address { ip, length: length.map(read).transpose()? })
    }
}

/// An Ethernet address, written `00:18:51:AB:CD:EF`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Fails for an address that no device can have: a group address (IEEE 802: the lowest bit of the first byte is
    /// set), or all zeros.
    pub(super) fn check_device(self) -> Result<(), Error> {
        if self.0[0] & 1 == 1 || self.0 == [0; 6] {
            return Err(Error::invalid("MAC address", &self.to_string(), "the address of a single device"));
        }
        Ok(())
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02X}:{b:02X}:{c:02X}:{d:02X}:{e:02X}:{f:02X}")
    }
}

impl FromStr for Mac {
    type Err = Error;

    fn from_str(text: &str) -> Result<Mac, Error> {
        let bad = || Error::invalid("MAC address", text, "six bytes such as 00:18:51:AB:CD:EF");
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let hex = |part: &&str| part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
            let part = parts.next().filter(hex).ok_or_else(bad)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        if parts.next().is_some() { Err(bad()) } else { Ok(Mac(bytes)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, written, prefix) in [
            ("10.0.0.1", "10.0.0.1", 32),
            ("10.0.0.1/24", "10.0.0.1/24", 24),
            ("10.0.0.1/32", "10.0.0.1/32", 32),
            ("FD00:0::1", "fd00::1", 128),
            ("fd00::1/64", "fd00::1/64", 64),
            ("224.0.0.5", "224.0.0.5", 32),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.to_string().as_str(), address.prefix()), (written, prefix), "{text}");
        }
        for text in
            ["", "x", "1.2.3", "10.0.0.1/33", "10.0.0.1/255.255.255.0", "10.0.0.1/", "fd00::1/129", "10.0.0.1/24/8"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn hardware_addresses() {
        let mac: Mac = "00:18:51:ab:cd:ef".parse().unwrap();
        assert_eq!(mac.to_string(), "00:18:51:AB:CD:EF");
        mac.check_device().unwrap();
        for text in ["01:18:51:AB:CD:EF", "00:00:00:00:00:00"] {
            assert!(text.parse::<Mac>().unwrap().check_device().is_err(), "{text}");
        }
        for text in
            ["00:18:51:AB:CD", "00:18:51:AB:CD:EF:00", "0:18:51:AB:CD:EF", "00:18:51:AB:CD:+F", "00-18-51-AB-CD-EF"]
        {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }
}
