//! Relations between packages: Debian policy §7.1, deb-control(5).

use std::cmp::Ordering;
use std::fmt;

use super::version::compare;

/// `name`, `name:any`, `name (>= 1)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Relation<'a> {
    pub(super) name: &'a str,
    /// The part after a colon: `any`, or an architecture.
    pub(super) arch: Option<&'a str>,
    pub(super) bound: Option<(VersionOp, &'a str)>,
}

/// How a version must compare to the one that is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum VersionOp {
    Less,
    LessEqual,
    Equal,
    GreaterEqual,
    Greater,
}

/// Alternatives, the preferred one first.
pub(super) type Alternatives<'a> = Vec<Relation<'a>>;

impl Relation<'_> {
    /// Whether a package of that version matches; the caller compares the name.
    pub(super) fn admits(&self, version: &str) -> bool {
        let Some((op, bound)) = self.bound else { return true };
        let order = compare(version, bound);
        match op {
            VersionOp::Less => order == Ordering::Less,
            VersionOp::LessEqual => order != Ordering::Greater,
            VersionOp::Equal => order == Ordering::Equal,
            VersionOp::GreaterEqual => order != Ordering::Less,
            VersionOp::Greater => order == Ordering::Greater,
        }
    }

    /// Whether a package of the archive's architecture, or of `all`, matches the qualifier.
    pub(super) fn admits_arch(&self, arch: &str) -> bool {
        // `any` requests a package that also serves foreign architectures; one of the native architecture always does.
        self.arch.is_none_or(|wanted| wanted == "any" || wanted == "native" || wanted == arch)
    }
}

impl fmt::Display for Relation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(arch) = self.arch {
            write!(f, ":{arch}")?;
        }
        match self.bound {
            Some((op, version)) => write!(f, " ({} {version})", op.sign()),
            None => Ok(()),
        }
    }
}

impl VersionOp {
    fn sign(self) -> &'static str {
        match self {
            VersionOp::Less => "<<",
            VersionOp::LessEqual => "<=",
            VersionOp::Equal => "=",
            VersionOp::GreaterEqual => ">=",
            VersionOp::Greater => ">>",
        }
    }
}

/// `a | b (>= 1), c:any`; a part that can't be parsed is returned as the error.
pub(super) fn parse(field: &str) -> Result<Vec<Alternatives<'_>>, &str> {
    let groups = field.split(',').map(str::trim).filter(|group| !group.is_empty());
    groups.map(|group| group.split('|').map(|one| parse_one(one.trim()).ok_or(group)).collect()).collect()
}

fn parse_one(text: &str) -> Option<Relation<'_>> {
    let (head, bound) = match text.split_once('(') {
        Some((head, rest)) => (head.trim(), Some(parse_bound(rest.strip_suffix(')')?.trim())?)),
        None => (text, None),
    };
    let (name, arch) = head.split_once(':').map_or((head, None), |(name, arch)| (name, Some(arch)));
    let plain = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.' | b'_'))
    };
    (plain(name) && arch.is_none_or(plain)).then_some(Relation { name, arch, bound })
}

fn parse_bound(text: &str) -> Option<(VersionOp, &str)> {
    let start = text.find(|c| !matches!(c, '<' | '=' | '>'))?;
    let (sign, version) = (&text[..start], text[start..].trim());
    let op = match sign {
        "<<" => VersionOp::Less,
        // The single signs are obsolete, and mean `or equal` (policy §7.1).
        "<=" | "<" => VersionOp::LessEqual,
        "=" => VersionOp::Equal,
        ">=" | ">" => VersionOp::GreaterEqual,
        ">>" => VersionOp::Greater,
        _ => return None,
    };
    (!version.is_empty() && !version.contains(char::is_whitespace)).then_some((op, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_bounds_and_qualifiers() {
        let groups = parse("libc6 (>= 2.36), perl:any | gawk(<<5),\n mawk").unwrap();
        let shown: Vec<Vec<String>> =
            groups.iter().map(|group| group.iter().map(ToString::to_string).collect()).collect();
        assert_eq!(shown, [vec!["libc6 (>= 2.36)"], vec!["perl:any", "gawk (<< 5)"], vec!["mawk"]]);
    }

    #[test]
    fn what_is_no_relation_is_given_back() {
        for bad in ["a (>= 1", "a (1)", "a b", "|", "a (>= )", "a (=> 1)"] {
            assert_eq!(parse(bad).unwrap_err(), bad, "{bad}");
        }
    }

    #[test]
    fn each_sign_bounds_as_policy_says() {
        for (relation, fits) in [
            ("a (<< 2)", [true, false, false]),
            ("a (<= 2)", [true, true, false]),
            ("a (= 2)", [false, true, false]),
            ("a (>= 2)", [false, true, true]),
            ("a (>> 2)", [false, false, true]),
            ("a", [true, true, true]),
        ] {
            let group = parse(relation).unwrap();
            assert_eq!(["1", "2", "3"].map(|version| group[0][0].admits(version)), fits, "{relation}");
        }
    }
}
