//! The network between the two machines of a test: a cable, carried by dbco.
//!
//! Each machine has a socket in its own folder, as for served disks, and QEMU connects to it (`-netdev stream`). So a
//! machine sees neither the host's network nor the other machine's folder, no port of the host is used, and a machine
//! can be started again while the other one runs. Packets to a machine that does not run are lost.

use std::io::{self, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use crate::threads;

/// The maximum length of a packet: `NET_BUFSIZE` of QEMU (include/net/net.h).
const MOST: usize = 4096 + 65536;

/// The bytes of the length before each packet: big-endian (QEMU's net/stream.c).
const LENGTH: usize = 4;

/// A link between two machines; dropping it ends it.
pub(super) struct Link {
    ends: [Arc<LinkEnd>; 2],
    carriers: Vec<JoinHandle<()>>,
}

/// What one machine connects to.
struct LinkEnd {
    listener: UnixListener,
    state: Mutex<EndState>,
}

#[derive(Default)]
struct EndState {
    /// The connection of the running machine.
    machine: Option<Arc<UnixStream>>,
    stopped: bool,
}

impl Link {
    /// A link between the machines that connect to these sockets, which are created.
    ///
    /// # Errors
    /// A socket can't be created, or the host allows no more threads.
    pub(super) fn start(sockets: [&Path; 2]) -> io::Result<Self> {
        let [one, other] = sockets.map(LinkEnd::new);
        let ends = [Arc::new(one?), Arc::new(other?)];
        // If the second thread can't be started, this ends the first.
        let mut link = Self { ends, carriers: Vec::new() };
        for (from, to) in [(0, 1), (1, 0)] {
            let (from, to) = (Arc::clone(&link.ends[from]), Arc::clone(&link.ends[to]));
            link.carriers.push(threads::spawn("link", move || carry(&from, &to))?);
        }
        Ok(link)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        for end in &self.ends {
            end.stop();
        }
        for carrier in self.carriers.drain(..) {
            // A panic has ended it, too.
            let _ = carrier.join();
        }
    }
}

impl LinkEnd {
    fn new(socket: &Path) -> io::Result<Self> {
        Ok(Self { listener: UnixListener::bind(socket)?, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, EndState> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Ends every wait for the machine: unix(7) sockets can be shut down while they listen, too.
    fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        if let Some(machine) = state.machine.take() {
            let _ = machine.shutdown(Shutdown::Both);
        }
        if let Ok(listener) = self.listener.try_clone() {
            let _ = UnixStream::from(OwnedFd::from(listener)).shutdown(Shutdown::Both);
        }
    }

    /// Makes a connection the one that packets are sent to. False: the link has been stopped.
    fn connected(&self, machine: &Arc<UnixStream>) -> bool {
        let mut state = self.lock();
        if !state.stopped {
            state.machine = Some(Arc::clone(machine));
        }
        !state.stopped
    }

    /// Sends a packet, with its length, if the machine runs. It waits while the machine accepts none, as a machine may
    /// be slower than the other one; this does not delay the packets in the other direction.
    fn send(&self, packet: &[u8]) {
        let machine = self.lock().machine.clone();
        if let Some(machine) = machine {
            // The machine may just have exited.
            let _ = (&*machine).write_all(packet);
        }
    }
}

/// Carries packets from one machine to the other, until the link is stopped.
fn carry(from: &LinkEnd, to: &LinkEnd) {
    while let Ok((machine, _)) = from.listener.accept() {
        let machine = Arc::new(machine);
        if !from.connected(&machine) {
            return;
        }
        // QEMU may be killed in the middle of a packet: that ends the connection, and is not an error.
        let _ = carry_packets(&machine, to);
        from.lock().machine = None;
    }
}

fn carry_packets(machine: &UnixStream, to: &LinkEnd) -> io::Result<()> {
    let mut input = BufReader::with_capacity(LENGTH + MOST, machine);
    let mut packet = vec![0; LENGTH + MOST];
    loop {
        let mut length = [0; LENGTH];
        input.read_exact(&mut length)?;
        packet[..LENGTH].copy_from_slice(&length);
        let end = LENGTH + u32::from_be_bytes(length) as usize;
        let Some(rest) = packet.get_mut(LENGTH..end) else { return Err(io::ErrorKind::InvalidData.into()) };
        input.read_exact(rest)?;
        to.send(&packet[..end]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn link() -> (tempfile::TempDir, Link, [PathBuf; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let sockets = ["a", "b"].map(|name| folder.path().join(name));
        let link = Link::start([&sockets[0], &sockets[1]]).unwrap();
        (folder, link, sockets)
    }

    fn send(mut machine: &UnixStream, packet: &[u8]) {
        machine.write_all(&[&(packet.len() as u32).to_be_bytes()[..], packet].concat()).unwrap();
    }

    /// The next packet that was not sent when nothing received, which only may be lost.
    fn receive(machine: &UnixStream) -> Vec<u8> {
        let next = || receive_any(machine);
        std::iter::repeat_with(next).find(|packet| !packet.starts_with(b"lost")).unwrap()
    }

    fn receive_any(mut machine: &UnixStream) -> Vec<u8> {
        machine.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        let mut length = [0; LENGTH];
        machine.read_exact(&mut length).unwrap();
        let mut packet = vec![0; u32::from_be_bytes(length) as usize];
        machine.read_exact(&mut packet).unwrap();
        packet
    }

    /// Waits until the link has accepted the connection.
    fn connect(link: &Link, end: usize, socket: &Path) -> UnixStream {
        let machine = UnixStream::connect(socket).unwrap();
        while link.ends[end].lock().machine.is_none() {
            std::thread::yield_now();
        }
        machine
    }

    #[test]
    fn packets_reach_the_other_machine_also_after_a_restart() {
        let (_folder, link, sockets) = link();
        let one = connect(&link, 0, &sockets[0]);
        // Nothing is there to receive it.
        send(&one, b"lost");
        let other = UnixStream::connect(&sockets[1]).unwrap();
        send(&other, b"hello");
        assert_eq!(receive(&one), b"hello");
        send(&one, &[7; MOST]);
        send(&one, b"");
        assert_eq!((receive(&other), receive(&other)), (vec![7; MOST], Vec::new()));
        // It exits in the middle of a packet, and is started again.
        (&one).write_all(&[0, 0, 0, 9, 1]).unwrap();
        drop(one);
        while link.ends[0].lock().machine.is_some() {
            std::thread::yield_now();
        }
        send(&other, b"lost, too");
        let one = connect(&link, 0, &sockets[0]);
        send(&one, b"again");
        assert_eq!(receive(&other), b"again");
        send(&other, b"back");
        assert_eq!(receive(&one), b"back");
    }

    #[test]
    fn a_link_ends_whatever_its_machines_do() {
        let (_folder, unused, _) = link();
        drop(unused);
        let (_folder, link, sockets) = link();
        let (one, _other) = (connect(&link, 0, &sockets[0]), connect(&link, 1, &sockets[1]));
        // The other one receives nothing, so at some point packets to it have to wait.
        one.set_write_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
        let packet = [&(MOST as u32).to_be_bytes()[..], &[0; MOST]].concat();
        while (&one).write_all(&packet).is_ok() {}
        drop(link);
    }

    #[test]
    fn a_packet_that_is_too_long_ends_the_connection() {
        let (_folder, link, sockets) = link();
        let one = connect(&link, 0, &sockets[0]);
        (&one).write_all(&u32::MAX.to_be_bytes()).unwrap();
        one.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        assert_eq!((&one).read(&mut [0]).unwrap(), 0);
    }
}
