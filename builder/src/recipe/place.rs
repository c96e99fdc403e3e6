//! Finding the files that a recipe names.

use std::fs;
use std::path::{Path, PathBuf};

use super::decode::FindingSink;
use super::libraries::{in_library, locate};
use super::project::above;
use super::text::{RecipeFiles, Span};
use crate::library::Library;
use crate::similar;
use crate::source::SourceContext;

/// Finds files that a recipe names.
pub struct FileFinder<'a> {
    /// The files that were read.
    pub files: &'a RecipeFiles,
    /// The context that sources are decoded in.
    pub scope: SourceContext<'a>,
    /// The library that the project builds on.
    pub library: Option<&'a Library>,
}

impl FileFinder<'_> {
    /// A path relative to the file that contains it, or `library:PATH`, which must exist. `what` describes it in the
    /// finding.
    pub fn existing(&self, path: &str, span: Span, what: &str, sink: &FindingSink) -> Option<PathBuf> {
        let found = match in_library(path) {
            Some(name) => locate(name, self.library, span, sink)?,
            None => self.files.folder(span.file).join(path),
        };
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
    /// above, and then in the library; `library:NAME` is only looked for there. For a file of the library the project
    /// comes first, so that what stands there replaces what the library has. Findings omit the suffix, as recipes do.
    pub fn find_file(
        &self,
        folder: &str,
        (name, suffix): (&str, &str),
        span: Span,
        what: &str,
        sink: &FindingSink,
    ) -> Option<PathBuf> {
        let from = self.files.folder(span.file);
        let (name, bases) = match in_library(name) {
            Some(inside) => {
                locate(inside, self.library, span, sink)?;
                (inside, self.library.iter().flat_map(|library| library.folders()).collect())
            }
            None => (name, self.bases(from)),
        };
        let file = format!("{name}{suffix}");
        let found = bases.iter().map(|base| base.join(folder).join(&file)).find(|path| path.is_file());
        if found.is_none() {
            let known = known(&bases, folder, (name, suffix));
            let also = if self.library.is_some() { ", nor in the library" } else { "" };
            let message =
                format!("there is no {what} `{name}` in any `{folder}/` from {} upwards{also}", from.display());
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

    /// The folders that may contain what a file in the folder `from` names, the first one first.
    fn bases(&self, from: &Path) -> Vec<PathBuf> {
        let Some(library) = self.library else { return above(from).collect() };
        let own = if library.name_of(from).is_some() { self.scope.recipe } else { from };
        // The recipe itself may be in the library, without a project.
        let own = above(own).take_while(|folder| library.name_of(folder).is_none());
        own.chain(library.folders()).collect()
    }
}

/// The names of the files in `folder` that have the form of `like` (relative to it), for suggestions.
fn known(bases: &[PathBuf], folder: &str, (like, suffix): (&str, &str)) -> Vec<String> {
    let within = Path::new(like).parent().unwrap_or(Path::new("")).to_owned();
    let mut names: Vec<String> = bases
        .iter()
        .filter_map(|base| fs::read_dir(base.join(folder).join(&within)).ok())
        .flat_map(|entries| entries.flatten())
        .filter(|entry| entry.path().is_file())
        .filter_map(|entry| Some(within.join(entry.file_name()).to_str()?.strip_suffix(suffix)?.to_owned()))
        .collect();
    names.sort();
    names.dedup();
    names
}
