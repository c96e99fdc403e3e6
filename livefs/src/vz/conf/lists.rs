//! Values that are lists: how words are parsed, from a file or an option, and how the list is stored.

use crate::net::{Address, Forward};
use std::path::Path;

/// The keys.
pub const KEYS: &[&str] = &[
    "IP_ADDRESS",
    "NAMESERVER",
    "SEARCHDOMAIN",
    "NETDEV",
    "NETIF",
    "CAPABILITY",
    "FEATURES",
    "IPTABLES",
    "DEVICES",
    "DEVNODES",
    "PCI",
    "FORWARD",
];

/// The result of parsing words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Added {
    /// Whether the words end with an invalid one; those before it are used.
    pub wrong: bool,
    /// Whether words were skipped, which is an error for an option.
    pub skipped: bool,
    /// The messages, each with its level.
    pub said: Vec<(i32, String)>,
}

/// capabilities(7) in the classic order, then those added later.
const CAPABILITIES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE \
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE \
    SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE VE_ADMIN SETFCAP FS_MASK SETVEID AUDIT_CONTROL MAC_OVERRIDE MAC_ADMIN \
    SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE";

const FEATURES: &str = "sysfs nfs sit ipip ppp ipgre bridge nfsd";

/// Modules of the packet filter, each with its dependencies.
const IPTABLES: &[(&str, &str)] = &[
    ("ip_tables", ""),
    ("iptable_filter", "ip_tables"),
    ("iptable_mangle", "ip_tables"),
    ("ipt_limit", "ip_tables"),
    ("ipt_multiport", "ip_tables"),
    ("ipt_tos", "ip_tables"),
    ("ipt_TOS", "ip_tables"),
    ("ipt_REJECT", "ip_tables"),
    ("ipt_TCPMSS", "ip_tables"),
    ("ipt_tcpmss", "ip_tables"),
    ("ipt_ttl", "ip_tables"),
    ("ipt_LOG", "ip_tables"),
    ("ipt_length", "ip_tables"),
    ("ip_conntrack", "ip_tables"),
    ("ip_conntrack_ftp", "ip_tables ip_conntrack"),
    ("ip_conntrack_irc", "ip_tables ip_conntrack"),
    ("ipt_conntrack", "ip_tables ip_conntrack"),
    ("ipt_state", "ip_tables ip_conntrack"),
    ("ipt_helper", "ip_tables ip_conntrack"),
    ("iptable_nat", "ip_tables ip_conntrack"),
    ("ip_nat_ftp", "ip_tables ip_conntrack ip_conntrack_ftp iptable_nat"),
    ("ip_nat_irc", "ip_tables ip_conntrack ip_conntrack_irc iptable_nat"),
    ("ipt_REDIRECT", "ip_tables ip_conntrack iptable_nat"),
    ("xt_mac", "ip_tables"),
    ("ipt_recent", "ip_tables"),
    ("ipt_owner", "ip_tables"),
];

/// The separator of a list's words.
pub fn between(key: &str) -> &'static [char] {
    match key {
        "CAPABILITY" | "FEATURES" | "IPTABLES" => &[' ', '\t', ','],
        _ => &[' ', '\t'],
    }
}

