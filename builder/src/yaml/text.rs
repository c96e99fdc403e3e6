//! The files of a recipe, locations in them, and findings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::mask;

/// A file that was read, by its number in [`RecipeFiles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(usize);

/// A location in a file: byte offsets, end exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// Every file that was read for a recipe.
#[derive(Debug, Default)]
pub struct RecipeFiles {
    files: Vec<(PathBuf, String)>,
}

impl RecipeFiles {
    /// Adds a file.
    pub fn add(&mut self, path: &Path, text: String) -> FileId {
        self.files.push((path.to_owned(), text));
        FileId(self.files.len() - 1)
    }

    /// The path a file was read from.
    pub fn path(&self, file: FileId) -> &Path {
        &self.files[file.0].0
    }

    /// The folder of a file, which its relative paths are relative to.
    pub fn folder(&self, file: FileId) -> &Path {
        match self.path(file).parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    /// A file's text.
    pub fn text(&self, file: FileId) -> &str {
        &self.files[file.0].1
    }

    /// `path:line:column` of the start of a span, both counted from 1, the column in characters.
    pub fn locate(&self, span: Span) -> String {
        let (line, column) = self.position(span);
        format!("{}:{line}:{column}", self.path(span.file).display())
    }

    /// Line and column of the start of a span, counted as [`RecipeFiles::locate`] does.
    pub fn position(&self, span: Span) -> (usize, usize) {
        let before = &self.text(span.file)[..span.start];
        let line = before.matches('\n').count() + 1;
        (line, before.rsplit('\n').next().unwrap_or_default().chars().count() + 1)
    }
}

/// One error in a recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The violated rule: `unknown-key`, `wrong-type` …
    pub id: &'static str,
    /// The error, in one sentence without a full stop.
    pub message: String,
    /// Its location.
    pub span: Span,
    /// A few words to show under the location.
    pub label: String,
    /// Other locations that have to do with it, each with a few words: in the file that this one extends.
    pub related: Vec<(Span, String)>,
    /// What to do.
    pub help: Option<String>,
}

/// All errors; collected to the end instead of stopping at the first.
#[derive(Debug, Default)]
pub struct Findings {
    list: Vec<Finding>,
    /// What decoding notes about values that are in order.
    pub notes: DecodeNotes,
}

/// What decoding notes for `dbco show`.
#[derive(Debug, Default)]
pub struct DecodeNotes {
    /// The keys of each mapping that was decoded, by the mapping's location.
    pub tables: BTreeMap<Span, KnownKeys>,
    /// The locations of paths that are relative to the file that contains them.
    pub paths: BTreeSet<Span>,
}

/// The keys that a mapping may have.
#[derive(Clone, Debug, Default)]
pub struct KnownKeys {
    /// Their names.
    pub keys: Vec<&'static str>,
    /// The defaults of those that it does not have. `a.b` is the key `b` of a mapping `a` that it does not have.
    pub defaults: BTreeMap<&'static str, DefaultValue>,
}

/// The value of a key that is not stated.
#[derive(Clone, Debug)]
pub enum DefaultValue {
    /// A text, number or boolean as it would be written.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// The maximum number of findings; nobody reads through more.
const MOST: usize = 100;

impl Findings {
    /// Adds a finding, which can be extended through the result.
    pub fn add(&mut self, id: &'static str, span: Span, message: impl Into<String>) -> &mut Finding {
        self.list.push(Finding {
            id,
            message: message.into(),
            span,
            label: String::new(),
            related: Vec::new(),
            help: None,
        });
        self.list.last_mut().expect("one was just added")
    }

    /// Whether there is a finding with one of these ids.
    pub fn has_any(&self, ids: &[&str]) -> bool {
        self.list.iter().any(|finding| ids.contains(&finding.id))
    }

    /// The findings so far, to add to them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Finding> {
        self.list.iter_mut()
    }

    /// Whether so much was found that continuing is pointless.
    pub fn is_full(&self) -> bool {
        self.list.len() > MOST
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Sorted by location, without duplicates.
    pub fn sorted(mut self) -> Vec<Finding> {
        self.list.sort_by_key(|finding| finding.span);
        self.list.dedup();
        self.list
    }
}

impl Finding {
    /// Sets the words under the location.
    pub fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = label.into();
        self
    }

    /// Sets the label to the name that was probably meant.
    pub fn suggest(&mut self, near: impl fmt::Display) -> &mut Self {
        self.label(crate::similar::did_you_mean(near))
    }

    /// Adds another location that has to do with it.
    pub fn relate(&mut self, span: Span, label: impl Into<String>) -> &mut Self {
        self.related.push((span, label.into()));
        self
    }

    /// Sets what to do.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }
}

/// An invalid recipe: every finding, and their files.
#[derive(Debug)]
pub struct BadRecipe {
    /// The files that were read.
    pub files: RecipeFiles,
    /// The findings; never empty.
    pub findings: Vec<Finding>,
}

impl BadRecipe {
    /// Text with the source lines, as compilers show it.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for finding in self.findings.iter().take(MOST) {
            let source = &*mask::in_place(self.files.text(finding.span.file));
            let related: Vec<_> =
                finding.related.iter().map(|(span, _)| mask::in_place(self.files.text(span.file))).collect();
            let title = Level::ERROR.primary_title(finding.message.as_str()).id(finding.id);
            let mut group = title.element(self.snippet(source, finding.span, &finding.label));
            for ((span, label), source) in finding.related.iter().zip(&related) {
                group = group.element(self.snippet(source, *span, label));
            }
            if let Some(help) = &finding.help {
                group = group.element(Level::HELP.message(help.as_str()));
            }
            text += &renderer.render(&[group]);
            text += "\n\n";
        }
        if let Some(more) = self.findings.len().checked_sub(MOST).filter(|more| *more > 0) {
            text += &format!("and at least {more} more; the first {MOST} findings are shown\n\n");
        }
        text
    }

    /// The lines of a location in a file's text, without credentials.
    fn snippet<'a>(
        &'a self,
        source: &'a str,
        span: Span,
        label: &'a str,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let end = span.end.min(source.len()).max(span.start);
        // Only the relevant lines: the renderer's work grows with the length of its text.
        let first = source[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let last = source[end..].find('\n').map_or(source.len(), |at| end + at);
        Snippet::source(&source[first..last])
            .line_start(self.files.position(span).0)
            .path(self.files.path(span.file).display().to_string())
            // Primary also for a related location, whose column is only shown then.
            .annotation(AnnotationKind::Primary.span(span.start - first..end - first).label(label))
    }
}

impl fmt::Display for BadRecipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for BadRecipe {}
