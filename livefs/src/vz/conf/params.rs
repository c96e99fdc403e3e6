//! Every parameter: its option, its key, the form of its value, and whether it can change while the container is
//! running.

use super::size::{self, Number as Amount, Pair, Unit, Wrong};
use crate::platform::PAGE;

/// The form of a parameter's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `yes` or `no`.
    YesNo,
    /// A whole number in this range, inclusive.
    Number(u64, u64),
    /// A non-negative number with a fraction.
    Float,
    /// Any text without a double quote, a newline, or a zero byte.
    Text,
    /// An absolute path.
    Path,
    /// A percentage of one processor; with `%`, of the whole machine.
    Percent,
    /// A barrier and a limit; a number without a suffix counts the unit.
    Limit(Unit),
    /// A soft and a hard limit of the disk, which is never `unlimited`.
    Disk(Unit),
    /// A limit in bytes that is stored as pages with a barrier of 0.
    Memory,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Bytes per second; in an option, a number without a suffix is in megabytes.
    Rate,
    /// A set of numbers such as `0-2,4`; `all`, `auto`.
    Set,
    /// A list that replaces the previous one; the option may be repeated.
    List,
    /// A container's name.
    Name,
    /// How `/proc/meminfo` inside is calculated: `none`, `pages:N`, `privvmpages:N`.
    Meminfo,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParamSource {
    /// On the command line.
    Option,
    /// In a file.
    File,
}

/// When a parameter of a running container takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Immediately.
    Now,
    /// At its next start; the sentence says what can't be changed.
    Restart(&'static str),
    /// It concerns the management of the container, nothing inside changes.
    Managed,
}

/// A parameter that is set by an option and stored in a line.
#[derive(Debug, Clone, Copy)]
pub struct Param {
    /// The option without the dashes.
    pub option: &'static str,
    /// The key in the configuration.
    pub key: &'static str,
    /// The form of its value.
    pub kind: Kind,
    /// When it takes effect.
    pub when: When,
}

const fn p(option: &'static str, key: &'static str, kind: Kind, when: When) -> Param {
    Param { option, key, kind, when }
}

use Kind::{Disk, Limit, List, Meminfo, Memory, Name, Number, Path, Percent, Rate, Set, Text, Word, YesNo};
use Unit::{Bytes, Items, Kilobytes, Pages};
use When::{Managed, Now, Restart};

/// The maximum of a number.
const MOST: u64 = i64::MAX as u64;

const MOUNT: When = Restart("Unable to change mount options on a running container");
const UGID: When = Restart("Unable to turn on second-level disk quota on a running container");

