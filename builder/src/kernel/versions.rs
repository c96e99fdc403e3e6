//! The versions of a source that a part of a fragment applies to: `#if version >= 6.9` … `#else` … `#endif`.
//!
//! To Kconfig's own tools each directive is a comment, so that a fragment still works with `merge_config.sh`. Only `>=`
//! and `<` exist, joined by `&&`: with `<= 6.12` it would be unclear whether 6.12.5 is included.

use std::fmt;

/// The numbers of a version; missing ones are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version([u32; 3]);

impl Version {
    /// A version of two numbers.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self([major, minor, 0])
    }

    /// Parses `6`, `6.12` or `6.12.107`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = [0; 3];
        let mut parts = text.split('.');
        for (index, part) in parts.by_ref().take(3).enumerate() {
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            numbers[index] = part.parse().ok()?;
        }
        parts.next().is_none().then_some(Self(numbers))
    }

    /// Reads `VERSION`, `PATCHLEVEL` and `SUBLEVEL` at the start of the top-level `Makefile` of a kernel or of busybox.
    /// `EXTRAVERSION` does not count: 6.12-rc1 is 6.12.
    pub fn of_makefile(makefile: &str) -> Option<Self> {
        let value = |name: &str| {
            let assigned = |line: &&str| {
                line.split_once('=').is_some_and(|(left, _)| left.trim_end_matches([' ', '\t', ':']) == name)
            };
            makefile.lines().take(50).find(assigned)?.split_once('=')?.1.trim().parse::<u32>().ok()
        };
        Some(Self([value("VERSION")?, value("PATCHLEVEL")?, value("SUBLEVEL").unwrap_or(0)]))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([major, minor, patch]) = self;
        match patch {
            0 => write!(f, "{major}.{minor}"),
            patch => write!(f, "{major}.{minor}.{patch}"),
        }
    }
}

/// A set of versions: ranges in ascending order that neither touch nor overlap. The second bound is excluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions(Vec<(Version, Option<Version>)>);

impl Default for Versions {
    /// All versions.
    fn default() -> Self {
        Self(vec![(Version::default(), None)])
    }
}

impl Versions {
    /// Whether it contains every version.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it contains this version.
    pub fn contains(&self, version: Version) -> bool {
        self.0.iter().any(|(from, until)| *from <= version && until.is_none_or(|until| version < until))
    }

    /// The intersection.
    pub fn intersection(&self, other: &Self) -> Self {
        let mut ranges = Vec::new();
        for (from, until) in &self.0 {
            for (other_from, other_until) in &other.0 {
                let from = *from.max(other_from);
                let until = match (until, other_until) {
                    (Some(one), Some(other)) => Some(*one.min(other)),
                    (one, other) => one.or(*other),
                };
                if until.is_none_or(|until| from < until) {
                    ranges.push((from, until));
                }
            }
        }
        ranges.sort();
        Self(ranges)
    }

    /// The complement.
    pub fn complement(&self) -> Self {
        let mut ranges = Vec::new();
        let mut from = Some(Version::default());
        for (begin, until) in &self.0 {
            if let Some(from) = from.filter(|from| from < begin) {
                ranges.push((from, Some(*begin)));
            }
            from = *until;
        }
        if let Some(from) = from {
            ranges.push((from, None));
        }
        Self(ranges)
    }

    /// Parses a condition: `version >= 6.9 && version < 7`.
    fn parse(condition: &str) -> Result<Self, String> {
        let expected = || format!("expected `version >= 6.12` or `version < 6.12`, found `{condition}`");
        let mut all = Self::default();
        for term in condition.split("&&") {
            let [subject, operator, number] = term.split_whitespace().collect::<Vec<_>>()[..] else {
                return Err(expected());
            };
            let version = Version::parse(number).filter(|_| subject == "version").ok_or_else(expected)?;
            let range = match operator {
                ">=" => (version, None),
                "<" => (Version::default(), Some(version)),
                "<=" | ">" | "==" | "=" | "!=" => {
                    return Err(format!("`{operator}` is ambiguous for versions like {number}.1: use `>=` and `<`"));
                }
                _ => return Err(expected()),
            };
            all = all.intersection(&Self(vec![range]));
        }
        if all.is_empty() {
            return Err(format!("no version satisfies `{condition}`"));
        }
        Ok(all)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |(from, until): &(Version, Option<Version>)| match (*from == Version::default(), until) {
            (true, None) => "every version".to_owned(),
            (true, Some(until)) => format!("version < {until}"),
            (false, None) => format!("version >= {from}"),
            (false, Some(until)) => format!("version >= {from} && version < {until}"),
        };
        f.write_str(&self.0.iter().map(range).collect::<Vec<_>>().join(" || "))
    }
}

