//! Links: listing, creating pairs, changing and removing them (`include/uapi/linux/if_link.h`).

use super::netlink::{Message, NESTED, NEW, Socket, attribute, attributes, number, text};
use super::{Error, Mac, Netns, Traffic};
use nix::libc;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

const VETH_INFO_PEER: u16 = 1;
const INET6_ADDR_GEN_MODE: u16 = 8;
const ADDR_GEN_MODE_NONE: u8 = 1;
/// Answers without counters (`include/uapi/linux/rtnetlink.h`).
const RTEXT_FILTER_SKIP_STATS: u32 = 1 << 3;
const LOOPBACK_INDEX: u32 = 1;
/// IFLA_INET_CONF of `include/uapi/linux/if_link.h` and IPV4_DEVCONF_RP_FILTER of `include/uapi/linux/ip.h`.
const INET_CONF: u16 = 1;
const RP_FILTER: u16 = 8;
/// The link is up.
pub const UP: u32 = libc::IFF_UP as u32;
/// No ARP.
pub const NO_ARP: u32 = libc::IFF_NOARP as u32;

/// An existing link.
#[derive(Debug, Clone, Default)]
pub struct Link {
    /// Its index in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// `veth`, `bridge` …; empty for a physical device.
    pub kind: String,
    /// Its alias, which identifies the links of a container.
    pub alias: String,
    /// Whether it is the loopback device.
    pub loopback: bool,
    /// Reversed: what the host received, the container sent. Only set by [`all_with_traffic`].
    pub traffic: Traffic,
}

/// One end of a pair.
pub struct LinkEnd<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its address.
    pub mac: Mac,
    /// Its initial flags.
    pub flags: u32,
}

/// `struct ifinfomsg`: family, type, index, flags, and which of them to change.
fn info(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&change.to_ne_bytes());
    bytes
}

/// Requests all links, or the one that is specified further. Counters make an answer three times as long.
fn question(index: u32, counters: bool) -> Message {
    let skip = if counters { 0 } else { RTEXT_FILTER_SKIP_STATS };
    Message::new(libc::RTM_GETLINK, 0, &info(index, 0, 0)).put_u32(libc::IFLA_EXT_MASK, skip)
}

/// All links of the socket's namespace, without traffic counters.
pub fn all(socket: &Socket) -> Result<Vec<Link>, Error> {
    list(socket, false)
}

/// As [`all`], with [`Link::traffic`].
pub fn all_with_traffic(socket: &Socket) -> Result<Vec<Link>, Error> {
    list(socket, true)
}

fn list(socket: &Socket, counters: bool) -> Result<Vec<Link>, Error> {
    let answers = socket.dump(question(0, counters));
    let answers = answers.map_err(|error| Error::kernel("reading the links", error))?;
    Ok(answers.iter().filter_map(|(_, body)| read(body)).collect())
}

/// The link of this name, if it exists. Requested individually: a host with many containers has many links.
pub fn find(socket: &Socket, name: &str) -> Result<Option<Link>, Error> {
    if check_name(name).is_err() {
        return Ok(None);
    }
    one(socket, question(0, false).put_text(libc::IFLA_IFNAME, name))
}

/// The link with this index, if it exists.
pub fn at(socket: &Socket, index: u32) -> Result<Option<Link>, Error> {
    one(socket, question(index, false))
}

fn one(socket: &Socket, message: Message) -> Result<Option<Link>, Error> {
    match socket.query(message) {
        Ok(body) => Ok(read(&body)),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        Err(error) => Err(Error::kernel("reading a link", error)),
    }
}

fn read(body: &[u8]) -> Option<Link> {
    let kind = |info| attribute(info, libc::IFLA_INFO_KIND).map(text);
    let mut link = Link {
        index: number(body.get(4..)?)?,
        name: String::new(),
        kind: String::new(),
        alias: String::new(),
        loopback: number(body.get(8..)?)? & libc::IFF_LOOPBACK as u32 != 0,
        traffic: Traffic::default(),
    };
    for (attribute, value) in attributes(body.get(16..)?) {
        match attribute {
            libc::IFLA_IFNAME => link.name = text(value),
            libc::IFLA_IFALIAS => link.alias = text(value),
            libc::IFLA_LINKINFO => link.kind = kind(value).unwrap_or_default(),
            libc::IFLA_STATS64 => link.traffic = traffic(value),
            _ => {}
        }
    }
    Some(link)
}

/// `struct rtnl_link_stats64` starts with packets and bytes, received and sent; reversed for the other end.
fn traffic(stats: &[u8]) -> Traffic {
    let field = |place: usize| {
        let bytes = stats.get(place * 8..place * 8 + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_ne_bytes)
    };
    Traffic { sent_packets: field(0), received_packets: field(1), sent: field(2), received: field(3) }
}