/// All parameters with one value each. Those that add to lists or remove from them are options only of `set`
/// (`cmd::set`).
pub const PARAMS: &[Param] = &[
    p("onboot", "ONBOOT", YesNo, Managed),
    p("bootorder", "BOOTORDER", Number(0, MOST), Managed),
    p("root", "VE_ROOT", Path, Managed),
    p("private", "VE_PRIVATE", Path, Managed),
    p("mount_opts", "MOUNT_OPTS", Text, MOUNT),
    p("disabled", "DISABLED", YesNo, Managed),
    p("name", "NAME", Name, Managed),
    p("description", "DESCRIPTION", Text, Managed),
    p("ostemplate", "OSTEMPLATE", Text, Managed),
    p("stop-timeout", "STOP_TIMEOUT", Number(0, i32::MAX as u64), Managed),
    p("hostname", "HOSTNAME", Text, Now),
    p("nameserver", "NAMESERVER", List, Now),
    p("searchdomain", "SEARCHDOMAIN", List, Now),
    p(
        "netfilter",
        "NETFILTER",
        Word(&["disabled", "stateless", "stateful", "full"]),
        Restart("Unable to set iptables/netfilter on a running container"),
    ),
    p("vm_overcommit", "VM_OVERCOMMIT", Kind::Float, Now),
    p("ram", "PHYSPAGES", Memory, Now),
    p("swap", "SWAPPAGES", Memory, Now),
    p("kmemsize", "KMEMSIZE", Limit(Bytes), Now),
    p("lockedpages", "LOCKEDPAGES", Limit(Pages), Now),
    p("privvmpages", "PRIVVMPAGES", Limit(Pages), Now),
    p("shmpages", "SHMPAGES", Limit(Pages), Now),
    p("numproc", "NUMPROC", Limit(Items), Now),
    p("physpages", "PHYSPAGES", Limit(Pages), Now),
    p("vmguarpages", "VMGUARPAGES", Limit(Pages), Now),
    p("oomguarpages", "OOMGUARPAGES", Limit(Pages), Now),
    p("numtcpsock", "NUMTCPSOCK", Limit(Items), Now),
    p("numflock", "NUMFLOCK", Limit(Items), Now),
    p("numpty", "NUMPTY", Limit(Items), Now),
    p("numsiginfo", "NUMSIGINFO", Limit(Items), Now),
    p("tcpsndbuf", "TCPSNDBUF", Limit(Bytes), Now),
    p("tcprcvbuf", "TCPRCVBUF", Limit(Bytes), Now),
    p("othersockbuf", "OTHERSOCKBUF", Limit(Bytes), Now),
    p("dgramrcvbuf", "DGRAMRCVBUF", Limit(Bytes), Now),
    p("numothersock", "NUMOTHERSOCK", Limit(Items), Now),
    p("dcachesize", "DCACHESIZE", Limit(Bytes), Now),
    p("numfile", "NUMFILE", Limit(Items), Now),
    p("avnumproc", "AVNUMPROC", Limit(Items), Now),
    p("numiptent", "NUMIPTENT", Limit(Items), Now),
    p("swappages", "SWAPPAGES", Limit(Pages), Now),
    p("diskquota", "DISK_QUOTA", YesNo, Restart("Unable to switch DISK_QUOTA on or off on a running container")),
    p("diskspace", "DISKSPACE", Disk(Kilobytes), Now),
    p("diskinodes", "DISKINODES", Disk(Bytes), Now),
    p("quotatime", "QUOTATIME", Number(0, MOST), Now),
    p("quotaugidlimit", "QUOTAUGIDLIMIT", Number(0, MOST), UGID),
    p("cpuunits", "CPUUNITS", Number(8, 500_000), Now),
    p("cpuweight", "CPUUWEIGHT", Number(0, MOST), Now),
    p("cpulimit", "CPULIMIT", Percent, Now),
    p("cpus", "CPUS", Number(0, MOST), Now),
    p("cpumask", "CPUMASK", Set, Now),
    p("nodemask", "NODEMASK", Set, Now),
    p("ioprio", "IOPRIO", Number(0, 7), Now),
    p("iolimit", "IOLIMIT", Rate, Now),
    p("iopslimit", "IOPSLIMIT", Number(0, i32::MAX as u64), Now),
    p("meminfo", "MEMINFO", Meminfo, Now),
];

/// The order in which new keys are added at the end of a file, after the beancounters.
const ORDER: &str = "VM_OVERCOMMIT IPTABLES NETFILTER CAPABILITY IP_ADDRESS NETDEV HOSTNAME DESCRIPTION NAMESERVER SEARCHDOMAIN DEVICES \
    DEVNODES PCI VE_ROOT VE_PRIVATE MOUNT_OPTS VE_LAYOUT OSTEMPLATE CPUUNITS CPUUWEIGHT CPULIMIT CPUS CPUMASK NODEMASK ONBOOT ORIGIN_SAMPLE \
    DISABLED LOCAL_UID LOCAL_GID DISK_QUOTA DISKSPACE DISKINODES QUOTATIME QUOTAUGIDLIMIT MEMINFO NETIF NAME FEATURES IOPRIO IOLIMIT \
    IOPSLIMIT BOOTORDER STOP_TIMEOUT";

/// A key's position among others that are stored with it.
pub fn place(key: &str) -> usize {
    let counters = ADDED.split_whitespace().chain(ORDER.split_whitespace());
    counters.into_iter().position(|known| known == key).unwrap_or(usize::MAX)
}

/// The order of the beancounters when they are stored.
const ADDED: &str = "KMEMSIZE LOCKEDPAGES PRIVVMPAGES SHMPAGES NUMPROC PHYSPAGES VMGUARPAGES OOMGUARPAGES NUMTCPSOCK NUMFLOCK NUMPTY \
    NUMSIGINFO TCPSNDBUF TCPRCVBUF OTHERSOCKBUF DGRAMRCVBUF NUMOTHERSOCK NUMFILE DCACHESIZE NUMIPTENT AVNUMPROC SWAPPAGES";

/// Names of the User Beancounters in the order of `/proc/user_beancounters`, with the headings that `vzlist` uses.
pub const BEANCOUNTERS: &[(&str, &str)] = &[
    ("kmemsize", "KMEMSIZE"),
    ("lockedpages", "LOCKEDP"),
    ("privvmpages", "PRIVVMP"),
    ("shmpages", "SHMP"),
    ("numproc", "NPROC"),
    ("physpages", "PHYSP"),
    ("vmguarpages", "VMGUARP"),
    ("oomguarpages", "OOMGUARP"),
    ("numtcpsock", "NTCPSOCK"),
    ("numflock", "NFLOCK"),
    ("numpty", "NPTY"),
    ("numsiginfo", "NSIGINFO"),
    ("tcpsndbuf", "TCPSNDB"),
    ("tcprcvbuf", "TCPRCVB"),
    ("othersockbuf", "OTHSOCKB"),
    ("dgramrcvbuf", "DGRAMRB"),
    ("numothersock", "NOTHSOCK"),
    ("dcachesize", "DCACHESZ"),
    ("numfile", "NFILE"),
    ("numiptent", "NIPTENT"),
    ("swappages", "SWAPP"),
];

