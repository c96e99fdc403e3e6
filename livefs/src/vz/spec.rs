//! The specification of a container, made from its configuration: plain data for the engine and the network.

use super::conf::lists::{self, Device};
use super::conf::netif::Netif;
use super::conf::params::parse_set;
use super::conf::{Config, Pair};
use super::exit::{Error, Result};
use super::paths::Paths;
use crate::net::{Address, Forward};
use crate::platform::PAGE;
use crate::system::owners::COUNT;
use std::path::PathBuf;

/// A container, ready to run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spec {
    /// Its number.
    pub id: u32,
    /// Where its root is mounted.
    pub root: PathBuf,
    /// Its private area.
    pub private: PathBuf,
    /// Its host name.
    pub hostname: Option<String>,
    /// Its init and shell inside, found in its root.
    pub init: Option<PathBuf>,
    /// See [`Spec::init`].
    pub shell: Option<PathBuf>,
    /// Limits.
    pub limits: Limits,
    /// Capabilities that differ from the default: name in lower case without `cap_`, added or removed.
    pub capabilities: Vec<(String, bool)>,
    /// Features that are on or off.
    pub features: Vec<(String, bool)>,
    /// Device nodes below `/dev` with their permission letters.
    pub devnodes: Vec<(String, String)>,
    /// Devices by type, major, minor (None: all) and permission letters.
    pub devices: Vec<Device>,
    /// `NETFILTER`; None is the default, disabled.
    pub netfilter: Option<String>,
    /// Routed addresses with the prefix length of their network, if one was given.
    pub addresses: Vec<Address>,
    /// Ethernet interfaces.
    pub interfaces: Vec<Netif>,
    /// The host's devices that are moved in.
    pub host_devices: Vec<String>,
    /// Forwarded ports (`FORWARD`, an addition).
    pub forwards: Vec<Forward>,
    /// The first user and group on the host, if it has a user namespace.
    pub ids: Option<(u32, u32)>,
    /// Whether its root is mounted read-only from outside (`app`).
    pub layout: String,
}

/// Limits in the units of cgroup v2 where there is one; None: unlimited.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// `memory.max`, bytes (PHYSPAGES).
    pub memory: Option<u64>,
    /// `memory.low`, bytes (VMGUARPAGES' barrier).
    pub memory_low: Option<u64>,
    /// `memory.swap.max`, bytes (SWAPPAGES).
    pub swap: Option<u64>,
    /// `pids.max` (NUMPROC).
    pub processes: Option<u64>,
    /// `RLIMIT_NOFILE` (NUMFILE).
    pub files: Option<u64>,
    /// `RLIMIT_MEMLOCK`, bytes (LOCKEDPAGES).
    pub locked: Option<u64>,
    /// devpts' `max=` (NUMPTY).
    pub terminals: Option<u64>,
    /// Size of `/dev/shm`, bytes (SHMPAGES).
    pub shared: Option<u64>,
    /// `cpu.weight`, 1 to 10000 (CPUUNITS).
    pub cpu_weight: Option<u64>,
    /// Percent of one CPU (CPULIMIT, CPUS).
    pub cpu_percent: Option<u64>,
    /// `cpuset.cpus` (CPUMASK).
    pub cpus: Option<Vec<u32>>,
    /// `cpuset.mems` (NODEMASK).
    pub nodes: Option<Vec<u32>>,
    /// `io.weight` or `io.bfq.weight`, 1 to 1000 (IOPRIO).
    pub io_weight: Option<u64>,
    /// Bytes per second (IOLIMIT).
    pub io_rate: Option<u64>,
    /// Operations per second (IOPSLIMIT).
    pub io_operations: Option<u64>,
    /// Blocks of 1024 bytes, soft and hard (DISKSPACE).
    pub disk: Option<Pair>,
    /// Inodes, soft and hard (DISKINODES).
    pub inodes: Option<Pair>,
    /// Seconds for which a soft limit may be exceeded (QUOTATIME).
    pub grace: Option<u64>,
}

