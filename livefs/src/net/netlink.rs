//! Netlink messages and sockets (`include/uapi/linux/netlink.h`), for the two families that containers need: routes and
//! links (rtnetlink), and the packet filter (nfnetlink).
//!
//! Written here because only a few messages are needed, and their format is the kernel's stable interface: the usual
//! crate for routes has 50,000 lines that describe every kind of link, its interface changes with each release, and it
//! does not support the packet filter.

use super::{Error, Netns};
use nix::libc;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType};
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// `struct nlmsghdr`: length, type, flags, sequence number, port.
const HEADER: usize = 16;
/// An attribute that contains attributes.
pub const NESTED: u16 = libc::NLA_F_NESTED as u16;
const ACK: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
const DUMP: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
/// Create it; fail if it exists.
pub const NEW: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
/// Create it if it does not exist.
pub const CREATE: u16 = libc::NLM_F_CREATE as u16;
/// Create it, or replace an existing one.
pub const REPLACE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;

/// The buffer for an answer, bytes: parts of a dump are usually no larger (`include/linux/netlink.h`: NLMSG_GOODSIZE;
/// with a larger buffer the kernel sends parts of up to 32 KiB), and an answer for a link or a rule is a fraction of
/// that.
const LARGEST: usize = 8 << 10;

/// The kernel's errors for something missing: no such table, no such family.
pub const ACK_MISSING: [i32; 3] = [libc::ENOENT, libc::EAFNOSUPPORT, libc::EOPNOTSUPP];

/// A message that is being built: header, the fixed part of its type, attributes.
#[derive(Debug, Clone)]
pub struct Message(Vec<u8>);

impl Message {
    /// `kind` is the message's type; `flags` are added to those of every request; `fixed` is the part between header
    /// and attributes.
    pub fn new(kind: u16, flags: u16, fixed: &[u8]) -> Message {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(fixed);
        let mut message = Message(bytes);
        message.pad();
        message
    }

    /// Adds an attribute.
    pub fn put(mut self, kind: u16, value: &[u8]) -> Message {
        self.push(kind, value);
        self
    }

    /// Adds a number in host byte order.
    pub fn put_u32(self, kind: u16, value: u32) -> Message {
        self.put(kind, &value.to_ne_bytes())
    }

    /// Adds a number in network byte order, as the packet filter uses.
    pub fn put_be32(self, kind: u16, value: u32) -> Message {
        self.put(kind, &value.to_be_bytes())
    }

    /// Adds a string that ends in a zero byte.
    pub fn put_text(self, kind: u16, value: &str) -> Message {
        self.put(kind, &[value.as_bytes(), b"\0"].concat())
    }

    /// Adds an attribute that contains what `inside` adds.
    pub fn nest(mut self, kind: u16, inside: impl FnOnce(Message) -> Message) -> Message {
        let start = self.0.len();
        self.push(kind, &[]);
        let mut message = inside(self);
        message.close(start);
        message
    }

    /// As [`Message::nest`], with a fixed part before the attributes inside.
    pub fn nest_after(mut self, kind: u16, fixed: &[u8], inside: impl FnOnce(Message) -> Message) -> Message {
        let start = self.0.len();
        self.push(kind, fixed);
        let mut message = inside(self);
        message.close(start);
        message
    }

    fn push(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(4 + value.len()).expect("an attribute holds less than 64 KiB");
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.pad();
    }

    fn close(&mut self, start: usize) {
        let length = u16::try_from(self.0.len() - start).expect("an attribute holds less than 64 KiB");
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn finish(mut self, sequence: u32, flags: u16) -> Vec<u8> {
        let flags = flags | u16::from_ne_bytes([self.0[6], self.0[7]]);
        let length = self.0.len() as u32;
        self.0[0..4].copy_from_slice(&length.to_ne_bytes());
        self.0[6..8].copy_from_slice(&flags.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }

    /// The part after the header.
    #[cfg(test)]
    pub fn body(&self) -> &[u8] {
        &self.0[HEADER..]
    }
}

/// The attributes in `bytes`: type (without its flags) and value. A truncated one ends them.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(rest.get(0..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?) & libc::NLA_TYPE_MASK as u16;
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The value of the first attribute of this type.
pub fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// A number in host byte order.
pub fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(0..4)?.try_into().ok()?))
}

/// A string up to its zero byte.
pub fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// A message of a dump: its type, and the part after its header.
pub type Answer = (u16, Vec<u8>);

/// A socket in one network namespace, to which it is bound.
pub struct Socket {
    fd: OwnedFd,
    /// Whether messages of the types of batch marks are marks: elsewhere RTM_NEWLINK has the same number.
    batches: bool,
    sequence: Cell<u32>,
    buffer: RefCell<Vec<u8>>,
}

