//! Addresses, routes and proxy neighbours (`include/uapi/linux/{if_addr,rtnetlink,neighbour}.h`).

use super::link::Link;
use super::netlink::{CREATE, Message, NEW, REPLACE, Socket, attribute, attributes, number};
use super::{Address, Ctid, Error};
use nix::libc;
use std::io;
use std::net::IpAddr;

/// Identifies the routes and proxy neighbours of containers among those of others. Numbers from 5 on are free for
/// programs (`rtnetlink.h`: `RTPROT_STATIC` and above are not interpreted by the kernel).
pub const OURS: u8 = 118;
/// The neighbour table has had it since Linux 5.2.
const NDA_PROTOCOL: u16 = 12;
const NTF_PROXY: u8 = 1 << 3;
const NUD_PERMANENT: u16 = 0x80;

/// A route to one address, on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostRoute {
    /// The destination.
    pub ip: IpAddr,
    /// The link's index.
    pub link: u32,
}

/// An address of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assigned {
    /// The address and its network.
    pub address: Address,
    /// The link's index.
    pub link: u32,
}

/// A neighbour that the host answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxy {
    /// The address.
    pub ip: IpAddr,
    /// The index of the link on which it is answered for.
    pub link: u32,
}

fn family(ip: IpAddr) -> u8 {
    (if ip.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }) as u8
}

/// The bytes of an address, in network byte order.
pub fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// The reverse.
pub fn from_octets(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// `struct ifaddrmsg`: family, prefix, flags, scope, link.
fn address_message(kind: u16, flags: u16, link: u32, address: Address, scope: u8) -> Message {
    // No other host can have it: the link is point-to-point.
    let no_detection = if address.ip.is_ipv6() { libc::IFA_F_NODAD as u8 } else { 0 };
    let mut fixed = vec![family(address.ip), address.prefix(), no_detection, scope];
    fixed.extend(link.to_ne_bytes());
    let bytes = octets(address.ip);
    Message::new(kind, flags, &fixed).put(libc::IFA_LOCAL, &bytes).put(libc::IFA_ADDRESS, &bytes)
}

/// Adds an address to a link. An existing one is not an error.
pub fn add_address(socket: &Socket, link: &Link, address: Address, scope: u8) -> Result<(), Error> {
    match socket.request(address_message(libc::RTM_NEWADDR, REPLACE, link.index, address, scope)) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        done => done.map_err(|error| Error::kernel(format!("address {address} on {}", link.name), error)),
    }
}

/// Removes an address from a link. A missing one is not an error.
pub fn remove_address(socket: &Socket, link: u32, address: Address) -> Result<(), Error> {
    ignore_missing(socket.request(address_message(libc::RTM_DELADDR, 0, link, address, 0)))
        .map_err(|error| Error::kernel(format!("removing address {address}"), error))
}

fn ignore_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EADDRNOTAVAIL | libc::ESRCH | libc::ENOENT)) => Ok(()),
        done => done,
    }
}

/// The addresses of all links.
pub fn all_addresses(socket: &Socket) -> Result<Vec<Assigned>, Error> {
    let answers = socket.dump(Message::new(libc::RTM_GETADDR, 0, &[0; 8]));
    let answers = answers.map_err(|error| Error::kernel("reading the addresses", error))?;
    Ok(answers.iter().filter_map(|(_, body)| read_address(body)).collect())
}

fn read_address(body: &[u8]) -> Option<Assigned> {
    let found = attributes(body.get(8..)?).filter(|(kind, _)| [libc::IFA_LOCAL, libc::IFA_ADDRESS].contains(kind));
    // IPv4 has both on a point-to-point link: IFA_LOCAL is the link's own there.
    let (_, bytes) = found.min_by_key(|(kind, _)| *kind != libc::IFA_LOCAL)?;
    Some(Assigned { address: Address { ip: from_octets(bytes)?, length: Some(body[1]) }, link: number(&body[4..])? })
}

/// `struct rtmsg`: family, both prefix lengths, type of service, table, protocol, scope, type, flags.
fn route_message(kind: u16, flags: u16, to: Option<IpAddr>, ipv4: bool, link: u32) -> Message {
    let family = (if ipv4 { libc::AF_INET } else { libc::AF_INET6 }) as u8;
    let bits = to.map_or(0, Address::bits);
    let scope = if ipv4 { libc::RT_SCOPE_LINK } else { libc::RT_SCOPE_UNIVERSE };
    let fixed = [family, bits, 0, 0, libc::RT_TABLE_MAIN, OURS, scope, libc::RTN_UNICAST, 0, 0, 0, 0];
    let message = Message::new(kind, flags, &fixed).put_u32(libc::RTA_OIF, link);
    match to {
        Some(ip) => message.put(libc::RTA_DST, &octets(ip)),
        None => message,
    }
}

