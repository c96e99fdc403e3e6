//! Patterns of paths in the image.

use super::{Tree, TreePath};

/// A pattern of absolute paths: `*` and `?` don't match `/`, `**` does, and `folder/**` means everything below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    components: Vec<Component>,
}

/// The part of a pattern between two `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Component {
    /// `**`: any number of names.
    Any,
    /// One name.
    Name(glob::Pattern),
}

impl Pattern {
    /// Parses a pattern; `Err` says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let Some(below) = text.strip_prefix('/') else {
            return Err(format!("`{text}` does not begin with `/`"));
        };
        let wrong = |error: glob::PatternError| format!("`{text}`: {}", error.msg);
        // The rules for `**` are those of a whole path.
        glob::Pattern::new(text).map_err(wrong)?;
        let mut components = Vec::new();
        for part in below.split('/') {
            components.push(match part {
                "**" => Component::Any,
                part => Component::Name(glob::Pattern::new(part).map_err(wrong)?),
            });
        }
        if components.last() == Some(&Component::Any) {
            // At the end it stands for at least one name.
            components.insert(components.len() - 1, Component::Name(glob::Pattern::new("*").map_err(wrong)?));
        }
        Ok(Self { text: text.to_owned(), components })
    }

    /// Whether a path matches.
    ///
    /// Names are matched one by one, so that the time grows with the lengths of pattern and path alone: the crate's matching
    /// of whole paths with `require_literal_separator` has no such limit.
    pub fn matches(&self, path: &TreePath) -> bool {
        self.compare(path).0
    }

    /// Whether a path matches, and the number of names that were compared.
    fn compare(&self, path: &TreePath) -> (bool, usize) {
        let mut compared = 0;
        let names: Vec<&str> = path.as_str().split('/').collect();
        let (mut at, mut name) = (0, 0);
        // The component after the last `**`, and the first name after those that it has taken. An earlier `**` need not be
        // tried again: what follows it has matched as early as it can.
        let mut retry = None;
        while name < names.len() {
            compared += 1;
            match self.components.get(at) {
                Some(Component::Any) => {
                    at += 1;
                    retry = Some((at, name));
                }
                Some(Component::Name(pattern)) if pattern.matches(names[name]) => (at, name) = (at + 1, name + 1),
                _ => {
                    let Some((after, taken)) = retry else { return (false, compared) };
                    (at, name) = (after, taken + 1);
                    retry = Some((after, taken + 1));
                }
            }
        }
        (self.components[at..].iter().all(|component| *component == Component::Any), compared)
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it can match several paths.
    pub fn is_glob(&self) -> bool {
        self.text.contains(['*', '?', '['])
    }
}

