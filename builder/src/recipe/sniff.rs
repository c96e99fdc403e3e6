//! The kind of a YAML file, without parsing it: it may be invalid, or not dbco's.

use std::ffi::OsStr;

/// Whether a YAML file describes an image. Its name may come from the recipe that it extends; other programs' settings
/// with a key `extends` are usually in hidden files.
pub(super) fn is_recipe(name: &OsStr, text: &str) -> bool {
    let has = |key: &str| text.lines().any(|line| states(line, key));
    let extends = text.lines().any(|line| line.starts_with("extends") && states(line, "extends"));
    let hidden = name.as_encoded_bytes().starts_with(b".");
    has("recipe") || (extends && !hidden && !has("toolchain") && !has("component"))
}

/// Whether a line starts with a key, in any of YAML's notations.
fn states(line: &str, key: &str) -> bool {
    let line = line.trim_start_matches(['{', ' ']);
    let line = line.strip_prefix(['"', '\'']).unwrap_or(line);
    let rest = line.strip_prefix(key).map(|rest| rest.strip_prefix(['"', '\'']).unwrap_or(rest));
    rest.is_some_and(|rest| rest.trim_start().starts_with(':'))
}