impl Limits {
    /// Reads the limits in a configuration.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`]: a value is invalid.
    pub fn of(config: &Config) -> Result<Limits> {
        let positive = |key| Ok::<_, Error>(config.number(key)?.filter(|number| *number > 0));
        let set = |key| match config.get(key) {
            None | Some("all" | "auto") => Ok(None),
            Some(text) => parse_set(text).map(Some).ok_or_else(|| bad(key, text)),
        };
        let hard =
            |key| Ok::<_, Error>(if config.yes("DISK_QUOTA")? == Some(false) { None } else { config.pair(key)? });
        // A container without VSwap's limits has PRIVVMPAGES, which limits its allocations.
        let memory = match config.limit("PHYSPAGES")? {
            None if config.get("SWAPPAGES").is_none() => config.limit("PRIVVMPAGES")?,
            memory => memory,
        };
        let guaranteed = config.pair("VMGUARPAGES")?.map(|pair| pair.barrier.saturating_mul(PAGE));
        let percent = match (positive("CPULIMIT")?, positive("CPUS")?) {
            (Some(percent), Some(cpus)) => Some(percent.min(cpus.saturating_mul(100))),
            (percent, cpus) => percent.or(cpus.map(|cpus| cpus.saturating_mul(100))),
        };
        Ok(Limits {
            memory,
            memory_low: guaranteed.filter(|low| *low > 0).map(|low| memory.map_or(low, |most| low.min(most))),
            swap: config.limit("SWAPPAGES")?,
            processes: config.limit("NUMPROC")?,
            files: config.limit("NUMFILE")?,
            locked: config.limit("LOCKEDPAGES")?,
            terminals: config.limit("NUMPTY")?,
            shared: config.limit("SHMPAGES")?,
            cpu_weight: config.number("CPUUNITS")?.map(|units| (units / 10).clamp(1, 10_000)),
            cpu_percent: percent,
            cpus: set("CPUMASK")?,
            nodes: set("NODEMASK")?,
            // 4 is the default of both: 100 of 1 to 1000.
            io_weight: config
                .number("IOPRIO")?
                .map(|priority| [10, 25, 50, 75, 100, 200, 400, 800][priority.min(7) as usize]),
            io_rate: positive("IOLIMIT")?,
            io_operations: positive("IOPSLIMIT")?,
            disk: hard("DISKSPACE")?,
            inodes: hard("DISKINODES")?,
            grace: config.number("QUOTATIME")?,
        })
    }
}

impl Spec {
    /// LOCAL_UID and LOCAL_GID: the first user and group on the host, if there is a user namespace. They must be above
    /// the machine's own.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`]: a number is too low or too high.
    pub fn ids(config: &Config) -> Result<Option<(u32, u32)>> {
        let first = |key| match config.number(key)? {
            None | Some(0) => Ok(None),
            Some(number) => match u32::try_from(number).ok().filter(|number| number.checked_add(COUNT).is_some()) {
                Some(number) if number >= COUNT => Ok(Some(number)),
                _ => Err(Error::InvalidConfig(format!(
                    "Invalid value for {key}: {number}: expected {COUNT} to {}: the ids below belong to the host",
                    u32::MAX - COUNT
                ))),
            },
        };
        let (uid, gid) = (first("LOCAL_UID")?, first("LOCAL_GID")?);
        match (uid, gid) {
            (None, Some(_)) => Err(Error::InvalidConfig("LOCAL_GID needs LOCAL_UID".into())),
            (uid, gid) => Ok(uid.map(|uid| (uid, gid.unwrap_or(uid)))),
        }
    }

    /// Makes a spec from a configuration.
    ///
    /// # Errors
    /// A path is not set, or a value is invalid.
    pub fn of(id: u32, config: &Config, paths: &Paths) -> Result<Spec> {
        let netif = config.get("NETIF").unwrap_or_default();
        Ok(Spec {
            id,
            root: paths.at(config.path("VE_ROOT")?),
            private: paths.at(config.path("VE_PRIVATE")?),
            hostname: config.get("HOSTNAME").map(|name| kernel_name(name).to_owned()),
            init: None,
            shell: None,
            limits: Limits::of(config)?,
            capabilities: words(config, "CAPABILITY", lists::switch_of)?,
            features: words(config, "FEATURES", lists::switch_of)?,
            devnodes: words(config, "DEVNODES", |text| {
                text.split_once(':').map(|(name, permissions)| (name.to_owned(), permissions.to_owned()))
            })?,
            devices: words(config, "DEVICES", lists::device)?,
            netfilter: config.get("NETFILTER").map(str::to_owned),
            addresses: words(config, "IP_ADDRESS", |text| text.parse().ok())?,
            interfaces: Netif::read(netif, id).ok_or_else(|| bad("NETIF", netif))?,
            host_devices: config.list("NETDEV").into_iter().map(str::to_owned).collect(),
            forwards: words(config, "FORWARD", |text| text.parse().ok())?,
            ids: Spec::ids(config)?,
            layout: config.get("VE_LAYOUT").unwrap_or("simfs").to_owned(),
        })
    }
}

