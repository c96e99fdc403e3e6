//! A container's network, as data.

use super::{Address, Error, Mac};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::str::FromStr;

/// A container's number, 1 to 2147483644.
pub type Ctid = u32;

/// A network namespace, held through a file descriptor.
#[derive(Debug)]
pub struct Netns(OwnedFd);

impl Netns {
    /// That of a process, such as a container's init.
    ///
    /// # Errors
    /// The process is gone, or belongs to another user.
    pub fn of_pid(pid: i32) -> Result<Netns, Error> {
        Netns::at(format!("/proc/{pid}/ns/net"))
    }

    /// One that is already open, from `/proc/PID/ns/net`.
    pub fn of_fd(fd: OwnedFd) -> Netns {
        Netns(fd)
    }

    fn at(path: impl Into<PathBuf>) -> Result<Netns, Error> {
        let path = path.into();
        match std::fs::File::open(&path) {
            Ok(file) => Ok(Netns(file.into())),
            Err(error) => Err(Error::file(path, error)),
        }
    }

    /// That of the caller.
    pub(super) fn own() -> Result<Netns, Error> {
        Netns::at("/proc/thread-self/ns/net")
    }

    /// Calls `work` inside. The calling thread enters it and comes back: a separate thread would cost more than the
    /// work.
    pub(super) fn within<T>(&self, work: impl FnOnce() -> T) -> Result<T, Error> {
        let host = Netns::own()?;
        nix::sched::setns(self, nix::sched::CloneFlags::CLONE_NEWNET)
            .map_err(|error| Error::kernel("entering the container's network namespace", error.into()))?;
        let done = work();
        // Otherwise whatever the caller did next would affect a container's network.
        if let Err(error) = nix::sched::setns(host, nix::sched::CloneFlags::CLONE_NEWNET) {
            panic!("the host's network namespace can't be entered again: {error}");
        }
        Ok(done)
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A container's complete network, for [`super::up`].
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// The container's number.
    pub ctid: Ctid,
    /// Routed addresses (`IP_ADDRESS`), which `venet0` gets inside. None: no `venet0`.
    pub addresses: Vec<Address>,
    /// Pairs of Ethernet interfaces (`NETIF`).
    pub interfaces: Vec<Interface>,
    /// The host's devices that are moved in (`NETDEV`).
    pub devices: Vec<String>,
    /// Ports of the host that are forwarded to the container's first address of each family.
    pub forwards: Vec<Forward>,
    /// Whether private addresses are masqueraded with the host's own address.
    pub masquerade: bool,
    /// Where the host answers for the routed addresses.
    pub neighbours: Neighbours,
}

/// On which of the host's devices it answers ARP and neighbour discovery for a container (`NEIGHBOUR_DEVS` in
/// `vz.conf`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Neighbours {
    /// Those whose own network contains the address (`detect`).
    #[default]
    Detect,
    /// These (`list:eth0 eth1`). None: the host does not answer.
    Named(Vec<String>),
}

/// A pair of Ethernet interfaces: one end in the container, one on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name inside, up to 15 bytes.
    pub name: String,
    /// The address inside. None: derived from the container's number and both names, so always the same.
    pub mac: Option<Mac>,
    /// Its name on the host. None: `veth101.0` for `eth0` of 101, from the number at the name's end.
    pub host_name: Option<String>,
    /// The address on the host. None: derived like the other.
    pub host_mac: Option<Mac>,
    /// The bridge for the host's end. It must exist.
    pub bridge: Option<String>,
}

/// A port of the host that is forwarded into a container. Written `tcp:8080:80`: protocol, host's port, container's
/// port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Forward {
    /// The transport protocol.
    pub protocol: Protocol,
    /// The port on all addresses of the host.
    pub host_port: u16,
    /// The port on the container's address.
    pub port: u16,
}

/// A transport whose ports can be forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `tcp`
    Tcp,
    /// `udp`
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{}:{}:{}", self.protocol, self.host_port, self.port)
    }
}

impl FromStr for Forward {
    type Err = Error;

    fn from_str(text: &str) -> Result<Forward, Error> {
        let bad = || Error::invalid("forwarded port", text, "PROTOCOL:HOST_PORT:PORT such as tcp:8080:80");
        let port = |text: &str| text.parse().ok().filter(|port| *port != 0).ok_or_else(bad);
        let mut parts = text.split(':');
        let protocol = match parts.next() {
            Some("tcp") => Protocol::Tcp,
            Some("udp") => Protocol::Udp,
            _ => return Err(bad()),
        };
        match (parts.next(), parts.next(), parts.next()) {
            (Some(host), Some(inside), None) => Ok(Forward { protocol, host_port: port(host)?, port: port(inside)? }),
            _ => Err(bad()),
        }
    }
}

/// The user of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressOwner {
    /// The host itself.
    Host,
    /// A running container.
    Container(Ctid),
}

impl fmt::Display for AddressOwner {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            AddressOwner::Host => out.write_str("the host"),
            AddressOwner::Container(ctid) => write!(out, "container {ctid}"),
        }
    }
}

/// Bytes and packets from the container's point of view: `received` are incoming to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Incoming bytes.
    pub received: u64,
    /// Outgoing bytes.
    pub sent: u64,
    /// Incoming packets.
    pub received_packets: u64,
    /// Outgoing packets.
    pub sent_packets: u64,
}

/// The host's end of a container's `venet0`.
pub fn host_link(ctid: Ctid) -> String {
    format!("vz{ctid}")
}
