//! `vzlist`: containers in columns, as JSON (`vzlist.schema.json`) or as metrics.

mod fields;
mod metrics;

use super::conf::Config;
use super::conf::params::BEANCOUNTERS;
use super::context::{Ct, Vz};
use super::exit::{Error, Result};
use super::layout::Layout;
use super::log::Log;
use super::names;
use super::node::{Activity, Counter, Node};
use super::options::{self, Given, Known};
use super::paths::Paths;
use fields::{Cell, Field, Origin};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

const KNOWN: &[Known] = &[
    ("no-header", Some('H'), false),
    ("no-trim", Some('t'), false),
    ("stopped", Some('S'), false),
    ("all", Some('a'), false),
    ("name", Some('n'), false),
    ("json", Some('j'), false),
    ("name_filter", Some('N'), true),
    ("hostname", Some('h'), true),
    ("description", Some('d'), true),
    ("output", Some('o'), true),
    ("sort", Some('s'), true),
    ("list", Some('L'), false),
    ("metrics", None, false),
    ("help", None, false),
    ("only-ids", Some('1'), false),
];

const USAGE: &str = "\
Usage: vzlist [-a | -S] [-n] [-H] [-t] [-j] [-o FIELD[,FIELD...] | -1] [-s [-]FIELD]
              [-h PATTERN] [-N PATTERN] [-d PATTERN] [CTID [CTID ...]]
       vzlist -L | --list

Options:
  -a, --all           list all containers
  -S, --stopped       list stopped containers
  -n, --name          display containers' names
  -H, --no-header     suppress columns header
  -t, --no-trim       do not trim long values
  -j, --json          output in JSON format
  -o, --output        output only specified fields
  -1                  synonym for -H -octid
  -s, --sort          sort by the specified field ('-field' to reverse sort order)
  -h, --hostname      filter CTs by hostname pattern
  -N, --name_filter   filter CTs by name pattern
  -d, --description   filter CTs by description pattern
  -L, --list          get possible field names
  --metrics           all containers as metrics, in Prometheus' text format";

/// A container's state, as `vzlist` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Status {
    /// Running.
    Running,
    /// Its root is mounted.
    Mounted,
    /// Not running.
    Stopped,
    /// Frozen, or saved to disk.
    Suspended,
}

impl Status {
    /// As displayed.
    fn word(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Mounted => "mounted",
            Status::Stopped => "stopped",
            Status::Suspended => "suspended",
        }
    }
}

/// The data of a container.
pub(super) struct Row {
    ct: Ct,
    status: Status,
    layout: &'static str,
    usage: Usage,
    /// Whether its private area is missing, so that it is not shown.
    left: bool,
    /// Whether its name's link leads to it.
    named: bool,
}

/// What a running container uses: what was asked for, and is known.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Threads.
    threads: Option<u64>,
    /// Beancounters.
    counters: Vec<Counter>,
    /// Seconds since it started.
    uptime: Option<f64>,
    /// Blocks of 1024 bytes in use, and inodes.
    disk: Option<(u64, u64)>,
    /// The load of the last 1, 5 and 15 minutes.
    load: Option<[f64; 3]>,
}

/// Runs `vzlist`. Gives the exit code, and the captured output, for tests.
pub fn main(paths: &Paths, node: Box<dyn Node>, arguments: Vec<OsString>, log: Log) -> (u8, Log) {
    let arguments: Vec<String> = arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let given = match options::parse("vzlist", &arguments, KNOWN) {
        Ok(given) if !given.has("help") => given,
        other => {
            if let Err(text) = other {
                log.error(text);
            }
            log.print(USAGE);
            return (1, log);
        }
    };
    if given.has("list") {
        fields::all().iter().for_each(|field| log.print(format_args!("{:<15} {:<15}", field.name, field.heading)));
        return (0, log);
    }
    let global = match Vz::global(paths) {
        Ok(global) => global,
        Err(error) => {
            log.error(&error);
            return (error.code(), log);
        }
    };
    let vz = Vz { paths: paths.clone(), node, log, global };
    vz.tell(&vz.global, &vz.paths.global_conf(), 0);
    let code = show(&vz, &given).unwrap_or_else(|error| {
        vz.log.error(&error);
        1
    });
    (code, vz.log)
}

