//! Paths that are in several packages.

/// Which of a path's `owners` keep it, as in dpkg: those that no other one with different content replaces, unless the
/// two replace each other (Debian policy, section 7.6.1). No owner, or owners that differ, are a conflict.
pub fn keepers(
    owners: &[usize],
    same: impl Fn(usize, usize) -> bool,
    replaces: impl Fn(usize, usize) -> bool,
) -> Vec<usize> {
    let gives_way =
        |one: usize| owners.iter().any(|&other| !same(one, other) && replaces(other, one) && !replaces(one, other));
    owners.iter().copied().filter(|&one| !gives_way(one)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_no_other_replaces_keeps_the_path() {
        // Contents in packages 0, 1 …, which replaces which, and which keep the path.
        for (contents, replacing, expected) in [
            ("ab", &[][..], &[0, 1][..]),
            ("ab", &[(0, 1)], &[0]),
            ("ab", &[(1, 0)], &[1]),
            ("ab", &[(0, 1), (1, 0)], &[0, 1]),
            ("aa", &[(0, 1)], &[0, 1]),
            ("aab", &[(2, 0), (2, 1)], &[2]),
            ("aab", &[(2, 0)], &[1, 2]),
            ("abc", &[(0, 1), (1, 2), (2, 0)], &[]),
        ] {
            let contents = contents.as_bytes();
            let owners: Vec<usize> = (0..contents.len()).collect();
            let same = |one: usize, other: usize| contents[one] == contents[other];
            let kept = keepers(&owners, same, |one, other| replacing.contains(&(one, other)));
            assert_eq!(kept, expected, "{contents:?} {replacing:?}");
        }
    }
}
