//! Limits of a container and its usage, through its cgroup (v2; kernel's Documentation/admin-guide/cgroup-v2.rst).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::io;
use super::{Error, Result, ve};

/// Where cgroup v2 is mounted.
pub const CGROUPS: &str = "/sys/fs/cgroup";

/// A container's cgroup, `/sys/fs/cgroup/vz/ID`.
pub fn cgroup(id: u32) -> PathBuf {
    Path::new(CGROUPS).join("vz").join(id.to_string())
}

/// A limit or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Max {
    /// At most this number: bytes, processes, bytes per second or operations per second.
    Of(u64),
    /// No limit.
    Unlimited,
}

impl std::fmt::Display for Max {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Of(amount) => write!(f, "{amount}"),
            Self::Unlimited => f.write_str("max"),
        }
    }
}

/// The limits to set; `None` leaves one unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CgroupLimits {
    /// `memory.max`, bytes.
    pub memory: Option<Max>,
    /// `memory.high`, bytes: above it the container is throttled and its memory reclaimed.
    pub memory_high: Option<Max>,
    /// `memory.low`, bytes: protected from reclaim.
    pub memory_low: Option<u64>,
    /// `memory.swap.max`, bytes.
    pub swap: Option<Max>,
    /// `pids.max`, processes and threads.
    pub pids: Option<Max>,
    /// `cpu.weight`, 1 to 10000; see [`weight`].
    pub cpu_weight: Option<u32>,
    /// `cpu.max` in percent of one CPU; 0 removes the limit.
    pub cpu_percent: Option<u32>,
    /// `cpuset.cpus`, such as `0-1,3`; empty: all.
    pub cpus: Option<String>,
    /// `cpuset.mems`, NUMA nodes in the same form.
    pub mems: Option<String>,
    /// `io.weight` or `io.bfq.weight`, whichever the kernel has; 1 to 1000.
    pub io_weight: Option<u32>,
    /// `io.max`, one for each device.
    pub io: Vec<IoMax>,
}

/// Limits of one block device; the same for reading and for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoMax {
    /// Major number of the whole disk (a partition is refused by the kernel).
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Bytes per second.
    pub bytes: Max,
    /// Operations per second.
    pub operations: Max,
}

/// The current usage of a container. What the kernel does not count is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CgroupUsage {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// The maximum so far, bytes (kernel 5.19 and later).
    pub memory_peak: Option<u64>,
    /// Bytes of swap.
    pub swap: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// How often `memory.max` was hit.
    pub memory_failures: u64,
    /// How many processes were killed for lack of memory.
    pub memory_kills: u64,
    /// How often a process could not be created because of `pids.max`.
    pub pids_failures: u64,
    /// CPU time, microseconds.
    pub cpu: u64,
    /// Bytes read from disks.
    pub read: u64,
    /// Bytes written to disks.
    pub written: u64,
}

/// OpenVZ's cpuunits (8 to 500000, default 1000) as a cgroup weight (default 100).
pub fn weight(cpuunits: u32) -> u32 {
    (cpuunits / 10).clamp(1, 10000)
}

/// `cpu.weight` of a new cgroup.
const DEFAULT_WEIGHT: u32 = 100;

/// The period of `cpu.max`, microseconds: the kernel's default.
const PERIOD: u64 = 100_000;

