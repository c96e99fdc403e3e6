//! Tables of the packet filter, through netlink (`include/uapi/linux/netfilter/nf_tables.h`; nft(8) shows what is
//! created here).
//!
//! A container has up to two tables in each of the families `ip` and `ip6`. Each is replaced as a whole, in one
//! transaction:
//!
//! | table | what it does |
//! |---|---|
//! | `vz101-ports` | forwarded ports: packets to the host's own addresses are redirected to the container |
//! | `vz101-out` | masquerades some of its addresses: private ones that are unknown outside |
//! | `vz-out` | the same for all containers with only such addresses: their links are in the group [`HIDDEN`] |
//!
//! The last one is created once and stays: one table per container would cost its start and each packet a hundred times
//! as much.

use super::netlink::{ACK_MISSING, CREATE, Message, NESTED, NEW, Socket, attribute, text};
use super::route::octets;
use super::{Ctid, Error, Forward, Netns, Protocol};
use nix::libc;
use std::io;
use std::net::IpAddr;

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = libc::NFNL_MSG_BATCH_BEGIN as u16;
const BATCH_END: u16 = libc::NFNL_MSG_BATCH_END as u16;
const NEWTABLE: u16 = SUBSYSTEM << 8;
const GETTABLE: u16 = SUBSYSTEM << 8 | 1;
const DELTABLE: u16 = SUBSYSTEM << 8 | 2;
const NEWCHAIN: u16 = SUBSYSTEM << 8 | 3;
const NEWRULE: u16 = SUBSYSTEM << 8 | 6;
const GETRULE: u16 = SUBSYSTEM << 8 | 7;

/// Attributes of a rule: its table, chain, expressions, and its creator's notes.
const RULE_TABLE: u16 = 1;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_NOTE: u16 = 7;

const HOOK_PREROUTING: u32 = 0;
const HOOK_INPUT: u32 = 1;
const HOOK_OUTPUT: u32 = 3;
const HOOK_POSTROUTING: u32 = 4;
/// Before every other filter.
const PRIORITY_HELD: i32 = -400;
const PRIORITY_DNAT: i32 = -100;
const PRIORITY_SNAT: i32 = 100;

const EQUAL: u32 = 0;
const UNEQUAL: u32 = 1;
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
const OIFNAME: u32 = 7;
const IIFGROUP: u32 = 21;
const L4PROTO: u32 = 16;

/// The name prefix of the host's ends of `venet0`.
const LINKS: &[u8] = b"vz";

/// The group of the host's ends for containers whose addresses are all masqueraded.
pub const HIDDEN: u32 = 118;
/// The table that all containers share.
const SHARED: &str = "vz-out";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    const ALL: [Family; 2] = [Family::V4, Family::V6];

    fn of(ip: IpAddr) -> Family {
        if ip.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    fn number(self) -> u8 {
        match self {
            Family::V4 => libc::NFPROTO_IPV4 as u8,
            Family::V6 => libc::NFPROTO_IPV6 as u8,
        }
    }

    /// The offsets of source and destination in the header, and their length.
    fn places(self) -> (u32, u32, u32) {
        match self {
            Family::V4 => (12, 16, 4),
            Family::V6 => (8, 24, 16),
        }
    }
}

/// `struct nfgenmsg`: family, version, resource (in network byte order).
fn head(kind: u16, flags: u16, family: u8, resource: u16) -> Message {
    let [high, low] = resource.to_be_bytes();
    Message::new(kind, flags, &[family, 0, high, low])
}

/// A rule that is being built: its expressions, in order.
struct RuleBuilder(Vec<Box<dyn FnOnce(Message) -> Message>>);

impl RuleBuilder {
    fn new() -> RuleBuilder {
        RuleBuilder(Vec::new())
    }

    fn add(mut self, name: &'static str, data: impl FnOnce(Message) -> Message + 'static) -> RuleBuilder {
        self.0.push(Box::new(move |list| {
            // NFTA_LIST_ELEM; NFTA_EXPR_NAME and NFTA_EXPR_DATA.
            list.nest(NESTED | 1, |one| one.put_text(1, name).nest(NESTED | 2, data))
        }));
        self
    }

    /// Loads a field of the packet's metadata into the first register.
    fn meta(self, key: u32) -> RuleBuilder {
        self.add("meta", move |data| data.put_be32(2, key).put_be32(1, 1))
    }

