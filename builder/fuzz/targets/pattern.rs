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
    fn below(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern, path) {
            ([], []) => true,
            // A folder's pattern does not match the folder itself.
            (["**"], []) => false,
            (["**"], _) => true,
            (["**", rest @ ..], _) => (0..=path.len()).any(|skipped| below(rest, &path[skipped..])),
            ([one, rest @ ..], [name, more @ ..]) => {
                let (one, name): (Vec<char>, Vec<char>) = (one.chars().collect(), name.chars().collect());
                word(&one, &name) && below(rest, more)
            }
            _ => false,
        }
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
