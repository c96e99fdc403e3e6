//! The network of containers.
//!
//! The input is plain data: the container ([`Ctid`]), its namespace ([`Netns`]) and its configuration ([`Network`]).
//! Nothing here knows configuration files. [`up`] and [`down`] are for start and stop; the other functions change a
//! running container.
//!
//! No state is kept in files: what belongs to a container is determined from the kernel, by the alias of its links, the
//! protocol number of its routes and proxy neighbours, and the names of its packet filter tables. So [`down`] and
//! [`sweep`] also work after a crash.
//!
//! All functions work from the network namespace of the caller, "the host". They need root.

mod address;
mod error;
mod link;
mod netfilter;
mod netlink;
mod nftables;
mod route;
mod types;
mod venet;

pub use address::{Address, Mac};
pub use error::Error;
pub use netfilter::{Confinement, DeniedCall, Netfilter};
pub use types::{AddressOwner, Ctid, Forward, Interface, Neighbours, Netns, Network, Protocol, Traffic, host_link};

use netlink::Socket;
use std::net::IpAddr;

/// Creates a container's complete network: the routed link `venet0` if it has addresses, its interfaces, its devices,
/// forwarded ports and the shared masquerade. `netns` must contain only `lo`, which is set up.
///
/// Leftovers of a crashed run of the same container that have a required name are removed. If something fails,
/// everything that was created is removed.
///
/// # Errors
/// [`Error::InUse`] if one of the addresses belongs to the host or another container; errors of the kernel.
pub fn up(network: &Network, netns: &Netns) -> Result<(), Error> {
    let mut made = make(network, netns);
    if matches!(made, Err(Error::Exists(_))) {
        down(network.ctid, None)?;
        made = make(network, netns);
    }
    if made.is_err() {
        // The original error is more useful.
        let _ = down(network.ctid, Some(netns));
    }
    made
}

/// Removes everything of a container on the host. It is not an error if there is nothing. Devices that were moved in
/// (`NETDEV`) come back by themselves when the namespace ends; with `netns` given, they are moved back now.
///
/// # Errors
/// Errors of the kernel; the rest is removed all the same, and the first error is returned.
pub fn down(ctid: Ctid, netns: Option<&Netns>) -> Result<(), Error> {
    let socket = Socket::route()?;
    let addresses = venet::addresses(&socket, ctid)?;
    let mut first = Ok(());
    let mut note = |done: Result<(), Error>| {
        if first.is_ok() {
            first = done;
        }
    };
    note(nftables::remove(ctid));
    note(venet::remove_answers(&socket, &addresses));
    for link in link::all(&socket)?.iter().filter(|link| venet::owner(link) == Some(ctid)) {
        note(link::remove(&socket, link));
    }
    if let Some(netns) = netns {
        note(return_devices(netns));
    }
    first
}

/// Removes what was left by containers that are not running, and gives their numbers.
///
/// # Errors
/// As [`down`].
pub fn sweep(running: &[Ctid]) -> Result<Vec<Ctid>, Error> {
    let socket = Socket::route()?;
    let mut ignore_missing: Vec<Ctid> = link::all(&socket)?.iter().filter_map(venet::owner).collect();
    ignore_missing.extend(nftables::ports()?.into_iter().map(|(ctid, _)| ctid));
    ignore_missing.retain(|ctid| !running.contains(ctid));
    ignore_missing.sort_unstable();
    ignore_missing.dedup();
    for ctid in &ignore_missing {
        down(*ctid, None)?;
    }
    Ok(ignore_missing)
}

/// Which of these addresses are in use, and by whom: the host or a container. A container's own address is reported,
/// too, with its number.
///
/// # Errors
/// Errors of the kernel.
pub fn in_use(addresses: &[IpAddr]) -> Result<Vec<(IpAddr, AddressOwner)>, Error> {
    venet::users(&Socket::route()?, addresses)
}

/// Adds addresses to a running container (`vzctl set --ipadd`), and `venet0` if it had none. Addresses that it already
/// has are left alone.
///
/// # Errors
/// [`Error::InUse`], before anything is changed; errors of the kernel.
pub fn add_addresses(ctid: Ctid, netns: &Netns, addresses: &[Address], on: &Neighbours) -> Result<(), Error> {
    let socket = Socket::route()?;
    let had = venet::addresses(&socket, ctid)?;
    let come: Vec<Address> = addresses.iter().filter(|one| !had.contains(&one.ip)).copied().collect();
    free(&socket, ctid, &come)?;
    let hosts = route::all_addresses(&socket)?;
    let inside = Socket::route_in(netns)?;
    let pair = venet::ensure(&socket, &inside, ctid, netns)?;
    venet::add(&socket, &inside, ctid, &pair, &come, on, &hosts)?;
    venet::masquerade(&socket, ctid)
}