    /// Loads a part of a header.
    fn payload(self, base: u32, offset: u32, length: u32) -> RuleBuilder {
        self.add("payload", move |data| data.put_be32(1, 1).put_be32(2, base).put_be32(3, offset).put_be32(4, length))
    }

    /// Continues only if the first register starts with these bytes, or doesn't.
    fn compare(self, operation: u32, bytes: &[u8]) -> RuleBuilder {
        let bytes = bytes.to_vec();
        self.add("cmp", move |data| {
            data.put_be32(1, 1).put_be32(2, operation).nest(NESTED | 3, |value| value.put(1, &bytes))
        })
    }

    /// Loads the type of the destination address: one of the host's, or another.
    fn target_type(self) -> RuleBuilder {
        // NFT_FIB_RESULT_ADDRTYPE of NFTA_FIB_F_DADDR.
        self.add("fib", |data| data.put_be32(1, 1).put_be32(2, 3).put_be32(3, 2))
    }

    fn immediate(self, register: u32, bytes: &[u8]) -> RuleBuilder {
        let bytes = bytes.to_vec();
        self.add("immediate", move |data| data.put_be32(1, register).nest(NESTED | 2, |value| value.put(1, &bytes)))
    }

    /// Packets to a port of the host's own addresses go to the container.
    fn forward(family: Family, forward: Forward, ip: IpAddr, from_host: bool) -> RuleBuilder {
        let protocol = match forward.protocol {
            Protocol::Tcp => libc::IPPROTO_TCP,
            Protocol::Udp => libc::IPPROTO_UDP,
        };
        let (_, target, length) = family.places();
        let mut rule = RuleBuilder::new();
        if from_host && family == Family::V4 {
            // Answers to 127.0.0.1 would have to come from outside, which no kernel accepts.
            rule = rule.payload(NETWORK_HEADER, target, 1).compare(UNEQUAL, &[127]);
        }
        let number = u32::from(family.number());
        rule.target_type()
            .compare(EQUAL, &u32::from(libc::RTN_LOCAL).to_ne_bytes())
            .meta(L4PROTO)
            .compare(EQUAL, &[protocol as u8])
            .payload(TRANSPORT_HEADER, 2, 2)
            .compare(EQUAL, &forward.host_port.to_be_bytes())
            .immediate(1, &octets(ip)[..length as usize])
            .immediate(2, &forward.port.to_be_bytes())
            // NFT_NAT_DNAT, to the address in the first register and the port in the second.
            .add("nat", move |data| data.put_be32(1, 1).put_be32(2, number).put_be32(3, 1).put_be32(5, 2))
    }

    /// Packets from a link of the group that leave the machine get the host's address.
    fn masquerade_group() -> RuleBuilder {
        let rule = RuleBuilder::new().meta(IIFGROUP).compare(EQUAL, &HIDDEN.to_ne_bytes());
        rule.meta(OIFNAME).compare(UNEQUAL, LINKS).add("masq", |data| data)
    }

    /// Packets from this address that leave the machine get the host's.
    fn masquerade(family: Family, ip: IpAddr) -> RuleBuilder {
        let (source, _, length) = family.places();
        RuleBuilder::new()
            .payload(NETWORK_HEADER, source, length)
            .compare(EQUAL, &octets(ip))
            .meta(OIFNAME)
            .compare(UNEQUAL, LINKS)
            .add("masq", |data| data)
    }

    fn message(self, family: Family, table: &str, chain: &str, note: &str) -> Message {
        let message = head(NEWRULE, CREATE | libc::NLM_F_APPEND as u16, family.number(), 0);
        let message = message.put_text(RULE_TABLE, table).put_text(RULE_CHAIN, chain);
        let message = message
            .nest(NESTED | RULE_EXPRESSIONS, |list| self.0.into_iter().fold(list, |list, expression| expression(list)));
        if note.is_empty() { message } else { message.put(RULE_NOTE, note.as_bytes()) }
    }
}

/// The messages that recreate a table, whatever existed.
fn begin(family: Family, table: &str) -> Vec<Message> {
    let named = |kind, flags| head(kind, flags, family.number(), 0).put_text(1, table);
    // Creating it first, as a missing table can't be deleted.
    vec![named(NEWTABLE, CREATE), named(DELTABLE, 0), named(NEWTABLE, CREATE)]
}

