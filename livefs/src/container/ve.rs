//! Support of a kernel with OpenVZ's identities (`CONFIG_VE`, `CONFIG_BEANCOUNTERS`; its
//! Documentation/admin-guide/ve.rst) for a container. Without it there is nothing here, and the cgroup has to be used.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::Result;
use super::error::io;

/// The kernel's value for "no limit": `LONG_MAX`.
pub const UNLIMITED: u64 = i64::MAX as u64;

/// A beancounter, in the unit of its name: bytes, pages, or a count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VeCounter {
    /// `numproc`, `physpages` and so on.
    pub name: String,
    /// The current value.
    pub held: u64,
    /// The maximum so far.
    pub maxheld: u64,
    /// The lower of the two limits, [`UNLIMITED`] if there is none.
    pub barrier: u64,
    /// The limit.
    pub limit: u64,
    /// How often the limit was hit.
    pub failcnt: u64,
}

/// Makes a cgroup without processes the container `id`; has no effect on a kernel without support.
///
/// # Errors
/// The cgroup belongs to another container, or the number to another cgroup.
pub fn identify(cgroup: &Path, id: u32) -> Result<()> {
    use std::io::Write;
    let path = cgroup.join("ve.id");
    let mut file = match fs::OpenOptions::new().write(true).open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(io("open", &path))?,
    };
    match file.write_all(id.to_string().as_bytes()) {
        // It is set once and permanently: a second time is an error.
        Err(_) if fs::read_to_string(&path).is_ok_and(|now| now.trim() == id.to_string()) => Ok(()),
        done => done.map_err(io("write", &path)),
    }
}

/// A container's beancounters; none if the kernel has none.
pub fn counters(id: u32) -> Option<Vec<VeCounter>> {
    parse_counters(&fs::read_to_string(format!("/proc/bc/{id}/resources")).ok()?)
}

/// How long each container has existed; none if the kernel does not say.
pub fn uptimes() -> Option<BTreeMap<u32, Duration>> {
    Some(parse_uptimes(&fs::read_to_string("/proc/vz/vestat").ok()?))
}

/// The load of the last 1, 5 and 15 minutes of a container that is not frozen; none if the kernel has no separate one
/// for it. The kernel only reports it inside, so a child process joins the container for a moment.
pub fn load(cgroup: &Path) -> Option<[f64; 3]> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::signal::{Signal, kill};
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    const MOST: u16 = 1000; // milliseconds
    let age = |text: &str| text.split_whitespace().next()?.parse::<f64>().ok();
    let ours = age(&fs::read_to_string("/proc/uptime").ok()?)?;
    let (told, tells) = nix::unistd::pipe().ok()?;
    let (mut told, mut tells) = (fs::File::from(told), fs::File::from(tells));
    // SAFETY: this program has one thread.
    match unsafe { nix::unistd::fork() }.ok()? {
        nix::unistd::ForkResult::Child => {
            let inside = fs::write(cgroup.join("cgroup.procs"), "0");
            let read = |path| fs::read_to_string(path);
            let text = inside.and_then(|()| Ok(read("/proc/uptime")? + &read("/proc/loadavg")?));
            let _ = text.and_then(|text| tells.write_all(text.as_bytes()));
            // SAFETY: ends this process.
            unsafe { nix::libc::_exit(0) }
        }
        nix::unistd::ForkResult::Parent { child } => {
            drop(tells);
            // It may be frozen meanwhile.
            let answers = poll(&mut [PollFd::new(told.as_fd(), PollFlags::POLLIN)], PollTimeout::from(MOST));
            let mut text = [0; 256];
            // A single read, as it was a single write: reading to the end would wait for a child that is frozen before
            // it.
            let length = if answers.is_ok_and(|count| count > 0) { told.read(&mut text).unwrap_or(0) } else { 0 };
            let _ = kill(child, Signal::SIGKILL);
            let _ = nix::sys::wait::waitpid(child, None);
            let (theirs, load) = std::str::from_utf8(&text[..length]).ok()?.split_once('\n')?;
            // A kernel without separate times for containers has no separate loads either.
            if age(theirs)? < ours { parse_load(load) } else { None }
        }
    }
}

