//! `venet0`: a pair of links without ARP, over which a container's own addresses are routed.
//!
//! Both ends have the same Ethernet address. A link without ARP sends to its own address, and the other end accepts
//! what is sent to its own.

use super::link::{self, Link, LinkEnd, NO_ARP, UP};
use super::netlink::Socket;
use super::route::{self, Assigned, Proxy};
use super::{Address, AddressOwner, Ctid, Error, Mac, Neighbours, Netns, host_link, nftables};
use std::net::IpAddr;

/// The container's end.
pub const NAME: &str = "venet0";
/// RT_SCOPE_UNIVERSE: the address is known everywhere.
const GLOBAL: u8 = 0;

/// The alias of a container's links.
pub fn alias(ctid: Ctid) -> String {
    format!("container {ctid}")
}

/// The container that a link belongs to.
pub fn owner(link: &Link) -> Option<Ctid> {
    link.alias.strip_prefix("container ")?.parse().ok()
}

/// An Ethernet address derived from the given words: locally administered (IEEE 802).
pub fn mac(words: &str) -> Mac {
    // FNV-1a, 64 bits: it only has to make collisions between two containers unlikely.
    let hash = words
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    let [a, b, c, d, e, ..] = hash.to_be_bytes();
    Mac([0x02, a, b, c, d, e])
}

/// The host's end, and the container's.
pub struct VenetPair {
    /// As seen by the host.
    pub outer: Link,
    /// As seen by a socket inside.
    pub inner: Link,
}

/// Both ends, created if they did not exist.
///
/// # Errors
/// As [`make`].
pub fn ensure(socket: &Socket, inside: &Socket, ctid: Ctid, netns: &Netns) -> Result<VenetPair, Error> {
    match link::find(socket, &host_link(ctid))? {
        Some(outer) => Ok(VenetPair { outer, inner: link::need(inside, NAME)? }),
        // For a running container.
        None => make_with(socket, inside, ctid, netns, 0),
    }
}

/// Creates both ends, the host's up from the beginning; `inside` is a socket in `netns`, in which no process exists yet
/// that could set the other end up before this has restricted what the host's end accepts.
///
/// # Errors
/// [`Error::Exists`]: a link with one of the names exists; errors of the kernel.
pub fn make(socket: &Socket, inside: &Socket, ctid: Ctid, netns: &Netns) -> Result<VenetPair, Error> {
    make_with(socket, inside, ctid, netns, UP)
}

fn make_with(socket: &Socket, inside: &Socket, ctid: Ctid, netns: &Netns, flags: u32) -> Result<VenetPair, Error> {
    let name = host_link(ctid);
    let mac = mac(&name);
    let outer = LinkEnd { name: &name, mac, flags: NO_ARP | flags };
    let inner = LinkEnd { name: NAME, mac, flags: NO_ARP };
    let outer = link::make_pair(socket, &outer, &inner, netns)?;
    let finish = || {
        // A container can only send from its own addresses.
        link::describe(socket, &outer, &alias(ctid))?;
        let inner = link::just_made(inside, NAME)?;
        link::without_own_address(inside, &inner)?;
        link::set_up(inside, &inner)?;
        if flags & UP == 0 {
            link::set_up(socket, &outer)?;
        }
        Ok(inner)
    };
    match finish() {
        Ok(inner) => Ok(VenetPair { outer, inner }),
        Err(error) => {
            let _ = link::remove(socket, &outer);
            Err(error)
        }
    }
}

/// Adds addresses to a container's `pair`; `inside` is a socket in its namespace, `hosts` are the host's own addresses.
/// Those that it already has are left alone. The result is those that the host answers for.
///
/// # Errors
/// [`Error::InUse`]: another container has one of them; errors of the kernel.
pub fn add(
    socket: &Socket,
    inside: &Socket,
    ctid: Ctid,
    VenetPair { outer, inner }: &VenetPair,
    addresses: &[Address],
    on: &Neighbours,
    hosts: &[Assigned],
) -> Result<Vec<IpAddr>, Error> {
    for address in addresses {
        let ip = address.ip;
        // First, as it shows whether another container has the address.
        if !route::add_host_route(socket, outer, ip)? {
            if let Some((address, user)) =
                users(socket, &[ip])?.into_iter().find(|(_, user)| *user != AddressOwner::Container(ctid))
            {
                return Err(Error::InUse { address, user });
            }
        }
        let own = Address::from(ip);
        route::add_address(inside, inner, own, GLOBAL)?;
        route::add_default(inside, inner, ip.is_ipv4())?;
        let forwarding = if ip.is_ipv4() { "ipv4/ip_forward" } else { "ipv6/conf/all/forwarding" };
        if link::parameter(forwarding) != "1" {
            link::set_parameter(forwarding, "1")?;
        }
    }
    answer(socket, addresses, on, hosts)
}

/// Lets the host answer for addresses where others look for them. Gives those for which it does.
fn answer(socket: &Socket, addresses: &[Address], on: &Neighbours, hosts: &[Assigned]) -> Result<Vec<IpAddr>, Error> {
    let mut answered = Vec::new();
    for address in addresses {
        let links = match on {
            Neighbours::Named(names) => {
                names.iter().map(|name| link::find(socket, name)).collect::<Result<Vec<_>, _>>()?
            }
            Neighbours::Detect => {
                let near = hosts.iter().filter(|one| route::holds(one.address, address.ip));
                near.map(|one| link::at(socket, one.link)).collect::<Result<Vec<_>, _>>()?
            }
        };
        for link in links.into_iter().flatten().filter(|link| !link.loopback && owner(link).is_none()) {
            if address.ip.is_ipv6() {
                link::set_parameter(&format!("ipv6/conf/{}/proxy_ndp", link.name), "1")?;
            }
            route::add_proxy(socket, Proxy { ip: address.ip, link: link.index })?;
            answered.push(address.ip);
        }
    }
    Ok(answered)
}