fn nat_chain(family: Family, table: &str, name: &str, hook: u32, priority: i32) -> Message {
    head(NEWCHAIN, CREATE, family.number(), 0)
        .put_text(1, table)
        .put_text(3, name)
        .nest(NESTED | 4, |place| place.put_be32(1, hook).put(2, &priority.to_be_bytes()))
        .put_text(7, "nat")
}

fn ports_table(ctid: Ctid) -> String {
    format!("vz{ctid}-ports")
}

fn out_table(ctid: Ctid) -> String {
    format!("vz{ctid}-out")
}

fn commit(socket: &Socket, messages: Vec<Message>) -> io::Result<()> {
    if messages.is_empty() {
        return Ok(());
    }
    let mark = |kind| head(kind, 0, libc::AF_UNSPEC as u8, SUBSYSTEM);
    let all = std::iter::once(mark(BATCH_BEGIN)).chain(messages).chain(std::iter::once(mark(BATCH_END)));
    socket.request_all(all.collect())
}

fn socket() -> Result<Socket, Error> {
    Socket::netfilter().map_err(|error| Error::kernel("opening a netfilter socket", error))
}

/// Replaces a container's forwarded ports. They are forwarded to the first address of each family.
pub fn set_ports(ctid: Ctid, addresses: &[IpAddr], forwards: &[Forward]) -> Result<(), Error> {
    let (socket, table) = (socket()?, ports_table(ctid));
    if forwards.is_empty() {
        return remove_tables(&socket, &[table]);
    }
    let mut messages = Vec::new();
    for family in Family::ALL {
        let Some(ip) = addresses.iter().copied().find(|ip| Family::of(*ip) == family) else { continue };
        messages.extend(begin(family, &table));
        for (chain, hook) in [("prerouting", HOOK_PREROUTING), ("output", HOOK_OUTPUT)] {
            messages.push(nat_chain(family, &table, chain, hook, PRIORITY_DNAT));
            for forward in forwards {
                let rule = RuleBuilder::forward(family, *forward, ip, hook == HOOK_OUTPUT);
                messages.push(rule.message(family, &table, chain, &forward.to_string()));
            }
        }
    }
    commit(&socket, messages).map_err(|error| Error::kernel(format!("forwarding ports to container {ctid}"), error))
}

/// The forwarded ports, with their containers.
pub fn ports() -> Result<Vec<(Ctid, Forward)>, Error> {
    let socket = socket()?;
    let mut found = Vec::new();
    for family in Family::ALL {
        let answers = socket.dump(head(GETRULE, 0, family.number(), 0));
        let answers = match answers {
            Err(error) if ACK_MISSING.contains(&error.raw_os_error().unwrap_or_default()) => continue,
            answers => answers.map_err(|error| Error::kernel("reading the forwarded ports", error))?,
        };
        found.extend(answers.iter().filter_map(|(_, body)| read_rule(body)));
    }
    Ok(found)
}

fn read_rule(body: &[u8]) -> Option<(Ctid, Forward)> {
    let rest = body.get(4..)?;
    let table = text(attribute(rest, RULE_TABLE)?);
    let ctid = table.strip_prefix("vz")?.strip_suffix("-ports")?.parse().ok()?;
    Some((ctid, text(attribute(rest, RULE_NOTE)?).parse().ok()?))
}

/// Replaces the list of masqueraded addresses. An empty list removes it.
pub fn set_masquerade(ctid: Ctid, addresses: &[IpAddr]) -> Result<(), Error> {
    let (socket, table) = (socket()?, out_table(ctid));
    let of = |family| addresses.iter().copied().filter(move |ip| Family::of(*ip) == family);
    let mut messages = Vec::new();
    for family in Family::ALL.into_iter().filter(|family| of(*family).next().is_some()) {
        messages.extend(begin(family, &table));
        messages.push(nat_chain(family, &table, "postrouting", HOOK_POSTROUTING, PRIORITY_SNAT));
        messages.extend(
            of(family).map(|ip| RuleBuilder::masquerade(family, ip).message(family, &table, "postrouting", "")),
        );
    }
    if messages.is_empty() {
        return remove_tables(&socket, &[table]);
    }
    commit(&socket, messages)
        .map_err(|error| Error::kernel(format!("setting up masquerading for container {ctid}"), error))
}

