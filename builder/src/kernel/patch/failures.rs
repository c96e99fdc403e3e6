//! Parses the messages of a failed GNU patch into errors with their places.

use std::collections::HashMap;

use super::{FilePatch, PatchError};

/// The errors in the messages of GNU patch (2.7), which failed on a patch whose parts are `files`. Never empty.
pub fn failures(patch: &str, files: &[FilePatch], output: &str) -> Vec<PatchError> {
    let mut errors = Vec::new();
    let mut current: Option<&str> = None;
    let mut by_name = HashMap::new();
    for file in files {
        by_name.entry(file.name()).or_insert(file);
    }
    let lines: Vec<&str> = output.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let section = || current.and_then(|name| by_name.get(name).copied());
        let start = || section().map(|file| file.line);
        let name = current.unwrap_or("a file");
        if let Some(rest) = line.strip_prefix("patching file ") {
            let rest =
                rest.split(" (renamed from ").next().unwrap_or(rest).split(" (copied from ").next().unwrap_or(rest);
            current = Some(rest.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(rest));
        } else if let Some((hunk, at, endings)) = failed_hunk(line) {
            let why = if endings { "the line endings differ (CRLF against LF)" } else { "the source differs there" };
            errors.push(PatchError {
                at: section().and_then(|file| file.hunks.get(hunk - 1)).copied(),
                file: Some(name.to_owned()),
                hunk: Some(hunk),
                line: Some(at),
                ..PatchError::new(patch, format!("hunk {hunk} doesn't fit {name} at line {at}: {why}"))
            });
        } else if let Some(input) = line.strip_prefix("can't find file to patch at input line ") {
            let input: usize = input.trim_end_matches('.').parse().unwrap_or(0);
            let file = files[..files.partition_point(|file| file.line <= input)].last();
            let name = file.map_or("a file", FilePatch::name);
            let what = format!("{name} is not in the source");
            errors.push(PatchError { at: file.map(|file| file.line), ..PatchError::new(patch, what).file(name) });
        } else if line.starts_with("Reversed (or previously applied) patch detected") {
            let what = format!("the change to {name} is in the source already; drop it from the series");
            errors.push(PatchError { at: start(), ..PatchError::new(patch, what).file(name) });
        } else if let Some((doing, rest)) =
            line.strip_prefix("The next patch would ").and_then(|rest| rest.split_once(" the file "))
        {
            let name = rest.trim_end_matches(',');
            let next = lines.get(index + 1).copied().unwrap_or_default();
            let why = if next.starts_with("which already exists") { "exists already" } else { "doesn't exist" };
            let at = by_name.get(name).map(|file| file.line);
            let what = format!("it would {doing} {name}, which {why} in the source");
            errors.push(PatchError { at, ..PatchError::new(patch, what).file(name) });
        } else if let Some(rest) = line.strip_prefix("File ")
            && let Some((name, why)) = rest.split_once(" is ")
            && let Some(why) = why.strip_suffix(" -- refusing to patch")
        {
            errors.push(PatchError::new(patch, format!("{name} is {why} in the source")).file(name));
        } else if let Some(message) = line.strip_prefix("patch: **** ") {
            errors.push(PatchError::new(patch, format!("patch reported: {message}")));
        }
    }
    if errors.is_empty() {
        let last = lines.iter().rfind(|line| !line.trim().is_empty()).unwrap_or(&"nothing");
        errors.push(PatchError::new(patch, format!("it doesn't apply; patch's last message: {last}")));
    }
    errors
}

/// The hunk, the line, and whether line endings are the cause, from `Hunk #2 FAILED at 47 (different line endings).`
fn failed_hunk(line: &str) -> Option<(usize, usize, bool)> {
    let (hunk, at) = line.strip_prefix("Hunk #")?.split_once(" FAILED at ")?;
    let digits = at.split(|c: char| !c.is_ascii_digit()).next()?;
    let hunk = hunk.parse().ok().filter(|hunk| *hunk > 0)?;
    Some((hunk, digits.parse().ok()?, at.contains("different line endings")))
}

#[cfg(test)]
mod tests {
    use super::super::tests::PATCH;
    use super::super::{Budget, inspect};
    use super::*;

    /// The output of GNU patch 2.7.6 with [`super::super::ARGUMENTS`].
    #[test]
    fn patchs_own_words_become_findings() {
        let files = inspect("p", PATCH.as_bytes(), &Budget::USUAL).unwrap();
        let say = |output: &str| failures("p", &files, output).iter().map(|e| e.to_string()).collect::<Vec<_>>();
        assert_eq!(
            say(
                "patching file a/f.c\nHunk #1 succeeded at 4 (offset -3 lines).\nHunk #2 FAILED at 47.\n1 out of 2 hunks FAILED\n"
            ),
            ["p:12: hunk 2 doesn't fit a/f.c at line 47: the source differs there"]
        );
        assert_eq!(
            say("patching file a/f.c\nHunk #1 FAILED at 7 (different line endings).\n1 out of 2 hunks FAILED\n"),
            ["p:8: hunk 1 doesn't fit a/f.c at line 7: the line endings differ (CRLF against LF)"]
        );
        assert_eq!(
            say("can't find file to patch at input line 8\nPerhaps you used the wrong -p or --strip option?\n\
                 The text leading up to this was:\n----\n|--- a/a/f.c\n----\nNo file to patch.  Skipping patch.\n2 out of 2 hunks ignored\n"),
            ["p:5: a/f.c is not in the source"]
        );
        assert_eq!(
            say(
                "patching file a/f.c\nReversed (or previously applied) patch detected!  Skipping patch.\n2 out of 2 hunks ignored\n"
            ),
            ["p:5: the change to a/f.c is in the source already; drop it from the series"]
        );
        assert_eq!(
            say(
                "patching file y (renamed from x)\nThe next patch would create the file new.c,\nwhich already exists!  Skipping patch.\n"
            ),
            ["p:21: it would create new.c, which exists already in the source"]
        );
        assert_eq!(
            say("The next patch would delete the file gone.c,\nwhich does not exist!  Skipping patch.\n"),
            ["p: it would delete gone.c, which doesn't exist in the source"]
        );
        assert_eq!(
            say("File a/l.c is not a regular file -- refusing to patch\n1 out of 1 hunk ignored\n"),
            ["p: a/l.c is not a regular file in the source"]
        );
        assert_eq!(
            say("patch: **** malformed patch at line 5: x\n"),
            ["p: patch reported: malformed patch at line 5: x"]
        );
        assert_eq!(say("what?\n\n"), ["p: it doesn't apply; patch's last message: what?"]);
    }
}
