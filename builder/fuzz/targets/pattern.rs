//! Patterns of paths, compared with a simple matcher: the pattern, a newline, the path.
#![no_main]

use dbco::rootfs::Pattern;
use dbco::tree::TreePath;
use dbco_fuzz::within_memory;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (pattern, path) = text.split_once('\n').unwrap_or((text, "a/b"));
    let Ok(path) = TreePath::new(path) else { return };
    within_memory(16, || match Pattern::new(pattern) {
        Ok(read) => {
            assert_eq!(read.as_str(), pattern);
            let matches = read.matches(&path);
            // Brackets, runs of more stars and a trailing slash are left to the crate.
            let plain = !pattern.contains(['[', ']']) && !pattern.contains("***") && !pattern.ends_with('/');
            if plain && pattern.len() < 64 {
                assert_eq!(matches, fits(pattern, &path.to_string()), "{pattern:?} and {path}");
            }
        }
        Err(why) => assert!(why.contains('`')),
    });
});

/// Component by component: `**` is any number of them, `*` any characters of one, `?` one character.
fn fits(pattern: &str, path: &str) -> bool {
    /// A table: whether the first components of the pattern match the first names.
    fn below(pattern: &[&str], path: &[&str]) -> bool {
        let mut matched = vec![false; path.len() + 1];
        matched[0] = true;
        for (number, one) in pattern.iter().enumerate() {
            let mut next = vec![false; path.len() + 1];
            for names in 0..=path.len() {
                next[names] = match *one {
                    // A folder's pattern does not match the folder itself.
                    "**" if number + 1 == pattern.len() => matched[..names].contains(&true),
                    "**" => matched[..=names].contains(&true),
                    one => {
                        let chars = |text: &str| text.chars().collect::<Vec<char>>();
                        names > 0 && matched[names - 1] && word(&chars(one), &chars(path[names - 1]))
                    }
                };
            }
            matched = next;
        }
        matched[path.len()]
    }
    /// Only the last star is tried again at the next character: an earlier one can't do better.
    fn word(pattern: &[char], name: &[char]) -> bool {
        let (mut at, mut from, mut star) = (0, 0, None);
        while from < name.len() {
            match pattern.get(at) {
                Some('*') => {
                    star = Some((at + 1, from));
                    at += 1;
                }
                Some(c) if *c == '?' || *c == name[from] => (at, from) = (at + 1, from + 1),
                _ => {
                    let Some((after, taken)) = star else { return false };
                    (at, from) = (after, taken + 1);
                    star = Some((after, taken + 1));
                }
            }
        }
        pattern[at..].iter().all(|c| *c == '*')
    }
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    below(&pattern, &path)
}