impl Socket {
    /// For routes, links and addresses, in the caller's namespace.
    pub fn route() -> Result<Socket, Error> {
        Socket::open(SockProtocol::NetlinkRoute).map_err(|error| Error::kernel("netlink socket", error))
    }

    /// As [`Socket::route`], in another namespace.
    pub fn route_in(netns: &Netns) -> Result<Socket, Error> {
        netns.within(Socket::route)?
    }

    /// For the packet filter, in the caller's namespace.
    pub fn netfilter() -> io::Result<Socket> {
        Socket::open(SockProtocol::NetlinkNetFilter)
    }

    fn open(protocol: SockProtocol) -> io::Result<Socket> {
        let fd = nix::sys::socket::socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        let batches = protocol == SockProtocol::NetlinkNetFilter;
        Ok(Socket { fd, batches, sequence: Cell::new(1), buffer: RefCell::new(Vec::with_capacity(LARGEST)) })
    }

    /// The index of a link in the socket's namespace, by its name (netdevice(7), SIOCGIFINDEX). Requesting the link
    /// itself costs the kernel and us several times as much.
    pub fn link_index(&self, name: &str) -> io::Result<u32> {
        // SAFETY: all fields are integers or pointers, for which zero is a value.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        if name.len() >= request.ifr_name.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        // SAFETY: the structure is the one that the call reads and writes, and the name in it ends in a zero byte.
        let done = unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::SIOCGIFINDEX as _, &raw mut request) };
        nix::errno::Errno::result(done)?;
        // SAFETY: the call has written this field.
        Ok(unsafe { request.ifr_ifru.ifru_ifindex } as u32)
    }

    fn next(&self) -> u32 {
        let sequence = self.sequence.get();
        self.sequence.set(sequence.wrapping_add(1));
        sequence
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        // Without an address it is sent to the kernel.
        nix::sys::socket::send(self.fd.as_raw_fd(), bytes, MsgFlags::empty())?;
        Ok(())
    }

    /// Sends a request and waits for the answer.
    pub fn request(&self, message: Message) -> io::Result<()> {
        self.request_all(vec![message])
    }

    /// Sends several requests in order; the packet filter executes all or none of a batch.
    pub fn request_all(&self, messages: Vec<Message>) -> io::Result<()> {
        let mut bytes = Vec::new();
        let first = self.sequence.get();
        let mut last = 0;
        for message in messages {
            last = self.next();
            // Marks around a batch get no answers.
            let kind = i32::from(u16::from_ne_bytes([message.0[4], message.0[5]]));
            let mark = self.batches && (kind == libc::NFNL_MSG_BATCH_BEGIN || kind == libc::NFNL_MSG_BATCH_END);
            bytes.extend(message.finish(last, if mark { libc::NLM_F_REQUEST as u16 } else { ACK }));
            if mark && kind == libc::NFNL_MSG_BATCH_END {
                last -= 1;
            }
        }
        self.send(&bytes)?;
        loop {
            for (header, body) in self.receive()?.iter() {
                // Answers left from an earlier failed batch are ignored.
                if header.kind == libc::NLMSG_ERROR as u16 && header.sequence >= first {
                    match number(body).unwrap_or_default() as i32 {
                        0 if header.sequence == last => return Ok(()),
                        0 => {}
                        error => return Err(io::Error::from_raw_os_error(-error)),
                    }
                }
            }
        }
    }

    /// A single object that is named in the message: the part after the answer's header.
    pub fn query(&self, message: Message) -> io::Result<Vec<u8>> {
        let sequence = self.next();
        self.send(&message.finish(sequence, libc::NLM_F_REQUEST as u16))?;
        loop {
            let answer = self.receive()?.into_iter().find(|(header, _)| header.sequence == sequence);
            match answer {
                Some((header, body)) if header.kind == libc::NLMSG_ERROR as u16 => {
                    return Err(io::Error::from_raw_os_error(-(number(&body).unwrap_or_default() as i32)));
                }
                Some((_, body)) => return Ok(body),
                None => {}
            }
        }
    }

    /// All objects of a kind: type of each message, and the part after its header.
    pub fn dump(&self, message: Message) -> io::Result<Vec<Answer>> {
        // Changes meanwhile make a dump inconsistent, and the kernel reports that.
        loop {
            if let Some(found) = self.dump_once(message.clone())? {
                return Ok(found);
            }
        }
    }

    fn dump_once(&self, message: Message) -> io::Result<Option<Vec<Answer>>> {
        let sequence = self.next();
        self.send(&message.finish(sequence, DUMP))?;
        let (mut found, mut torn) = (Vec::new(), false);
        loop {
            for (header, body) in self.receive()? {
                if header.sequence != sequence {
                    continue;
                }
                torn |= header.flags & libc::NLM_F_DUMP_INTR as u16 != 0;
                match i32::from(header.kind) {
                    libc::NLMSG_DONE => return Ok((!torn).then_some(found)),
                    libc::NLMSG_ERROR => {
                        let error = number(&body).unwrap_or_default() as i32;
                        return Err(io::Error::from_raw_os_error(-error));
                    }
                    _ => found.push((header.kind, body)),
                }
            }
        }
    }

    /// One datagram's messages.
    fn receive(&self) -> io::Result<Vec<(Header, Vec<u8>)>> {
        let mut buffer = self.buffer.borrow_mut();
        loop {
            buffer.clear();
            // SAFETY: all fields are integers, for which zero is a value.
            let mut sender: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
            let mut size = size_of_val(&sender) as libc::socklen_t;
            // Usually an answer takes a hundredth of the buffer: the rest of it is never touched.
            let space = buffer.spare_capacity_mut();
            // SAFETY: the buffer and the address have the given lengths.
            let received = unsafe {
                let address = (&raw mut sender).cast();
                let (to, length, flags) = (space.as_mut_ptr().cast(), space.len(), libc::MSG_TRUNC);
                libc::recvfrom(self.fd.as_raw_fd(), to, length, flags, address, &raw mut size)
            };
            let length = match nix::errno::Errno::result(received) {
                Err(nix::errno::Errno::EINTR) => continue,
                done => done? as usize,
            };
            if length > space.len() {
                return Err(io::Error::from_raw_os_error(libc::EMSGSIZE));
            }
            // SAFETY: the kernel has written this number of bytes.
            unsafe { buffer.set_len(length) };
            // Root of a container can send to sockets in its namespace, but not with the kernel's address.
            if sender.nl_pid == 0 {
                return Ok(messages(&buffer));
            }
        }
    }
}