/// Routes everything of a family over a link, without a gateway, as OpenVZ's `default dev venet0`. An existing default
/// route stays.
pub fn add_default(socket: &Socket, link: &Link, ipv4: bool) -> Result<(), Error> {
    match socket.request(route_message(libc::RTM_NEWROUTE, NEW, None, ipv4, link.index)) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        done => done.map_err(|error| Error::kernel(format!("adding the default route by {}", link.name), error)),
    }
}

/// Routes one address over a link. False if there is a route to exactly this address already.
pub fn add_host_route(socket: &Socket, link: &Link, ip: IpAddr) -> Result<bool, Error> {
    match socket.request(route_message(libc::RTM_NEWROUTE, NEW, Some(ip), ip.is_ipv4(), link.index)) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(false),
        Err(error) => Err(Error::kernel(format!("adding the route to {ip} by {}", link.name), error)),
    }
}

/// Removes such a route. A missing one is not an error.
pub fn remove_host_route(socket: &Socket, link: u32, ip: IpAddr) -> Result<(), Error> {
    ignore_missing(socket.request(route_message(libc::RTM_DELROUTE, 0, Some(ip), ip.is_ipv4(), link)))
        .map_err(|error| Error::kernel(format!("removing the route to {ip}"), error))
}

/// The routes that [`add_host_route`] created, of all links.
pub fn host_routes(socket: &Socket) -> Result<Vec<HostRoute>, Error> {
    let answers = socket.dump(Message::new(libc::RTM_GETROUTE, 0, &[0; 12]));
    let answers = answers.map_err(|error| Error::kernel("reading the routes", error))?;
    Ok(answers.iter().filter_map(|(_, body)| read_route(body)).collect())
}

fn read_route(body: &[u8]) -> Option<HostRoute> {
    let ip = destination(body, libc::RTN_UNICAST)?;
    Some(HostRoute { ip, link: number(attribute(&body[12..], libc::RTA_OIF)?)? })
}

/// The address that a route of ours and of this type leads to.
fn destination(body: &[u8], of_type: u8) -> Option<IpAddr> {
    let ip = from_octets(attribute(body.get(12..)?, libc::RTA_DST)?)?;
    (body[5] == OURS && body[7] == of_type && body[1] == Address::bits(ip)).then_some(ip)
}

/// A route by which nothing reaches an address. Its metric names its container, and any other route comes before it.
fn unreachable_message(kind: u16, flags: u16, ctid: Ctid, ip: IpAddr) -> Message {
    let fixed = [
        family(ip),
        Address::bits(ip),
        0,
        0,
        libc::RT_TABLE_MAIN,
        OURS,
        libc::RT_SCOPE_UNIVERSE,
        libc::RTN_UNREACHABLE,
    ];
    let message = Message::new(kind, flags, &[&fixed[..], &[0; 4]].concat()).put(libc::RTA_DST, &octets(ip));
    message.put_u32(libc::RTA_PRIORITY, unreachable_metric(ctid))
}

/// Container numbers have 31 bits.
fn unreachable_metric(ctid: Ctid) -> u32 {
    1 << 31 | ctid
}

/// Lets the host reject what is sent to an address of a container, as long as it has no other route to it. A route that
/// exists is not an error.
pub fn add_unreachable(socket: &Socket, ctid: Ctid, ip: IpAddr) -> Result<(), Error> {
    match socket.request(unreachable_message(libc::RTM_NEWROUTE, NEW, ctid, ip)) {
        Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        done => done.map_err(|error| Error::kernel(format!("adding an unreachable route to {ip}"), error)),
    }
}

/// Removes such a route. A missing one is not an error.
pub fn remove_unreachable(socket: &Socket, ctid: Ctid, ip: IpAddr) -> Result<(), Error> {
    ignore_missing(socket.request(unreachable_message(libc::RTM_DELROUTE, 0, ctid, ip)))
        .map_err(|error| Error::kernel(format!("removing the unreachable route to {ip}"), error))
}

/// The addresses of the routes that [`add_unreachable`] created for a container.
pub fn unreachable(socket: &Socket, ctid: Ctid) -> Result<Vec<IpAddr>, Error> {
    let answers = socket.dump(Message::new(libc::RTM_GETROUTE, 0, &[0; 12]));
    let answers = answers.map_err(|error| Error::kernel("reading the routes", error))?;
    Ok(answers.iter().filter_map(|(_, body)| read_unreachable(body, ctid)).collect())
}

fn read_unreachable(body: &[u8], ctid: Ctid) -> Option<IpAddr> {
    let ip = destination(body, libc::RTN_UNREACHABLE)?;
    (number(attribute(&body[12..], libc::RTA_PRIORITY)?)? == unreachable_metric(ctid)).then_some(ip)
}

/// `struct ndmsg`: family, link, state, flags, type.
fn proxy_message(kind: u16, flags: u16, proxy: Proxy) -> Message {
    let mut fixed = vec![family(proxy.ip), 0, 0, 0];
    fixed.extend(proxy.link.to_ne_bytes());
    fixed.extend(NUD_PERMANENT.to_ne_bytes());
    fixed.extend([NTF_PROXY, 0]);
    Message::new(kind, flags, &fixed).put(libc::NDA_DST, &octets(proxy.ip)).put(NDA_PROTOCOL, &[OURS])
}

