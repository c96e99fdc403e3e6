//! Orders of versions: Debian's, semver's, and those of upstream projects.

use std::cmp::Ordering;

use crate::source::debian::offline::compare_versions;

/// How versions of an ecosystem are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionOrder {
    /// Debian policy §5.6.12.
    Debian,
    /// Semantic versions, as crates have.
    Semver,
    /// Anything that projects release: numbers between punctuation, with `rc` and the like before the release.
    Upstream,
}

impl VersionOrder {
    /// Compares two versions.
    pub fn compare(self, one: &str, other: &str) -> Ordering {
        match self {
            Self::Debian => compare_versions(one, other),
            Self::Semver => match (semver::Version::parse(one), semver::Version::parse(other)) {
                (Ok(one), Ok(other)) => one.cmp_precedence(&other),
                // Advisories also write `1.2`.
                _ => Self::Upstream.compare(one, other),
            },
            Self::Upstream => compare_versions(&upstream(one), &upstream(other)),
        }
    }
}

/// An upstream version in a form that Debian's rules order correctly: `v6.1-rc3` is before `6.1`, `1_36_1` is `1.36.1`.
fn upstream(version: &str) -> String {
    let version = version.trim().trim_start_matches(['v', 'V']).replace('_', ".");
    let lower = version.to_ascii_lowercase();
    let pre = ["-rc", "-alpha", "-beta", "-pre", "rc", "alpha", "beta"];
    match pre.iter().filter_map(|word| lower.find(word)).min() {
        Some(at) if at > 0 => {
            let (base, rest) = version.split_at(at);
            format!("{}~{}", base.trim_end_matches(['-', '.']), rest.trim_start_matches('-').replace('-', "."))
        }
        // A hyphen would separate a Debian revision, and is the same to the order as a dot here.
        _ => version.replace('-', "."),
    }
}

/// Whether two names of a version are the same but for punctuation and a project's name before it: `1_36_1`, `v1.36.1`, `busybox-1.36.1`.
pub fn same_release(tag: &str, version: &str) -> bool {
    let plain = |text: &str| {
        let start = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
        text[start..].replace(['_', '-'], ".").to_ascii_lowercase()
    };
    plain(tag) == plain(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_those_of_their_ecosystems() {
        use VersionOrder::{Debian, Semver, Upstream};
        for (order, low, high) in [
            (Debian, "1.0~rc1-1", "1.0-1"),
            (Debian, "2.36-9+deb12u9", "2.36-9+deb12u13"),
            (Debian, "9.9", "1:0.1"),
            (Semver, "1.0.0-alpha.9", "1.0.0-alpha.10"),
            (Semver, "0.9.9", "0.10.0"),
            (Upstream, "6.1-rc3", "6.1"),
            (Upstream, "v6.1.9", "6.1.10"),
            (Upstream, "1_36_0", "1.36.1"),
            (Upstream, "2022.83", "2024.86"),
        ] {
            assert_eq!(order.compare(low, high), Ordering::Less, "{low} {high}");
            assert_eq!(order.compare(high, low), Ordering::Greater, "{low} {high}");
        }
        assert_eq!(Semver.compare("1.0.0+a", "1.0.0+b"), Ordering::Equal);
        assert_eq!(Upstream.compare("v1.36.1", "1_36_1"), Ordering::Equal);
    }

    #[test]
    fn tags_are_recognized_as_versions() {
        assert!(same_release("1_36_1", "1.36.1") && same_release("busybox-1.36.1", "1.36.1"));
        assert!(!same_release("1.36.10", "1.36.1"));
    }
}
