//! Limits of a container and what it uses, by its cgroup (v2; kernel's Documentation/admin-guide/cgroup-v2.rst).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::error::io;
use super::{Error, Result, ve};

/// Where cgroup v2 is mounted.
pub const CGROUPS: &str = "/sys/fs/cgroup";

/// A container's cgroup, `/sys/fs/cgroup/vz/ID`.
pub fn cgroup(id: u32) -> PathBuf {
    Path::new(CGROUPS).join("vz").join(id.to_string())
}

/// An amount, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Max {
    /// At most so many: bytes, processes, bytes per second or operations per second.
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

/// What to set; `None` leaves as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// `memory.max`, bytes.
    pub memory: Option<Max>,
    /// `memory.high`, bytes: above it the container is slowed and made to give back.
    pub memory_high: Option<Max>,
    /// `memory.low`, bytes: kept from being taken back.
    pub memory_low: Option<u64>,
    /// `memory.swap.max`, bytes.
    pub swap: Option<Max>,
    /// `pids.max`, processes and threads.
    pub pids: Option<Max>,
    /// `cpu.weight`, 1 to 10000; see [`weight`].
    pub cpu_weight: Option<u32>,
    /// `cpu.max` in percent of one CPU; 0 lifts the limit.
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

/// What a container uses now. What the kernel does not count is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// The most there ever were, bytes (kernel 5.19 and later).
    pub memory_peak: Option<u64>,
    /// Bytes of swap.
    pub swap: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// How often `memory.max` was hit.
    pub memory_failures: u64,
    /// How many processes were killed for want of memory.
    pub memory_kills: u64,
    /// How often a process could not be made because of `pids.max`.
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

/// The length of `cpu.max`'s period, microseconds: the kernel's default.
const PERIOD: u64 = 100_000;

impl Limits {
    /// The files to write, in order, with their texts. `io.weight` is not among them, as its name depends on the kernel.
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

/// A set that is not limited, as it is written.
const ALL: &str = "\n";

/// Sets the limits of a container's cgroup, running or about to. A limit whose file the kernel lacks is
/// [`Error::Unsupported`]; those before it in the order of [`Limits`] are set by then.
pub fn apply(limits: &Limits, cgroup: &Path) -> Result<()> {
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

/// Lifts the limit of a set of processors or nodes.
fn set_all(cgroup: &Path, name: &str) -> Result<()> {
    // A kernel without such sets limits nothing.
    if !cgroup.join(name).exists() {
        return Ok(());
    }
    match set(cgroup, name, ALL) {
        // It may not become empty as long as there are processes: then all are named that there are.
        Err(Error::Io { source, .. }) if source.raw_os_error() == Some(nix::libc::ENOSPC) => {
            let path = cgroup.with_file_name(format!("{name}.effective"));
            set(cgroup, name, &fs::read_to_string(&path).map_err(io("read", &path))?)
        }
        done => done,
    }
}

/// As [`apply`], on a cgroup that is new: what asks for the kernel's defaults is not written.
pub fn apply_new(limits: &Limits, cgroup: &Path) -> Result<()> {
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
    // Opened, never created: a test's folder would otherwise take any name.
    let opened = fs::OpenOptions::new().write(true).truncate(true).open(&path);
    let mut file = match opened {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && cgroup.is_dir() => {
            return Err(Error::Unsupported(format!("the kernel has no {name}")));
        }
        other => other.map_err(io("open", &path))?,
    };
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(io("write", &path))
}

/// The controllers whose limits are among [`Limits`].
const USED: &str = "cpu cpuset io memory pids";

/// Makes a container's cgroup, which knows its number if the kernel does ([`ve`]), with every controller that is used here, or else that the
/// kernel has, switched on from the root down to it. The cgroup `vz` holds no process, as the rule of "no internal processes" asks; the
/// host's own processes may stay in the root.
/// What is on already is not switched on again: even then the kernel waits for the end of cgroups that were just removed.
pub fn make(id: u32) -> Result<PathBuf> {
    let cgroup = cgroup(id);
    fs::create_dir_all(&cgroup).map_err(io("make", &cgroup))?;
    let root = Path::new(CGROUPS);
    let read = |path: PathBuf| fs::read_to_string(&path).map_err(io("read", &path));
    // A cgroup's own list is what is switched on above it.
    let own = read(cgroup.join("cgroup.controllers"))?;
    // Mostly all is on: to know that, the root's list need not be read.
    let all = if missing(USED, &own).is_empty() { own.clone() } else { read(root.join("cgroup.controllers"))? };
    if !missing(&all, &own).is_empty() {
        for folder in [root, &root.join("vz")] {
            let missing = missing(&all, &read(folder.join("cgroup.subtree_control"))?);
            if !missing.is_empty() {
                set(folder, "cgroup.subtree_control", &missing)?;
            }
        }
    }
    // Before any process is in it: none changes its identity later.
    ve::identify(&cgroup, id)?;
    Ok(cgroup)
}

/// What to write to `cgroup.subtree_control` for the controllers that are not on yet.
fn missing(controllers: &str, on: &str) -> String {
    let on: Vec<&str> = on.split_whitespace().collect();
    let off = controllers.split_whitespace().filter(|name| !on.contains(name));
    off.map(|name| format!("+{name}")).collect::<Vec<_>>().join(" ")
}

/// A number of a container's `cgroup.events` (`populated`, `frozen`); none if there is no such cgroup.
pub fn events(id: u32, key: &str) -> Option<u64> {
    flat(&fs::read_to_string(cgroup(id).join("cgroup.events")).ok()?).get(key).copied()
}

/// Reads what a container uses.
pub fn usage(cgroup: &Path) -> Result<Usage> {
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
    Ok(Usage {
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
        let limits = Limits {
            memory: Some(Max::Of(64 << 20)),
            pids: Some(Max::Unlimited),
            cpu_percent: Some(150),
            io: vec![io],
            ..Limits::default()
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
        // Whatever is written and has no file would be an error.
        let defaults = Limits {
            memory: Some(Max::Unlimited),
            memory_low: Some(0),
            pids: Some(Max::Unlimited),
            cpu_weight: Some(100),
            cpu_percent: Some(0),
            cpus: Some(String::new()),
            mems: Some(String::new()),
            ..Limits::default()
        };
        for name in ["cpuset.cpus", "cpuset.mems"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        apply_new(&defaults, folder.path()).unwrap();
        fs::write(folder.path().join("memory.max"), "").unwrap();
        apply_new(&Limits { memory: Some(Max::Of(4096)), ..defaults }, folder.path()).unwrap();
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
        let limits = Limits { swap: Some(Max::Of(0)), ..Limits::default() };
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