/// The parameter of an option.
pub fn by_option(option: &str) -> Option<&'static Param> {
    PARAMS.iter().find(|param| param.option == option)
}

/// The parameter of a key.
pub fn by_key(key: &str) -> Option<&'static Param> {
    PARAMS.iter().find(|param| param.key == key && param.kind != Memory)
}

/// The unit of a key, if it is a limit.
pub fn unit(key: &str) -> Option<Unit> {
    match by_key(key)?.kind {
        Limit(unit) => Some(unit),
        Disk(Kilobytes) => Some(Kilobytes),
        Disk(_) => Some(Items),
        _ => None,
    }
}

/// The number of processors of the machine (`/sys/devices/system/cpu/online`).
pub fn processors() -> u64 {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    parse_set(online.trim_end()).map_or(1, |all| all.len() as u64)
}

impl Kind {
    /// Whether the last of several values of a key counts, not the first.
    pub fn last_counts(self, key: &str) -> bool {
        let one = ["IOPRIO", "IOPSLIMIT", "VE_LAYOUT", "LOG_LEVEL"].contains(&key);
        one || matches!(self, Limit(_) | Memory | Rate | Word(_) | Meminfo)
    }

    /// A value as it is stored.
    ///
    /// # Errors
    /// It is invalid, or larger than what can be stored.
    pub fn parse(self, value: &str, from: ParamSource) -> Result<String, Wrong> {
        let when = |good: bool| if good { Ok(value.to_owned()) } else { Err(Wrong::Form) };
        let plain = |text: &str| !text.contains(['"', '\n', '\r', '\0']);
        match self {
            YesNo => when(["yes", "no"].contains(&value)),
            Number(least, most) => {
                let number = match value {
                    "" => 0,
                    "unlimited" if most == MOST => MOST,
                    _ => number(value)?,
                };
                if (least..=most).contains(&number) { Ok(number.to_string()) } else { Err(Wrong::Form) }
            }
            Percent => match value.strip_suffix('%') {
                Some(share) => match number(share)? {
                    share @ ..=100 => Ok((share * processors()).to_string()),
                    _ => Err(Wrong::Form),
                },
                None => number(value).map(|percent| percent.to_string()),
            },
            Kind::Float => {
                let number: f64 = value.parse().map_err(|_| Wrong::Form)?;
                if number.is_finite() && number >= 0.0 { Ok(number.to_string()) } else { Err(Wrong::Form) }
            }
            Text | List => when(plain(value)),
            Name => when(value.bytes().all(|b| b.is_ascii_alphanumeric() || b" -+_.".contains(&b))),
            Path => when(value.starts_with('/') && plain(value)),
            Limit(unit) => Pair::parse(value, unit).map(|pair| pair.to_string()),
            Disk(unit) if !value.contains("unlimited") => Pair::parse(value, unit).map(Pair::both),
            Disk(_) => Err(Wrong::Form),
            Memory => {
                let Amount { units, cut } = size::parse(value, Bytes).ok_or(Wrong::Form)?;
                // A partial page counts.
                let limit = units.saturating_add(PAGE - 1) / PAGE;
                let stored = Pair { barrier: 0, limit }.to_string();
                if cut { Err(Wrong::Large(stored)) } else { Ok(stored) }
            }
            Word(words) => when(words.contains(&value)),
            Rate => rate(value, from),
            Set => match value {
                "all" | "auto" => Ok(value.to_owned()),
                _ => parse_set(value).map(|set| ranges(&set)).ok_or(Wrong::Form),
            },
            Meminfo => match value.split_once(':') {
                None => when(value == "none"),
                Some((mode, count)) => {
                    let count = number(count)?;
                    if !["pages", "privvmpages"].contains(&mode) || count == 0 {
                        return Err(Wrong::Form);
                    }
                    Ok(format!("{mode}:{count}"))
                }
            },
        }
    }
}

fn number(text: &str) -> Result<u64, Wrong> {
    text.parse().ok().filter(|number| *number <= MOST).ok_or(Wrong::Form)
}