/// Lets the host answer for an address on a link.
pub fn add_proxy(socket: &Socket, proxy: Proxy) -> Result<(), Error> {
    let done = socket.request(proxy_message(libc::RTM_NEWNEIGH, CREATE, proxy));
    done.map_err(|error| Error::kernel(format!("adding the proxy neighbour {}", proxy.ip), error))
}

/// Stops that. It is not an error if it had ended, or the link is gone.
pub fn remove_proxy(socket: &Socket, proxy: Proxy) -> Result<(), Error> {
    match ignore_missing(socket.request(proxy_message(libc::RTM_DELNEIGH, 0, proxy))) {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(()),
        done => done.map_err(|error| Error::kernel(format!("removing the proxy neighbour {}", proxy.ip), error)),
    }
}

/// What [`add_proxy`] created, on all links.
pub fn proxies(socket: &Socket) -> Result<Vec<Proxy>, Error> {
    let mut fixed = [0; 12];
    fixed[10] = NTF_PROXY;
    let answers = socket.dump(Message::new(libc::RTM_GETNEIGH, 0, &fixed));
    let answers = answers.map_err(|error| Error::kernel("reading the neighbours", error))?;
    Ok(answers.iter().filter_map(|(_, body)| read_proxy(body)).collect())
}

fn read_proxy(body: &[u8]) -> Option<Proxy> {
    let rest = body.get(12..)?;
    let ip = from_octets(attribute(rest, libc::NDA_DST)?)?;
    let ours = attribute(rest, NDA_PROTOCOL) == Some(&[OURS]);
    (ours && body[10] & NTF_PROXY != 0).then_some(Proxy { ip, link: number(&body[4..])? })
}

/// Whether an address is in a network.
pub fn holds(network: Address, ip: IpAddr) -> bool {
    let (ours, theirs) = (octets(network.ip), octets(ip));
    let same = |bit: usize| (ours[bit / 8] ^ theirs[bit / 8]) & (0x80 >> (bit % 8)) == 0;
    ours.len() == theirs.len() && (0..usize::from(network.prefix())).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn host_routes_are_read_back_and_others_are_not() {
        for text in ["10.0.0.1", "2001:db8::1"] {
            let message = route_message(libc::RTM_NEWROUTE, 0, Some(ip(text)), ip(text).is_ipv4(), 7);
            assert_eq!(read_route(message.body()), Some(HostRoute { ip: ip(text), link: 7 }));
            let mut others = message.body().to_vec();
            others[5] = libc::RTPROT_KERNEL;
            assert_eq!(read_route(&others), None);
        }
        assert_eq!(read_route(route_message(libc::RTM_NEWROUTE, 0, None, true, 7).body()), None);
    }

    #[test]
    fn unreachable_routes_belong_to_a_container_and_are_no_host_routes() {
        for text in ["10.0.0.1", "2001:db8::1"] {
            let message = unreachable_message(libc::RTM_NEWROUTE, 0, 101, ip(text));
            assert_eq!(read_unreachable(message.body(), 101), Some(ip(text)));
            assert_eq!(read_unreachable(message.body(), 102), None);
            assert_eq!(read_route(message.body()), None);
            let route = route_message(libc::RTM_NEWROUTE, 0, Some(ip(text)), ip(text).is_ipv4(), 7);
            assert_eq!(read_unreachable(route.body(), 101), None);
        }
    }

    #[test]
    fn proxies_are_read_back_and_others_are_not() {
        let proxy = Proxy { ip: ip("10.0.0.1"), link: 3 };
        let message = proxy_message(libc::RTM_NEWNEIGH, 0, proxy);
        assert_eq!(read_proxy(message.body()), Some(proxy));
        let mut neighbour = message.body().to_vec();
        neighbour[10] = 0;
        assert_eq!(read_proxy(&neighbour), None);
    }

    #[test]
    fn a_links_own_address_is_read() {
        let address: Address = "10.0.0.5/24".parse().unwrap();
        let message = address_message(libc::RTM_NEWADDR, 0, 4, address, 0);
        assert_eq!(read_address(message.body()), Some(Assigned { address, link: 4 }));
    }

    #[test]
    fn networks_hold_their_addresses() {
        let network: Address = "192.168.1.10/25".parse().unwrap();
        assert!(holds(network, ip("192.168.1.127")));
        assert!(!holds(network, ip("192.168.1.128")));
        assert!(!holds(network, ip("2001:db8::1")));
        assert!(holds("2001:db8::1/64".parse().unwrap(), ip("2001:db8::ffff")));
        assert!(!holds("2001:db8::1/64".parse().unwrap(), ip("2001:db8:1::1")));
    }
}