/// Removes addresses from a running container (`--ipdel`). An address that it doesn't have is not an error.
///
/// # Errors
/// Errors of the kernel.
pub fn remove_addresses(ctid: Ctid, netns: &Netns, addresses: &[IpAddr]) -> Result<(), Error> {
    let socket = Socket::route()?;
    venet::remove(&socket, ctid, netns, addresses)?;
    venet::masquerade(&socket, ctid)
}

/// The routed addresses of a running container, from the host's routes, in no particular order.
///
/// # Errors
/// Errors of the kernel.
pub fn addresses(ctid: Ctid) -> Result<Vec<IpAddr>, Error> {
    venet::addresses(&Socket::route()?, ctid)
}

/// Adds an interface to a running container (`--netif_add`).
///
/// # Errors
/// [`Error::Exists`] if one of the names is taken; [`Error::NoBridge`]; errors of the kernel.
pub fn add_interface(ctid: Ctid, netns: &Netns, interface: &Interface) -> Result<(), Error> {
    let socket = Socket::route()?;
    link::check_name(&interface.name)?;
    let host_name = host_name(ctid, interface);
    link::check_name(&host_name)?;
    let bridge = match &interface.bridge {
        Some(name) => match link::find(&socket, name)? {
            Some(link) if link.kind == "bridge" => Some(link),
            _ => return Err(Error::NoBridge(name.clone())),
        },
        None => None,
    };
    interface.mac.into_iter().chain(interface.host_mac).try_for_each(Mac::check_device)?;
    let own = |end: &str| venet::mac(&format!("{ctid} {end} {} {host_name}", interface.name));
    let outer = link::LinkEnd { name: &host_name, mac: interface.host_mac.unwrap_or_else(|| own("host")), flags: 0 };
    let inner = link::LinkEnd { name: &interface.name, mac: interface.mac.unwrap_or_else(|| own("inside")), flags: 0 };
    let outer = link::make_pair(&socket, &outer, &inner, netns)?;
    let finish = || {
        link::set_alias(&socket, &outer, &venet::alias(ctid))?;
        if let Some(bridge) = &bridge {
            link::join(&socket, &outer, bridge)?;
        }
        link::set_up(&socket, &outer)
    };
    let made = finish();
    if made.is_err() {
        let _ = link::remove(&socket, &outer);
    }
    made
}

/// Removes an interface created by [`add_interface`] or [`up`] from a running container (`--netif_del`), by its name
/// inside.
///
/// # Errors
/// [`Error::NoInterface`] if the container has none of that name.
pub fn remove_interface(ctid: Ctid, netns: &Netns, name: &str) -> Result<(), Error> {
    let (socket, inside) = (Socket::route()?, Socket::route_in(netns)?);
    let inner = link::need(&inside, name)?;
    let ours = link::all(&socket)?.into_iter().any(|link| venet::owner(&link) == Some(ctid));
    if !ours || inner.kind != "veth" || name == venet::NAME {
        return Err(Error::NoInterface(name.to_owned()));
    }
    // Its other end is removed with it.
    link::remove(&inside, &inner)
}

/// Moves a device of the host into a running container (`--netdev_add`).
///
/// # Errors
/// [`Error::NoInterface`] if the host has none of that name; errors of the kernel.
pub fn add_device(netns: &Netns, name: &str) -> Result<(), Error> {
    let socket = Socket::route()?;
    link::move_to(&socket, &link::need(&socket, name)?, netns)
}

/// Moves a device back to the host (`--netdev_del`).
///
/// # Errors
/// [`Error::NoInterface`] if the container has none of that name; errors of the kernel.
pub fn remove_device(netns: &Netns, name: &str) -> Result<(), Error> {
    let inside = Socket::route_in(netns)?;
    link::move_to(&inside, &link::need(&inside, name)?, &Netns::own()?)
}

/// Replaces all forwarded ports of a running container atomically. `addresses` are the container's: the ports lead to
/// the first one of each family.
///
/// # Errors
/// [`Error::NoAddress`] if there are ports but no address; [`Error::PortTaken`] if another container's rules have one
/// of the ports; errors of the kernel.
pub fn set_forwards(ctid: Ctid, addresses: &[IpAddr], forwards: &[Forward]) -> Result<(), Error> {
    if addresses.is_empty() && !forwards.is_empty() {
        return Err(Error::NoAddress);
    }
    let taken = nftables::ports()?.into_iter().filter(|(other, _)| *other != ctid);
    for (other, theirs) in taken {
        let same = |one: &&Forward| (one.protocol, one.host_port) == (theirs.protocol, theirs.host_port);
        if let Some(forward) = forwards.iter().find(same) {
            return Err(Error::PortTaken { forward: *forward, user: AddressOwner::Container(other) });
        }
    }
    nftables::set_ports(ctid, addresses, forwards)
}

