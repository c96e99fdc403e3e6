//! Findings and errors as annotations of a forge on the lines of files.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::digest::Digest;
use crate::path_error::PathError;
use crate::store::{StoreError, write_atomically};

/// A forge's form of annotations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnnotationFormat {
    /// Workflow commands on standard output
    /// (<https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands>).
    GitHub,
    /// A code quality report in a file (<https://docs.gitlab.com/ci/testing/code_quality/>).
    GitLab(PathBuf),
}

impl AnnotationFormat {
    /// Reads `github` or `gitlab=FILE`.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "github" => Ok(Self::GitHub),
            Some(("gitlab", file)) if !file.is_empty() => Ok(Self::GitLab(file.into())),
            _ => Err("expected github or gitlab=FILE".into()),
        }
    }
}

/// How serious an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnotationLevel {
    /// It makes the command fail.
    Error,
    /// It does not.
    Warning,
}

/// One annotation.
#[derive(Clone, Debug)]
pub struct Annotation<'a> {
    /// How serious it is.
    pub level: AnnotationLevel,
    /// The name of the check.
    pub code: &'a str,
    /// Its text.
    pub message: &'a str,
    /// The file, with a line and a column from 1; a column of 0 is unknown.
    pub place: Option<(&'a Path, usize, usize)>,
}

/// What was annotated so far.
pub struct Annotations {
    format: Option<AnnotationFormat>,
    report: Mutex<Vec<Value>>,
}

impl Annotations {
    pub fn new(format: Option<AnnotationFormat>) -> Self {
        Self { format, report: Mutex::default() }
    }

    /// Adds one; gives a line to print.
    pub fn add(&self, annotation: &Annotation<'_>) -> Option<String> {
        match self.format {
            None => None,
            Some(AnnotationFormat::GitHub) => Some(command(annotation)),
            Some(AnnotationFormat::GitLab(_)) => {
                self.report.lock().unwrap_or_else(|e| e.into_inner()).extend(issue(annotation));
                None
            }
        }
    }

    /// Adds an error's text, whose first line may begin with `FILE:LINE:COLUMN: ` or `FILE:LINE: `.
    pub fn add_error(&self, text: &str) -> Option<String> {
        self.format.as_ref()?;
        let place = place(text);
        let (place, message) = match &place {
            Some((path, line, column, rest)) => (Some((Path::new(path), *line, *column)), *rest),
            None => (None, text),
        };
        self.add(&Annotation { level: AnnotationLevel::Error, code: "error", message, place })
    }

    /// Writes the report, if there is one; also an empty one, as the forge expects the file.
    pub fn finish(&self) -> Result<(), StoreError> {
        let Some(AnnotationFormat::GitLab(path)) = &self.format else { return Ok(()) };
        let issues = std::mem::take(&mut *self.report.lock().unwrap_or_else(|e| e.into_inner()));
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let failed = |source| PathError { action: "make", path: folder.to_owned(), source };
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let text = serde_json::to_string_pretty(&Value::Array(issues)).expect("values are plain data");
        write_atomically(path, (text + "\n").as_bytes())
    }
}

/// The place that a message begins with, and the rest.
fn place(text: &str) -> Option<(&str, usize, usize, &str)> {
    let (at, _) = text.lines().next()?.match_indices(": ").find(|(at, _)| {
        let before = &text[..*at];
        before.rsplit_once(':').is_some_and(|(_, line)| line.parse::<usize>().is_ok())
    })?;
    let (rest, number) = text[..at].rsplit_once(':')?;
    let number = number.parse().ok()?;
    let message = &text[at + 2..];
    match rest.rsplit_once(':').and_then(|(path, line)| Some((path, line.parse().ok()?))) {
        Some((path, line)) => Some((path, line, number, message)),
        None => Some((rest, number, 0, message)),
    }
}

fn command(annotation: &Annotation<'_>) -> String {
    let Annotation { level, code, message, place } = annotation;
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let word = match level {
        AnnotationLevel::Error => "error",
        AnnotationLevel::Warning => "warning",
    };
    let mut properties = Vec::new();
    if let Some((path, line, column)) = place {
        properties.push(format!("file={}", property(&shown(path))));
        properties.push(format!("line={line}"));
        if *column > 0 {
            properties.push(format!("col={column}"));
        }
    }
    properties.push(format!("title={}", property(code)));
    format!("::{word} {}::{}", properties.join(","), data(message))
}

/// An issue of a report, which has to have a place.
fn issue(annotation: &Annotation<'_>) -> Option<Value> {
    let Annotation { level, code, message, place } = annotation;
    let (path, line, _) = (*place)?;
    let path = shown(path);
    let severity = match level {
        AnnotationLevel::Error => "major",
        AnnotationLevel::Warning => "minor",
    };
    Some(json!({
        "description": message,
        "check_name": code,
        "fingerprint": Digest::of(format!("{code}\n{path}\n{message}")),
        "severity": severity,
        "location": {"path": path, "lines": {"begin": line.max(1)}},
    }))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_at_the_start_of_a_message_are_read() {
        for (text, expected) in [
            ("a/b.yaml:3:5: wrong", Some(("a/b.yaml", 3, 5, "wrong"))),
            ("b.yaml:3: wrong: very", Some(("b.yaml", 3, 0, "wrong: very"))),
            (
                "b.yaml:3:5: component x failed: a: 1: b\nmore",
                Some(("b.yaml", 3, 5, "component x failed: a: 1: b\nmore")),
            ),
            ("no place: here", None),
            ("", None),
        ] {
            assert_eq!(place(text), expected, "{text}");
        }
    }

    #[test]
    fn commands_escape_what_would_end_them() {
        let place = Some((Path::new("./a,b.yaml"), 3, 0));
        let annotation = Annotation { level: AnnotationLevel::Error, code: "x:y", message: "100%\nmore", place };
        assert_eq!(command(&annotation), "::error file=a%2Cb.yaml,line=3,title=x%3Ay::100%25%0Amore");
    }
}
