//! Patches of a series: what they change, and why GNU patch rejected one.
//!
//! A component's step runs patch(1) with [`ARGUMENTS`]. Before that, [`inspect`] finds what patch(1) would apply partially
//! (a truncated file) or not at all (binary changes), and names that lead out of the source. [`failures`] reads the output of
//! patch(1).

mod apply;
mod failures;

use std::borrow::Cow;

pub use apply::apply;
pub use failures::failures;

use super::compressed;
use crate::archive::{Budget, Exceeded};

/// Arguments of patch(1), without `-i FILE`. No fuzz: a hunk whose context differs may be applied to the wrong function, so it
/// is an error. Neither `.orig` nor `.rej` files are left in the source.
pub const ARGUMENTS: [&str; 6] =
    ["-p1", "--batch", "--forward", "--fuzz=0", "--no-backup-if-mismatch", "--reject-file=-"];

/// What is wrong with a patch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{patch}{}: {what}", at.map(|at| format!(":{at}")).unwrap_or_default())]
pub struct PatchError {
    /// The patch's name.
    pub patch: String,
    /// Line of the patch that this is about, from 1.
    pub at: Option<usize>,
    /// The file to be patched, relative to the source's root.
    pub file: Option<String>,
    /// Number of the hunk within that file's part, from 1.
    pub hunk: Option<usize>,
    /// Line of the file where the hunk was expected, from 1.
    pub line: Option<usize>,
    /// The whole story in prose, file, hunk and line included.
    pub what: String,
}

impl PatchError {
    fn new(patch: &str, what: impl Into<String>) -> Self {
        Self { patch: patch.to_owned(), at: None, file: None, hunk: None, line: None, what: what.into() }
    }

    fn at(self, at: usize) -> Self {
        Self { at: Some(at), ..self }
    }

    fn file(self, file: &str) -> Self {
        Self { file: Some(file.to_owned()), ..self }
    }
}

/// One file's part of a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePatch {
    /// Name before, relative to the source's root; `None` for a file that the patch creates.
    pub old: Option<String>,
    /// Name after; `None` for a file that the patch deletes.
    pub new: Option<String>,
    /// Line of the patch where this part starts, from 1.
    pub line: usize,
    /// Line of the patch of each hunk's `@@`, from 1.
    pub hunks: Vec<usize>,
}

impl FilePatch {
    /// The name by which to speak of it.
    pub fn name(&self) -> &str {
        self.new.as_deref().or(self.old.as_deref()).unwrap_or_default()
    }
}

/// The patch in plain text, whether it is stored plain, or as .gz, .xz, .bz2 or .zst.
pub fn plain(patch: &str, bytes: Vec<u8>, budget: &Budget) -> Result<Vec<u8>, PatchError> {
    match compressed::unpack_up_to(bytes, budget.patch_size, budget) {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(too_long(patch, budget)),
        Err(error) => Err(PatchError::new(patch, format!("can't be decompressed: {error}"))),
    }
}

/// The error of a patch that has more bytes than `budget` gives it.
pub fn too_long(patch: &str, budget: &Budget) -> PatchError {
    let what = format!("it has more than {} bytes", budget.patch_size);
    PatchError::new(patch, Exceeded::new("patch-size", what).to_string())
}

