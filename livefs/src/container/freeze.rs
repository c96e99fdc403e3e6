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

/// How long to wait for an event of the cgroup before looking at the states of processes again: they have no events.
const PAUSE: Duration = Duration::from_millis(2);

/// Suspends all processes of a container; returns when the kernel reports that they are frozen.
///
/// A process in vfork(2) waits for its child uninterruptibly, and counts as frozen before the child has called execve(2)
/// (`wait_for_vfork_done` in kernel/fork.c). CRIU can't save it: it can't be traced until the child goes on, which is
/// frozen. So they are let run on until no process is in that state, for as long as freezing may take.
pub fn freeze(id: u32) -> Result<()> {
    let end = Instant::now() + LIMIT;
    loop {
        write(id, "cgroup.freeze", "1")?;
        settled(id, "frozen", 1, "its processes to freeze")?;
        // The event comes when the last process is about to wait.
        await_none(id, 'R', end)?;
        if await_none(id, 'D', Instant::now())? || Instant::now() >= end {
            return Ok(());
        }
        thaw(id)?;
        await_none(id, 'D', end)?;
    }
}

/// Waits until no thread of a container is in the given state (proc_pid_stat(5), field 3); `false` if one still is at
/// `end`.
fn await_none(id: u32, state: char, end: Instant) -> Result<bool> {
    loop {
        if !limits::processes(&limits::cgroup(id))?.into_iter().any(|pid| is_in(pid, state)) {
            return Ok(true);
        }
        if Instant::now() >= end {
            return Ok(false);
        }
        wait(&limits::cgroup(id), "frozen", u64::MAX, PAUSE)?;
    }
}

/// Whether a thread of the process is in the given state.
fn is_in(pid: i32, state: char) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().any(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(state))
    })
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
