//! Debian version numbers: Debian policy §5.6.12, deb-version(7).
//!
//! The crate `debversion` was tried: it orders `1.0~rc` before `1.0~rc0`, which dpkg considers equal, and its
//! dependencies include a regular expression engine and big integers for what takes forty lines without either.

use std::cmp::Ordering;

/// Compares two versions.
pub(super) fn compare(one: &str, other: &str) -> Ordering {
    let ((epoch, upstream, revision), (epoch2, upstream2, revision2)) = (parts(one), parts(other));
    let epochs = compare_part(epoch.as_bytes(), epoch2.as_bytes());
    epochs
        .then_with(|| compare_part(upstream.as_bytes(), upstream2.as_bytes()))
        .then_with(|| compare_part(revision.as_bytes(), revision2.as_bytes()))
}

/// A version as requested by a recipe: exactly, with `*` for any part, or `newest`.
pub(super) enum VersionPattern<'a> {
    Any,
    Exactly(&'a str),
    Like(glob::Pattern),
}

impl<'a> VersionPattern<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        match glob::Pattern::new(text) {
            _ if text == "newest" => Self::Any,
            Ok(pattern) if text.contains('*') => Self::Like(pattern),
            _ => Self::Exactly(text),
        }
    }

    /// Whether a version matches.
    pub(super) fn fits(&self, version: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(wanted) => compare(wanted, version).is_eq(),
            Self::Like(pattern) => pattern.matches(version),
        }
    }
}

/// Epoch (0 if there is none), upstream version, revision (empty if there is none, which equals `0`).
fn parts(version: &str) -> (&str, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch, upstream, revision)
}

/// Alternating runs of non-digits and digits; an empty run of digits counts as 0.
fn compare_part(mut one: &[u8], mut other: &[u8]) -> Ordering {
    while !one.is_empty() || !other.is_empty() {
        loop {
            let (a, b) = (order(one.first()), order(other.first()));
            if a == 0 && b == 0 {
                break;
            }
            if a != b {
                return a.cmp(&b);
            }
            (one, other) = (&one[1..], &other[1..]);
        }
        let (number, rest) = digits(one);
        let (number2, rest2) = digits(other);
        // Without leading zeros, the longer number is the larger.
        let order = number.len().cmp(&number2.len()).then_with(|| number.cmp(number2));
        if order != Ordering::Equal {
            return order;
        }
        (one, other) = (rest, rest2);
    }
    Ordering::Equal
}

/// `~` sorts before the end, the end (and a digit, which ends the run) before letters, letters before everything else.
fn order(byte: Option<&u8>) -> i32 {
    match byte {
        None | Some(b'0'..=b'9') => 0,
        Some(b'~') => -1,
        Some(&letter) if letter.is_ascii_alphabetic() => i32::from(letter),
        Some(&mark) => i32::from(mark) + 256,
    }
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let zeros = text[..end].iter().take_while(|&&byte| byte == b'0').count();
    (&text[zeros..end], &text[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line as `dpkg --compare-versions` decides it.
    #[test]
    fn versions_stand_as_dpkg_has_them() {
        let ascending = [
            "0~~",
            "0~~a",
            "0~",
            "0",
            "0.1~rc1",
            "0.1",
            "0.1-1~bpo12+1",
            "0.1-1",
            "0.1-1+b1",
            "0.1-1+b2",
            "0.1-1+b10",
            "0.1-1+deb12u1",
            "0.1-1.1",
            "0.1-2",
            "0.1a",
            "0.1+git",
            "0.1.0",
            "0.2",
            "0.10",
            "1",
            "12345678901234567890123",
            "1:0",
            "1:0.1",
            "2:0~",
            "10:0",
        ];
        for (index, one) in ascending.iter().enumerate() {
            for (index2, other) in ascending.iter().enumerate() {
                assert_eq!(compare(one, other), index.cmp(&index2), "{one} and {other}");
            }
        }
    }

    #[test]
    fn generated_versions_stand_as_dpkg_has_them() {
        let mut lines = 0;
        for line in include_str!("../../../tests/versions.txt").lines().filter(|line| !line.starts_with('#')) {
            let [one, relation, other] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let wanted = match relation {
                "<" => Ordering::Less,
                "=" => Ordering::Equal,
                ">" => Ordering::Greater,
                _ => panic!("{line}"),
            };
            assert_eq!(compare(one, other), wanted, "{line}");
            assert_eq!(compare(other, one), wanted.reverse(), "{line}");
            lines += 1;
        }
        assert!(lines > 1000);
    }

    #[test]
    fn different_spellings_of_the_same_version() {
        for (one, other) in
            [("1.0", "0:1.0"), ("1.0", "1.0-0"), ("1.0-1", "1.00-01"), ("1.0~rc", "1.0~rc0"), ("1.", "1.0")]
        {
            assert_eq!(compare(one, other), Ordering::Equal, "{one} and {other}");
        }
    }
}
