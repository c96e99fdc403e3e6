//! What a container uses, in the units of the beancounters.

use std::fs;

use crate::container::limits;
use crate::vz::conf::PAGE;
use crate::vz::convert;
use crate::vz::exit::Result;
use crate::vz::node::Usage;

/// Clock ticks of `/proc/PID/stat`, which user space always sees as 100 a second (USER_HZ).
const TICKS: f64 = 100.0;

/// Reads it. `init` is the host's number of its process 1.
pub fn read(id: u32, init: Option<i32>) -> Result<Usage> {
    let used = limits::usage(&limits::cgroup(id)).map_err(convert::engine_error)?;
    let mut counters = Vec::new();
    let mut put = |name, now: Option<u64>, most: Option<u64>, refused| {
        counters.extend(now.map(|now| (name, now, most.unwrap_or(now), refused)));
    };
    let pages = |bytes: Option<u64>| bytes.map(|bytes| bytes.div_ceil(PAGE));
    put("numproc", used.pids, None, used.pids_failures);
    put("physpages", pages(used.memory), pages(used.memory_peak), used.memory_failures);
    put("privvmpages", pages(used.memory), pages(used.memory_peak), used.memory_failures);
    put("swappages", pages(used.swap), None, 0);
    put("oomguarpages", pages(used.memory), pages(used.memory_peak), used.memory_kills);
    Ok(Usage { counters, uptime: init.and_then(uptime), load: None, disk: None })
}

/// Seconds since a process started (proc_pid_stat(5), field 22).
fn uptime(pid: i32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let started: f64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let now: f64 = fs::read_to_string("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()?;
    Some((now - started / TICKS).max(0.0))
}