impl CgroupLimits {
    /// The files to write, in order, with their content. `io.weight` is not included, as its name depends on the
    /// kernel.
    fn files(&self) -> Vec<(&'static str, String)> {
        let mut files = Vec::new();
        let mut put = |name, text: Option<String>| files.extend(text.map(|text| (name, text)));
        put("memory.high", self.memory_high.map(|max| max.to_string()));
        put("memory.low", self.memory_low.map(|low| low.to_string()));
        put("memory.max", self.memory.map(|max| max.to_string()));
        put("memory.swap.max", self.swap.map(|max| max.to_string()));
        put("pids.max", self.pids.map(|max| max.to_string()));
        put("cpu.weight", self.cpu_weight.map(|weight| weight.to_string()));
        put(
            "cpu.max",
            self.cpu_percent.map(|percent| match percent {
                0 => format!("max {PERIOD}"),
                _ => format!("{} {PERIOD}", u64::from(percent) * PERIOD / 100),
            }),
        );
        put("cpuset.cpus", self.cpus.clone().map(|cpus| cpus + "\n"));
        put("cpuset.mems", self.mems.clone().map(|mems| mems + "\n"));
        for IoMax { major, minor, bytes, operations } in &self.io {
            let text = format!("{major}:{minor} rbps={bytes} wbps={bytes} riops={operations} wiops={operations}");
            put("io.max", Some(text));
        }
        files
    }
}

/// An unlimited set, as it is written.
const ALL: &str = "\n";

/// Sets the limits of a container's cgroup, running or about to. A limit whose file the kernel lacks is
/// [`Error::Unsupported`]; those before it in the order of [`CgroupLimits`] are already set then.
pub fn apply(limits: &CgroupLimits, cgroup: &Path) -> Result<()> {
    for (name, text) in limits.files() {
        if text == ALL {
            set_all(cgroup, name)?;
        } else {
            set(cgroup, name, &text)?;
        }
    }
    if let Some(weight) = limits.io_weight {
        let name = ["io.bfq.weight", "io.weight"].into_iter().find(|name| cgroup.join(name).exists());
        set(cgroup, name.unwrap_or("io.weight"), &weight.to_string())?;
    }
    Ok(())
}

/// Removes the limit of a set of processors or nodes.
fn set_all(cgroup: &Path, name: &str) -> Result<()> {
    // A kernel without such sets has no limit.
    if !cgroup.join(name).exists() {
        return Ok(());
    }
    match set(cgroup, name, ALL) {
        // It must not become empty while there are processes: then all existing ones are listed.
        Err(Error::Io { source, .. }) if source.raw_os_error() == Some(nix::libc::ENOSPC) => {
            let path = cgroup.with_file_name(format!("{name}.effective"));
            set(cgroup, name, &fs::read_to_string(&path).map_err(io("read", &path))?)
        }
        done => done,
    }
}

/// As [`apply`], for a new cgroup: values that are the kernel's defaults are not written.
pub fn apply_new(limits: &CgroupLimits, cgroup: &Path) -> Result<()> {
    let unlimited = |max: Option<Max>| max.filter(|max| *max != Max::Unlimited);
    let mut wanted = limits.clone();
    for max in [&mut wanted.memory, &mut wanted.memory_high, &mut wanted.swap, &mut wanted.pids] {
        *max = unlimited(*max);
    }
    wanted.memory_low = wanted.memory_low.filter(|low| *low > 0);
    wanted.cpu_weight = wanted.cpu_weight.filter(|weight| *weight != DEFAULT_WEIGHT);
    wanted.cpu_percent = wanted.cpu_percent.filter(|percent| *percent > 0);
    for set in [&mut wanted.cpus, &mut wanted.mems] {
        *set = set.take().filter(|set| !set.is_empty());
    }
    apply(&wanted, cgroup)
}

fn set(cgroup: &Path, name: &str, text: &str) -> Result<()> {
    let path = cgroup.join(name);
    // Opened, never created: otherwise a test's folder would accept any name.
    let opened = fs::OpenOptions::new().write(true).truncate(true).open(&path);
    let mut file = match opened {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && cgroup.is_dir() => {
            return Err(Error::Unsupported(format!("the kernel has no {name}")));
        }
        other => other.map_err(io("open", &path))?,
    };
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(io("write", &path))
}

/// The controllers of the limits in [`CgroupLimits`].
const USED: &str = "cpu cpuset io memory pids";

