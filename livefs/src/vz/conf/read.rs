//! Reading a file is lenient: invalid values are reported and skipped, and the rest counts. Options are strict; see
//! [`super::params::Kind::parse`] for both.

use super::lists;
use super::netif::{self, Netif};
use super::params::{self, Kind, ParamSource};
use super::size::Wrong;
use std::path::Path;

/// A file's values in effect, as they are stored, each key once and by its current name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values {
    /// Keys and values.
    pub pairs: Vec<(String, String)>,
    /// What was skipped or changed: its line, and the sentence. Lines count from 1.
    pub findings: Vec<Finding>,
}

/// A message about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// -1: a warning; 0: normal; 1: for `--verbose`.
    pub level: i32,
    line: usize,
    text: String,
    /// Whether the sentence starts with the line's location.
    placed: bool,
}

impl Finding {
    /// The whole sentence, for a file of this name.
    pub fn sentence(&self, path: &Path) -> String {
        match self.placed {
            true => self.text.replacen("{}", &format!("{}:{}", path.display(), self.line), 1),
            false => self.text.clone(),
        }
    }
}

/// The effect of a second line with the same key.
enum Again {
    /// It is skipped, with a warning.
    First,
    /// It replaces the first.
    Last,
    /// It adds to the list.
    Adds,
}

fn again(key: &str) -> Again {
    match params::by_key(key).map_or(Kind::Text, |param| param.kind) {
        Kind::List => Again::Adds,
        kind if kind.last_counts(key) => Again::Last,
        _ if lists::KEYS.contains(&key) && key != "NETIF" => Again::Adds,
        _ => Again::First,
    }
}

/// The current name of a renamed key.
fn canonical(key: &str) -> &str {
    match key {
        "DCACHE" => "DCACHESIZE",
        "IPTENTRIES" => "NUMIPTENT",
        other => other,
    }
}

/// Keys that others read: of the machine's file or of obsolete programs.
const OTHERS: &[&str] = &[
    "VIRTUOZZO",
    "VE0CPUUNITS",
    "VZFASTBOOT",
    "NEIGHBOUR_DEVS",
    "ERROR_ON_ARPFAIL",
    "VZWDOG",
    "IPTABLES_MODULES",
    "IP6TABLES",
    "CONFIG_CUSTOMIZED",
    "VE_STOP_MODE",
    "SKIP_SYSCTL_SETUP",
    "SKIP_ARPDETECT",
    "VE_PARALLEL",
    "LOCKDIR",
    "DUMPDIR",
    "LOGGING",
    "LOG_LEVEL",
    "LOGFILE",
    "VERBOSE",
    "TEMPLATE",
    "DEF_OSTEMPLATE",
    "CONFIGFILE",
    "ORIGIN_SAMPLE",
    "IPV6",
    "VEID",
    "VE_LAYOUT",
    "LOCAL_UID",
    "LOCAL_GID",
    "INIT",
    "SHELL",
];

impl Values {
    /// Reads a container's lines, or those of the machine's file for one.
    pub(super) fn of<'a>(lines: impl Iterator<Item = Line<'a>>, ctid: u32) -> Values {
        let mut values = Values::default();
        for (line, read) in lines {
            match read {
                Ok((key, text)) => values.add(line, key, text, ctid),
                Err(why) => values.find(-1, line, format!("Warning: can't parse {{}} ({why}), skipping"), true),
            }
        }
        values
    }

    fn find(&mut self, level: i32, line: usize, text: String, placed: bool) {
        self.findings.push(Finding { level, line, text, placed });
    }

    fn add(&mut self, line: usize, name: &str, text: &str, ctid: u32) {
        let key = canonical(name);
        let old = self.pairs.iter().position(|(known, _)| known == key);
        let told = |what: &str, end: &str| format!("Warning at {{}}: {what} for {name} (\"{text}\"), {end}");
        match (again(key), old) {
            (Again::First, Some(_)) => {
                // The classic tool does not report these two.
                if !["LOCAL_UID", "LOCAL_GID"].contains(&key) {
                    self.find(-1, line, told("duplicate", "ignored"), true);
                }
            }
            (Again::Adds, _) => {
                let mut list = old.map_or_else(String::new, |at| self.pairs[at].1.clone());
                let added = lists::add(key, &mut list, text);
                // A list that is empty in its file is set, to nothing.
                match old {
                    Some(at) => self.pairs[at].1 = list,
                    None => self.pairs.push((key.to_owned(), list)),
                }
                for (level, why) in added.said {
                    self.find(level, line, why, false);
                }
                if added.wrong {
                    // The classic tool splits a list in place, and then reports its first word.
                    let first = text.split(lists::between(key)).next().unwrap_or_default();
                    let text = format!("Warning at {{}}: invalid value for {name} (\"{first}\"), skipped");
                    self.find(-1, line, text, true);
                }
            }
            (_, old) => {
                let value = match value(key, text, ctid) {
                    Ok(value) => value,
                    Err(Wrong::Large(most)) => {
                        self.find(-1, line, told("too large value", "truncated"), true);
                        most
                    }
                    Err(Wrong::Form) => {
                        if key == "NETFILTER" {
                            self.find(-1, line, format!("Incorrect netfilter value: {text}"), false);
                        }
                        return self.find(-1, line, told("invalid value", "skipped"), true);
                    }
                };
                if !known(key) {
                    let text = format!("Warning at {{}}: unknown parameter {name} (\"{text}\"), ignored");
                    self.find(1, line, text, true);
                }
                match old {
                    Some(at) => self.pairs[at].1 = value,
                    None => self.pairs.push((key.to_owned(), value)),
                }
            }
        }
    }
}

/// A line with its number: a key and its value, or why it is neither that nor a comment.
pub(super) type Line<'a> = (usize, Result<(&'a str, &'a str), &'static str>);

fn known(key: &str) -> bool {
    params::by_key(key).is_some() || lists::KEYS.contains(&key) || OTHERS.contains(&key)
}

fn value(key: &str, text: &str, ctid: u32) -> Result<String, Wrong> {
    let number = |kind: Kind| kind.parse(text, ParamSource::File);
    match key {
        "NETIF" => Ok(netif::join(&Netif::read(text, ctid).ok_or(Wrong::Form)?)),
        // A path written by hand may end with a slash.
        "VE_ROOT" | "VE_PRIVATE" => Ok(text.trim_end_matches('/').to_owned()),
        "LOCAL_UID" | "LOCAL_GID" => number(Kind::Number(0, u32::MAX.into())),
        "LOGGING" | "IPV6" => number(Kind::YesNo),
        "LOG_LEVEL" | "VERBOSE" if text.parse::<i32>().is_err() => Err(Wrong::Form),
        "VE_LAYOUT" => {
            let kind = text.strip_prefix("ploop:").is_some_and(|kind| ["expanded", "plain", "raw"].contains(&kind));
            let good = kind || ["simfs", "overlay", "app", "ploop"].contains(&text);
            if good { Ok(text.to_owned()) } else { Err(Wrong::Form) }
        }
        _ => match params::by_key(key) {
            Some(param) => param.kind.parse(text, ParamSource::File),
            None => Ok(text.to_owned()),
        },
    }
}