/// Lists the files of a unified diff (`diff -u`, `git format-patch`; GNU diffutils manual, "Detailed Unified") and
/// checks what can be checked without the source. More lines or hunks than `budget` has are an error.
pub fn inspect(patch: &str, bytes: &[u8], budget: &Budget) -> Result<Vec<FilePatch>, PatchError> {
    let (text, count) = lines_of(bytes, budget.patch_lines);
    let Some(text) = text else {
        let what = Exceeded::new("patch-lines", format!("it has more than {} lines", budget.patch_lines));
        return Err(PatchError::new(patch, what.to_string()));
    };
    let mut lines: Vec<&str> = Vec::with_capacity(count);
    lines.extend(text.lines());
    let mut hunks = Hunks { left: budget.patch_hunks, most: budget.patch_hunks };
    let mut files: Vec<FilePatch> = Vec::new();
    // The names given by a `diff --git` section's extended header; that section may have no hunks.
    let mut git: Option<FilePatch> = None;
    let mut git_name = None;
    let mut index = 0;
    while index < lines.len() {
        let (line, number) = (lines[index], index + 1);
        if let Some(names) = line.strip_prefix("diff --git ") {
            files.extend(git.take().filter(|section| section.old.is_some() || section.new.is_some()));
            git = Some(FilePatch { old: None, new: None, line: number, hunks: Vec::new() });
            git_name = same_name(names);
            hunks.one_more(patch, number)?;
        } else if let Some(section) = &mut git
            && let Some(name) = git_name.as_ref().filter(|_| MODE_LINES.iter().any(|start| line.starts_with(start)))
        {
            // Such a section may have nothing else: a mode that changes, an empty file that comes or goes.
            let name = inside(patch, section.line, name, name)?;
            if !line.starts_with("new file mode ") {
                section.old = Some(name.clone());
            }
            if !line.starts_with("deleted file mode ") {
                section.new = Some(name);
            }
        } else if let Some(section) = &mut git
            && let Some(name) = line.strip_prefix("rename from ").or_else(|| line.strip_prefix("copy from "))
        {
            section.old = Some(inside(patch, number, &unquoted(name), name)?);
        } else if let Some(section) = &mut git
            && let Some(name) = line.strip_prefix("rename to ").or_else(|| line.strip_prefix("copy to "))
        {
            section.new = Some(inside(patch, number, &unquoted(name), name)?);
        } else if line == "GIT binary patch" || (line.starts_with("Binary files ") && line.ends_with(" differ")) {
            let what = "it changes a binary file, which patch(1) does not support; put that file into an overlay or the install script";
            return Err(PatchError::new(patch, what).at(number));
        } else if let Some(old) = line.strip_prefix("--- ")
            && let Some(new) = lines.get(index + 1).and_then(|next| next.strip_prefix("+++ "))
        {
            let (old, new) = (stripped(patch, number, old)?, stripped(patch, number + 1, new)?);
            let start = match git.take() {
                // A section without hunks, followed by a part without a git header.
                Some(section)
                    if (section.old.is_some() || section.new.is_some())
                        && (&section.old, &section.new) != (&old, &new) =>
                {
                    files.push(section);
                    number
                }
                section => section.map_or(number, |section| section.line),
            };
            if old.is_none() && new.is_none() {
                return Err(PatchError::new(patch, "both names are /dev/null").at(number));
            }
            let mut file = FilePatch { old, new, line: start, hunks: Vec::new() };
            index += 2;
            while let Some(counts) = lines.get(index).and_then(|line| hunk_counts(line)) {
                hunks.one_more(patch, index + 1)?;
                file.hunks.push(index + 1);
                index = after_hunk(patch, &lines, index, counts, &file)?;
            }
            if file.hunks.is_empty() {
                let what = format!("the diff of {} has no hunk: expected `@@ -line,count +line,count @@`", file.name());
                return Err(PatchError::new(patch, what).at(number + 2).file(file.name()));
            }
            files.push(file);
            continue;
        }
        index += 1;
    }
    files.extend(git.filter(|section| section.old.is_some() || section.new.is_some()));
    // patch(1) would take half a line for a whole one, and may even apply it.
    if !text.ends_with('\n') && lines.last().is_some_and(|line| line.starts_with([' ', '+', '-', '@'])) {
        let what = "it ends in the middle of a line: it was truncated, or its last newline is missing";
        return Err(PatchError::new(patch, what).at(lines.len()));
    }
    if files.is_empty() {
        return Err(PatchError::new(patch, "it contains no change in unified format (`diff -u`, `git format-patch`)"));
    }
    Ok(files)
}

/// The text, unless it has more than `most` lines, and their number.
fn lines_of(bytes: &[u8], most: u64) -> (Option<Cow<'_, str>>, usize) {
    let count = bytes.iter().filter(|&&byte| byte == b'\n').count() + 1;
    ((count as u64 <= most.saturating_add(1)).then(|| String::from_utf8_lossy(bytes)), count)
}

/// How many hunks may follow, and sections of git's, which may have none.
struct Hunks {
    left: u64,
    most: u64,
}

impl Hunks {
    fn one_more(&mut self, patch: &str, at: usize) -> Result<(), PatchError> {
        let what = || Exceeded::new("patch-hunks", format!("it has more than {} hunks", self.most)).to_string();
        self.left = self.left.checked_sub(1).ok_or_else(|| PatchError::new(patch, what()).at(at))?;
        Ok(())
    }
}