/// Creates a container's cgroup, which knows its number if the kernel supports that ([`ve`]), with every controller
/// that is used here, or otherwise that the kernel has, enabled from the root down to it. The cgroup `vz` holds no
/// process, because of the "no internal processes" rule; the host's own processes may stay in the root. Controllers
/// that are already enabled are not enabled again: even then the kernel waits for the end of cgroups that were just
/// removed.
pub fn make(id: u32) -> Result<PathBuf> {
    let cgroup = cgroup(id);
    fs::create_dir_all(&cgroup).map_err(io("make", &cgroup))?;
    let root = Path::new(CGROUPS);
    let read = |path: PathBuf| fs::read_to_string(&path).map_err(io("read", &path));
    // A cgroup's own list contains what is enabled above it.
    let own = read(cgroup.join("cgroup.controllers"))?;
    // Usually all are enabled: checking that does not need the root's list.
    let all = if missing(USED, &own).is_empty() { own.clone() } else { read(root.join("cgroup.controllers"))? };
    if !missing(&all, &own).is_empty() {
        for folder in [root, &root.join("vz")] {
            let missing = missing(&all, &read(folder.join("cgroup.subtree_control"))?);
            if !missing.is_empty() {
                set(folder, "cgroup.subtree_control", &missing)?;
            }
        }
    }
    // Before any process is in it: no process changes its identity later.
    ve::identify(&cgroup, id)?;
    Ok(cgroup)
}

/// What to write to `cgroup.subtree_control` for the controllers that are not enabled yet.
fn missing(controllers: &str, on: &str) -> String {
    let on: Vec<&str> = on.split_whitespace().collect();
    let off = controllers.split_whitespace().filter(|name| !on.contains(name));
    off.map(|name| format!("+{name}")).collect::<Vec<_>>().join(" ")
}

/// The state of a container's cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CgroupEvents {
    /// Whether processes are in it.
    pub populated: bool,
    /// Whether all of them are frozen.
    pub frozen: bool,
}

/// A container's `cgroup.events`; none if there is no such cgroup.
pub fn events(id: u32) -> Option<CgroupEvents> {
    let text = short(&cgroup(id).join("cgroup.events"))?;
    let is = |event: &str| text.lines().any(|line| line == event);
    Some(CgroupEvents { populated: is("populated 1"), frozen: is("frozen 1") })
}

/// The threads of a cgroup and of those below; none if there is no such cgroup.
pub fn threads(cgroup: &Path) -> Option<u64> {
    short(&cgroup.join("pids.current"))?.trim().parse().ok()
}

/// A file of a cgroup that has a few lines: with one read(2), as there may be a thousand.
fn short(path: &Path) -> Option<String> {
    let mut text = [0; 128];
    let length = File::open(path).ok()?.read(&mut text).ok()?;
    Some(std::str::from_utf8(&text[..length]).ok()?.to_owned())
}

/// The processes of a cgroup and of those below, by their numbers on the host.
pub fn processes(cgroup: &Path) -> Result<Vec<i32>> {
    let path = cgroup.join("cgroup.procs");
    let text = fs::read_to_string(&path).map_err(io("read", &path))?;
    let mut all: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    for entry in fs::read_dir(cgroup).map_err(io("read", cgroup))?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.extend(processes(&entry.path())?);
        }
    }
    Ok(all)
}

/// Reads the current usage of a container.
pub fn usage(cgroup: &Path) -> Result<CgroupUsage> {
    if !cgroup.is_dir() {
        return Err(Error::Io { what: "read", path: cgroup.into(), source: std::io::ErrorKind::NotFound.into() });
    }
    let text = |name: &str| fs::read_to_string(cgroup.join(name)).unwrap_or_default();
    let number = |name: &str| text(name).trim().parse().ok();
    let memory = flat(&text("memory.events"));
    let pids = flat(&text("pids.events"));
    let cpu = flat(&text("cpu.stat"));
    let (read, written) = io_bytes(&text("io.stat"));
    let get = |map: &BTreeMap<String, u64>, key: &str| map.get(key).copied().unwrap_or(0);
    Ok(CgroupUsage {
        memory: number("memory.current"),
        memory_peak: number("memory.peak"),
        swap: number("memory.swap.current"),
        pids: number("pids.current"),
        memory_failures: get(&memory, "max"),
        memory_kills: get(&memory, "oom_kill"),
        pids_failures: get(&pids, "max"),
        cpu: get(&cpu, "usage_usec"),
        read,
        written,
    })
}

