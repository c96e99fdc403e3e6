//! Two trees, entry by entry.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::content::{self, first_difference};
use super::{At, CompareOptions, Comparison, Topic};
use crate::inspect::installed;
use crate::printable::printable;
use crate::reader::{Entry, Fault, Filesystem, Kind, Listing};

/// Compares the entries of two containers.
pub fn compare(
    out: &mut Comparison,
    place: &str,
    a: &dyn Filesystem,
    b: &dyn Filesystem,
    options: &CompareOptions,
) -> Result<(), Fault> {
    let before = out.differences.len();
    out.maps(Topic::Package, place, &installed(a)?, &installed(b)?);
    let packages = out.differences.len() > before;
    let (old, new) = (by_path(a.listing()), by_path(b.listing()));
    let (links, others) = (names(&old), names(&new));
    let paths: BTreeSet<&[u8]> = old.keys().chain(new.keys()).copied().collect();
    let mut times = 0;
    for path in paths {
        crate::interrupt::check()?;
        let shown = if path.is_empty() { "/".to_owned() } else { printable(path).to_string() };
        let at = At { topic: Topic::File, place, subject: &shown };
        match (old.get(path), new.get(path)) {
            (Some(entry), Some(other)) => {
                metadata(out, &at, entry, other);
                if entry.mtime != other.mtime {
                    times += 1;
                    if options.times {
                        out.change(&at, "time", Some(time(entry)), Some(time(other)));
                    }
                }
                let shared = |entry: &Entry, names: &HashMap<u64, Vec<&[u8]>>| {
                    let names = entry.inode.and_then(|inode| names.get(&inode)).filter(|names| names.len() > 1);
                    names.map_or(String::new(), |names| {
                        let shown = names.iter().map(|name| printable(*name).to_string());
                        shown.collect::<Vec<_>>().join(" ")
                    })
                };
                out.value(&at, "hard links", &shared(entry, &links), &shared(other, &others));
                // The list of packages was compared by meaning.
                let known = packages && path.windows(12).any(|part| part == b"var/lib/dpkg");
                if entry.is_file() && other.is_file() && !known {
                    contents(out, place, &shown, (a, entry), (b, other), options)?;
                }
            }
            (entry, other) => {
                out.change(&at, "", entry.map(|entry| summary(entry)), other.map(|entry| summary(entry)));
            }
        }
    }
    if times > 0 && !options.times {
        let place = if place.is_empty() { "the image" } else { place };
        out.notes.push(format!("{place}: {times} modification times differ (compared with --times)"));
    }
    Ok(())
}

/// The last entry of each path.
fn by_path(listing: &Listing) -> BTreeMap<&[u8], &Entry> {
    listing.tree().map(|entry| (entry.path.as_slice(), entry)).collect()
}

/// The names of each file that has several.
fn names<'a>(entries: &BTreeMap<&'a [u8], &Entry>) -> HashMap<u64, Vec<&'a [u8]>> {
    let mut names: HashMap<u64, Vec<&[u8]>> = HashMap::new();
    for (path, entry) in entries {
        if let Some(inode) = entry.inode {
            names.entry(inode).or_default().push(path);
        }
    }
    names
}

fn metadata(out: &mut Comparison, at: &At<'_>, entry: &Entry, other: &Entry) {
    if std::mem::discriminant(&entry.kind) != std::mem::discriminant(&other.kind) {
        out.change(at, "type", Some(summary(entry)), Some(summary(other)));
        return;
    }
    match (&entry.kind, &other.kind) {
        (Kind::Symlink(old), Kind::Symlink(new)) => {
            out.value(at, "target", &printable(old).to_string(), &printable(new).to_string());
        }
        // The modes of links mean nothing, and formats differ in them.
        (old, new) => {
            out.value(at, "mode", &format!("{:04o}", entry.mode), &format!("{:04o}", other.mode));
            out.value(at, "device", &device(old), &device(new));
        }
    }
    let owner = |entry: &Entry| format!("{}:{}", entry.uid, entry.gid);
    out.value(at, "owner", &owner(entry), &owner(other));
    let names: BTreeSet<&Vec<u8>> = entry.xattrs.keys().chain(other.xattrs.keys()).collect();
    for name in names {
        let (old, new) = (entry.xattrs.get(name), other.xattrs.get(name));
        if old != new {
            let show = |value: &Vec<u8>| format!("{} = \"{}\"", printable(name), value.escape_ascii());
            out.change(at, "attribute", old.map(show), new.map(show));
        }
    }
}

fn device(kind: &Kind) -> String {
    match kind {
        Kind::Char(Some((major, minor))) | Kind::Block(Some((major, minor))) => format!("{major}:{minor}"),
        _ => String::new(),
    }
}

fn time(entry: &Entry) -> String {
    let time = entry.mtime.and_then(|time| jiff::Timestamp::from_second(time).ok());
    time.map_or("none".into(), |time| time.to_string())
}

/// An entry in a few words.
fn summary(entry: &Entry) -> String {
    let owner =
        if (entry.uid, entry.gid) == (0, 0) { String::new() } else { format!(", owner {}:{}", entry.uid, entry.gid) };
    match &entry.kind {
        Kind::Symlink(target) => format!("a link to {}", printable(target)),
        Kind::File => format!("a file of {} bytes, mode {:04o}{owner}", entry.size, entry.mode),
        kind => {
            let device = device(kind);
            let device = if device.is_empty() { device } else { format!(" {device}") };
            format!("{}{device}, mode {:04o}{owner}", kind.name(), entry.mode)
        }
    }
}

fn contents(
    out: &mut Comparison,
    place: &str,
    path: &str,
    (a, entry): (&dyn Filesystem, &Entry),
    (b, other): (&dyn Filesystem, &Entry),
    options: &CompareOptions,
) -> Result<(), Fault> {
    let differs = first_difference(&mut *a.open(entry)?.reader(), &mut *b.open(other)?.reader())?;
    let Some(at) = differs else { return Ok(()) };
    let sides = (a.open(entry)?.region(&options.limits)?, b.open(other)?.region(&options.limits)?);
    content::files(out, place, path, (&sides.0, &sides.1), at, options)
}