/// Three numbers, and more.
fn parse_load(text: &str) -> Option<[f64; 3]> {
    let mut words = text.split_whitespace().map(|word| word.parse().ok());
    Some([words.next()??, words.next()??, words.next()??])
}

/// Lines with a name and five numbers.
fn parse_counters(text: &str) -> Option<Vec<VeCounter>> {
    let one = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_owned();
        let mut number = || words.next()?.parse().ok();
        let (held, maxheld, barrier, limit, failcnt) = (number()?, number()?, number()?, number()?, number()?);
        Some(VeCounter { name, held, maxheld, barrier, limit, failcnt })
    };
    text.lines().map(one).collect()
}

/// The eighth column of the line that begins with the VEID, in nanoseconds: the fifth, in ticks, only has a resolution
/// of 10 ms.
fn parse_uptimes(text: &str) -> BTreeMap<u32, Duration> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let id = words.next()?.parse().ok()?;
        Some((id, Duration::from_nanos(words.nth(6)?.parse().ok()?)))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_given_and_not_to_a_kernel_that_knows_none() {
        let folder = tempfile::tempdir().unwrap();
        identify(folder.path(), 101).unwrap();
        assert!(!folder.path().join("ve.id").exists(), "it is the kernel's file");
        fs::write(folder.path().join("ve.id"), "0\n").unwrap();
        identify(folder.path(), 101).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("ve.id")).unwrap(), "101");
    }

    #[test]
    fn a_number_that_is_given_stays() {
        use nix::libc;
        use std::io::Write;
        use std::os::fd::{AsRawFd, FromRawFd};
        // A file that refuses to be written again, as the kernel's does. SAFETY: the name is a C string, and the
        // descriptor is used by nobody else.
        let mut given =
            unsafe { fs::File::from_raw_fd(libc::memfd_create(c"ve.id".as_ptr(), libc::MFD_ALLOW_SEALING)) };
        given.write_all(b"101\n").unwrap();
        // SAFETY: a call without memory.
        let sealed = unsafe { libc::fcntl(given.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_WRITE) };
        assert_eq!(sealed, 0);
        let folder = tempfile::tempdir().unwrap();
        let path = format!("/proc/self/fd/{}", given.as_raw_fd());
        std::os::unix::fs::symlink(path, folder.path().join("ve.id")).unwrap();
        identify(folder.path(), 101).unwrap();
        identify(folder.path(), 102).unwrap_err();
    }

    #[test]
    fn the_kernels_texts_are_read() {
        let row = |name, numbers: [&str; 5]| {
            let [a, b, c, d, e] = numbers;
            format!("{:>10}  {name:<12} {a:>20} {b:>20} {c:>20} {d:>20} {e:>20}\n", "")
        };
        let most = UNLIMITED.to_string();
        let text =
            row("kmemsize", ["4096", "8192", &most, &most, "0"]) + &row("numproc", ["12", "15", "64", "64", "3"]);
        let counters = parse_counters(&text).unwrap();
        assert_eq!((counters[0].name.as_str(), counters[0].limit), ("kmemsize", UNLIMITED));
        let numproc = VeCounter { name: "numproc".into(), held: 12, maxheld: 15, barrier: 64, limit: 64, failcnt: 3 };
        assert_eq!(counters[1], numproc);
        assert_eq!(parse_counters("numproc 1 2 many\n"), None);
        let stat = "Version: 2.2\n VEID user nice system uptime idle strv uptime used maxlat totlat numsched\n \
                    10 1 0 2 300 0 0 3000000000 0 0 0 0\n 101 1 0 2 300 0 0 3500000000 30000000 0 0 0\n";
        let ages = [(10, Duration::from_secs(3)), (101, Duration::from_millis(3500))];
        assert_eq!(parse_uptimes(stat), BTreeMap::from(ages));
        assert_eq!(parse_load("0.10 0.20 1.30 1/12 345\n"), Some([0.1, 0.2, 1.3]));
        assert_eq!(parse_load("0.10 0.20\n"), None);
    }
}
