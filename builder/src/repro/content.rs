//! The first difference of two contents, with the place inside archives and compressed files that has it.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::name::name;
use crate::archive::{Budget, Entries, MemberKind, decompress};

/// How deep archives in archives are opened.
const DEEPEST: usize = 8;

/// The largest decompressed content.
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
    let deeper = depth.checked_sub(1).and_then(|depth| {
        unpacked(first, second, depth).or_else(|| in_tar(first, second, depth))
    });
    deeper.or_else(|| Some(plain(first, second)))
}

/// Inside of a compressed file; `None` if they are not compressed, or only the compression differs.
fn unpacked(first: &[u8], second: &[u8], depth: usize) -> Option<ContentDifference> {
    let kind = compression(first).filter(|kind| compression(second) == Some(kind))?;
    let (one, two) = (read(first)?, read(second)?);
    let mut found = at_depth(&one, &two, depth)?;
    found.inside.insert(0, format!("({kind})"));
    Some(found)
}

fn compression(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some("xz"),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some("bzip2"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        _ => None,
    }
}

fn read(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let stream = decompress(bytes, "a file", &Budget::default()).ok()?;
    stream.take(MOST).read_to_end(&mut content).ok()?;
    Some(content)
}

/// A member of a tar archive: its attributes as text, and its content.
type Member = (String, Vec<u8>);

/// Inside of a tar archive.
fn in_tar(first: &[u8], second: &[u8], depth: usize) -> Option<ContentDifference> {
    let is_tar = |bytes: &[u8]| bytes.get(257..262) == Some(b"ustar");
    if !is_tar(first) || !is_tar(second) {
        return None;
    }
    let (one, two) = (members(first).ok()?, members(second).ok()?);
    let names = |all: &[(String, Member)]| all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let (names_one, names_two) = (names(&one), names(&two));
    let by_name: BTreeMap<&str, &Member> = two.iter().map(|(name, member)| (name.as_str(), member)).collect();
    for (name, (attributes, content)) in &one {
        let Some((other_attributes, other_content)) = by_name.get(name.as_str()) else {
            return Some(entry(name, "presence", ["present".to_owned(), "absent".to_owned()]));
        };
        if attributes != other_attributes {
            return Some(entry(name, "attributes", [attributes.clone(), other_attributes.clone()]));
        }
        if let Some(mut found) = at_depth(content, other_content, depth) {
            found.inside.insert(0, name.clone());
            return Some(found);
        }
    }
    if let Some(name) = names_two.iter().find(|name| !names_one.contains(name)) {
        return Some(entry(name, "presence", ["absent".to_owned(), "present".to_owned()]));
    }
    let at = (0..names_one.len()).find(|&at| names_one[at] != names_two[at])?;
    let values = [names_one[at].clone(), names_two[at].clone()];
    let place = Some(format!("entry {}", at + 1));
    Some(ContentDifference { inside: Vec::new(), what: "order of the entries".to_owned(), place, values })
}

fn entry(name: &str, what: &str, values: [String; 2]) -> ContentDifference {
    ContentDifference { inside: vec![name.to_owned()], what: what.to_owned(), place: None, values }
}

fn members(bytes: &[u8]) -> Result<Vec<(String, Member)>, crate::archive::ArchiveError> {
    let mut entries = Entries::new(bytes, "a tar archive", &Budget::default());
    let mut all = Vec::new();
    while let Some(member) = entries.next_member()? {
        let mut content = Vec::new();
        if matches!(member.kind, MemberKind::File) {
            entries.read_to_end(&mut content).map_err(|error| entries.reading(error))?;
        }
        let name = String::from_utf8_lossy(&member.path).into_owned();
        let attributes = format!(
            "{:?}, mode {:o}, owner {}:{}, time {}",
            member.kind, member.mode, member.uid, member.gid, member.mtime
        );
        all.push((name, (attributes, content)));
    }
    Ok(all)
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