/// Adds words to a list. The stored form and order are those of the classic tool.
pub fn add(key: &str, list: &mut String, text: &str) -> Added {
    let mut added = Added::default();
    let words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    let comma = text.split([' ', '\t', ',']).filter(|word| !word.is_empty());
    match key {
        "IP_ADDRESS" => words.for_each(|word| {
            if !added.wrong && !["0.0.0.0", "::", "::0"].contains(&word) {
                match canonical_address(word) {
                    Some(text) if find_address(list, &text).is_none() => push(list, &text),
                    Some(_) => {}
                    None => added.wrong = true,
                }
            }
        }),
        "CAPABILITY" => comma.for_each(|word| {
            if added.wrong {
                return;
            }
            match word.rsplit_once(':') {
                Some((name, state @ ("on" | "off"))) => match place(CAPABILITIES, &name.to_uppercase()) {
                    Some(_) => switch(list, CAPABILITIES, &name.to_uppercase(), state),
                    None => {
                        added.wrong = true;
                        added.said.push((-1, format!("Capability {name} is unknown")));
                    }
                },
                _ => {
                    added.wrong = true;
                    added.said.push((-1, format!("Can't parse capability {word} (expecting capname:on|off)")));
                }
            }
        }),
        "FEATURES" => comma.for_each(|word| match word.split_once(':') {
            Some((name, state @ ("on" | "off"))) if place(FEATURES, name).is_some() => {
                switch(list, FEATURES, name, state);
            }
            _ => {
                added.skipped = true;
                added.said.push((0, format!("Warning: Unknown feature: {word}")));
            }
        }),
        "IPTABLES" => {
            let mut all: Vec<&str> = list.split_whitespace().collect();
            let mut new = Vec::new();
            for word in comma {
                match IPTABLES.iter().find(|(name, _)| *name == word) {
                    Some((name, needed)) => new.extend(std::iter::once(*name).chain(needed.split_whitespace())),
                    None => {
                        added.skipped = true;
                        added.said.push((-1, format!("Warning: Unknown iptable module: {word}, skipped")));
                    }
                }
            }
            all.extend(new);
            let stored: String =
                IPTABLES.iter().filter(|(name, _)| all.contains(name)).map(|(name, _)| format!("{name} ")).collect();
            *list = stored;
        }
        "DEVICES" | "DEVNODES" => words.for_each(|word| {
            if added.wrong {
                return;
            }
            let read = if key == "DEVICES" { by_number(word) } else { by_name(word, &mut added.said) };
            match read {
                Some((name, letters)) => {
                    // A repeated one replaces the earlier one.
                    let kept = |old: &&str| old.rsplit_once(':').is_none_or(|(other, _)| other != name);
                    let mut all: Vec<String> = list.split_whitespace().filter(kept).map(str::to_owned).collect();
                    if !letters.is_empty() {
                        all.push(format!("{name}:{letters}"));
                    }
                    *list = all.iter().map(|one| format!("{one} ")).collect();
                }
                None => added.wrong = true,
            }
        }),
        "PCI" => words.for_each(|word| match pci(word) {
            Some(text) if !added.wrong => push_new(list, &text),
            Some(_) => {}
            None => added.wrong = true,
        }),
        "NETDEV" => words.for_each(|word| {
            let taken = ["venet", "tun", "tap", "lo"].iter().any(|kind| word.starts_with(kind));
            added.wrong |= taken || word.contains(['"', '/']);
            if !added.wrong {
                push_new(list, word);
            }
        }),
        "FORWARD" => words.for_each(|word| match word.parse::<Forward>() {
            Ok(forward) if !added.wrong => push_new(list, &forward.to_string()),
            Ok(_) => {}
            Err(_) => added.wrong = true,
        }),
        _ => words.for_each(|word| push_new(list, word)),
    }
    added
}

fn push(list: &mut String, word: &str) {
    if !list.is_empty() {
        list.push(' ');
    }
    list.push_str(word);
}

fn push_new(list: &mut String, word: &str) {
    if !list.split(' ').any(|old| old == word) {
        push(list, word);
    }
}

fn place(names: &str, name: &str) -> Option<usize> {
    names.split_whitespace().position(|known| known == name)
}

/// Sets one of a list of switches, which are sorted by name.
fn switch(list: &mut String, names: &str, name: &str, state: &str) {
    let mut all: Vec<String> = list
        .split(' ')
        .filter(|old| !old.is_empty() && old.split(':').next() != Some(name))
        .map(str::to_owned)
        .collect();
    all.push(format!("{name}:{state}"));
    all.sort_by_key(|one| place(names, one.split(':').next().unwrap_or_default()));
    *list = all.join(" ");
}

/// An address as it is stored, with the prefix length of its network if one was given.
pub fn canonical_address(text: &str) -> Option<String> {
    text.parse().ok().map(|address: Address| address.to_string())
}

/// The list's entry for an address, whatever its prefix length.
pub fn find_address<'a>(list: &'a str, text: &str) -> Option<&'a str> {
    let ip = |text: &str| text.parse().ok().map(|address: Address| address.ip);
    list.split(' ').find(|old| ip(old).is_some() && ip(old) == ip(text))
}

/// `NAME:on` or `NAME:off`, as in the lists of capabilities and features: the name in lower case, and whether it is on.
pub fn switch_of(text: &str) -> Option<(String, bool)> {
    match text.rsplit_once(':')? {
        (name, state @ ("on" | "off")) => Some((name.to_lowercase(), state == "on")),
        _ => None,
    }
}

/// A device by its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// `b` or `c`.
    pub kind: char,
    /// Its major number.
    pub major: u32,
    /// Its minor number; None: all.
    pub minor: Option<u32>,
    /// Letters of `rwq`, or `none`.
    pub permissions: String,
}

/// `b:8:16:rw`, `c:4:all:none`
pub fn device(text: &str) -> Option<Device> {
    let parts: Vec<&str> = text.split(':').collect();
    let [kind @ ("b" | "c"), major, minor, may] = parts[..] else { return None };
    let minor = if minor == "all" { None } else { Some(minor.parse().ok()?) };
    let kind = if kind == "b" { 'b' } else { 'c' };
    permissions(may).then_some(Device { kind, major: major.parse().ok()?, minor, permissions: may.to_owned() })
}

/// Whether this is `none`, or letters of `rwq`.
pub fn permissions(text: &str) -> bool {
    text == "none" || (!text.is_empty() && text.bytes().all(|b| b"rwq".contains(&b)))
}