/// Drops every packet to and from a container's processes until [`release`], so that its peers notice neither that it is
/// saved nor that it is gone: they repeat what is not answered.
///
/// # Errors
/// Errors of the kernel.
pub fn hold(netns: &Netns) -> Result<(), Error> {
    nftables::hold(netns)
}

/// Undoes [`hold`]; it is not an error if nothing is held.
///
/// # Errors
/// Errors of the kernel.
pub fn release(netns: &Netns) -> Result<(), Error> {
    nftables::release(netns)
}

/// Lets the host reject what is sent to a container's routed addresses while it has no network, until the next
/// [`unpark`]: to these, and to those that its network has now. Otherwise it would follow the default route, and who is
/// there could end the connections of a container that is saved.
///
/// # Errors
/// Errors of the kernel.
pub fn park(ctid: Ctid, addresses: &[IpAddr]) -> Result<(), Error> {
    let socket = Socket::route()?;
    let now = venet::addresses(&socket, ctid)?;
    now.iter().chain(addresses).try_for_each(|ip| route::add_unreachable(&socket, ctid, *ip))
}

/// Undoes [`park`]; it is not an error if there is nothing.
///
/// # Errors
/// Errors of the kernel.
pub fn unpark(ctid: Ctid) -> Result<(), Error> {
    let socket = Socket::route()?;
    route::unreachable(&socket, ctid)?.into_iter().try_for_each(|ip| route::remove_unreachable(&socket, ctid, ip))
}

/// The traffic of all links of a container since it was started.
///
/// # Errors
/// Errors of the kernel.
pub fn traffic(ctid: Ctid) -> Result<Traffic, Error> {
    let mut sum = Traffic::default();
    for link in link::all_with_traffic(&Socket::route()?)?.iter().filter(|link| venet::owner(link) == Some(ctid)) {
        sum.received += link.traffic.received;
        sum.sent += link.traffic.sent;
        sum.received_packets += link.traffic.received_packets;
        sum.sent_packets += link.traffic.sent_packets;
    }
    Ok(sum)
}

fn make(network: &Network, netns: &Netns) -> Result<(), Error> {
    let ctid = network.ctid;
    let (socket, inside) = (Socket::route()?, Socket::route_in(netns)?);
    link::set_up_loopback(&inside)?;
    let addresses: Vec<IpAddr> = network.addresses.iter().map(|one| one.ip).collect();
    if !addresses.is_empty() {
        let hosts = venet::not_the_hosts(&socket, &addresses)?;
        let pair = venet::make(&socket, &inside, ctid, netns)?;
        let answered = venet::add(&socket, &inside, ctid, &pair, &network.addresses, &network.neighbours, &hosts)?;
        if network.masquerade {
            venet::hide(&socket, ctid, &pair.outer, &addresses, &answered)?;
        }
    }
    for interface in &network.interfaces {
        add_interface(ctid, netns, interface)?;
    }
    for name in &network.devices {
        add_device(netns, name)?;
    }
    if network.forwards.is_empty() { Ok(()) } else { set_forwards(ctid, &addresses, &network.forwards) }
}

/// Rejects addresses that are used by others.
fn free(socket: &Socket, ctid: Ctid, addresses: &[Address]) -> Result<(), Error> {
    let wanted: Vec<IpAddr> = addresses.iter().map(|one| one.ip).collect();
    let used = venet::users(socket, &wanted)?;
    match used.into_iter().find(|(_, user)| *user != AddressOwner::Container(ctid)) {
        Some((address, user)) => Err(Error::InUse { address, user }),
        None => Ok(()),
    }
}

/// `veth101.0` for `eth0` of 101.
fn host_name(ctid: Ctid, interface: &Interface) -> String {
    let digits = interface.name.trim_start_matches(|c: char| !c.is_ascii_digit());
    let number = digits.parse::<u32>().unwrap_or_default();
    interface.host_name.clone().unwrap_or_else(|| format!("veth{ctid}.{number}"))
}

/// Moves physical devices back to the host; virtual ones end with their namespace.
fn return_devices(netns: &Netns) -> Result<(), Error> {
    let inside = Socket::route_in(netns)?;
    let own = Netns::own()?;
    for link in link::all(&inside)?.iter().filter(|link| link.kind.is_empty() && !link.loopback) {
        link::move_to(&inside, link, &own)?;
    }
    Ok(())
}
