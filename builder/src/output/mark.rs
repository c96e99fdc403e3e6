//! The mark of a folder that dbco wrote: its files, with their content.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use crate::digest::Digest;

/// Name of the mark in an output folder.
pub const MARK: &str = ".dbco-outputs";

/// Name of the mark of a folder that is being filled; it lists the files that the folder will hold.
pub const UNFINISHED: &str = ".dbco-unfinished";

/// The name of the list of digests, in the format of `sha256sum -c`.
pub const SUMS: &str = "SHA256SUMS";

const HEADER: &str = "\
# dbco wrote this folder. It replaces and removes the files listed here while they hold what is stated, and nothing else.
dbco-outputs 1
";

/// What follows the name of a file in the name of its signature: minisign's and SSH's.
pub const SIGNATURES: [&str; 2] = [".minisig", ".sig"];

/// Files by name, with digest and length in bytes.
pub type FileDigests = BTreeMap<String, (Digest, u64)>;

/// The text of a mark.
pub fn format(files: &FileDigests) -> String {
    let lines = files.iter().map(|(name, (digest, size))| format!("{digest} {size} {name}\n"));
    lines.fold(HEADER.to_owned(), |text, line| text + &line)
}

/// The files of a mark; `None` if the text is not exactly what `format` gives.
pub fn parse(text: &str) -> Option<FileDigests> {
    let mut files = FileDigests::new();
    for line in text.strip_prefix(HEADER)?.lines() {
        let (digest, rest) = line.split_once(' ')?;
        let (size, name) = rest.split_once(' ')?;
        files.insert(name.to_owned(), (digest.parse().ok()?, size.parse().ok()?));
    }
    (files.keys().all(|name| is_name(name)) && format(&files) == text).then_some(files)
}

/// Whether a file is a signature of one of `files`. Signatures are made after the files, and are in no list of digests.
pub fn is_signature(name: &str, files: &FileDigests) -> bool {
    SIGNATURES.iter().any(|ending| name.strip_suffix(ending).is_some_and(|signed| files.contains_key(signed)))
}

/// The text of [`SUMS`].
pub fn sums(files: &FileDigests) -> String {
    files.iter().map(|(name, (digest, _))| format!("{digest}  {name}\n")).collect()
}

/// The digests of a [`SUMS`] file that is exactly what `sums` gives for its files.
pub fn parse_sums(text: &str) -> Option<BTreeMap<String, Digest>> {
    let pairs = text.lines().map(|line| {
        let (digest, name) = line.split_once("  ")?;
        Some((name.to_owned(), digest.parse().ok()?))
    });
    let digests = pairs.collect::<Option<BTreeMap<String, Digest>>>()?;
    let again: String = digests.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
    (digests.keys().all(|name| is_name(name)) && again == text).then_some(digests)
}

/// Whether this can be the name of an output: one component of a path, on one line, and not one of dbco's own names.
pub fn is_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == name)
        && !name.contains(|c: char| c.is_control())
        && !name.starts_with(".dbco-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> FileDigests {
        [("bzImage", "1"), ("a b", "2"), (SUMS, "")]
            .map(|(name, text)| (name.to_owned(), (Digest::of(text), text.len() as u64)))
            .into()
    }

    #[test]
    fn a_mark_states_files_and_any_other_text_is_none() {
        let text = format(&files());
        assert_eq!(parse(&text), Some(files()));
        let digest = Digest::of("1");
        let damaged = [
            String::new(),
            text.trim_end().to_owned(),
            text.replace("outputs 1", "outputs 2"),
            text.replacen(" 1 ", " 01 ", 1),
            text.clone() + "x\n",
            text.clone() + &format!("{digest} 1 ../thesis\n"),
            text.clone() + &format!("{digest} 1 z/thesis\n"),
            text.clone() + &format!("{digest} 1 ..\n"),
            sums(&files()),
        ];
        for text in damaged {
            assert_eq!(parse(&text), None, "{text}");
        }
    }

    #[test]
    fn sums_are_taken_only_as_they_were_written() {
        let text = sums(&files());
        assert_eq!(parse_sums(&text).unwrap().len(), 3);
        let digest = Digest::of("1");
        for text in ["0  thesis\n".to_owned(), text.clone() + "0  x\n", format!("{digest} *bzImage\n"), text + "\n"] {
            assert_eq!(parse_sums(&text), None, "{text}");
        }
    }

    #[test]
    fn names_are_single_components() {
        for name in ["bzImage", "a.iso", "SHA256SUMS", "a b", ".hidden"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "a/b", "/a", "a/", "./a", "a\nb", "a\0b", "\u{1b}[2J", MARK, UNFINISHED] {
            assert!(!is_name(name), "{name:?}");
        }
    }
}
