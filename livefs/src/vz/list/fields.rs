//! The fields of `vzlist`: names, headings, widths, and values.

use super::{Row, beancounters};
use crate::vz::conf::lists::switch_of;
use crate::vz::conf::params::by_key;
use crate::vz::conf::{Pair, UNLIMITED, params::Kind};

/// Where the values of a column come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The configuration and the status, which are always read.
    Always,
    /// The link of its name.
    Name,
    /// Its private area, which shows the layout.
    Layout,
    /// Threads, of which the beancounter `numproc` is the number.
    Threads,
    /// Beancounters.
    Counters,
    /// The time of the start.
    Uptime,
    /// The disk space in use.
    Disk,
    /// The load.
    Load,
}

/// A column.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// Its name for `-o` and `-s`.
    pub name: String,
    /// Its heading.
    pub heading: &'static str,
    /// The heading's width, which differs from the column's in one case.
    pub heading_width: i32,
    /// Its width; negative: left-aligned.
    pub width: i32,
    /// Whether longer text is cut.
    pub cuts: bool,
    /// Whether it is one of several numbers, which JSON combines.
    pub part: bool,
    /// The key or counter, and the index of the number.
    pub key: &'static str,
    /// What has to be read for its text.
    origin: Origin,
    /// Its value for a container.
    pub cell: fn(&Field, &Row) -> Cell,
}

impl Field {
    /// What has to be read for it, as text or as JSON, which shows all numbers of a beancounter.
    pub fn origin(&self, json: bool) -> Origin {
        if json && self.origin == Origin::Threads { Origin::Counters } else { self.origin }
    }
}

/// The value used for sorting.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(super) enum Key {
    /// Unknown: sorts first.
    None,
    /// A number.
    Number(f64),
    /// Text.
    Text(String),
}

/// The value of a column.
pub(super) struct Cell {
    /// As text.
    pub text: String,
    /// As JSON.
    pub json: String,
    /// The value used for sorting.
    pub key: Key,
    /// Whether it is a list, of which only the first element is shown if space is short.
    pub list: bool,
}

fn cell(text: impl Into<String>, json: impl Into<String>, key: Key) -> Cell {
    Cell { text: text.into(), json: json.into(), key, list: false }
}