/// Removes addresses from a container.
pub fn remove(socket: &Socket, ctid: Ctid, netns: &Netns, addresses: &[IpAddr]) -> Result<(), Error> {
    let Some(outer) = link::find(socket, &host_link(ctid))? else { return Ok(()) };
    let inside = Socket::route_in(netns)?;
    let inner = link::need(&inside, NAME)?;
    for ip in addresses {
        route::remove_host_route(socket, outer.index, *ip)?;
        route::remove_address(&inside, inner.index, Address::from(*ip))?;
    }
    remove_answers(socket, addresses)
}

/// Stops the host's answers.
pub fn remove_answers(socket: &Socket, addresses: &[IpAddr]) -> Result<(), Error> {
    if addresses.is_empty() {
        return Ok(());
    }
    for proxy in route::proxies(socket)?.into_iter().filter(|proxy| addresses.contains(&proxy.ip)) {
        route::remove_proxy(socket, proxy)?;
    }
    Ok(())
}

/// The addresses that are routed to a container.
pub fn addresses(socket: &Socket, ctid: Ctid) -> Result<Vec<IpAddr>, Error> {
    let Some(outer) = link::find(socket, &host_link(ctid))? else { return Ok(Vec::new()) };
    let routes = route::host_routes(socket)?;
    Ok(routes.into_iter().filter(|route| route.link == outer.index).map(|route| route.ip).collect())
}

/// Updates the masqueraded addresses, from the kernel's state.
pub fn masquerade(socket: &Socket, ctid: Ctid) -> Result<(), Error> {
    let answered: Vec<IpAddr> = route::proxies(socket)?.into_iter().map(|proxy| proxy.ip).collect();
    let addresses = addresses(socket, ctid)?;
    nftables::set_masquerade(ctid, &[])?;
    match link::find(socket, &host_link(ctid))? {
        Some(outer) => hide(socket, ctid, &outer, &addresses, &answered),
        None => Ok(()),
    }
}

/// Masquerades a container's addresses: the private ones that the host answers for nowhere. It has no table of its own
/// yet; usually it needs none. `outer` is the host's end.
pub fn hide(socket: &Socket, ctid: Ctid, outer: &Link, addresses: &[IpAddr], answered: &[IpAddr]) -> Result<(), Error> {
    let hidden: Vec<IpAddr> = addresses.iter().copied().filter(|ip| private(*ip) && !answered.contains(ip)).collect();
    let all = !hidden.is_empty() && hidden.len() == addresses.len();
    link::set_group(socket, outer, if all { nftables::HIDDEN } else { 0 })?;
    if all {
        nftables::share_masquerade(&hidden)
    } else if hidden.is_empty() {
        Ok(())
    } else {
        nftables::set_masquerade(ctid, &hidden)
    }
}

/// RFC 1918, RFC 6598 (shared), RFC 4193 (unique local).
fn private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.octets()[0] & 0xfe == 0xfc,
    }
}

/// Rejects addresses that the host itself has. Whether another container has one is detected when it is routed. The
/// result is the host's addresses.
pub fn not_the_hosts(socket: &Socket, addresses: &[IpAddr]) -> Result<Vec<Assigned>, Error> {
    let assigned = route::all_addresses(socket)?;
    match addresses.iter().find(|ip| assigned.iter().any(|one| one.address.ip == **ip)) {
        Some(address) => Err(Error::InUse { address: *address, user: AddressOwner::Host }),
        None => Ok(assigned),
    }
}

/// Which of these addresses are in use, and by whom.
pub fn users(socket: &Socket, wanted: &[IpAddr]) -> Result<Vec<(IpAddr, AddressOwner)>, Error> {
    let links = link::all(socket)?;
    let mut found: Vec<(IpAddr, AddressOwner)> = Vec::new();
    for one in route::all_addresses(socket)?.into_iter().filter(|one| wanted.contains(&one.address.ip)) {
        found.push((one.address.ip, AddressOwner::Host));
    }
    for route in route::host_routes(socket)?.into_iter().filter(|route| wanted.contains(&route.ip)) {
        let ctid = links.iter().find(|link| link.index == route.link).and_then(owner);
        found.extend(ctid.map(|ctid| (route.ip, AddressOwner::Container(ctid))));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ethernet_addresses_are_local_and_stay() {
        assert_eq!(mac("vz101"), mac("vz101"));
        assert_ne!(mac("vz101"), mac("vz102"));
        assert_eq!(mac("vz101").0[0] & 3, 2, "locally administered, of one device");
    }

    #[test]
    fn private_addresses() {
        for text in ["10.1.2.3", "172.16.0.1", "192.168.9.9", "100.64.0.1", "fd00::1"] {
            assert!(private(text.parse().unwrap()), "{text}");
        }
        for text in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2001:db8::1"] {
            assert!(!private(text.parse().unwrap()), "{text}");
        }
    }
}
