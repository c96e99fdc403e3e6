//! The first difference of two contents, with the place inside of images, archives and compressed files that has it.

use std::collections::BTreeSet;
use std::io::{self, Read};

use super::name::name;
use crate::printable::printable;
use crate::reader::{Entry, Filesystem, Image, Kind, Limits, Region};

/// How deep containers in containers are opened.
const DEEPEST: usize = 8;

/// The largest content that is compared.
const MOST: u64 = 512 << 20;

/// Bytes shown around a difference.
const SHOWN: usize = 16;

/// Characters of a line that are shown.
const LINE: usize = 160;

/// The first difference of two contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentDifference {
    /// The path inside of archives, from the outermost; empty if the content is none.
    pub inside: Vec<String>,
    /// What differs: `content`, `mode` …
    pub what: String,
    /// The place in the content.
    pub place: Option<String>,
    /// Both values, or the surroundings of the difference.
    pub values: [String; 2],
}

/// Finds it; `None` if the contents are equal.
pub fn difference(first: &[u8], second: &[u8]) -> Option<ContentDifference> {
    at_depth(first, second, DEEPEST)
}

fn at_depth(first: &[u8], second: &[u8], depth: usize) -> Option<ContentDifference> {
    if first == second {
        return None;
    }
    let deeper = depth.checked_sub(1).and_then(|depth| inside(first, second, depth));
    deeper.or_else(|| Some(plain(first, second)))
}

/// Inside of a compressed file or a container; `None` if they are none, can't be read, or only differ in how they hold
/// the same content.
fn inside(first: &[u8], second: &[u8], depth: usize) -> Option<ContentDifference> {
    let open = |bytes: &[u8]| Image::open(&Region::of_bytes(bytes.to_vec()), &Limits::USUAL).ok();
    let (one, two) = (open(first)?, open(second)?);
    if one.format.word() != two.format.word() || one.codec != two.codec {
        return None;
    }
    if let (Some(one), Some(two)) = (one.filesystem(), two.filesystem())
        && let Some(found) = entries(one, two, depth)
    {
        return Some(found);
    }
    let codec = one.codec?;
    let (one, two) = (read(&mut one.data.cursor())?, read(&mut two.data.cursor())?);
    let mut found = at_depth(&one, &two, depth)?;
    found.inside.insert(0, format!("({codec})"));
    Some(found)
}

fn read(reader: &mut dyn Read) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    reader.take(MOST).read_to_end(&mut content).ok()?;
    Some(content)
}

/// The first entry that differs.
fn entries(first: &dyn Filesystem, second: &dyn Filesystem, depth: usize) -> Option<ContentDifference> {
    let (one, two) = (first.listing(), second.listing());
    let told = |entry: Option<&Entry>| entry.map_or_else(|| "absent".to_owned(), attributes);
    for entry in one.entries() {
        let other = two.get(&entry.path);
        if other.is_none_or(|other| attributes(other) != attributes(entry)) {
            let what = if other.is_some() { "attributes" } else { "presence" };
            return Some(of_entry(entry, what, [attributes(entry), told(other)]));
        }
    }
    if let Some(entry) = two.entries().iter().find(|entry| one.get(&entry.path).is_none()) {
        return Some(of_entry(entry, "presence", ["absent".to_owned(), attributes(entry)]));
    }
    for entry in one.entries().iter().filter(|entry| entry.is_file()) {
        let content = |filesystem: &dyn Filesystem, entry| read(&mut *filesystem.open(entry).ok()?.reader());
        let (content, other) = (content(first, entry)?, content(second, two.get(&entry.path)?)?);
        if let Some(mut found) = at_depth(&content, &other, depth) {
            found.inside.insert(0, path(entry));
            return Some(found);
        }
    }
    let names = [one, two].map(|listing| listing.entries().iter().map(path).collect::<Vec<_>>());
    let at = (0..names[0].len()).find(|&at| names[0][at] != names[1][at])?;
    let values = names.map(|names| names[at].clone());
    let place = Some(format!("entry {}", at + 1));
    Some(ContentDifference { inside: Vec::new(), what: "order of the entries".to_owned(), place, values })
}

fn path(entry: &Entry) -> String {
    format!("/{}", printable(&entry.path))
}

fn of_entry(entry: &Entry, what: &str, values: [String; 2]) -> ContentDifference {
    ContentDifference { inside: vec![path(entry)], what: what.to_owned(), place: None, values }
}

