//! Finding the files that a recipe names.

use std::fs;
use std::path::{Path, PathBuf};

use super::decode::FindingSink;
use super::project::above;
use super::text::{RecipeFiles, Span};
use crate::similar;
use crate::source::SourceContext;

/// Finds files that a recipe names.
pub struct FileFinder<'a> {
    /// The files that were read.
    pub files: &'a RecipeFiles,
    /// The context that sources are decoded in.
    pub scope: SourceContext<'a>,
}

impl FileFinder<'_> {
    /// A path relative to the file that contains it, which must exist. `what` describes it in the finding.
    pub fn existing(&self, path: &str, span: Span, what: &str, sink: &FindingSink) -> Option<PathBuf> {
        let found = self.files.folder(span.file).join(path);
        sink.borrow_mut().notes.paths.insert(span);
        if let Ok(metadata) = found.metadata() {
            let fits = match what {
                "overlay" => metadata.is_dir(),
                "source" => metadata.is_dir() || metadata.is_file(),
                _ => metadata.is_file(),
            };
            if !fits {
                let expected = if what == "overlay" { "a folder" } else { "a regular file" };
                let message = format!("the {what} `{path}` is not {expected}");
                sink.borrow_mut().add("wrong-file", span, message).label(format!("{expected} is expected"));
            }
            return fits.then_some(found);
        }
        let message = format!("there is no {what} `{path}`");
        let help = format!("looked for {}", found.display());
        sink.borrow_mut().add("missing-file", span, message).label("not found").help(help);
        None
    }

    /// The file `name` + `suffix` in `folder`, which is looked for beside the file that names it and in every folder
    /// above. Findings omit the suffix, as recipes do.
    pub fn find_file(
        &self,
        folder: &str,
        (name, suffix): (&str, &str),
        span: Span,
        what: &str,
        sink: &FindingSink,
    ) -> Option<PathBuf> {
        let found = find(self.files.folder(span.file), folder, &format!("{name}{suffix}"));
        if found.is_none() {
            let known = known(self.files.folder(span.file), folder, (name, suffix));
            let message = format!(
                "there is no {what} `{name}` in any `{folder}/` from {} upwards",
                self.files.folder(span.file).display()
            );
            let mut findings = sink.borrow_mut();
            let finding = findings.add("missing-file", span, message);
            match similar::nearest(name, known.iter().map(String::as_str)) {
                Some(near) => finding.suggest(near),
                None if known.is_empty() => finding.label("not found"),
                None => finding.label("not found").help(format!("there are: {}", known.join(", "))),
            };
        }
        found
    }
}

/// The nearest `folder/name` at `from` or above.
fn find(from: &Path, folder: &str, name: &str) -> Option<PathBuf> {
    above(from).map(|base| base.join(folder).join(name)).find(|path| path.is_file())
}

/// The names of the files in `folder` that have the form of `like` (relative to it), for suggestions.
fn known(from: &Path, folder: &str, (like, suffix): (&str, &str)) -> Vec<String> {
    let within = Path::new(like).parent().unwrap_or(Path::new("")).to_owned();
    let mut names: Vec<String> = above(from)
        .filter_map(|base| fs::read_dir(base.join(folder).join(&within)).ok())
        .flat_map(|entries| entries.flatten())
        .filter(|entry| entry.path().is_file())
        .filter_map(|entry| Some(within.join(entry.file_name()).to_str()?.strip_suffix(suffix)?.to_owned()))
        .collect();
    names.sort();
    names.dedup();
    names
}
