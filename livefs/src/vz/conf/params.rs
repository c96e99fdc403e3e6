//! Every parameter: its option, its key, the form of its value, and whether it can change while the container runs.

use super::size::{self, Pair, UNLIMITED, Unit};

/// The form of a parameter's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `yes` or `no`.
    YesNo,
    /// A whole number between these, both included.
    Number(u64, u64),
    /// A number with a fraction, not negative.
    Float,
    /// Any text without a double quote, a line's end, or a zero byte.
    Text,
    /// A path that begins at the root.
    Path,
    /// A barrier and a limit; a number without a suffix counts the unit.
    Limit(Unit),
    /// A limit in bytes that is stored as pages with a barrier of 0.
    Memory,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Bytes per second; a number without a suffix counts megabytes.
    Rate,
    /// A set of numbers such as `0-2,4`; `all`, `auto`.
    Set,
    /// A list that replaces the former; the option may come several times.
    List,
    /// A host name.
    Hostname,
}

/// When a parameter of a running container takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At once.
    Now,
    /// When it starts again; the sentence says what can't be changed.
    Restart(&'static str),
    /// It says how the container is managed, nothing inside changes.
    Managed,
}

/// A parameter that an option sets and a line keeps.
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

use Kind::{Hostname, Limit, List, Memory, Number, Path, Rate, Set, Text, Word, YesNo};
use Unit::{Bytes, Items, Kilobytes, Pages};
use When::{Managed, Now, Restart};

const MOUNT: When = Restart("Unable to change mount options on a running container");
const UGID: When = Restart("Unable to turn on second-level disk quota on a running container");

/// All parameters with one value each. Those that add to lists or take from them are options of `set` alone (`cmd::set`).
pub const PARAMS: &[Param] = &[
    p("onboot", "ONBOOT", YesNo, Managed),
    p("bootorder", "BOOTORDER", Number(0, u64::MAX), Managed),
    p("root", "VE_ROOT", Path, Managed),
    p("private", "VE_PRIVATE", Path, Managed),
    p("mount_opts", "MOUNT_OPTS", Text, MOUNT),
    p("disabled", "DISABLED", YesNo, Managed),
    p("name", "NAME", Text, Managed),
    p("description", "DESCRIPTION", Text, Managed),
    p("ostemplate", "OSTEMPLATE", Text, Managed),
    p("stop-timeout", "STOP_TIMEOUT", Number(0, 86_400), Managed),
    p("hostname", "HOSTNAME", Hostname, Now),
    p("nameserver", "NAMESERVER", List, Now),
    p("searchdomain", "SEARCHDOMAIN", List, Now),
    p(
        "netfilter",
        "NETFILTER",
        Word(&["disabled", "stateless", "stateful", "full"]),
        Restart("Unable to set iptables/netfilter on a running container"),
    ),
    p("iptables", "IPTABLES", Text, Restart("Unable to set iptables/netfilter on a running container")),
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
    p("diskspace", "DISKSPACE", Limit(Kilobytes), Now),
    p("diskinodes", "DISKINODES", Limit(Items), Now),
    p("quotatime", "QUOTATIME", Number(0, u64::MAX), Now),
    p("quotaugidlimit", "QUOTAUGIDLIMIT", Number(0, u32::MAX as u64), UGID),
    p("cpuunits", "CPUUNITS", Number(8, 500_000), Now),
    p("cpulimit", "CPULIMIT", Number(0, 1_000_000), Now),
    p("cpus", "CPUS", Number(0, 8192), Now),
    p("cpumask", "CPUMASK", Set, Now),
    p("nodemask", "NODEMASK", Set, Now),
    p("ioprio", "IOPRIO", Number(0, 7), Now),
    p("iolimit", "IOLIMIT", Rate, Now),
    p("iopslimit", "IOPSLIMIT", Number(0, i32::MAX as u64), Now),
];

/// Names of the User Beancounters in the order of `/proc/user_beancounters`, with the heading that `vzlist` gives them.
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

/// The parameter that an option sets.
pub fn by_option(option: &str) -> Option<&'static Param> {
    PARAMS.iter().find(|param| param.option == option)
}

/// The parameter that a key keeps.
pub fn by_key(key: &str) -> Option<&'static Param> {
    PARAMS.iter().find(|param| param.key == key && param.kind != Memory)
}

