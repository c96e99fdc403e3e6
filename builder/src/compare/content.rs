//! The content of two files that differ: an image, a configuration, a list of packages, or only bytes.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::{At, CompareOptions, Comparison, Topic, images, inside};
use crate::inspect::{grub_entries, parse_sbom};
use crate::printable::printable;
use crate::reader::{Fault, Format, Image, Region};

/// The most bytes of a text that is compared by meaning.
const TEXT: u64 = 64 << 20;
/// Images inside each other that are compared.
const DEPTH: usize = 8;

/// Where two streams differ first; `None` if they are equal.
pub fn first_difference(a: &mut dyn Read, b: &mut dyn Read) -> io::Result<Option<u64>> {
    let (mut left, mut right) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut at = 0;
    loop {
        crate::interrupt::check()?;
        let (count, other) = (fill(a, &mut left)?, fill(b, &mut right)?);
        let common = count.min(other);
        if let Some(index) = (0..common).find(|&index| left[index] != right[index]) {
            return Ok(Some(at + index as u64));
        }
        if count != other {
            return Ok(Some(at + common as u64));
        }
        if count == 0 {
            return Ok(None);
        }
        at += count as u64;
    }
}

fn fill(from: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match from.read(&mut buffer[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// Compares two files whose bytes differ, from byte `at` on. `path` is safe to print.
pub fn files(
    out: &mut Comparison,
    place: &str,
    path: &str,
    sides: (&Region, &Region),
    at: u64,
    options: &CompareOptions,
) -> Result<(), Fault> {
    let (a, b) = sides;
    let depth = place.matches("//").count();
    if depth < DEPTH {
        match (Image::open(a, &options.limits), Image::open(b, &options.limits)) {
            (Ok(old), Ok(new)) if is_image(&old) && is_image(&new) => {
                return images(out, &inside(place, path), &old, &new, options);
            }
            (Err(fault @ Fault::Io(_)), _) | (_, Err(fault @ Fault::Io(_))) => return Err(fault),
            _ => {}
        }
    }
    let before = out.differences.len();
    if a.len() <= TEXT && b.len() <= TEXT {
        let (old, new) = (a.bytes(0, a.len() as usize)?, b.bytes(0, b.len() as usize)?);
        texts(out, place, path, &old, &new);
        if out.differences.len() == before {
            let (before, after) = match first_lines(&old, &new) {
                Some((number, before, after)) => {
                    (format!("line {number}: {before}"), format!("line {number}: {after}"))
                }
                None => sizes(a, b, at),
            };
            out.change(&At { topic: Topic::File, place, subject: path }, "content", Some(before), Some(after));
        }
        return Ok(());
    }
    let (before, after) = sizes(a, b, at);
    out.change(&At { topic: Topic::File, place, subject: path }, "content", Some(before), Some(after));
    Ok(())
}

fn sizes(a: &Region, b: &Region, at: u64) -> (String, String) {
    (format!("{} bytes", a.len()), format!("{} bytes, different from byte {at} on", b.len()))
}

fn is_image(image: &Image) -> bool {
    !matches!(image.format, Format::Unknown | Format::EfiProgram(_) | Format::Qcow2 { .. })
}

/// Texts with a known meaning.
fn texts(out: &mut Comparison, place: &str, path: &str, old: &[u8], new: &[u8]) {
    let (Ok(before), Ok(after)) = (std::str::from_utf8(old), std::str::from_utf8(new)) else { return };
    let name = path.rsplit('/').next().unwrap_or_default();
    if name == "grub.cfg" {
        out.maps(Topic::Grub, &inside(place, path), &menu(before), &menu(after));
    } else if name == "config" || name == ".config" || name.starts_with("config-") {
        out.maps(Topic::Config, &inside(place, path), &settings(before), &settings(after));
    } else if name.ends_with(".json")
        && let (Some(before), Some(after)) = (parse_sbom(old), parse_sbom(new))
    {
        let place = inside(place, path);
        out.value(
            &At { topic: Topic::Sbom, place: &place, subject: "format" },
            "format",
            &before.format,
            &after.format,
        );
        out.maps(Topic::Sbom, &place, &before.packages, &after.packages);
    }
}

/// Entries by title, as text. Of several with the same title the later ones get a number.
fn menu(script: &str) -> BTreeMap<String, String> {
    let mut menu = BTreeMap::new();
    for entry in grub_entries(script) {
        let initrd = entry.initrd.join(" ");
        let initrd = if initrd.is_empty() { initrd } else { format!("; initrd {initrd}") };
        let title = match menu.contains_key(&entry.title) {
            true => (2..).map(|number| format!("{} ({number})", entry.title)).find(|title| !menu.contains_key(title)),
            false => None,
        };
        menu.insert(title.unwrap_or(entry.title), format!("{} {}{initrd}", entry.kernel, entry.command_line));
    }
    menu
}

/// Settings by symbol. One that is not set is not mentioned.
pub fn settings(config: &str) -> BTreeMap<String, String> {
    let setting = |line: &str| {
        line.strip_prefix("CONFIG_")?.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    config.lines().filter_map(setting).collect()
}

/// The first line that differs, on both sides; `None` if they are not both text.
fn first_lines(old: &[u8], new: &[u8]) -> Option<(usize, String, String)> {
    let (old, new) = (std::str::from_utf8(old).ok()?, std::str::from_utf8(new).ok()?);
    if old.contains('\0') || new.contains('\0') {
        return None;
    }
    let mut number = 0;
    let (mut old, mut new) = (old.split('\n'), new.split('\n'));
    loop {
        number += 1;
        let (before, after) = (old.next(), new.next());
        if before != after || before.is_none() {
            let show = |line: Option<&str>| {
                let line = line.map(|line| line.chars().take(200).collect::<String>());
                line.map_or("end of the file".to_owned(), |line| printable(&line).to_string())
            };
            return Some((number, show(before), show(after)));
        }
    }
}