fn show(vz: &Vz, given: &Given) -> Result<u8> {
    if given.has("metrics") {
        let mut rows = collect(vz, given, &wanted(vz, given)?, &|_| true)?;
        rows.retain(|row| !row.left);
        vz.log.print(metrics::text(&rows).trim_end());
        return Ok(0);
    }
    let value = |text: String| Error::Value(text);
    let json = given.has("json");
    let all = fields::all();
    let find = |name: &str| all.iter().find(|field| field.name == name);
    let sort = match given.value("sort") {
        Some(text) => {
            let name = text.strip_prefix('-').unwrap_or(text);
            Some((find(name).ok_or_else(|| value(format!("Invalid sort field name: {text}")))?, text.starts_with('-')))
        }
        None => None,
    };
    let order = given.options.iter().rev().find_map(|(name, text)| match *name {
        "output" => Some(text.as_str()),
        "only-ids" => Some("veid"),
        "name" => Some("smart_name,numproc,status,ip,hostname"),
        _ => None,
    });
    let mut shown = Vec::new();
    match order.or((!json).then_some("ctid,numproc,status,ip,hostname")) {
        Some(order) => {
            for name in order.trim_end_matches(',').split(',') {
                let field = find(name).ok_or_else(|| value(format!("Unknown field: {name}")))?;
                if json && field.part {
                    return Err(value(format!("Field `{name}' is not available in JSON output")));
                }
                shown.push(field);
            }
        }
        None => shown.extend(all.iter().filter(|field| !field.part)),
    }
    let wanted = wanted(vz, given)?;
    let sorted = sort.iter().map(|(field, _)| *field);
    // Each costs something for each container, so only what is shown is read.
    let origins: Vec<Origin> = shown.iter().copied().chain(sorted).map(|field| field.origin(json)).collect();
    let mut rows = collect(vz, given, &wanted, &|origin| origins.contains(&origin))?;
    if rows.is_empty() {
        if json {
            vz.log.print("[]");
        } else {
            vz.log.error("Container(s) not found");
        }
        // An empty list is not an error, unless a container was requested.
        return Ok(u8::from(!wanted.is_empty()));
    }
    rows.retain(|row| !row.left);
    if given.has("stopped") {
        rows.retain(|row| row.status != Status::Running);
    }
    for (option, key) in [("hostname", "HOSTNAME"), ("name_filter", "NAME"), ("description", "DESCRIPTION")] {
        if let Some(pattern) = given.value(option) {
            rows.retain(|row| row.ct.config.get(key).is_some_and(|text| matches(pattern.as_bytes(), text.as_bytes())));
        }
    }
    if let Some((field, reverse)) = sort {
        rows.sort_by(|a, b| {
            (field.cell)(field, a).key.partial_cmp(&(field.cell)(field, b).key).unwrap_or(std::cmp::Ordering::Equal)
        });
        if reverse {
            rows.reverse();
        }
    }
    if json {
        print_json(vz, &rows, &shown);
    } else {
        let header = !given.has("no-header") && !given.has("only-ids");
        print_columns(vz, &rows, &shown, header, !given.has("no-trim"));
    }
    Ok(0)
}

/// The containers requested by number or name.
fn wanted(vz: &Vz, given: &Given) -> Result<Vec<u32>> {
    let one =
        |text: &String| names::resolve(&vz.paths, text).map_err(|_| Error::Value(format!("CT ID {text} is invalid.")));
    given.rest.iter().map(one).collect()
}