/// A "flat keyed" file: lines of a name and a number.
pub(super) fn flat(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(name, number)| Some((name.to_owned(), number.trim().parse().ok()?)))
        .collect()
}

/// The sums of `rbytes` and `wbytes` over all devices of an `io.stat`.
fn io_bytes(text: &str) -> (u64, u64) {
    let sum =
        |key: &str| text.split_whitespace().filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok()).sum::<u64>();
    (sum("rbytes="), sum("wbytes="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpuunits_become_weights_within_the_kernels_range() {
        assert_eq!([8, 1000, 500_000].map(weight), [1, 100, 10000]);
    }

    #[test]
    fn texts_are_the_kernels() {
        let io = IoMax { major: 254, minor: 0, bytes: Max::Of(1 << 20), operations: Max::Unlimited };
        let limits = CgroupLimits {
            memory: Some(Max::Of(64 << 20)),
            pids: Some(Max::Unlimited),
            cpu_percent: Some(150),
            io: vec![io],
            ..CgroupLimits::default()
        };
        let files = limits.files();
        assert!(files.contains(&("memory.max", "67108864".into())));
        assert!(files.contains(&("pids.max", "max".into())));
        assert!(files.contains(&("cpu.max", "150000 100000".into())));
        assert!(files.contains(&("io.max", "254:0 rbps=1048576 wbps=1048576 riops=max wiops=max".into())));
        assert_eq!(files.len(), 4);
    }

    #[test]
    fn a_new_cgroup_is_told_only_what_differs() {
        let folder = tempfile::tempdir().unwrap();
        // Writing to a missing file would be an error.
        let defaults = CgroupLimits {
            memory: Some(Max::Unlimited),
            memory_low: Some(0),
            pids: Some(Max::Unlimited),
            cpu_weight: Some(100),
            cpu_percent: Some(0),
            cpus: Some(String::new()),
            mems: Some(String::new()),
            ..CgroupLimits::default()
        };
        for name in ["cpuset.cpus", "cpuset.mems"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        apply_new(&defaults, folder.path()).unwrap();
        fs::write(folder.path().join("memory.max"), "").unwrap();
        apply_new(&CgroupLimits { memory: Some(Max::Of(4096)), ..defaults }, folder.path()).unwrap();
        let text = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!((text("memory.max").as_str(), text("cpuset.cpus").as_str()), ("4096", ""));
    }

    #[test]
    fn controllers_that_are_on_stay_untouched() {
        assert_eq!(missing("cpu io memory\n", "memory\n"), "+cpu +io");
        assert_eq!(missing("cpu io\n", "io cpu\n"), "");
    }

    #[test]
    fn a_missing_file_is_unsupported_and_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let limits = CgroupLimits { swap: Some(Max::Of(0)), ..CgroupLimits::default() };
        assert!(matches!(apply(&limits, folder.path()), Err(Error::Unsupported(_))));
        assert!(!folder.path().join("memory.swap.max").exists());
    }

    #[test]
    fn usage_reads_the_kernels_texts() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        put("memory.current", "4096\n");
        put("memory.events", "low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\n");
        put("cpu.stat", "usage_usec 1500\nuser_usec 1000\n");
        put("io.stat", "254:0 rbytes=10 wbytes=20 rios=1\n254:16 rbytes=1 wbytes=2 rios=1\n");
        let usage = usage(folder.path()).unwrap();
        assert_eq!((usage.memory, usage.memory_failures, usage.memory_kills), (Some(4096), 7, 1));
        assert_eq!((usage.cpu, usage.read, usage.written, usage.pids), (1500, 11, 22, None));
    }
}