/// The message that creates a pair, with its second end inside `netns` under its name there.
fn pair(outer: &LinkEnd, inner: &LinkEnd, netns: i32) -> Message {
    Message::new(libc::RTM_NEWLINK, NEW, &info(0, outer.flags, outer.flags))
        .put_text(libc::IFLA_IFNAME, outer.name)
        .put(libc::IFLA_ADDRESS, &outer.mac.0)
        .nest(NESTED | libc::IFLA_LINKINFO, |link| {
            link.put_text(libc::IFLA_INFO_KIND, "veth").nest(NESTED | libc::IFLA_INFO_DATA, |data| {
                data.nest_after(NESTED | VETH_INFO_PEER, &info(0, inner.flags, inner.flags), |peer| {
                    peer.put_text(libc::IFLA_IFNAME, inner.name)
                        .put(libc::IFLA_ADDRESS, &inner.mac.0)
                        .put_u32(libc::IFLA_NET_NS_FD, netns as u32)
                })
            })
        })
}

/// Creates a pair of Ethernet links. The result is the outer one.
pub fn make_pair(socket: &Socket, outer: &LinkEnd, inner: &LinkEnd, netns: &Netns) -> Result<Link, Error> {
    match socket.request(pair(outer, inner, netns.as_fd().as_raw_fd())) {
        Ok(()) => {}
        // Either name may be taken; the kernel doesn't say which.
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
            let outside = find(socket, outer.name)?.is_some();
            return Err(Error::Exists(if outside { outer.name } else { inner.name }.to_owned()));
        }
        Err(error) => return Err(Error::kernel(format!("creating interface {}", outer.name), error)),
    }
    just_made(socket, outer.name)
}

/// A link of a pair that was just created.
pub fn just_made(socket: &Socket, name: &str) -> Result<Link, Error> {
    let index = socket.link_index(name).map_err(|error| Error::kernel(format!("interface {name}"), error))?;
    Ok(Link { index, name: name.to_owned(), kind: "veth".into(), ..Link::default() })
}

/// The link of this name; a missing link is an error.
pub fn need(socket: &Socket, name: &str) -> Result<Link, Error> {
    find(socket, name)?.ok_or_else(|| Error::NoInterface(name.to_owned()))
}

fn change(socket: &Socket, link: &Link, message: Message) -> Result<(), Error> {
    socket.request(message).map_err(|error| Error::kernel(format!("interface {}", link.name), error))
}

/// Sets a link up.
pub fn set_up(socket: &Socket, link: &Link) -> Result<(), Error> {
    change(socket, link, Message::new(libc::RTM_NEWLINK, 0, &info(link.index, UP, UP)))
}

/// Sets the loopback device up, which is the first link of a namespace (`include/net/flow.h`: LOOPBACK_IFINDEX).
pub fn set_up_loopback(socket: &Socket) -> Result<(), Error> {
    let message = Message::new(libc::RTM_NEWLINK, 0, &info(LOOPBACK_INDEX, UP, UP));
    socket.request(message).map_err(|error| Error::kernel("interface lo", error))
}

/// Records the owner of a link.
pub fn set_alias(socket: &Socket, link: &Link, alias: &str) -> Result<(), Error> {
    let message = Message::new(libc::RTM_NEWLINK, 0, &info(link.index, 0, 0));
    change(socket, link, message.put(libc::IFLA_IFALIAS, alias.as_bytes()))
}

/// Records the owner of the host's end of `venet0`, lets it only accept from the other end what the host would route
/// there (RFC 3704, strict), and generate no IPv6 address of its own.
pub fn describe(socket: &Socket, link: &Link, alias: &str) -> Result<(), Error> {
    let message = || {
        let message = Message::new(libc::RTM_NEWLINK, 0, &info(link.index, 0, 0));
        message.put(libc::IFLA_IFALIAS, alias.as_bytes())
    };
    let strict = |families: Message| {
        families.nest(NESTED | libc::AF_INET as u16, |ipv4| {
            ipv4.nest(NESTED | INET_CONF, |conf| conf.put_u32(RP_FILTER, 1))
        })
    };
    let all = message().nest(NESTED | libc::IFLA_AF_SPEC, |families| no_own_address(strict(families)));
    match socket.request(all) {
        // The kernel has no IPv6 and has changed nothing.
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            change(socket, link, message().nest(NESTED | libc::IFLA_AF_SPEC, strict))
        }
        done => done.map_err(|error| Error::kernel(format!("interface {}", link.name), error)),
    }
}

/// Puts a link into a group; 0 is the default group.
pub fn set_group(socket: &Socket, link: &Link, group: u32) -> Result<(), Error> {
    let message = Message::new(libc::RTM_NEWLINK, 0, &info(link.index, 0, 0));
    change(socket, link, message.put_u32(libc::IFLA_GROUP, group))
}

/// Adds a link to a bridge.
pub fn join(socket: &Socket, link: &Link, bridge: &Link) -> Result<(), Error> {
    let message = Message::new(libc::RTM_NEWLINK, 0, &info(link.index, 0, 0));
    change(socket, link, message.put_u32(libc::IFLA_MASTER, bridge.index))
}