fn collect(vz: &Vz, given: &Given, wanted: &[u32], needed: &dyn Fn(Origin) -> bool) -> Result<Vec<Row>> {
    let running = vz.node.running()?;
    let mut ids: Vec<u32> = running.keys().copied().collect();
    if given.has("all") || given.has("stopped") || given.has("metrics") || !wanted.is_empty() {
        ids.extend(configured(vz));
    }
    ids.sort_unstable();
    ids.dedup();
    ids.retain(|id| *id != 0 && (wanted.is_empty() || wanted.contains(id)));
    let mut uptimes = match needed(Origin::Uptime) {
        true => vz.node.uptimes(&ids.iter().copied().filter(|id| running.contains_key(id)).collect::<Vec<_>>()),
        false => BTreeMap::new(),
    };
    let places = places(vz);
    let mut row = |id: u32| {
        let mut row = row(vz, container(vz, id, &places)?, running.get(&id).copied(), needed)?;
        row.usage.uptime = uptimes.remove(&id);
        Ok(row)
    };
    ids.into_iter().map(&mut row).collect()
}

/// Numbers of all configurations.
pub fn configured(vz: &Vz) -> Vec<u32> {
    let entries = fs::read_dir(vz.paths.conf()).into_iter().flatten().flatten();
    let number = |name: OsString| name.to_str()?.strip_suffix(".conf")?.parse().ok();
    let mut ids: Vec<u32> =
        entries.filter_map(|entry| number(entry.file_name())).filter(|id| (1..=names::MAX_ID).contains(id)).collect();
    ids.sort_unstable();
    ids
}

/// What matters here of the machine's file: the paths of containers.
fn places(vz: &Vz) -> Vec<(String, String)> {
    let mut pairs = vz.global.values(0).pairs;
    pairs.retain(|(key, _)| ["VE_ROOT", "VE_PRIVATE"].contains(&key.as_str()));
    pairs
}

/// A container according to its own file and these pairs. Reports what was skipped in its file, which is read and parsed
/// once: there may be a thousand.
fn container(vz: &Vz, id: u32, places: &[(String, String)]) -> Result<Ct> {
    let file = vz.container_file(id)?;
    let values = file.as_ref().map(|file| file.values(id));
    if let Some(values) = &values {
        vz.tell_of(values, &vz.paths.container_conf(id));
    }
    let own = values.into_iter().flat_map(|values| values.pairs);
    let config = Config::of(places.iter().cloned().chain(own), id);
    Ok(Ct { id, file, config })
}

fn row(vz: &Vz, ct: Ct, activity: Option<Activity>, needed: &dyn Fn(Origin) -> bool) -> Result<Row> {
    let id = ct.id;
    let root = ct.config.get("VE_ROOT").map(|root| vz.paths.at(root));
    let private = ct.config.get("VE_PRIVATE").map(|private| vz.paths.at(private));
    let running = activity.is_some();
    // The root of a running one matters only for what is in it.
    let mounted = (!running || needed(Origin::Disk))
        && root.as_ref().is_some_and(|root| vz.node.is_mounted(root).unwrap_or(false));
    let status = match activity {
        Some(Activity::Frozen) => Status::Suspended,
        Some(Activity::Runs) => Status::Running,
        None if mounted => Status::Mounted,
        None if vz.is_suspended(id) => Status::Suspended,
        None => Status::Stopped,
    };
    let asked = needed(Origin::Layout) || needed(Origin::Disk);
    let kept = private.as_ref().filter(|_| asked).and_then(|private| ct.layout(private).ok());
    let layout = kept.map_or("???", Layout::name);
    // What is without its private area is the configuration of another machine, or of nothing.
    let left = !running && !private.as_deref().is_some_and(Path::exists);
    let mut usage = Usage::default();
    if running && needed(Origin::Counters) {
        usage.counters = match vz.node.counters(id) {
            // It has ended meanwhile.
            Err(_) if !vz.node.is_running(id)? => Vec::new(),
            counters => counters?,
        };
    } else if running && needed(Origin::Threads) {
        usage.threads = vz.node.threads(id);
    }
    let image = mounted && kept.is_some_and(|layout| layout.area().is_image());
    if let Some(root) = root.filter(|_| image && needed(Origin::Disk)) {
        usage.disk = vz.node.used(&root).ok();
    }
    if status == Status::Running && needed(Origin::Load) {
        usage.load = vz.node.load(id);
    }
    let named =
        needed(Origin::Name) && ct.config.get("NAME").is_some_and(|name| names::by_name(&vz.paths, name) == Some(id));
    Ok(Row { ct, status, layout, usage, left, named })
}