fn none() -> Cell {
    cell("-", "null", Key::None)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn number(value: u64) -> Cell {
    cell(value.to_string(), value.to_string(), Key::Number(value as f64))
}

fn text(field: &Field, row: &Row) -> Cell {
    row.ct.config.get(field.key).map_or_else(none, |text| cell(text, quoted(text), Key::Text(text.into())))
}

fn list(field: &Field, row: &Row) -> Cell {
    let all = row.ct.config.list(field.key);
    let json: Vec<String> = all.iter().map(|one| quoted(one)).collect();
    let text = if all.is_empty() { "-".to_owned() } else { all.join(" ") };
    Cell { key: Key::Text(text.clone()), text, json: format!("[{}]", json.join(", ")), list: true }
}

fn id(_: &Field, row: &Row) -> Cell {
    number(row.ct.id.into())
}

fn name(field: &Field, row: &Row) -> Cell {
    if row.named { text(field, row) } else { none() }
}

fn smart_name(field: &Field, row: &Row) -> Cell {
    if row.named { text(field, row) } else { id(field, row) }
}

/// Switches by name, `NAME:on NAME:off`.
fn switches(field: &Field, row: &Row) -> Cell {
    let all = row.ct.config.list(field.key);
    if all.is_empty() {
        return none();
    }
    let (mut texts, mut lines) = (Vec::new(), Vec::new());
    for word in all {
        let (name, on) = match switch_of(word) {
            Some((name, on)) => (name, on.to_string()),
            // Reading the file has skipped invalid ones with a warning.
            None => (word.to_owned(), "null".to_owned()),
        };
        texts.push(word.to_lowercase());
        lines.push(format!("\n      {}: {on}", quoted(&name)));
    }
    cell(texts.join(","), format!("{{{}\n    }}", lines.join(",")), Key::None)
}

fn status(_: &Field, row: &Row) -> Cell {
    let word = row.status.word();
    cell(word, quoted(word), Key::Number(row.status as u8 as f64))
}

fn layout(_: &Field, row: &Row) -> Cell {
    cell(row.layout, quoted(row.layout), Key::Text(row.layout.into()))
}

fn value(row: &Row, key: &str) -> Option<f64> {
    row.ct.config.get(key).and_then(|text| text.parse().ok())
}

fn configured(field: &Field, row: &Row) -> Cell {
    value(row, field.key).map_or_else(none, |value| cell(value.to_string(), value.to_string(), Key::Number(value)))
}

/// A number for which 0 means that there is none.
fn positive(field: &Field, row: &Row) -> Cell {
    match value(row, field.key).unwrap_or_default() {
        0.0 => Cell { json: "0".into(), ..none() },
        _ => configured(field, row),
    }
}

/// A number that is 0 if it is not set.
fn zero(field: &Field, row: &Row) -> Cell {
    match value(row, field.key) {
        None => Cell { json: "0".into(), ..none() },
        Some(_) => configured(field, row),
    }
}

/// Both are known as soon as one is set.
fn processor(field: &Field, row: &Row) -> Cell {
    let any = ["CPUUNITS", "CPULIMIT"].iter().any(|key| value(row, key).is_some());
    if any { number(value(row, field.key).unwrap_or_default() as u64) } else { none() }
}

fn yes(field: &Field, row: &Row) -> Cell {
    match row.ct.config.get(field.key) {
        Some("yes") => cell("yes", "true", Key::Number(1.0)),
        None if field.key == "ONBOOT" => none(),
        _ => cell("no", "false", Key::Number(0.0)),
    }
}

fn vswap(_: &Field, row: &Row) -> Cell {
    // The largest number of old 32-bit machines means unlimited, too.
    let limit = pair(row, "PHYSPAGES").map_or(0, |pair| pair.limit);
    match limit < UNLIMITED && limit != i32::MAX as u64 {
        true => cell("yes", "true", Key::Number(1.0)),
        false => cell("no", "false", Key::Number(0.0)),
    }
}

fn load(_: &Field, row: &Row) -> Cell {
    row.usage.load.map_or_else(none, |[a, b, c]| {
        cell(format!("{a:.2}/{b:.2}/{c:.2}"), format!("[{a:.2}, {b:.2}, {c:.2}]"), Key::Number(a))
    })
}

fn uptime(_: &Field, row: &Row) -> Cell {
    let Some(seconds) = row.usage.uptime else { return Cell { json: "0.000".into(), ..none() } };
    let whole = seconds as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    cell(
        format!("{days:03}d{hours:02}h:{minutes:02}m:{:02}s", whole % 60),
        format!("{seconds:.3}"),
        Key::Number(seconds),
    )
}

/// The configured limit, in the units of its parameter.
fn pair(row: &Row, key: &str) -> Option<Pair> {
    match by_key(key)?.kind {
        Kind::Limit(unit) => Pair::parse(row.ct.config.get(key)?, unit).ok(),
        Kind::Disk(unit) => Pair::parse(row.ct.config.get(key)?, unit).ok(),
        _ => None,
    }
}

fn counter(field: &Field, row: &Row) -> Cell {
    let used = row.usage.counters.iter().find(|counter| counter.name.eq_ignore_ascii_case(field.key));
    let kept = used.and_then(|counter| counter.set);
    let set = kept.or_else(|| pair(row, field.key).map(|pair| (pair.barrier, pair.limit)));
    let values = [
        used.map(|counter| counter.held).or(row.usage.threads.filter(|_| field.origin == Origin::Threads)),
        used.map(|counter| counter.maxheld),
        Some(set.map_or(0, |(barrier, _)| barrier)),
        Some(set.map_or(0, |(_, limit)| limit)),
        used.map(|counter| counter.failcnt),
    ];
    let part = field.name.split_once('.').map_or(0, |(_, part)| ".mblf".find(part).unwrap_or(0));
    let mut made = values[part].map_or_else(none, number);
    let names = ["held", "maxheld", "barrier", "limit", "failcnt"];
    let lines = names.iter().zip(values).map(|(name, value)| format!("\n      \"{name}\": {}", value.unwrap_or(0)));
    made.json = format!("{{{}\n    }}", lines.collect::<Vec<_>>().join(","));
    made
}

fn disk(field: &Field, row: &Row) -> Cell {
    let used = row.usage.disk.map(|(blocks, inodes)| if field.key == "DISKSPACE" { blocks } else { inodes });
    let set = pair(row, field.key);
    // Space and inodes are known together.
    let known = used.is_some() || ["DISKSPACE", "DISKINODES"].iter().any(|key| row.ct.config.get(key).is_some());
    let number_of = |part: fn(&Pair) -> u64| known.then(|| set.as_ref().map_or(0, part));
    let values = [used.filter(|used| *used > 0), number_of(|pair| pair.barrier), number_of(|pair| pair.limit)];
    let part = field.name.split_once('.').map_or(0, |(_, part)| ".sh".find(part).unwrap_or(0));
    let mut made = values[part].map_or_else(none, number);
    made.json = match known {
        false => "null".into(),
        true => {
            let lines = ["usage", "softlimit", "hardlimit"].iter().zip(values);
            let lines = lines.map(|(name, value)| format!("\n      \"{name}\": {}", value.unwrap_or(0)));
            format!("{{{}\n    }}", lines.collect::<Vec<_>>().join(","))
        }
    };
    made
}

type Make = fn(&Field, &Row) -> Cell;

fn one(name: &str, heading: &'static str, width: i32, key: &'static str, cell: Make) -> Field {
    // Numbers are never cut.
    let cuts = width < 0 || name == "smart_name";
    let heading_width = if key == "ORIGIN_SAMPLE" { -width } else { width };
    Field { name: name.to_owned(), heading, heading_width, width, cuts, part: false, key, origin: Origin::Always, cell }
}

/// All fields, in the order of `vzlist -L`.
pub(super) fn all() -> Vec<Field> {
    let mut all = vec![
        one("ctid", "CTID", 10, "", id),
        // Former names.
        one("veid", "CTID", 10, "", id),
        one("vpsid", "CTID", 10, "", id),
        one("private", "PRIVATE", -32, "VE_PRIVATE", text),
        one("root", "ROOT", -32, "VE_ROOT", text),
        one("mount_opts", "MOUNT_OPTS", -16, "MOUNT_OPTS", text),
        one("origin_sample", "ORIGIN_SAMPLE", -32, "ORIGIN_SAMPLE", text),
        one("hostname", "HOSTNAME", -32, "HOSTNAME", text),
        Field { origin: Origin::Name, ..one("name", "NAME", -32, "NAME", name) },
        Field { origin: Origin::Name, ..one("smart_name", "SMARTNAME", 10, "NAME", smart_name) },
        one("description", "DESCRIPTION", -32, "DESCRIPTION", text),
        one("ostemplate", "OSTEMPLATE", -32, "OSTEMPLATE", text),
        one("ip", "IP_ADDR", -15, "IP_ADDRESS", list),
        one("nameserver", "NAMESERVER", -15, "NAMESERVER", list),
        one("searchdomain", "SEARCHDOMAIN", -15, "SEARCHDOMAIN", list),
        one("status", "STATUS", -9, "", status),
    ];
    for (name, heading) in beancounters() {
        for (place, suffix) in ["", ".m", ".b", ".l", ".f"].iter().enumerate() {
            // Headings live as long as the program: there are 105 of them, created once.
            let heading = if place == 0 {
                heading
            } else {
                Box::leak(format!("{heading}{}", suffix.to_uppercase()).into_boxed_str())
            };
            let key: &'static str = by_key(&name.to_uppercase()).map_or("", |param| param.key);
            let origin = if place == 0 && name == "numproc" { Origin::Threads } else { Origin::Counters };
            all.push(Field { part: place > 0, origin, ..one(&format!("{name}{suffix}"), heading, 10, key, counter) });
        }
    }
    for (name, headings, key) in [
        ("diskspace", ["DSPACE", "DSPACE.S", "DSPACE.H"], "DISKSPACE"),
        ("diskinodes", ["DINODES", "DINODES.S", "DINODES.H"], "DISKINODES"),
    ] {
        for (suffix, heading) in ["", ".s", ".h"].iter().zip(headings) {
            let origin = Origin::Disk;
            all.push(Field {
                part: !suffix.is_empty(),
                origin,
                ..one(&format!("{name}{suffix}"), heading, 10, key, disk)
            });
        }
    }
    all.extend([
        Field { origin: Origin::Load, ..one("laverage", "LAVERAGE", 14, "", load) },
        Field { origin: Origin::Uptime, ..one("uptime", "UPTIME", 15, "", uptime) },
        one("cpulimit", "CPULIM", 7, "CPULIMIT", processor),
        one("cpuunits", "CPUUNI", 7, "CPUUNITS", processor),
        one("cpus", "CPUS", 5, "CPUS", positive),
        one("ioprio", "IOP", 3, "IOPRIO", zero),
        one("iolimit", "IOLIMIT", 10, "IOLIMIT", positive),
        one("iopslimit", "IOPS", 4, "IOPSLIMIT", positive),
        one("onboot", "ONBOOT", 6, "ONBOOT", yes),
        one("bootorder", "BOOTORDER", 10, "BOOTORDER", configured),
        Field { origin: Origin::Layout, ..one("layout", "LAYOUT", -6, "", layout) },
        one("features", "FEATURES", -15, "FEATURES", switches),
        one("vswap", "VSWAP", 5, "", vswap),
        one("disabled", "DISABL", 6, "DISABLED", yes),
        one("vm_overcommit", "VM_OVC", 6, "VM_OVERCOMMIT", positive),
        one("netfilter", "NETFILTER", -9, "NETFILTER", text),
        one("capability", "CAPABILITY", -15, "CAPABILITY", switches),
    ]);
    all
}
