//! How a container's root may use the packet filter of its own network namespace (`NETFILTER`).
//!
//! OpenVZ's kernel let each container use a selection of iptables' modules. Today's kernel has one switch: a process
//! with `CAP_NET_ADMIN` over a network namespace may load any rule into it, and neither capabilities nor seccomp (which
//! can't see the content of a message) distinguish a rule that tracks connections from one that doesn't. So there are
//! two levels:
//!
//! | mode | here | in OpenVZ |
//! |---|---|---|
//! | `disabled` | no rules: netfilter's sockets and options are denied | no modules |
//! | `stateless`, `stateful`, `full` | any rules, in the container's own namespace | without tracking; without NAT; all |
//!
//! The rules of a container only affect its own packets, whatever they are. A container with `CAP_NET_ADMIN` can change
//! its own interfaces and addresses; the host's routes and its reverse path filter still let no other addresses out of
//! `venet0`.

use super::Error;
use std::fmt;
use std::str::FromStr;

/// `NETFILTER` of a container's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Netfilter {
    /// No packet filter inside. The default for a container without `NETFILTER`.
    #[default]
    Disabled,
    /// In OpenVZ: rules that don't track connections.
    Stateless,
    /// In OpenVZ: also tracking, but no address translation.
    Stateful,
    /// Everything.
    Full,
}

/// What the engine has to do to enforce a mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    /// Whether the container's root gets `CAP_NET_ADMIN`. It needs it for rules, and to set its own Ethernet interfaces
    /// up. `CAPABILITY` in the configuration may still add or remove it.
    pub net_admin: bool,
    /// System calls that fail, by seccomp. An engine that filters 32-bit calls has to deny `socketcall` altogether
    /// there.
    pub denied: Vec<DeniedCall>,
}

/// A system call with certain arguments that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeniedCall {
    /// Its name.
    pub syscall: &'static str,
    /// Arguments that must all be equal: index (from 0) and value.
    pub arguments: Vec<(u32, u64)>,
    /// The error that it fails with.
    pub errno: i32,
}

impl Netfilter {
    /// What the engine has to do. `interfaces`: whether the container has Ethernet interfaces (`NETIF`, `NETDEV`),
    /// which it configures itself, with DHCP for example.
    pub fn confinement(self, interfaces: bool) -> Confinement {
        if self != Netfilter::Disabled {
            return Confinement { net_admin: true, denied: Vec::new() };
        }
        let (netlink, netfilter) = (nix::libc::AF_NETLINK as u64, nix::libc::NETLINK_NETFILTER as u64);
        let mut denied = vec![DeniedCall {
            syscall: "socket",
            arguments: vec![(0, netlink), (2, netfilter)],
            errno: nix::libc::EPROTONOSUPPORT,
        }];
        // The older interface: include/uapi/linux/netfilter_{ipv4/ip,ipv6/ip6,arp/arp}_tables.h and _bridge/ebtables.h.
        let (ipv4, ipv6) = (nix::libc::IPPROTO_IP as u64, nix::libc::IPPROTO_IPV6 as u64);
        for (level, option) in
            [(ipv4, 64), (ipv4, 65), (ipv6, 64), (ipv6, 65), (ipv4, 96), (ipv4, 97), (ipv4, 128), (ipv4, 129)]
        {
            let arguments = vec![(1, level), (2, option)];
            denied.push(DeniedCall { syscall: "setsockopt", arguments, errno: nix::libc::ENOPROTOOPT });
        }
        Confinement { net_admin: interfaces, denied }
    }
}

impl fmt::Display for Netfilter {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(match self {
            Netfilter::Disabled => "disabled",
            Netfilter::Stateless => "stateless",
            Netfilter::Stateful => "stateful",
            Netfilter::Full => "full",
        })
    }
}

impl FromStr for Netfilter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Netfilter, Error> {
        match text {
            "disabled" => Ok(Netfilter::Disabled),
            "stateless" => Ok(Netfilter::Stateless),
            "stateful" => Ok(Netfilter::Stateful),
            "full" => Ok(Netfilter::Full),
            _ => Err(Error::invalid("netfilter mode", text, "disabled, stateless, stateful or full")),
        }
    }
}