/// Bytes per second as they are stored, at most 2 GiB less one.
fn rate(value: &str, from: ParamSource) -> Result<String, Wrong> {
    const MOST: u64 = i32::MAX as u64;
    if value == "unlimited" {
        return Ok("0".to_owned());
    }
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let count: u64 = if digits == 0 { 0 } else { value[..digits].parse().map_err(|_| Wrong::Form)? };
    let one = match (&value[digits..], from) {
        ("", ParamSource::Option) => 1 << 20,
        ("", ParamSource::File) => 1,
        (suffix, _) if suffix.len() == 1 => {
            size::parse(&format!("1{suffix}"), Bytes).filter(|_| suffix != ".").ok_or(Wrong::Form)?.units
        }
        _ => return Err(Wrong::Form),
    };
    match count.saturating_mul(one) {
        rate @ ..=MOST => Ok(rate.to_string()),
        _ => Err(Wrong::Large(MOST.to_string())),
    }
}

/// A set as it is stored: `0-2,4`.
fn ranges(set: &[u32]) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for &one in set {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == one => *last = one,
            _ => parts.push((one, one)),
        }
    }
    let text = |(first, last)| if first == last { format!("{first}") } else { format!("{first}-{last}") };
    parts.into_iter().map(text).collect::<Vec<_>>().join(",")
}

/// Parses a set such as `0-2,4`. None: it is invalid or empty.
pub fn parse_set(text: &str) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last > 8191 {
            return None;
        }
        all.extend(first..=last);
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(option: &str, value: &str, from: ParamSource) -> Option<String> {
        by_option(option).unwrap().kind.parse(value, from).ok()
    }

    #[test]
    fn stored_forms() {
        let machine = processors();
        let (half, whole) = ((50 * machine).to_string(), (100 * machine).to_string());
        for (option, value, expected) in [
            ("ram", "512M", Some("0:131072")),
            ("ram", "5000", Some("0:2")),
            ("swap", "unlimited", Some("0:2251799813685248")),
            ("ram", "x", None),
            ("physpages", "0:256M", Some("0:65536")),
            ("numproc", "240", Some("240")),
            ("numproc", "240:240", Some("240")),
            ("numproc", "1K", None),
            ("numproc", "99999999999999999999", None),
            ("diskspace", "1G", Some("1048576:1048576")),
            ("diskspace", "2G:2.2G", Some("2097152:2306867")),
            ("diskspace", "unlimited", None),
            ("diskinodes", "200K", Some("204800:204800")),
            ("cpuunits", "7", None),
            ("cpuunits", "8", Some("8")),
            ("cpulimit", "50", Some("50")),
            ("cpulimit", "50%", Some(half.as_str())),
            ("cpulimit", "100%", Some(whole.as_str())),
            ("cpulimit", "101%", None),
            ("cpulimit", "unlimited", None),
            ("iolimit", "10", Some("10485760")),
            ("iolimit", "500K", Some("512000")),
            ("iolimit", "3G", None),
            ("iolimit", "1.5M", None),
            ("iolimit", "unlimited", Some("0")),
            ("iopslimit", "unlimited", None),
            ("ioprio", "8", None),
            ("onboot", "maybe", None),
            ("cpumask", "0,1,2,4", Some("0-2,4")),
            ("cpumask", "2-0", None),
            ("netfilter", "none", None),
            ("hostname", "a.example.org.", Some("a.example.org.")),
            ("hostname", "", Some("")),
            ("nameserver", "", Some("")),
            ("description", "say \"hi\"", None),
            ("private", "vz/1", None),
            ("vm_overcommit", "1.5", Some("1.5")),
            ("name", "123", Some("123")),
            ("name", "a+b", Some("a+b")),
            ("name", ".x", Some(".x")),
            ("name", "a/b", None),
            ("name", "b\u{fc}ro", None),
            ("meminfo", "pages:256000", Some("pages:256000")),
            ("meminfo", "none", Some("none")),
            ("meminfo", "pages", None),
            ("meminfo", "privvmpages:0", None),
            ("cpuweight", "5", Some("5")),
        ] {
            assert_eq!(stored(option, value, ParamSource::Option).as_deref(), expected, "--{option} {value}");
        }
    }

    #[test]
    fn files_count_bytes() {
        for (value, expected) in [("10", "10"), ("10M", "10485760"), ("unlimited", "0")] {
            assert_eq!(stored("iolimit", value, ParamSource::File).as_deref(), Some(expected), "{value}");
        }
        assert_eq!(Kind::Rate.parse("3G", ParamSource::File), Err(Wrong::Large("2147483647".into())));
    }

    #[test]
    fn the_order_holds_every_key() {
        for param in PARAMS {
            assert!(place(param.key) < usize::MAX, "{}", param.key);
        }
    }

    #[test]
    fn every_beancounter_is_a_parameter() {
        for (name, _) in BEANCOUNTERS {
            assert!(by_option(name).is_some_and(|param| param.key == name.to_uppercase()), "{name}");
        }
    }
}