fn print_columns(vz: &Vz, rows: &[Row], fields: &[&Field], header: bool, trim: bool) {
    if header {
        let cells: Vec<String> = fields.iter().map(|field| pad(field.heading, field.heading_width)).collect();
        vz.log.print(cells.join(" ").trim_end());
    }
    for row in rows {
        let mut line = Vec::new();
        for (place, field) in fields.iter().enumerate() {
            let whole = !trim || place + 1 == fields.len();
            let Cell { text, list, .. } = (field.cell)(field, row);
            let text = match (whole, list) {
                // Within a line there is only room for the first element of a list.
                (false, true) => text.split(' ').next().unwrap_or_default().to_owned(),
                _ => text,
            };
            let most = field.width.unsigned_abs() as usize;
            let cut = if !whole && field.cuts { text.chars().take(most).collect() } else { text };
            line.push(pad(&cut, field.width));
        }
        vz.log.print(line.join(" ").trim_end());
    }
}

/// Pads to a width; a negative one means left-aligned, as in printf(3).
fn pad(text: &str, width: i32) -> String {
    let columns = width.unsigned_abs() as usize;
    if width < 0 { format!("{text:<columns$}") } else { format!("{text:>columns$}") }
}

fn print_json(vz: &Vz, rows: &[Row], fields: &[&Field]) {
    let row = |row: &Row| {
        let cells: Vec<String> =
            fields.iter().map(|field| format!("\n    \"{}\": {}", field.name, (field.cell)(field, row).json)).collect();
        format!("\n  {{{}\n  }}", cells.join(","))
    };
    let all: Vec<String> = rows.iter().map(row).collect();
    vz.log.print(format_args!("[{}\n]", all.join(",")));
}

/// A shell's pattern: `*`, `?`, `[a-z]`, `[!x]`, `\` (fnmatch(3) without flags).
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|skip| matches(rest, &text[skip..])),
        ([b'?', rest @ ..], [_, more @ ..]) => matches(rest, more),
        ([b'[', rest @ ..], [byte, more @ ..]) => {
            let negated = matches!(rest.first(), Some(b'!' | b'^'));
            let set = &rest[usize::from(negated)..];
            // A bracket in the first position is one of the set.
            let Some(end) = set.iter().skip(1).position(|b| *b == b']').map(|at| at + 1) else {
                return *byte == b'[' && matches(rest, more);
            };
            let mut found = false;
            let mut at = 0;
            while at < end {
                let range = at + 2 < end && set[at + 1] == b'-';
                let last = if range { set[at + 2] } else { set[at] };
                found |= (set[at]..=last).contains(byte);
                at += if range { 3 } else { 1 };
            }
            found != negated && matches(&set[end + 1..], more)
        }
        ([b'\\', byte, rest @ ..], [same, more @ ..]) => byte == same && matches(rest, more),
        ([byte, rest @ ..], [same, more @ ..]) => byte == same && matches(rest, more),
        _ => false,
    }
}

/// A beancounter of the classic list, by index.
fn beancounters() -> impl Iterator<Item = (&'static str, &'static str)> {
    BEANCOUNTERS.iter().copied()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("w*b", "web", true),
            ("w?b", "web", true),
            ("w?b", "wb", false),
            ("[a-cw]eb", "web", true),
            ("[!a-c]eb", "web", true),
            ("[!w]eb", "web", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("[", "[", true),
            ("web", "webs", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