/// Stops a link from generating its own IPv6 address. A kernel without IPv6 does not generate one anyway.
pub fn without_own_address(socket: &Socket, link: &Link) -> Result<(), Error> {
    let message = Message::new(libc::RTM_NEWLINK, 0, &info(link.index, 0, 0));
    match socket.request(message.nest(NESTED | libc::IFLA_AF_SPEC, no_own_address)) {
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => Ok(()),
        done => done.map_err(|error| Error::kernel(format!("interface {}", link.name), error)),
    }
}

fn no_own_address(families: Message) -> Message {
    families.nest(NESTED | libc::AF_INET6 as u16, |ipv6| ipv6.put(INET6_ADDR_GEN_MODE, &[ADDR_GEN_MODE_NONE]))
}

/// Moves a link to another namespace, with the same name. It is down there.
pub fn move_to(socket: &Socket, link: &Link, netns: &Netns) -> Result<(), Error> {
    let message = Message::new(libc::RTM_NEWLINK, 0, &info(link.index, 0, 0));
    let message = message.put_u32(libc::IFLA_NET_NS_FD, netns.as_fd().as_raw_fd() as u32);
    match socket.request(message) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Err(Error::Exists(link.name.clone())),
        done => done.map_err(|error| Error::kernel(format!("moving interface {}", link.name), error)),
    }
}

/// Removes a link, and with it the other end of a pair. A missing link is not an error: its namespace may have ended.
pub fn remove(socket: &Socket, link: &Link) -> Result<(), Error> {
    match socket.request(Message::new(libc::RTM_DELLINK, 0, &info(link.index, 0, 0))) {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
        done => done.map_err(|error| Error::kernel(format!("removing interface {}", link.name), error)),
    }
}

/// Whether a name is valid for an interface (net/core/dev.c: `dev_valid_name`).
pub fn check_name(name: &str) -> Result<(), Error> {
    let bad = |c: char| c == '/' || c == ':' || c == '%' || c.is_whitespace();
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || name == "." || name == ".." || name.contains(bad) {
        return Err(Error::invalid("interface name", name, "1 to 15 bytes, without spaces and / : %"));
    }
    Ok(())
}

/// Writes a kernel parameter under `/proc/sys/net` of the caller's namespace.
pub fn set_parameter(path: &str, value: &str) -> Result<(), Error> {
    let path = format!("/proc/sys/net/{path}");
    match std::fs::write(&path, value) {
        // A kernel without IPv6 has none of its parameters.
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.contains("/ipv6/") => Ok(()),
        done => done.map_err(|error| Error::file(path, error)),
    }
}

/// Reads one; empty if the kernel does not have it.
pub fn parameter(path: &str) -> String {
    std::fs::read_to_string(format!("/proc/sys/net/{path}")).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_names_both_ends() {
        let outer = LinkEnd { name: "vz101", mac: Mac([2, 0, 0, 0, 0, 1]), flags: NO_ARP };
        let inner = LinkEnd { name: "venet0", mac: Mac([2, 0, 0, 0, 0, 2]), flags: NO_ARP | UP };
        let message = pair(&outer, &inner, 7);
        let top = &message.body()[16..];
        assert_eq!(attribute(top, libc::IFLA_IFNAME).map(text).as_deref(), Some("vz101"));
        let linkinfo = attribute(top, libc::IFLA_LINKINFO).unwrap();
        assert_eq!(attribute(linkinfo, libc::IFLA_INFO_KIND), Some(&b"veth\0"[..]));
        let peer = attribute(attribute(linkinfo, libc::IFLA_INFO_DATA).unwrap(), VETH_INFO_PEER).unwrap();
        assert_eq!(number(&peer[8..]), Some(NO_ARP | UP));
        assert_eq!(attribute(&peer[16..], libc::IFLA_IFNAME).map(text).as_deref(), Some("venet0"));
        assert_eq!(attribute(&peer[16..], libc::IFLA_ADDRESS), Some(&[2, 0, 0, 0, 0, 2][..]));
        assert_eq!(attribute(&peer[16..], libc::IFLA_NET_NS_FD).and_then(number), Some(7));
    }

    #[test]
    fn names_are_checked() {
        for good in ["eth0", "veth101.0", "abcdefghijklmno"] {
            check_name(good).unwrap();
        }
        for bad in ["", ".", "..", "a b", "a/b", "a:b", "a%d", "abcdefghijklmnop"] {
            check_name(bad).unwrap_err();
        }
    }

    #[test]
    fn traffic_is_turned_round() {
        let stats: Vec<u8> = [1u64, 2, 3, 4].iter().flat_map(|field| field.to_ne_bytes()).collect();
        let expected = Traffic { received: 4, sent: 3, received_packets: 2, sent_packets: 1 };
        assert_eq!(traffic(&stats), expected);
        assert_eq!(traffic(&[]), Traffic::default());
    }
}