/// Letters of permissions in the order in which they are stored; `none` has none.
fn letters(text: &str) -> String {
    "rwq".chars().filter(|letter| text != "none" && text.contains(*letter)).collect()
}

/// A device by its numbers: its identity, and its letters. Loop devices belong to the machine.
fn by_number(word: &str) -> Option<(String, String)> {
    let device = device(word)?;
    let minor = device.minor.map_or("all".to_owned(), |minor| minor.to_string());
    (device.major != 7).then(|| (format!("{}:{}:{minor}", device.kind, device.major), letters(&device.permissions)))
}

/// A device node of the machine.
fn by_name(word: &str, said: &mut Vec<(i32, String)>) -> Option<(String, String)> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let (name, may) = word.rsplit_once(':')?;
    if name.is_empty() || name.split('/').any(|part| ["", ".", ".."].contains(&part)) || name.contains([':', '"']) {
        return None;
    }
    let path = Path::new("/dev").join(name);
    let about = match std::fs::metadata(&path) {
        Ok(about) => about,
        Err(error) => {
            let why = crate::vz::exit::why(&error);
            said.push((-1, format!("Incorrect device name {}: {why}", path.display())));
            return None;
        }
    };
    let kind = about.file_type();
    if !kind.is_char_device() && !kind.is_block_device() {
        said.push((-1, format!("The {} is not block or character device", path.display())));
        return None;
    }
    if nix::sys::stat::major(about.rdev()) == 7 {
        said.push((-1, format!("Device {name} is not allowed to be assigned to a CT")));
        return None;
    }
    permissions(may).then(|| (name.to_owned(), letters(may)))
}

/// `[domain:]bus:slot.function`
pub fn pci(word: &str) -> Option<String> {
    let (place, function) = word.rsplit_once('.')?;
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    let (domain, bus, slot) = match place.split(':').collect::<Vec<_>>()[..] {
        [domain, bus, slot] => (hex(domain)?, hex(bus)?, hex(slot)?),
        [bus, slot] => (0, hex(bus)?, hex(slot)?),
        _ => return None,
    };
    Some(format!("{domain:04x}:{bus:02x}:{slot:02x}.{}", function.parse::<u32>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(key: &str, texts: &[&str]) -> (String, bool) {
        let mut list = String::new();
        let wrong = texts.iter().map(|text| add(key, &mut list, text)).any(|added| added.wrong || added.skipped);
        (list, wrong)
    }

    #[test]
    fn stored_lists() {
        for (key, texts, list, wrong) in [
            ("IP_ADDRESS", &["10.0.0.1/24 0.0.0.0", "10.0.0.1 FD00::1"][..], "10.0.0.1/24 fd00::1", false),
            ("IP_ADDRESS", &["10.0.0.1 x 10.0.0.2"], "10.0.0.1", true),
            ("IP_ADDRESS", &["10.0.0.1/255.255.255.0"], "", true),
            ("CAPABILITY", &["sys_time:on,Kill:off", "sys_time:off"], "KILL:off SYS_TIME:off", false),
            ("CAPABILITY", &["fly:on"], "", true),
            ("CAPABILITY", &["bpf:on chown:off"], "CHOWN:off BPF:on", false),
            ("FEATURES", &["nfs:on", "sysfs:off ppp:on"], "sysfs:off nfs:on ppp:on", false),
            ("FEATURES", &["nfs:on fly:on"], "nfs:on", true),
            ("IPTABLES", &["iptable_filter", "ipt_state"], "ip_tables iptable_filter ip_conntrack ipt_state ", false),
            ("IPTABLES", &["iptable_nat nosuch"], "ip_tables ip_conntrack iptable_nat ", true),
            ("DEVICES", &["b:8:16:wr c:4:all:none"], "b:8:16:rw ", false),
            ("DEVICES", &["b:8:16:rw", "b:8:16:none"], "", false),
            ("DEVICES", &["b:7:1:rw"], "", true),
            ("DEVNODES", &["null:rw"], "null:rw ", false),
            ("DEVNODES", &["no-such-device:rw"], "", true),
            ("DEVNODES", &["null:rx"], "", true),
            ("PCI", &["1:2.3", "0000:01:02.3"], "0000:01:02.3", false),
            ("PCI", &["x"], "", true),
            ("FORWARD", &["tcp:8080:80 udp:53:53", "tcp:8080:80"], "tcp:8080:80 udp:53:53", false),
            ("FORWARD", &["tcp:8080:80 tcp:0:80"], "tcp:8080:80", true),
            ("NETDEV", &["eth1 lo"], "eth1", true),
            ("NAMESERVER", &["10.0.0.1 ns.example.org", "10.0.0.1"], "10.0.0.1 ns.example.org", false),
        ] {
            assert_eq!(read(key, texts), (list.to_owned(), wrong), "{key} {texts:?}");
        }
    }
}
