//! Applies patches to texts in memory, as patch(1) does with [`ARGUMENTS`](super::ARGUMENTS): each hunk to exactly the lines
//! that it was written against, wherever they moved.

use std::collections::BTreeMap;

use super::{FilePatch, PatchError, hunk_counts, inspect};
use crate::archive::Budget;

/// Applies the parts of a patch that change a file for which `is_wanted` holds; the others are left out.
pub fn apply(
    patch: &str,
    bytes: &[u8],
    files: &mut BTreeMap<String, String>,
    is_wanted: &dyn Fn(&str) -> bool,
    budget: &Budget,
) -> Result<(), PatchError> {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().collect();
    for part in inspect(patch, bytes, budget)? {
        let old = part.old.as_deref().filter(|name| is_wanted(name));
        let new = part.new.as_deref().filter(|name| is_wanted(name));
        if old.is_none() && new.is_none() {
            continue;
        }
        let before = old.and_then(|name| files.get(name)).cloned().unwrap_or_default();
        let after = change(patch, &lines, &part, &before)?;
        // A copy keeps the old file; it is not needed to know which of both a section is.
        if part.new.is_none()
            && let Some(old) = old
        {
            files.remove(old);
        }
        if let Some(new) = new {
            files.insert(new.to_owned(), after);
        }
    }
    Ok(())
}

fn change(patch: &str, lines: &[&str], part: &FilePatch, before: &str) -> Result<String, PatchError> {
    let mut file: Vec<&str> = before.lines().collect();
    let mut moved = 0isize;
    for (number, at) in part.hunks.iter().enumerate() {
        let header = lines.get(at - 1).copied().unwrap_or_default();
        let (start, counts) = (first_line(header), hunk_counts(header).unwrap_or_default());
        let (old, new) = sides(&lines[*at..], counts);
        // A hunk without old lines follows the line that it names.
        let stated = if old.is_empty() { start } else { start.saturating_sub(1) };
        let Some(found) = find(&file, &old, stated.saturating_add_signed(moved)) else {
            let what = format!("hunk {} does not apply to {}, whose lines differ", number + 1, part.name());
            return Err(PatchError::new(patch, what).at(*at).file(part.name()));
        };
        moved += found as isize - stated.saturating_add_signed(moved) as isize;
        moved += new.len() as isize - old.len() as isize;
        file.splice(found..found + old.len(), new);
    }
    Ok(file.iter().flat_map(|line| [*line, "\n"]).collect())
}

/// The first line that a hunk covers in the old file: `@@ -LINE,…`.
fn first_line(header: &str) -> usize {
    let digits = header.strip_prefix("@@ -").unwrap_or_default();
    digits.split([',', ' ']).next().and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

/// The old and the new lines of a hunk.
fn sides<'a>(lines: &[&'a str], (old_count, new_count): (usize, usize)) -> (Vec<&'a str>, Vec<&'a str>) {
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for line in lines {
        if old.len() >= old_count && new.len() >= new_count {
            break;
        }
        match line.split_at_checked(1) {
            Some((" ", text)) => {
                old.push(text);
                new.push(text);
            }
            Some(("-", text)) => old.push(text),
            Some(("+", text)) => new.push(text),
            // An empty line of context, whose blank was lost.
            None => {
                old.push("");
                new.push("");
            }
            Some(_) => {}
        }
    }
    (old, new)
}

/// Where lines are in a file: at the place that is expected, otherwise the nearest.
fn find(file: &[&str], lines: &[&str], expected: usize) -> Option<usize> {
    let last = file.len().checked_sub(lines.len())?;
    let fits = |at: &usize| file[*at..*at + lines.len()] == *lines;
    (0..=last).filter(fits).min_by_key(|at| at.abs_diff(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(patch: &str, before: &[(&str, &str)]) -> Result<BTreeMap<String, String>, String> {
        let mut files = before.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let wanted = |name: &str| name.ends_with("Kconfig");
        apply("p", patch.as_bytes(), &mut files, &wanted, &Budget::default()).map_err(|error| error.to_string())?;
        Ok(files)
    }

    const CHANGE: &str = "--- a/x/Kconfig\n+++ b/x/Kconfig\n@@ -2,3 +2,4 @@\n two\n-three\n+THREE\n+more\n four\n";

    #[test]
    fn hunks_apply_where_their_lines_are() {
        let patched = |before: &str| applied(CHANGE, &[("x/Kconfig", before)]).map(|files| files["x/Kconfig"].clone());
        assert_eq!(patched("one\ntwo\nthree\nfour\n").as_deref(), Ok("one\ntwo\nTHREE\nmore\nfour\n"));
        assert_eq!(patched("0\n0\none\ntwo\nthree\nfour\n").as_deref(), Ok("0\n0\none\ntwo\nTHREE\nmore\nfour\n"));
        let refused = patched("one\ntwo\n3\nfour\n").unwrap_err();
        assert_eq!(refused, "p:3: hunk 1 does not apply to x/Kconfig, whose lines differ");
    }

    #[test]
    fn files_come_and_go_and_others_are_left_out() {
        let patch = "--- a/a.c\n+++ b/a.c\n@@ -1 +1 @@\n-x\n+y\n--- /dev/null\n+++ b/n/Kconfig\n@@ -0,0 +1,2 @@\n+config N\n+\tbool\n\
                     --- a/o/Kconfig\n+++ /dev/null\n@@ -1 +0,0 @@\n-old\n";
        let files = applied(patch, &[("o/Kconfig", "old\n")]).unwrap();
        assert_eq!(files, BTreeMap::from([("n/Kconfig".to_owned(), "config N\n\tbool\n".to_owned())]));
    }
}