/// A line that limits the lines after it to some versions.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Directive {
    If(Versions),
    Else,
    EndIf,
}

impl Directive {
    /// Parses a line; `None` if it is not a directive. A comment that is almost a directive is an error: as a comment
    /// it would let settings take effect in versions that they are not meant for.
    fn parse(line: &str) -> Result<Option<Self>, String> {
        let Some(comment) = line.trim_start().strip_prefix('#') else { return Ok(None) };
        match comment {
            "else" if line.starts_with('#') => return Ok(Some(Self::Else)),
            "endif" if line.starts_with('#') => return Ok(Some(Self::EndIf)),
            _ => {}
        }
        if let Some(condition) = comment.strip_prefix("if ").filter(|_| line.starts_with('#')) {
            return Versions::parse(condition.trim()).map(|versions| Some(Self::If(versions)));
        }
        let lower = comment.trim().to_ascii_lowercase();
        let words: Vec<&str> = lower.split_whitespace().collect();
        let meant = match words[..] {
            ["else" | "#else" | "els"] => "`#else`",
            ["endif" | "#endif" | "endi" | "fi" | "end"] | ["end", "if"] => "`#endif`",
            ["elif" | "elseif", ..] | ["else", "if", ..] => "`#endif`, then another `#if`",
            _ if compares_versions(&lower) => "`#if version >= 6.12`",
            _ if comment.starts_with("if") && comment.trim_end() == "if" => "`#if version >= 6.12`",
            _ => return Ok(None),
        };
        Err(format!("`{}` reads as a plain comment; write {meant}, without a space before or after `#`", line.trim()))
    }
}

/// Whether a comment has `version` before a comparison with a number.
fn compares_versions(comment: &str) -> bool {
    let Some(at) = comment.find(['<', '>', '=']) else { return false };
    let (before, after) = comment.split_at(at);
    let number = after.trim_start_matches(['<', '>', '=', ' ']);
    before.trim_end().ends_with("version") && number.starts_with(|first: char| first.is_ascii_digit())
}

/// The position within the `#if` blocks of a fragment.
#[derive(Default)]
pub(super) struct Blocks {
    open: Option<Block>,
}

struct Block {
    versions: Versions,
    line: usize,
    /// The line of its `#else`.
    other: Option<usize>,
}

impl Blocks {
    /// Processes a line: true for a directive, false for a line that is not for this module.
    pub fn take(&mut self, line: usize, text: &str) -> Result<bool, String> {
        let Some(directive) = Directive::parse(text)? else { return Ok(false) };
        match (directive, &mut self.open) {
            (Directive::If(versions), None) => self.open = Some(Block { versions, line, other: None }),
            (Directive::If(_), Some(open)) => {
                let begin = open.line;
                return Err(format!("`#if` inside the `#if` of line {begin}: write `#endif` first, or join with `&&`"));
            }
            (Directive::Else, Some(open)) => {
                if let Some(first) = open.other.replace(line) {
                    return Err(format!("duplicate `#else`; the first is in line {first}"));
                }
                open.versions = open.versions.complement();
            }
            (Directive::EndIf, Some(_)) => self.open = None,
            (Directive::Else, None) => return Err("`#else` without `#if`".to_owned()),
            (Directive::EndIf, None) => return Err("`#endif` without `#if`".to_owned()),
        }
        Ok(true)
    }

    /// The versions that the next setting applies to.
    pub fn versions(&self) -> Versions {
        self.open.as_ref().map(|open| open.versions.clone()).unwrap_or_default()
    }