/// The fields of a received header that matter.
struct Header {
    kind: u16,
    flags: u16,
    sequence: u32,
}

fn messages(bytes: &[u8]) -> Vec<(Header, Vec<u8>)> {
    let (mut rest, mut found) = (bytes, Vec::new());
    while let Some(length) = number(rest).map(|length| length as usize) {
        let Some(message) = rest.get(HEADER..length) else { break };
        let kind = u16::from_ne_bytes([rest[4], rest[5]]);
        let flags = u16::from_ne_bytes([rest[6], rest[7]]);
        let sequence = u32::from_ne_bytes([rest[8], rest[9], rest[10], rest[11]]);
        found.push((Header { kind, flags, sequence }, message.to_vec()));
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_nested() {
        let message = Message::new(1, 2, &[7]).put(3, &[1, 2, 3]).nest(NESTED | 4, |inside| inside.put_text(5, "ab"));
        let bytes = message.finish(9, 1);
        let expected: &[u8] = &[
            44, 0, 0, 0, 1, 0, 3, 0, 9, 0, 0, 0, 0, 0, 0, 0, // header: length, type, flags, sequence, port
            7, 0, 0, 0, // fixed part, padded
            7, 0, 3, 0, 1, 2, 3, 0, // three bytes, padded
            12, 0, 4, 0x80, 7, 0, 5, 0, b'a', b'b', 0, 0, // nested, flagged as such
        ];
        assert_eq!(bytes[4..], expected[4..bytes.len()]);
        assert_eq!(number(&bytes), Some(bytes.len() as u32));
    }

    #[test]
    fn attributes_are_read_back() {
        let message = Message::new(1, 0, &[]).put_u32(3, 70_000).nest(NESTED | 4, |inside| inside.put_text(5, "ab"));
        assert_eq!(attribute(message.body(), 3).and_then(number), Some(70_000));
        let inside = attribute(message.body(), 4).expect("the flag of nesting is no part of the type");
        assert_eq!(attribute(inside, 5).map(text), Some("ab".to_owned()));
        assert_eq!(attribute(message.body(), 6), None);
    }

    #[test]
    fn torn_bytes_end_the_reading() {
        assert_eq!(attributes(&[8, 0, 1, 0, 1]).count(), 0);
        assert_eq!(attributes(&[0, 0, 0, 0, 1]).count(), 0);
        assert_eq!(messages(&[200, 0, 0, 0, 1]).len(), 0);
        assert_eq!(messages(&[0; 64]).len(), 0);
    }
}