/// A name of a `---` or `+++` line as `-p1` leaves it.
fn stripped(patch: &str, at: usize, rest: &str) -> Result<Option<String>, PatchError> {
    let name = match rest.starts_with('"') {
        true => unquoted(rest),
        false => rest.split('\t').next().unwrap_or(rest).trim_end().to_owned(),
    };
    if name == "/dev/null" {
        return Ok(None);
    }
    match name.split_once('/') {
        Some((first, below)) if !first.is_empty() => inside(patch, at, below, &name).map(Some),
        None => {
            let what =
                format!("`{name}` has no first folder to strip; make the patch with a/ and b/ in front of the names");
            Err(PatchError::new(patch, what).at(at))
        }
        Some(_) => {
            Err(PatchError::new(patch, format!("`{name}` is absolute; expected a name relative to the source")).at(at))
        }
    }
}

/// `name`, unless it climbs out of the source or is that of no file.
fn inside(patch: &str, at: usize, name: &str, whole: &str) -> Result<String, PatchError> {
    if name.is_empty() || name.ends_with('/') {
        return Err(PatchError::new(patch, format!("`{whole}` is not the name of a file")).at(at));
    }
    if name.starts_with('/') || name.split('/').any(|part| part == "..") {
        return Err(PatchError::new(patch, format!("`{whole}` leads outside the source")).at(at));
    }
    Ok(name.to_owned())
}

/// A name that may stand in quotes, with C's escapes (git-config(1), `core.quotePath`).
fn unquoted(name: &str) -> String {
    quoted(name).map_or_else(|| name.to_owned(), |(name, _)| name)
}

