//! The existing block devices, and waiting for those that have not appeared yet.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType};

use super::cmdline::Selector;
use super::probe::{Superblock, probe};

/// The kernel's group of device events (`include/linux/netlink.h`, NETLINK_KOBJECT_UEVENT).
const UEVENTS: u32 = 1;

/// A block device with recognized content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Its node below `/dev`.
    pub device: PathBuf,
    /// Its content.
    pub content: Superblock,
}

/// Where devices are listed and where their nodes are; tests use other folders than the system's.
#[derive(Clone, Debug)]
pub struct Places {
    /// `/sys/class/block`: an entry for each device and partition.
    pub list: PathBuf,
    /// `/dev`.
    pub nodes: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        Self { list: "/sys/class/block".into(), nodes: "/dev".into() }
    }
}

impl Places {
    /// All devices with recognized content, by name. Empty ones, such as a drive without a disk or a free loop device,
    /// and those that can't be read are skipped.
    ///
    /// # Errors
    /// The list itself can't be read.
    pub fn disks(&self) -> io::Result<Vec<Disk>> {
        let mut names =
            fs::read_dir(&self.list)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names.iter().filter_map(|name| self.disk(&name.to_string_lossy())).collect())
    }

    /// A device with recognized content.
    pub(crate) fn disk(&self, name: &str) -> Option<Disk> {
        if fs::read_to_string(self.list.join(name).join("size")).is_ok_and(|size| size.trim() == "0") {
            return None;
        }
        // The kernel writes "!" for a "/" in a device's name (cciss!c0d0).
        let device = self.nodes.join(name.replace('!', "/"));
        let content = File::open(&device).and_then(|mut file| probe(&mut file)).ok().flatten()?;
        Some(Disk { device, content })
    }

    /// The first matching disk.
    ///
    /// # Errors
    /// As [`Self::disks`].
    pub fn find(&self, wanted: &Selector) -> io::Result<Option<Disk>> {
        if let Selector::Device(name) = wanted {
            return Ok(self.disk(name));
        }
        Ok(self.disks()?.into_iter().find(|disk| wanted.fits(&disk.content)))
    }

    /// As [`Self::find`], but waits for a disk that does not exist yet: it checks again at each event of the kernel.
    ///
    /// # Errors
    /// As [`Self::disks`], and if the kernel's events are not available.
    pub fn wait(&self, wanted: &Selector, limit: Duration) -> io::Result<Option<Disk>> {
        let deadline = Instant::now() + limit;
        if limit.is_zero() {
            return self.find(wanted);
        }
        // Subscribes before checking, so that no event in between is missed.
        let events = Events::open()?;
        loop {
            if let Some(found) = self.find(wanted)? {
                return Ok(Some(found));
            }
            if !events.next(deadline)? {
                return Ok(None);
            }
        }
    }
}

impl Selector {
    fn fits(&self, content: &Superblock) -> bool {
        match self {
            Selector::Label(label) => content.label.as_ref() == Some(label),
            Selector::Uuid(uuid) => content.uuid.as_ref() == Some(uuid),
            Selector::Device(_) => false,
        }
    }
}

/// The kernel's events for devices that appear and disappear.
struct Events(OwnedFd);

impl Events {
    fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkKObjectUEvent;
        let socket = socket::socket(AddressFamily::Netlink, SockType::Datagram, flags, protocol)?;
        socket::bind(socket.as_raw_fd(), &NetlinkAddr::new(0, UEVENTS))?;
        Ok(Self(socket))
    }

    /// Waits for events and reads all available ones. False: the time is over.
    fn next(&self, deadline: Instant) -> io::Result<bool> {
        let left = deadline.saturating_duration_since(Instant::now());
        // Rounded up, so that there is no busy loop in the last millisecond.
        let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Ok(Instant::now() < deadline),
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut event = [0; 8192];
        loop {
            match socket::recv(self.0.as_raw_fd(), &mut event, MsgFlags::empty()) {
                // Too many at once: some are lost, but the disks are listed again anyway.
                Ok(_) | Err(nix::Error::EINTR | nix::Error::ENOBUFS) => {}
                Err(nix::Error::EAGAIN) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with an ext2 file system on `vda1`, an empty `vdb` and no medium in `sr0`.
    fn machine() -> (tempfile::TempDir, Places) {
        let folder = tempfile::tempdir().expect("a folder");
        let places = Places { list: folder.path().join("list"), nodes: folder.path().join("dev") };
        fs::create_dir(&places.nodes).expect("a folder");
        for (name, size) in [("vda1", 16), ("vdb", 16), ("sr0", 0)] {
            fs::create_dir_all(places.list.join(name)).expect("a folder");
            fs::write(places.list.join(name).join("size"), format!("{size}\n")).expect("a file");
            fs::write(places.nodes.join(name), vec![0; size * 512]).expect("a file");
        }
        let mut block = vec![0; 4096];
        block[1024 + 0x38..1024 + 0x3a].copy_from_slice(&[0x53, 0xef]);
        block[1024 + 0x3a] = 1;
        block[1024 + 0x78..1024 + 0x7f].copy_from_slice(b"systems");
        fs::write(places.nodes.join("vda1"), block).expect("a file");
        (folder, places)
    }

    #[test]
    fn disks_are_found_by_what_they_hold() {
        let (_folder, places) = machine();
        let disks = places.disks().expect("a list");
        assert_eq!(disks.len(), 1);
        let found = |wanted: &str| places.find(&Selector::parse(wanted).expect("a selector")).expect("a list");
        assert_eq!(found("LABEL=systems").as_ref(), Some(&disks[0]));
        assert_eq!(found("/dev/vda1").as_ref(), Some(&disks[0]));
        for absent in ["LABEL=other", "UUID=1234-abcd", "/dev/vdb", "/dev/sr0", "/dev/sdz"] {
            assert_eq!(found(absent), None, "{absent}");
        }
    }

    #[test]
    fn a_wait_ends_when_its_time_is_over() {
        let (_folder, places) = machine();
        let wanted = Selector::Label("never".into());
        let started = Instant::now();
        assert_eq!(places.wait(&wanted, Duration::from_millis(50)).expect("events"), None);
        assert!(started.elapsed() >= Duration::from_millis(50));
        assert!(places.wait(&Selector::Label("systems".into()), Duration::from_secs(60)).expect("events").is_some());
    }
}