    /// The line of an `#if` without `#endif`.
    pub fn unclosed(&self) -> Option<usize> {
        self.open.as_ref().map(|open| open.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn versions_are_ordered_by_number() {
        for (less, more) in [("6.1.170", "6.9"), ("6.9", "6.12"), ("6.12", "6.12.1"), ("6.12.107", "7"), ("6", "6.0.1")]
        {
            assert!(version(less) < version(more), "{less} {more}");
        }
        assert_eq!(version("6.12"), version("6.12.0"));
        for bad in ["", "6.", ".1", "6.x", "6.1.2.3", "v6.1", "-6", "6 .1", "99999999999"] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_makefile_tells_its_version() {
        let kernel = "# SPDX-License-Identifier: GPL-2.0\nVERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 107\nEXTRAVERSION =\nNAME = Baby Opossum Posse\n";
        assert_eq!(Version::of_makefile(kernel), Some(version("6.12.107")));
        assert_eq!(
            Version::of_makefile("VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 0\nEXTRAVERSION = -rc2\n"),
            Some(version("7.3"))
        );
        assert_eq!(Version::of_makefile("VERSION := 1\nPATCHLEVEL\t= 35\n"), Some(version("1.35")));
        assert_eq!(Version::of_makefile("KERNELVERSION = 6.12\nall:\n"), None);
    }

    #[test]
    fn conditions_select_versions_and_their_complement_the_others() {
        for (condition, inside, outside) in [
            ("version >= 6.9", &["6.9", "6.9.1", "7.2"][..], &["6.8.12", "6.1.170", "1"][..]),
            ("version < 6.9", &["6.8.12", "0.1"], &["6.9", "6.12.107"]),
            ("version >= 6.9 && version < 6.12.5", &["6.9", "6.12.4"], &["6.8", "6.12.5", "7"]),
            ("  version   <  7 ", &["6.99"], &["7.0"]),
        ] {
            let versions = Versions::parse(condition.trim()).unwrap();
            let complement = versions.complement();
            for (list, expected) in [(inside, true), (outside, false)] {
                for text in list {
                    assert_eq!(versions.contains(version(text)), expected, "{condition}: {text}");
                    assert_eq!(complement.contains(version(text)), !expected, "not {condition}: {text}");
                }
            }
            assert!(versions.intersection(&complement).is_empty(), "{condition}");
            assert_eq!(complement.complement(), versions, "{condition}");
        }
    }

    #[test]
    fn a_condition_that_could_be_misread_is_refused() {
        for (condition, expected) in [
            ("version <= 6.12", "`<=` is ambiguous for versions like 6.12.1"),
            ("version > 6.12", "use `>=` and `<`"),
            ("version == 6.12", "use `>=` and `<`"),
            ("linux >= 6.12", "expected `version >= 6.12`"),
            ("version >= 6.x", "expected `version >= 6.12`"),
            ("version>=6.12", "expected `version >= 6.12`"),
            ("version >= 6.12 || version < 6", "expected `version >= 6.12`"),
            ("", "expected `version >= 6.12`"),
            ("version >= 7 && version < 6", "no version satisfies"),
            ("version < 0", "no version satisfies"),
        ] {
            let error = Versions::parse(condition).unwrap_err();
            assert!(error.contains(expected), "{condition}: {error}");
        }
    }

    #[test]
    fn a_comment_that_is_nearly_a_directive_is_refused() {
        for near in [
            "# if version >= 6.12",
            " #if version >= 6.12",
            "#If version >= 6.12",
            "#fi version >= 6.12",
            "# version < 6.12",
            "# Linux version >= 6",
            "#if",
            "# else",
            "#Else",
            "# endif",
            "#end",
            "#fi",
            "#endi",
            "#end if",
            "#elif version >= 7",
            "#else if version >= 7",
        ] {
            assert!(Directive::parse(near).is_err(), "{near}: {:?}", Directive::parse(near));
        }
        for comment in [
            "# If one asks for it",
            "# else it would be lost",
            "# the end of the list",
            "# since version 6.12 it has another name",
            "#CONFIG_Z=y",
            "# CONFIG_X is not set",
            "CONFIG_A=y",
            "",
            "#",
            "# a = b",
        ] {
            assert_eq!(Directive::parse(comment), Ok(None), "{comment}");
        }
    }
}
