//! The part of an effective recipe under a key such as `rootfs.users.root`.

use super::{Content, SetBy, Shown};
use crate::similar;

/// How deep keys are searched for one that was given without those before it.
const DEPTH: usize = 3;

/// The most places that are suggested for such a key.
const SHOWN: usize = 3;

/// A key that a recipe does not have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no `{key}`{hint}")]
pub struct NoSuchKey {
    /// The key as given.
    pub key: String,
    /// The nearest key, or those that exist, as the end of the sentence.
    pub hint: String,
}

/// The value under a key: keys separated by `.`, in a list an element's name or number, counted from 0. A key that may be
/// set and is not gives [`Content::Nothing`].
///
/// # Errors
/// If there is no such key; a key that contains `.` itself is found, too.
pub fn select(root: &Shown, key: &str) -> Result<Shown, NoSuchKey> {
    let mut current = root;
    let mut rest = key;
    while !rest.is_empty() {
        let before = key[..key.len() - rest.len()].trim_end_matches('.');
        if let Some((next, behind)) = step(current, rest) {
            (current, rest) = (next, behind);
            continue;
        }
        if let Content::Map { known, .. } = &current.content
            && known.contains(&rest)
        {
            return Ok(Shown::new(Content::Nothing, SetBy::Default));
        }
        return Err(no_such_key(root, current, key, before, rest));
    }
    Ok(current.clone())
}

/// The value under the longest key at the start of `rest`, and what follows it.
fn step<'s, 'k>(shown: &'s Shown, rest: &'k str) -> Option<(&'s Shown, &'k str)> {
    let ends = rest.match_indices('.').map(|(at, _)| at).chain([rest.len()]);
    let mut ends: Vec<usize> = ends.collect();
    ends.reverse();
    ends.into_iter().find_map(|end| {
        let (name, behind) = (&rest[..end], rest[end..].trim_start_matches('.'));
        let found = match &shown.content {
            Content::Map { pairs, .. } => pairs.iter().find(|(key, _)| key == name).map(|(_, shown)| shown),
            Content::List(elements) => {
                let named = elements.iter().find(|(own, _)| own.as_deref() == Some(name));
                let numbered = || elements.get(name.parse::<usize>().ok()?);
                named.or_else(numbered).map(|(_, shown)| shown)
            }
            Content::Nothing | Content::Text { .. } => None,
        };
        Some((found?, behind))
    })
}

fn no_such_key(root: &Shown, at: &Shown, key: &str, before: &str, rest: &str) -> NoSuchKey {
    let word = rest.split('.').next().unwrap_or(rest);
    let path = |name: &str| if before.is_empty() { name.to_owned() } else { format!("{before}.{name}") };
    let names = names(at);
    let near: Vec<String> = similar::similar(word, names.iter().map(String::as_str)).into_iter().map(path).collect();
    let mut hint = similar::or_did_you_mean(&near);
    if hint.is_empty() && before.is_empty() {
        let mut below = Vec::new();
        search(root, "", DEPTH, &mut below);
        let near = similar::similar(key, below.iter().map(|(name, _)| name.as_str()));
        let near: Vec<&String> =
            below.iter().filter(|(name, _)| near.contains(&name.as_str())).map(|(_, path)| path).take(SHOWN).collect();
        hint = similar::or_did_you_mean(&near);
    }
    if hint.is_empty() {
        let what = if before.is_empty() { "it".to_owned() } else { format!("`{before}`") };
        hint = match (&at.content, names.is_empty()) {
            (Content::Text { .. }, _) => format!("; {what} is a single value"),
            (_, true) => format!("; {what} is empty"),
            (_, false) => format!("; {what} has: {}", names.join(", ")),
        };
    }
    NoSuchKey { key: key.to_owned(), hint }
}

/// The keys of a mapping, including those that it may have; the names of a list's elements.
fn names(shown: &Shown) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    match &shown.content {
        Content::Map { pairs, known } => {
            names.extend(pairs.iter().map(|(key, _)| key.clone()));
            names.extend(known.iter().filter(|key| **key != "extends").map(|key| (*key).to_owned()));
        }
        Content::List(elements) => {
            let numbered = |(number, (name, _)): (usize, &(Option<String>, Shown))| {
                name.clone().unwrap_or_else(|| number.to_string())
            };
            names.extend(elements.iter().enumerate().map(numbered));
        }
        Content::Nothing | Content::Text { .. } => {}
    }
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// The keys below the top, each with those before it, for a key that was given without them.
fn search(shown: &Shown, before: &str, depth: usize, found: &mut Vec<(String, String)>) {
    let Content::Map { pairs, .. } = &shown.content else { return };
    let path = |name: &str| if before.is_empty() { name.to_owned() } else { format!("{before}.{name}") };
    if !before.is_empty() {
        found.extend(names(shown).into_iter().map(|name| (name.clone(), path(&name))));
    }
    if depth > 0 {
        pairs.iter().for_each(|(name, shown)| search(shown, &path(name), depth - 1, found));
    }
}