/// What a key's numbers count, if it is a limit.
pub fn unit(key: &str) -> Option<Unit> {
    match by_key(key)?.kind {
        Limit(unit) => Some(unit),
        _ => None,
    }
}

impl Kind {
    /// A value as it is stored. None: it is not of this form.
    pub fn canonical(self, value: &str) -> Option<String> {
        let plain = |text: &str| !text.contains(['"', '\n', '\r', '\0']);
        match self {
            YesNo => ["yes", "no"].contains(&value).then(|| value.to_owned()),
            Number(least, most) => {
                let number = match value {
                    "unlimited" if least == 0 => 0,
                    _ => value.strip_suffix('%').unwrap_or(value).parse().ok()?,
                };
                (least..=most).contains(&number).then(|| number.to_string())
            }
            Kind::Float => {
                let number: f64 = value.parse().ok()?;
                (number.is_finite() && number >= 0.0).then(|| number.to_string())
            }
            Text => plain(value).then(|| value.to_owned()),
            Path => (value.starts_with('/') && plain(value)).then(|| value.to_owned()),
            Limit(unit) => Pair::parse(value, unit).map(|pair| pair.to_string()),
            Memory => {
                let limit = size::parse(value, Bytes, Pages)?;
                Some(Pair { barrier: 0, limit }.to_string())
            }
            Word(words) => words.contains(&value).then(|| value.to_owned()),
            Rate => {
                let bare = value.bytes().all(|b| b.is_ascii_digit()) && !value.is_empty();
                let text = if bare { format!("{value}M") } else { value.to_owned() };
                let rate = match size::parse(&text, Bytes, Bytes)? {
                    UNLIMITED => 0,
                    rate => rate.min(i32::MAX as u64),
                };
                (!value.ends_with(['T', 't', 'P', 'p'])).then(|| rate.to_string())
            }
            Set => {
                let good = ["all", "auto"].contains(&value) || parse_set(value).is_some();
                good.then(|| value.to_owned())
            }
            List => (plain(value) && !value.is_empty()).then(|| value.to_owned()),
            Hostname => {
                let label = |label: &str| {
                    let bytes = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
                    bytes && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
                };
                (value.len() <= 64 && value.split('.').all(label)).then(|| value.to_owned())
            }
        }
    }
}

/// Reads a set such as `0-2,4`. None: it is not of this form, or empty.
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

    fn stored(option: &str, value: &str) -> Option<String> {
        by_option(option).unwrap().kind.canonical(value)
    }

    #[test]
    fn stored_forms() {
        for (option, value, expected) in [
            ("ram", "512M", Some("0:131072")),
            ("swap", "unlimited", Some("0:unlimited")),
            ("ram", "x", None),
            ("physpages", "0:256M", Some("0:65536")),
            ("numproc", "240", Some("240:240")),
            ("numproc", "1K", None),
            ("diskspace", "2G:2.2G", Some("2097152:2306867")),
            ("cpuunits", "7", None),
            ("cpuunits", "8", Some("8")),
            ("cpulimit", "50%", Some("50")),
            ("iolimit", "10", Some("10485760")),
            ("iolimit", "500K", Some("512000")),
            ("iolimit", "3G", Some("2147483647")),
            ("iolimit", "unlimited", Some("0")),
            ("iopslimit", "unlimited", Some("0")),
            ("ioprio", "8", None),
            ("onboot", "maybe", None),
            ("cpumask", "0-2,4", Some("0-2,4")),
            ("cpumask", "2-0", None),
            ("netfilter", "none", None),
            ("hostname", "a.example.org", Some("a.example.org")),
            ("hostname", "a;b", None),
            ("hostname", "", None),
            ("description", "say \"hi\"", None),
            ("private", "vz/1", None),
            ("vm_overcommit", "1.5", Some("1.5")),
        ] {
            assert_eq!(stored(option, value).as_deref(), expected, "--{option} {value}");
        }
    }

    #[test]
    fn every_beancounter_is_a_parameter() {
        for (name, _) in BEANCOUNTERS {
            assert!(by_option(name).is_some_and(|param| param.key == name.to_uppercase()), "{name}");
        }
    }
}