/// The name in quotes that a text starts with, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('"')?;
    let (mut bytes, mut at) = (Vec::new(), 0);
    let source = text.as_bytes();
    loop {
        match *source.get(at)? {
            b'"' => return Some((String::from_utf8_lossy(&bytes).into_owned(), &text[at + 1..])),
            b'\\' => {
                let octal = source.get(at + 1..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
                if let Some(byte) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
                    bytes.push(byte);
                    at += 4;
                    continue;
                }
                bytes.push(match *source.get(at + 1)? {
                    b'a' => 7,
                    b'b' => 8,
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'v' => 11,
                    b'f' => 12,
                    b'r' => b'\r',
                    other => other,
                });
                at += 2;
            }
            byte => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
}

/// Lines of a git section (git-diff(1), "Generating patch text with -p") that change a file without any hunk.
const MODE_LINES: [&str; 4] = ["old mode ", "new mode ", "new file mode ", "deleted file mode "];

/// The name in a `diff --git` line, without its first folder, where both names are the same. Only renames and copies have
/// two, and state them on lines of their own.
fn same_name(line: &str) -> Option<String> {
    let below = |name: &str| name.split_once('/').map(|(_, below)| below.to_owned());
    if let Some((old, rest)) = quoted(line) {
        return below(&old).filter(|_| !rest.trim().is_empty());
    }
    let line = line.trim_end();
    // Names may hold blanks: the line is cut in the middle.
    let (old, new) = (line.get(..line.len() / 2)?, line.get(line.len() / 2 + 1..)?);
    below(old).filter(|name| below(new).as_ref() == Some(name))
}

/// How many lines of the old and of the new file a hunk covers: `@@ -l[,count] +l[,count] @@`.
fn hunk_counts(line: &str) -> Option<(usize, usize)> {
    let (old, new) = line.strip_prefix("@@ -")?.split_once(" @@")?.0.split_once(" +")?;
    let count = |range: &str| match range.split_once(',') {
        Some((start, count)) => start.parse::<usize>().ok().and(count.parse().ok()),
        None => range.parse::<usize>().ok().map(|_| 1),
    };
    Some((count(old)?, count(new)?))
}

/// The index of the line after a hunk, whose `@@` is at `start`.
fn after_hunk(
    patch: &str,
    lines: &[&str],
    start: usize,
    (mut old, mut new): (usize, usize),
    file: &FilePatch,
) -> Result<usize, PatchError> {
    let mut index = start + 1;
    loop {
        // "\ No newline at end of file" belongs to the line above it.
        let first = lines.get(index).map(|line| line.chars().next().unwrap_or(' '));
        match first {
            Some('\\') => {}
            _ if old == 0 && new == 0 => return Ok(index),
            Some(' ' | '\t' | '\r') if old > 0 && new > 0 => (old, new) = (old - 1, new - 1),
            Some('-') if old > 0 => old -= 1,
            Some('+') if new > 0 => new -= 1,
            _ => {
                let hunk = file.hunks.len();
                let so = if first.is_none() { "the patch ends" } else { "an unexpected line is" };
                let what = format!(
                    "{so} within hunk {hunk} of {}, which starts in line {}: {old} old and {new} new lines are missing",
                    file.name(),
                    start + 1
                );
                let error = PatchError::new(patch, what).at(index.min(lines.len().saturating_sub(1)) + 1);
                return Err(PatchError { hunk: Some(hunk), ..error.file(file.name()) });
            }
        }
        index += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const PATCH: &str = "From: someone\n---\n a/f.c | 2\n\ndiff --git a/a/f.c b/a/f.c\n--- a/a/f.c\t2026-11-23\n+++ b/a/f.c\n\
                         @@ -1,2 +1,2 @@\n one\n-two\n+TWO\n@@ -9 +9,2 @@ fn\n--- nine\n+++ nine\n+ten\n\\ No newline at end of file\n\
                         diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\n\
                         --- /dev/null\n+++ b/new.c\n@@ -0,0 +1 @@\n+x\n-- \n2.39\n";

    #[test]
    fn the_files_and_hunks_of_a_patch_are_found() {
        let files = inspect("p", PATCH.as_bytes(), &Budget::USUAL).unwrap();
        let seen: Vec<_> = files.iter().map(|f| (f.old.as_deref(), f.new.as_deref(), f.line, &f.hunks[..])).collect();
        assert_eq!(
            seen,
            [
                (Some("a/f.c"), Some("a/f.c"), 5, &[8, 12][..]),
                (Some("x"), Some("y"), 17, &[][..]),
                (None, Some("new.c"), 21, &[23][..]),
            ]
        );
    }

    #[test]
    fn sections_of_git_without_hunks_are_changes() {
        let section = |names: &str, lines: &str| format!("diff --git {names}\n{lines}");
        let mode = "old mode 100644\nnew mode 100755\n";
        let new = "new file mode 100644\nindex 0000000..e69de29\n";
        let gone = "deleted file mode 100644\nindex e69de29..0000000\n";
        for (text, old, new) in [
            (section("a/run.sh b/run.sh", mode), Some("run.sh"), Some("run.sh")),
            (section("a/d/with blank b/d/with blank", mode), Some("d/with blank"), Some("d/with blank")),
            (section("a/empty b/empty", new), None, Some("empty")),
            (section("a/empty b/empty", gone), Some("empty"), None),
            (
                section("\"a/\\303\\244\\t\\\"\" \"b/\\303\\244\\t\\\"\"".replace("\\\\", "\\").as_str(), new),
                None,
                Some("ä\t\""),
            ),
        ] {
            let files = inspect("p", text.as_bytes(), &Budget::USUAL).unwrap();
            assert_eq!((files[0].old.as_deref(), files[0].new.as_deref(), files.len()), (old, new, 1), "{text}");
            // Beside others, with and without a header of git's.
            let hunk = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n";
            for more in [hunk.to_owned(), section("a/x b/x", hunk), section("a/y b/y", mode)] {
                let files = inspect("p", (text.clone() + &more).as_bytes(), &Budget::USUAL).unwrap();
                assert_eq!((files[0].name(), files.len()), (new.or(old).unwrap(), 2), "{more}");
            }
        }
        let both = section("a/x b/x", &format!("{mode}--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"));
        assert_eq!(inspect("p", both.as_bytes(), &Budget::USUAL).unwrap().len(), 1);
    }

    #[test]
    fn what_must_not_or_cannot_be_applied_is_refused() {
        let hunk = "@@ -1 +1 @@\n-a\n+b\n";
        for (text, expected) in [
            (format!("--- a/../x\n+++ b/../x\n{hunk}"), "p:1: `a/../x` leads outside the source"),
            (format!("--- a/\n+++ b/x\n{hunk}"), "p:1: `a/` is not the name of a file"),
            (format!("--- a/x\n+++ b/x/\n{hunk}"), "p:2: `b/x/` is not the name of a file"),
            ("diff --git a/ b/x\nrename from \nrename to x\n".to_owned(), "p:2: `` is not the name of a file"),
            ("diff --git a/x b/x\ncopy from x\ncopy to \"\"\n".to_owned(), "p:3: `\"\"` is not the name of a file"),
            (format!("--- a/x\n+++ b/y/../../x\n{hunk}"), "p:2: `b/y/../../x` leads outside the source"),
            (format!("--- /etc/passwd\n+++ /etc/passwd\n{hunk}"), "p:1: `/etc/passwd` is absolute"),
            (format!("--- a//etc/passwd\n+++ b//etc/passwd\n{hunk}"), "p:1: `a//etc/passwd` leads outside"),
            (format!("--- x\n+++ x\n{hunk}"), "p:1: `x` has no first folder to strip"),
            ("diff --git a/x b/x\nrename from x\nrename to ../x\n".into(), "p:3: `../x` leads outside the source"),
            ("diff --git a/x b/x\nGIT binary patch\nliteral 1\n".into(), "p:2: it changes a binary file"),
            (
                "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\n-b\n".into(),
                "p:5: the patch ends within hunk 1 of x, which starts in line 3: 1 old and 2 new",
            ),
            (
                "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\n-b\nfoo\n".into(),
                "p:6: an unexpected line is within hunk 1 of x",
            ),
            ("diff --git a/../x b/../x\nold mode 100644\nnew mode 100755\n".into(), "p:1: `../x` leads outside"),
            ("diff --git a//x b//x\nnew file mode 100644\n".into(), "p:1: `/x` leads outside"),
            (
                "diff --git \"a/\\056./x\" \"b/\\056./x\"\ndeleted file mode 100644\n".into(),
                "p:1: `../x` leads outside",
            ),
            ("--- a/x\n+++ b/x\nfoo\n".into(), "p:3: the diff of x has no hunk"),
            ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b".into(), "p:5: it ends in the middle of a line"),
            ("hello\n".into(), "p: it contains no change"),
        ] {
            let error = inspect("p", text.as_bytes(), &Budget::USUAL).expect_err(&text).to_string();
            assert!(error.starts_with(expected), "{error}\n{expected}");
        }
    }

    #[test]
    fn a_patch_has_a_budget_of_bytes_lines_and_hunks() {
        let hunk = |count: usize| (0..count).map(|at| format!("@@ -{at} +{at} @@\n-a\n+b\n")).collect::<String>();
        let files = |count: usize| "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n".repeat(count);
        let modes = |count: usize| "diff --git a/x b/x\nold mode 100644\nnew mode 100755\n".repeat(count);
        let small = Budget { patch_size: 1000, patch_lines: 100, patch_hunks: 10, ..Budget::USUAL };
        let look = |text: &str, budget: &Budget| inspect("p", &plain("p", text.as_bytes().to_vec(), budget)?, budget);
        let head = "--- a/x\n+++ b/x\n";
        for (text, raised, what) in [
            (" ".repeat(600) + &files(20), Budget { patch_size: 1600, ..small }, "p: it has more than 1000 bytes"),
            ("\n".repeat(95) + &files(2), Budget { patch_lines: 105, ..small }, "p: it has more than 100 lines"),
            (head.to_owned() + &hunk(11), Budget { patch_hunks: 11, ..small }, "p:33: it has more than 10 hunks"),
            (files(11), Budget { patch_hunks: 11, ..small }, "p:53: it has more than 10 hunks"),
            (modes(11), Budget { patch_hunks: 11, ..small }, "p:31: it has more than 10 hunks"),
        ] {
            let error = look(&text, &small).unwrap_err().to_string();
            let key = what.rsplit(' ').next().unwrap().replace("bytes", "size");
            assert!(error.starts_with(what) && error.contains(&format!("`limits: {{patch-{key}: …}}`")), "{error}");
            let raised = Budget { patch_hunks: raised.patch_hunks.max(if key == "size" { 20 } else { 0 }), ..raised };
            assert!(look(&text, &raised).is_ok(), "{what}");
        }
        // Of nothing but newlines, also compressed.
        let newlines = vec![b'\n'; 11_000_000];
        let error = inspect("p", &newlines, &Budget::USUAL).unwrap_err().to_string();
        assert!(error.starts_with("p: it has more than 10000000 lines"), "{error}");
        let packed = zstd::encode_all(&newlines[..], 1).unwrap();
        let error = plain("p", packed, &Budget { patch_size: 10_000_000, ..Budget::USUAL }).unwrap_err().to_string();
        assert!(error.starts_with("p: it has more than 10000000 bytes"), "{error}");
    }
}