/// All words of a list, each parsed by `read`. Reading a file has reported and skipped invalid ones, so none is left
/// here.
///
/// # Errors
/// [`Error::InvalidConfig`]: there is one all the same.
fn words<T>(config: &Config, key: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>> {
    config.list(key).into_iter().map(|text| read(text).ok_or_else(|| bad(key, text))).collect()
}

fn bad(key: &str, value: &str) -> Error {
    Error::InvalidConfig(format!("Invalid value for {key}: {value}"))
}

/// Features that are not available for a container here: the right to mount, which they need, would give it control of
/// the machine; and the kernel has no PPP.
pub const IMPOSSIBLE: [&str; 3] = ["nfs", "nfsd", "ppp"];

/// The message for such a feature.
pub fn impossible(feature: &str) -> String {
    let instead = if feature == "ppp" { "the kernel has no PPP" } else { "mount NFS on the host, in an action script" };
    format!("The feature {feature} is not possible here: {instead}")
}

/// A host name as the kernel accepts it: at most 64 bytes (`__NEW_UTS_LEN`), without the final dot of a fully qualified
/// domain name.
fn kernel_name(name: &str) -> &str {
    let name = name.strip_suffix('.').unwrap_or(name);
    let end = (0..=name.len().min(64)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::super::conf::ConfFile;
    use super::*;

    fn spec(text: &str) -> Result<Spec> {
        let file = ConfFile::parse(&format!("VE_ROOT=/vz/root/$VEID\nVE_PRIVATE=/vz/private/$VEID\n{text}"));
        Spec::of(101, &Config::layered([&file], 101), &Paths::system())
    }

    #[test]
    fn limits_of_today() {
        let limits = spec("PHYSPAGES=\"0:256M\"\nSWAPPAGES=\"0:512M\"\nCPUUNITS=1000\nCPULIMIT=50\nIOPRIO=7\nNUMPROC=\"240:240\"\nVMGUARPAGES=\"1G\"").unwrap().limits;
        assert_eq!((limits.memory, limits.swap), (Some(256 << 20), Some(512 << 20)));
        assert_eq!(limits.memory_low, Some(256 << 20), "no more is kept than may be used");
        assert_eq!((limits.cpu_weight, limits.cpu_percent, limits.io_weight), (Some(100), Some(50), Some(800)));
        assert_eq!(limits.processes, Some(240));
        let old = spec("PRIVVMPAGES=\"65536:69632\"\nCPUS=2\nCPULIMIT=400").unwrap().limits;
        assert_eq!((old.memory, old.cpu_percent), (Some(69632 * 4096), Some(200)));
        assert_eq!(spec("NUMPROC=\"many\"").unwrap().limits.processes, None, "it is skipped");
        assert_eq!(
            spec("SWAPPAGES=\"0:2251799813685248\"").unwrap().limits.swap,
            None,
            "as --swap unlimited stores it"
        );
    }

    #[test]
    fn lists() {
        let spec = spec("IP_ADDRESS=\"10.0.0.1/24 fd00::1/64 10.0.0.2\"\nCAPABILITY=\"SYS_TIME:on mknod:off\"\nDEVICES=\"b:8:16:rw c:4:all:r\"\nDEVNODES=\"null:rwq\"\nLOCAL_UID=100000").unwrap();
        assert_eq!(spec.addresses[0].length, Some(24));
        assert_eq!(spec.addresses[2].length, None);
        assert_eq!(spec.capabilities, [("sys_time".to_owned(), true), ("mknod".to_owned(), false)]);
        assert_eq!(spec.devices[1], Device { kind: 'c', major: 4, minor: None, permissions: "r".into() });
        assert_eq!(spec.ids, Some((100_000, 100_000)));
        for bad in ["LOCAL_UID=1000", "LOCAL_UID=4294967290", "LOCAL_GID=100000", "LOCAL_UID=100000\nLOCAL_GID=5"] {
            assert_eq!(self::spec(bad).unwrap_err().code(), 85, "{bad}");
        }
    }

    #[test]
    fn no_word_is_dropped() {
        // Values that did not come from a file, whose reading skips invalid words with a warning.
        for (key, value) in [
            ("CAPABILITY", "sys_time"),
            ("CAPABILITY", "sys_time:on mknod:maybe"),
            ("FEATURES", "nfs"),
            ("IP_ADDRESS", "10.0.0.1 x"),
            ("FORWARD", "tcp:80"),
            ("DEVICES", "b:8"),
            ("DEVNODES", "null"),
            ("CPUMASK", "x"),
        ] {
            let pairs = [("VE_ROOT", "/r"), ("VE_PRIVATE", "/p"), (key, value)];
            let config = Config::of(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())), 101);
            let error = Spec::of(101, &config, &Paths::system()).unwrap_err();
            assert_eq!(error.code(), 85, "{key} {value}");
        }
    }
}
