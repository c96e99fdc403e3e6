//! Waiting for a cgroup's events, and the operations that end with one: freezing, thawing, killing all.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::error::io;
use super::{Error, Result, limits};

/// How long the kernel may take to freeze, thaw or kill.
const LIMIT: Duration = Duration::from_secs(10);

/// Suspends all processes of a container; returns when the kernel reports that they are frozen.
pub fn freeze(id: u32) -> Result<()> {
    write(id, "cgroup.freeze", "1")?;
    settled(id, "frozen", 1, "its processes to freeze")
}

/// Resumes them.
pub fn thaw(id: u32) -> Result<()> {
    write(id, "cgroup.freeze", "0")?;
    settled(id, "frozen", 0, "its processes to thaw")
}

/// Kills every process of a container, including frozen ones, and waits until none is left.
pub fn kill_all(id: u32) -> Result<()> {
    write(id, "cgroup.kill", "1")?;
    settled(id, "populated", 0, "its processes to end")
}

fn write(id: u32, name: &str, text: &str) -> Result<()> {
    let path = limits::cgroup(id).join(name);
    fs::write(&path, text).map_err(io("write", &path))
}

fn settled(id: u32, key: &str, value: u64, what: &'static str) -> Result<()> {
    match wait(&limits::cgroup(id), key, value, LIMIT)? {
        true => Ok(()),
        false => Err(Error::Timeout { id, what }),
    }
}

/// Waits until `key` of `cgroup.events` is `value`; `false` if that takes longer than `limit`. A removed cgroup counts
/// as one without processes.
pub fn wait(cgroup: &Path, key: &str, value: u64, limit: Duration) -> Result<bool> {
    let path = cgroup.join("cgroup.events");
    let end = Instant::now() + limit;
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(value == 0),
        other => other.map_err(io("open", &path))?,
    };
    loop {
        let mut text = String::new();
        file.rewind().map_err(io("read", &path))?;
        match file.read_to_string(&mut text) {
            Err(error) if error.raw_os_error() == Some(nix::libc::ENODEV) => return Ok(value == 0),
            other => other.map_err(io("read", &path))?,
        };
        if limits::flat(&text).get(key) == Some(&value) {
            return Ok(true);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        // The file is "exceptional" after each change since it was last read.
        let left = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(file.as_fd(), PollFlags::POLLPRI)], left) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(io("poll", &path)(error)),
        }
    }
}