/// Removes everything that matches one of the patterns from a tree, with everything below. Gives, for each pattern,
/// whether it matched anything.
pub fn exclude(tree: &mut Tree, patterns: &[Pattern]) -> Vec<bool> {
    let mut used = vec![false; patterns.len()];
    if patterns.is_empty() {
        return used;
    }
    // Entries come in byte order, in which `a-b` sorts between `a` and `a/b`: so all removed folders are remembered.
    let mut out = std::collections::BTreeSet::new();
    tree.entries.retain(|path, _| {
        for (pattern, used) in patterns.iter().zip(&mut used) {
            if pattern.matches(path) {
                *used = true;
                out.insert(path.clone());
            }
        }
        let above = std::iter::successors(Some(path.clone()), TreePath::parent);
        !above.into_iter().any(|path| out.contains(&path))
    });
    used
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Entry;

    fn left(patterns: &[&str], paths: &[&str]) -> (Vec<String>, Vec<bool>) {
        let patterns: Vec<_> = patterns.iter().map(|text| Pattern::new(text).unwrap()).collect();
        let mut tree = Tree::new();
        for path in paths {
            tree.insert(TreePath::new(path).unwrap(), Entry::dir(0o755));
        }
        let used = exclude(&mut tree, &patterns);
        (tree.entries.keys().map(TreePath::to_string).collect(), used)
    }

    /// The definition, component by component: `**` stands for any number of them, at the end for at least one.
    fn defined(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern, path) {
            ([], []) => true,
            (["**"], path) => !path.is_empty(),
            (["**", rest @ ..], path) => (0..=path.len()).any(|skipped| defined(rest, &path[skipped..])),
            ([first, rest @ ..], [name, below @ ..]) => word(first.as_bytes(), name.as_bytes()) && defined(rest, below),
            _ => false,
        }
    }

    fn word(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            ([b'*', rest @ ..], name) => (0..=name.len()).any(|taken| word(rest, &name[taken..])),
            ([b'?', rest @ ..], [_, name @ ..]) => word(rest, name),
            ([first, rest @ ..], [letter, name @ ..]) => first == letter && word(rest, name),
            _ => false,
        }
    }

    #[test]
    fn patterns_match_as_they_are_defined() {
        let mut state: u64 = 15;
        let mut below = |most: usize| {
            // The LCG of Knuth's MMIX.
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % most
        };
        let (mut fitted, mut all) = (0, 0);
        for _ in 0..20_000 {
            let words = ["a", "b", "ab", "*", "?", "a*", "*b", "?b", "a?", "*a*", "**", "a.b", "*.b"];
            let names = ["a", "b", "ab", "ba", "aab", "a.b", ".b", "c"];
            let pattern: Vec<&str> = (0..1 + below(4)).map(|_| words[below(words.len())]).collect();
            let path: Vec<&str> = (0..1 + below(4)).map(|_| names[below(names.len())]).collect();
            let text = format!("/{}", pattern.join("/"));
            let matched = Pattern::new(&text).unwrap().matches(&TreePath::new(&path.join("/")).unwrap());
            assert_eq!(matched, defined(&pattern, &path), "{text} and /{}", path.join("/"));
            (fitted, all) = (fitted + usize::from(matched), all + 1);
        }
        assert!(fitted * 20 > all, "too few fit for a test: {fitted} of {all}");
    }

    #[test]
    fn names_are_compared_no_more_often_than_the_lengths_allow() {
        for (pattern, names) in [("/**/a/**/a/b", 40), ("/**/a/a/a/b", 40), ("/**/**/a/**/*/b", 20), ("/a/**", 30)] {
            let path = TreePath::new(&vec!["a"; names].join("/")).unwrap();
            let (_, compared) = Pattern::new(pattern).unwrap().compare(&path);
            let most = names * pattern.split('/').count();
            assert!(compared <= most, "{pattern}: {compared}, at most {most}");
        }
    }

    #[test]
    fn the_root_and_ends_with_a_slash_match_as_before() {
        let matches = |pattern: &str, path: &str| Pattern::new(pattern).unwrap().matches(&TreePath::new(path).unwrap());
        for pattern in ["/", "/*", "/**", "/**/*"] {
            assert!(matches(pattern, "/"), "{pattern}");
        }
        assert!(
            !matches("/a/", "/a") && !matches("/a/**", "/a") && matches("/a/**/b", "/a/b") && matches("/**/b", "/b")
        );
        assert!(matches("/[ab]/[!c]", "/a/d") && !matches("/[ab]/[!c]", "/a/c"));
        for wrong in ["/a**", "/**b", "/a/***", "/[a", "a"] {
            assert!(Pattern::new(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_lies_below_an_excluded_folder_goes_with_it() {
        let paths = ["usr", "usr/share", "usr/share/doc", "usr/share/doc-base", "usr/share/doc/a", "usr/share/doc/a/b"];
        let kept = vec!["/usr".to_owned(), "/usr/share".into(), "/usr/share/doc-base".into()];
        assert_eq!(left(&["/usr/share/doc"], &paths), (kept.clone(), vec![true]));
        assert_eq!(left(&["/usr/*/doc", "/srv"], &paths), (kept, vec![true, false]));
        // As in dpkg's `path-exclude=/usr/share/doc/*`: the folder itself stays.
        assert_eq!(left(&["/usr/share/doc/*"], &paths).0.len(), 4);
        assert_eq!(left(&["/usr/**"], &paths), (vec!["/usr".to_owned()], vec![true]));
        // A pattern that only matches what another one removed is not a mistake.
        assert_eq!(left(&["/usr/share", "/usr/share/doc/a"], &paths), (vec!["/usr".to_owned()], vec![true, true]));
        assert_eq!(left(&[], &paths).0.len(), 6);
    }
}