/// Everything of an entry but its path and its content.
fn attributes(entry: &Entry) -> String {
    let mut text = format!("{} {}:{}", entry.permissions(), entry.uid, entry.gid);
    if let Some(time) = entry.mtime {
        text += &format!(", time {time}");
    }
    match &entry.kind {
        Kind::Symlink(target) => text += &format!(", to {}", printable(target)),
        Kind::Char(device) | Kind::Block(device) => text += &format!(", device {device:?}"),
        _ => {}
    }
    let named: BTreeSet<String> =
        entry.xattrs.iter().map(|(name, value)| format!(", {}={}", printable(name), printable(value))).collect();
    named.into_iter().for_each(|one| text += &one);
    text
}

/// The first difference of contents that are not opened.
fn plain(first: &[u8], second: &[u8]) -> ContentDifference {
    let offset = first.iter().zip(second).take_while(|(one, two)| one == two).count();
    let named = name(first, offset).or_else(|| name(second, offset));
    let lines = (named.is_none() && is_text(first) && is_text(second)).then(|| lines(first, second, offset));
    let (place, values) = match lines {
        Some((line, values)) => (format!("line {line}"), values),
        None => {
            let count = first.iter().zip(second).filter(|(one, two)| one != two).count();
            let count = match first.len() == second.len() {
                true => format!("{count} of {} bytes differ", first.len()),
                false => format!("{} and {} bytes", first.len(), second.len()),
            };
            let what = named.map_or_else(String::new, |named| format!("{named}, "));
            let hex = |bytes: &[u8]| hex(&bytes[offset.min(bytes.len())..]);
            (format!("{what}byte {offset}; {count}"), [hex(first), hex(second)])
        }
    };
    ContentDifference { inside: Vec::new(), what: "content".to_owned(), place: Some(place), values }
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.len() < 1 << 24 && !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok()
}

/// The line that has a byte, from 1, in both.
fn lines(first: &[u8], second: &[u8], offset: usize) -> (usize, [String; 2]) {
    let number = first[..offset].iter().filter(|&&byte| byte == b'\n').count() + 1;
    let start = first[..offset].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    // Of a long line only the part with the difference.
    let begin = if offset - start > LINE / 2 { offset - LINE / 4 } else { start };
    let line = |bytes: &[u8]| {
        let rest = &bytes[begin.min(bytes.len())..];
        let line = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
        String::from_utf8_lossy(&line[..line.len().min(LINE)]).into_owned()
    };
    (number, [line(first), line(second)])
}

/// Bytes as hexadecimal numbers and as text.
fn hex(bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(SHOWN)];
    let numbers: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let text: String = bytes
        .iter()
        .map(|&byte| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' })
        .collect();
    match bytes.is_empty() {
        true => "(end)".to_owned(),
        false => format!("{}  {text}", numbers.join(" ")),
    }
}

/// Reads a content as far as it is compared; gives whether that is all of it.
pub fn read_content(mut reader: impl Read) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    reader.by_ref().take(MOST).read_to_end(&mut bytes)?;
    let whole = reader.read(&mut [0])? == 0;
    Ok((bytes, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(name: &str, content: &[u8]) -> Vec<u8> {
        let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content).unwrap();
        tar.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn the_innermost_file_is_found() {
        let nested = |text: &str| packed("outer/a.tar.gz", &packed("etc/motd", text.as_bytes()));
        let found = difference(&nested("one\ntwo\n"), &nested("one\n2\n")).unwrap();
        assert_eq!(found.inside, ["/outer/a.tar.gz", "/etc/motd"]);
        assert_eq!(found.place.as_deref(), Some("line 2"));
        assert_eq!(found.values, ["two", "2"]);
        assert_eq!(difference(b"same", b"same"), None);
    }

    #[test]
    fn what_only_the_container_has_is_found_too() {
        let (mut one, two) = (packed("a", b"x"), packed("a", b"x"));
        one[4] = 7;
        let found = difference(&one, &two).unwrap();
        assert!(found.inside.is_empty() && found.place.unwrap().starts_with("time in the gzip header"));
        let found = difference(&packed("a", b"x"), &packed("b", b"x")).unwrap();
        assert_eq!((found.inside, &*found.what), (vec!["/a".to_owned()], "presence"));
    }
}