/// Makes sure that the shared table exists in the families of these addresses.
pub fn share_masquerade(addresses: &[IpAddr]) -> Result<(), Error> {
    let socket = socket()?;
    for family in Family::ALL.into_iter().filter(|family| addresses.iter().any(|ip| Family::of(*ip) == *family)) {
        if has(&socket, family, SHARED)? {
            continue;
        }
        let made = commit(
            &socket,
            vec![
                head(NEWTABLE, NEW, family.number(), 0).put_text(1, SHARED),
                nat_chain(family, SHARED, "postrouting", HOOK_POSTROUTING, PRIORITY_SNAT),
                RuleBuilder::masquerade_group().message(family, SHARED, "postrouting", ""),
            ],
        );
        match made {
            // Another container's start was faster.
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {}
            made => made.map_err(|error| Error::kernel("the containers' masquerade", error))?,
        }
    }
    Ok(())
}

fn has(socket: &Socket, family: Family, table: &str) -> Result<bool, Error> {
    match socket.query(head(GETTABLE, 0, family.number(), 0).put_text(1, table)) {
        Ok(_) => Ok(true),
        Err(error) if ACK_MISSING.contains(&error.raw_os_error().unwrap_or_default()) => Ok(false),
        Err(error) => Err(Error::kernel(format!("looking for table {table}"), error)),
    }
}

/// Removes all tables of a container.
pub fn remove(ctid: Ctid) -> Result<(), Error> {
    remove_tables(&socket()?, &[ports_table(ctid), out_table(ctid)])
}

/// The table that [`hold`] creates in a container's namespace.
const HELD: &str = "vz-held";

/// Drops every packet to and from the processes of a network namespace, also on its loopback, until [`release`].
pub fn hold(netns: &Netns) -> Result<(), Error> {
    let failed = |error| Error::kernel("holding a container's packets", error);
    let family = libc::NFPROTO_INET as u8;
    let chain = |name, hook| {
        head(NEWCHAIN, CREATE, family, 0)
            .put_text(1, HELD)
            .put_text(3, name)
            .nest(NESTED | 4, |place| place.put_be32(1, hook).put(2, &PRIORITY_HELD.to_be_bytes()))
            // NFTA_CHAIN_POLICY.
            .put_be32(5, libc::NF_DROP as u32)
            .put_text(7, "filter")
    };
    let table = head(NEWTABLE, CREATE, family, 0).put_text(1, HELD);
    let messages = vec![table, chain("input", HOOK_INPUT), chain("output", HOOK_OUTPUT)];
    let socket = netns.within(Socket::netfilter)?.map_err(failed)?;
    commit(&socket, messages).map_err(failed)
}

/// Undoes [`hold`]; it is not an error if nothing is held.
pub fn release(netns: &Netns) -> Result<(), Error> {
    let failed = |error| Error::kernel("releasing a container's packets", error);
    let socket = netns.within(Socket::netfilter)?.map_err(failed)?;
    match commit(&socket, vec![head(DELTABLE, 0, libc::NFPROTO_INET as u8, 0).put_text(1, HELD)]) {
        Err(error) if ACK_MISSING.contains(&error.raw_os_error().unwrap_or_default()) => Ok(()),
        done => done.map_err(failed),
    }
}

fn remove_tables(socket: &Socket, tables: &[String]) -> Result<(), Error> {
    for table in tables {
        for family in Family::ALL {
            match commit(socket, vec![head(DELTABLE, 0, family.number(), 0).put_text(1, table)]) {
                Err(error) if !ACK_MISSING.contains(&error.raw_os_error().unwrap_or_default()) => {
                    return Err(Error::kernel(format!("removing table {table}"), error));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_read_back_by_its_note() {
        let forward: Forward = "tcp:8080:80".parse().unwrap();
        let ip = "10.0.0.1".parse().unwrap();
        let rule = RuleBuilder::forward(Family::V4, forward, ip, false);
        let message = rule.message(Family::V4, &ports_table(101), "prerouting", &forward.to_string());
        assert_eq!(read_rule(message.body()), Some((101, forward)));
        // Nine expressions: destination type, protocol and port, the new address and port, translation.
        let list = attribute(&message.body()[4..], RULE_EXPRESSIONS).unwrap();
        let names: Vec<String> =
            super::super::netlink::attributes(list).map(|(_, one)| text(attribute(one, 1).unwrap())).collect();
        assert_eq!(names, ["fib", "cmp", "meta", "cmp", "payload", "cmp", "immediate", "immediate", "nat"]);
        let other = RuleBuilder::masquerade(Family::V4, ip).message(Family::V4, &out_table(101), "postrouting", "");
        assert_eq!(read_rule(other.body()), None);
    }
}
