//! Names similar to a wrong one, which messages suggest.

use std::fmt;

/// The most names that are suggested for one.
const MOST: usize = 3;

/// The number of letters to insert, delete, replace or exchange with a neighbour to make `name` of `word`, if it is small enough
/// for a typing error: a third of the word, at least 1 and at most 3. Upper and lower case are the same.
pub fn distance(word: &str, name: &str) -> Option<usize> {
    let (word, name) = (word.to_lowercase(), name.to_lowercase());
    let limit = (word.chars().count() / 3).clamp(1, 3);
    // Of most names the length tells enough, and faster.
    let close = word.len().abs_diff(name.len()) <= 4 * limit;
    close.then(|| strsim::damerau_levenshtein(&word, &name)).filter(|distance| *distance <= limit)
}

/// The names with the smallest [`distance`] from `word`, in their order, at most three.
pub fn similar<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<_> = names.into_iter().filter_map(|name| Some((distance(word, name)?, name))).collect();
    near.sort();
    near.dedup();
    let best = near.first().map_or(0, |(distance, _)| *distance);
    near.into_iter().take_while(|(distance, _)| *distance == best).take(MOST).map(|(_, name)| name).collect()
}

/// The name with the smallest [`distance`] from `word`.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    similar(word, names).first().copied()
}

/// The question that suggests a name.
pub fn did_you_mean(name: impl fmt::Display) -> String {
    format!("did you mean `{name}`?")
}

/// The question that suggests several names, after a semicolon; nothing if there is none.
pub fn or_did_you_mean(names: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    if names.is_empty() { String::new() } else { format!("; {}", did_you_mean(names.join("` or `"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_near() {
        for (word, name, expected) in [
            ("host", "host", Some(0)),
            ("hots", "host", Some(1)),
            ("HOST", "host", Some(0)),
            ("life", "live", Some(1)),
            ("liev", "vile", None),
            ("bokworm", "bookworm", Some(1)),
            ("bokwrom", "bookworm", Some(2)),
            ("x", "y", Some(1)),
            ("arm64", "aarch64", None),
            ("compresion-levle", "compression-level", Some(2)),
            ("配制", "配置", Some(1)),
        ] {
            assert_eq!(distance(word, name), expected, "{word} {name}");
        }
    }

    #[test]
    fn the_nearest_are_suggested() {
        let names = ["xfs", "xsf2", "zfs", "ext4", "nfs", "afs", "xfs"];
        assert_eq!(similar("xfs", names), ["xfs"]);
        assert_eq!(similar("qfs", names), ["afs", "nfs", "xfs"]);
        assert_eq!(nearest("etx4", names), Some("ext4"));
        assert_eq!(nearest("btrfs", names), None);
        assert_eq!(or_did_you_mean(&similar("btrfs", names)), "");
        assert_eq!(or_did_you_mean(&similar("qfs", ["zfs", "xfs"])), "; did you mean `xfs` or `zfs`?");
    }
}
