//! The network of containers.
//!
//! Plain data in: whose network it is ([`Ctid`]), where it is ([`Netns`]) and what it should have ([`Network`]). Nothing here
//! knows configuration files. [`up`] and [`down`] are for start and stop; the other functions change a container that runs.
//!
//! No state is kept in files: what belongs to a container is read back from the kernel, by the alias of its links, the
//! protocol number of its routes and proxy neighbours, and the names of its packet filter tables. So [`down`] and [`sweep`]
//! work after a crash as well.
//!
//! All functions work from the network namespace that the caller is in, "the host". They need root.

mod address;
mod error;
mod netfilter;
mod types;

pub use address::{Address, Mac};
pub use error::Error;
pub use netfilter::{Confinement, Denial, Netfilter};
pub use types::{Ctid, Forward, Interface, Neighbours, Netns, Network, Protocol, Traffic, User, host_link};

use std::net::IpAddr;

/// Makes all of a container's network: the routed link `venet0` if it has addresses, its interfaces, its devices, forwarded
/// ports and the shared masquerade. `netns` must hold nothing but `lo`, which is set up.
///
/// Leftovers of a crashed run of the same container are removed first. When something fails, all that was made is removed.
///
/// # Errors
/// [`Error::InUse`] if one of the addresses belongs to the host or another container; what the kernel refuses.
pub fn up(network: &Network, netns: &Netns) -> Result<(), Error> {
    let _ = (network, netns);
    Err(Error::unfinished())
}

/// Removes all that a container has on the host. Nothing to remove is no error. Devices that were moved in (`NETDEV`) come back
/// by themselves when the namespace ends; with `netns` given, they are moved back now.
///
/// # Errors
/// What the kernel refuses; the rest is removed all the same, and the first error is told.
pub fn down(ctid: Ctid, netns: Option<&Netns>) -> Result<(), Error> {
    let _ = (ctid, netns);
    Err(Error::unfinished())
}

/// Removes what was left by containers that don't run, and tells whose it was.
///
/// # Errors
/// As [`down`].
pub fn sweep(running: &[Ctid]) -> Result<Vec<Ctid>, Error> {
    let _ = running;
    Err(Error::unfinished())
}

/// Who of the host and its containers has which of these addresses: those in use only. A container's own address is reported,
/// too, under its number.
///
/// # Errors
/// What the kernel refuses.
pub fn in_use(addresses: &[IpAddr]) -> Result<Vec<(IpAddr, User)>, Error> {
    let _ = addresses;
    Err(Error::unfinished())
}

/// Gives a running container more addresses (`vzctl set --ipadd`), and `venet0` if it had none. Those that it has already are
/// left alone.
///
/// # Errors
/// [`Error::InUse`], before anything is changed; what the kernel refuses.
pub fn add_addresses(ctid: Ctid, netns: &Netns, addresses: &[Address], on: &Neighbours) -> Result<(), Error> {
    let _ = (ctid, netns, addresses, on);
    Err(Error::unfinished())
}

/// Takes addresses from a running container (`--ipdel`). One that it doesn't have is no error.
///
/// # Errors
/// What the kernel refuses.
pub fn remove_addresses(ctid: Ctid, netns: &Netns, addresses: &[IpAddr]) -> Result<(), Error> {
    let _ = (ctid, netns, addresses);
    Err(Error::unfinished())
}

/// The routed addresses that a running container has, by the host's routes, in no set order.
///
/// # Errors
/// What the kernel refuses.
pub fn addresses(ctid: Ctid) -> Result<Vec<IpAddr>, Error> {
    let _ = ctid;
    Err(Error::unfinished())
}

/// Gives a running container one more interface (`--netif_add`).
///
/// # Errors
/// [`Error::Exists`] if one of the names is taken; [`Error::NoBridge`]; what the kernel refuses.
pub fn add_interface(ctid: Ctid, netns: &Netns, interface: &Interface) -> Result<(), Error> {
    let _ = (ctid, netns, interface);
    Err(Error::unfinished())
}

/// Takes an interface made by [`add_interface`] or [`up`] from a running container (`--netif_del`), by its name inside.
///
/// # Errors
/// [`Error::NoInterface`] if the container has none of that name.
pub fn remove_interface(ctid: Ctid, netns: &Netns, name: &str) -> Result<(), Error> {
    let _ = (ctid, netns, name);
    Err(Error::unfinished())
}

/// Moves a device of the host into a running container (`--netdev_add`).
///
/// # Errors
/// [`Error::NoInterface`] if the host has none of that name; what the kernel refuses.
pub fn add_device(netns: &Netns, name: &str) -> Result<(), Error> {
    let _ = (netns, name);
    Err(Error::unfinished())
}

/// Moves a device back to the host (`--netdev_del`).
///
/// # Errors
/// [`Error::NoInterface`] if the container has none of that name; what the kernel refuses.
pub fn remove_device(netns: &Netns, name: &str) -> Result<(), Error> {
    let _ = (netns, name);
    Err(Error::unfinished())
}

/// Replaces all forwarded ports of a running container, in one step. `addresses` are the container's: the first of each
/// family is where the ports lead to.
///
/// # Errors
/// [`Error::NoAddress`] if there are ports but no address; [`Error::PortTaken`] if another container's rules have one of
/// the ports; what the kernel refuses.
pub fn set_forwards(ctid: Ctid, addresses: &[IpAddr], forwards: &[Forward]) -> Result<(), Error> {
    let _ = (ctid, addresses, forwards);
    Err(Error::unfinished())
}

/// What went through all links of a container since it started.
///
/// # Errors
/// What the kernel refuses.
pub fn traffic(ctid: Ctid) -> Result<Traffic, Error> {
    let _ = ctid;
    Err(Error::unfinished())
}
