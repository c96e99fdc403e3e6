//! The usage of a container, in the units of the beancounters.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use crate::container::{limits, ve};
use crate::platform::PAGE;
use crate::vz::convert;
use crate::vz::exit::Result;
use crate::vz::node::Counter;

/// Clock ticks in `/proc/PID/stat`, of which user space always sees 100 per second (USER_HZ).
const TICKS: f64 = 100.0;

/// Reads the kernel's beancounters, or otherwise what the cgroup has of them.
pub fn counters(id: u32) -> Result<Vec<Counter>> {
    Ok(match ve::counters(id) {
        Some(counters) => counters.into_iter().map(kept).collect(),
        None => nearest(&limits::usage(&limits::cgroup(id)).map_err(convert::engine_error)?),
    })
}

/// Seconds since each of these was started, from the kernel's list of containers, which is read once; otherwise from its
/// process 1, whose PID on the host is given by `init`.
pub fn uptimes(ids: &[u32], init: impl Fn(u32) -> Option<i32>) -> BTreeMap<u32, f64> {
    let all = ve::uptimes();
    let of = |id: u32| match &all {
        Some(all) => all.get(&id).map(Duration::as_secs_f64),
        None => init(id).and_then(uptime),
    };
    ids.iter().filter_map(|id| Some((*id, of(*id)?))).collect()
}

fn kept(counter: ve::VeCounter) -> Counter {
    let ve::VeCounter { name, held, maxheld, barrier, limit, failcnt } = counter;
    Counter { name, held, maxheld, set: Some((barrier, limit)), failcnt }
}

/// The counters for which a cgroup has an equivalent.
fn nearest(used: &limits::CgroupUsage) -> Vec<Counter> {
    let mut counters = Vec::new();
    let mut put = |name: &str, held: Option<u64>, maxheld: Option<u64>, failcnt| {
        counters.extend(held.map(|held| {
            let maxheld = maxheld.unwrap_or(held);
            Counter { name: name.into(), held, maxheld, set: None, failcnt }
        }));
    };
    let pages = |bytes: Option<u64>| bytes.map(|bytes| bytes.div_ceil(PAGE));
    put("numproc", used.pids, None, used.pids_failures);
    put("physpages", pages(used.memory), pages(used.memory_peak), used.memory_failures);
    put("privvmpages", pages(used.memory), pages(used.memory_peak), used.memory_failures);
    put("swappages", pages(used.swap), None, 0);
    put("oomguarpages", pages(used.memory), pages(used.memory_peak), used.memory_kills);
    counters
}

/// Seconds since a process started (proc_pid_stat(5), field 22).
fn uptime(pid: i32) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let started: f64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let now: f64 = fs::read_to_string("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()?;
    Some((now - started / TICKS).max(0.0))
}
