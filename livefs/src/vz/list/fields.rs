//! The fields of `vzlist`: names, headings, widths, and what stands in them.

use super::{Row, Status, beancounters};
use crate::vz::conf::params::by_key;
use crate::vz::conf::{Pair, params::Kind};

/// A column.
#[derive(Debug, Clone)]
pub(super) struct Field {
    /// Its name for `-o` and `-s`.
    pub name: String,
    /// Another name.
    pub alias: Option<&'static str>,
    /// Its heading.
    pub heading: &'static str,
    /// Its width; negative: to the left.
    pub width: i32,
    /// Whether longer text is cut.
    pub cuts: bool,
    /// Whether it is one number of several, which JSON gives together.
    pub part: bool,
    /// The key or counter, and which number of it.
    pub key: &'static str,
    /// What stands in it for a container.
    pub cell: fn(&Field, &Row) -> Cell,
}

/// What sorting compares.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub(super) enum Key {
    /// Nothing known: first.
    None,
    /// A number.
    Number(f64),
    /// Text.
    Text(String),
}

/// What stands in a column.
pub(super) struct Cell {
    /// As text.
    pub text: String,
    /// As JSON.
    pub json: String,
    /// What it sorts by.
    pub key: Key,
    /// Whether it is a list, of which only the first is shown where room is short.
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

fn smart_name(field: &Field, row: &Row) -> Cell {
    match row.ct.config.get("NAME") {
        Some(_) => text(field, row),
        None => id(field, row),
    }
}

fn status(_: &Field, row: &Row) -> Cell {
    let word = match row.status {
        Status::Running => "running",
        Status::Mounted => "mounted",
        Status::Stopped => "stopped",
        Status::Suspended => "suspended",
    };
    cell(word, quoted(word), Key::Number(row.status as u8 as f64))
}

fn layout(_: &Field, row: &Row) -> Cell {
    cell(row.layout, quoted(row.layout), Key::Text(row.layout.into()))
}

fn configured(field: &Field, row: &Row) -> Cell {
    let value = row.ct.config.get(field.key).and_then(|text| text.parse::<f64>().ok());
    value.map_or_else(none, |value| cell(value.to_string(), value.to_string(), Key::Number(value)))
}

fn yes(field: &Field, row: &Row) -> Cell {
    match row.ct.config.get(field.key) {
        Some("yes") => cell("yes", "true", Key::Number(1.0)),
        None if field.key == "ONBOOT" => none(),
        _ => cell("no", "false", Key::Number(0.0)),
    }
}

fn vswap(_: &Field, row: &Row) -> Cell {
    match row.ct.config.get("SWAPPAGES") {
        Some(_) => cell("yes", "true", Key::Number(1.0)),
        None => cell("no", "false", Key::Number(0.0)),
    }
}

fn load(_: &Field, row: &Row) -> Cell {
    row.load.map_or_else(none, |[a, b, c]| {
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

/// What is set for a limit, in the units of its parameter.
fn pair(row: &Row, key: &str) -> Option<Pair> {
    match by_key(key)?.kind {
        Kind::Limit(unit) => Pair::parse(row.ct.config.get(key)?, unit),
        _ => None,
    }
}

fn counter(field: &Field, row: &Row) -> Cell {
    let used = row.usage.counters.iter().find(|counter| counter.name.eq_ignore_ascii_case(field.key));
    let kept = used.and_then(|counter| counter.set);
    let set = kept.or_else(|| pair(row, field.key).map(|pair| (pair.barrier, pair.limit)));
    let values = [
        used.map(|counter| counter.held),
        used.map(|counter| counter.maxheld),
        set.map(|(barrier, _)| barrier),
        set.map(|(_, limit)| limit),
        used.map(|counter| counter.failcnt),
    ];
    let part = field.name.split_once('.').map_or(0, |(_, part)| ".mblf".find(part).unwrap_or(0));
    let mut made = values[part].map_or_else(none, number);
    made.json = match (used, set) {
        (None, None) => "null".into(),
        _ => {
            let names = ["held", "maxheld", "barrier", "limit", "failcnt"];
            let lines =
                names.iter().zip(values).map(|(name, value)| format!("\n      \"{name}\": {}", value.unwrap_or(0)));
            format!("{{{}\n    }}", lines.collect::<Vec<_>>().join(","))
        }
    };
    made
}

fn disk(field: &Field, row: &Row) -> Cell {
    let used = row.usage.disk.map(|(blocks, inodes)| if field.key == "DISKSPACE" { blocks } else { inodes });
    let set = pair(row, field.key);
    let values = [used, set.map(|pair| pair.barrier), set.map(|pair| pair.limit)];
    let part = field.name.split_once('.').map_or(0, |(_, part)| ".sh".find(part).unwrap_or(0));
    let mut made = values[part].map_or_else(none, number);
    made.json = match (used, set) {
        (None, None) => "null".into(),
        _ => {
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
    Field { name: name.to_owned(), alias: None, heading, width, cuts, part: false, key, cell }
}

/// All fields, in the order of `vzlist -L`.
pub(super) fn all() -> Vec<Field> {
    let mut all = vec![
        Field { alias: Some("veid"), ..one("ctid", "CTID", 10, "", id) },
        one("private", "PRIVATE", -32, "VE_PRIVATE", text),
        one("root", "ROOT", -32, "VE_ROOT", text),
        one("mount_opts", "MOUNT_OPTS", -16, "MOUNT_OPTS", text),
        one("origin_sample", "ORIGIN_SAMPLE", -32, "ORIGIN_SAMPLE", text),
        one("hostname", "HOSTNAME", -32, "HOSTNAME", text),
        one("name", "NAME", -32, "NAME", text),
        one("smart_name", "SMARTNAME", 10, "NAME", smart_name),
        one("description", "DESCRIPTION", -32, "DESCRIPTION", text),
        one("ostemplate", "OSTEMPLATE", -32, "OSTEMPLATE", text),
        one("ip", "IP_ADDR", -15, "IP_ADDRESS", list),
        one("nameserver", "NAMESERVER", -15, "NAMESERVER", list),
        one("searchdomain", "SEARCHDOMAIN", -15, "SEARCHDOMAIN", list),
        one("status", "STATUS", -9, "", status),
    ];
    for (name, heading) in beancounters() {
        for (place, suffix) in ["", ".m", ".b", ".l", ".f"].iter().enumerate() {
            // Headings live as long as the program: there are 105 of them, made once.
            let heading = if place == 0 {
                heading
            } else {
                Box::leak(format!("{heading}{}", suffix.to_uppercase()).into_boxed_str())
            };
            let key: &'static str = by_key(&name.to_uppercase()).map_or("", |param| param.key);
            all.push(Field { part: place > 0, ..one(&format!("{name}{suffix}"), heading, 10, key, counter) });
        }
    }
    for (name, headings, key) in [
        ("diskspace", ["DSPACE", "DSPACE.S", "DSPACE.H"], "DISKSPACE"),
        ("diskinodes", ["DINODES", "DINODES.S", "DINODES.H"], "DISKINODES"),
    ] {
        for (suffix, heading) in ["", ".s", ".h"].iter().zip(headings) {
            all.push(Field { part: !suffix.is_empty(), ..one(&format!("{name}{suffix}"), heading, 10, key, disk) });
        }
    }
    all.extend([
        one("laverage", "LAVERAGE", 14, "", load),
        one("uptime", "UPTIME", 15, "", uptime),
        one("cpulimit", "CPULIM", 7, "CPULIMIT", configured),
        one("cpuunits", "CPUUNI", 7, "CPUUNITS", configured),
        one("cpus", "CPUS", 5, "CPUS", configured),
        one("ioprio", "IOP", 3, "IOPRIO", configured),
        one("iolimit", "IOLIMIT", 10, "IOLIMIT", configured),
        one("iopslimit", "IOPS", 4, "IOPSLIMIT", configured),
        one("onboot", "ONBOOT", 6, "ONBOOT", yes),
        one("bootorder", "BOOTORDER", 10, "BOOTORDER", configured),
        one("layout", "LAYOUT", 6, "", layout),
        one("features", "FEATURES", -15, "FEATURES", text),
        one("vswap", "VSWAP", 5, "", vswap),
        one("disabled", "DISABL", 6, "DISABLED", yes),
        one("vm_overcommit", "VM_OVC", 6, "VM_OVERCOMMIT", configured),
        one("netfilter", "NETFILTER", -9, "NETFILTER", text),
        one("capability", "CAPABILITY", -15, "CAPABILITY", text),
    ]);
    all
}
