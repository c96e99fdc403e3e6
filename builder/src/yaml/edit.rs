//! Changing the text of a document in place: an element is added to a list, or a key to a mapping, and all else stays
//! as it is: comments, order, style, line ends.
//!
//! The text is only ever extended (or a written `null` replaced), and what comes out is parsed and compared with what
//! went in: it has to be the old value with exactly the change. Forms in which that can't be done are refused.

mod layout;
mod value;

use std::path::Path;

use super::node::{MappingKey, YamlNode, YamlValue, parse};
use super::scalar::{Where, scalar};
use super::text::{Findings, RecipeFiles, Span};
use layout::{Form, Part};
pub use value::Value;

/// Why a document was not changed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text is not one valid document.
    #[error("it is not valid YAML: {0}")]
    Invalid(String),
    /// A key on the way is missing, or its value is something else. `path` is the keys up to it, `expected` what it
    /// should be.
    #[error("`{path}` is not {expected}")]
    Mismatch {
        /// The keys, joined by `.`.
        path: String,
        /// `a list`, `a mapping`.
        expected: &'static str,
    },
    /// The mapping has the key already.
    #[error("`{0}` exists already")]
    Exists(String),
    /// An anchor or an alias: the same value is in several places.
    #[error("`{0}` has an anchor or is an alias, so that the change would have an effect in several places")]
    Shared(String),
    /// A form that can't be changed safely.
    #[error("`{0}` is written in a form that can't be changed safely")]
    Form(String),
}

/// The text with one more element at the end of the list at `path` (keys from the top). A key without a value is an
/// empty list. Nothing else changes.
///
/// # Errors
/// The path does not lead to a list, or to one that can't be changed safely.
pub fn push(text: &str, path: &[&str], element: &Value) -> Result<String, EditError> {
    let document = Document::parse(text)?;
    let (part, key) = document.find(path)?;
    let edited = match (&part.form, key) {
        (Form::Null, Some(key)) => document.fill(part, key, path, &Value::List(vec![element.clone()])),
        (Form::FlowList { parts, close }, _) => {
            let inline = element.inline().ok_or_else(|| form(path))?;
            document.in_brackets(part, parts.last(), *close, &inline, path)
        }
        (Form::BlockList(parts), _) => {
            let column = document.column(part.start);
            document.below(
                parts.last().unwrap_or(part),
                &element.after(&format!("{}-", " ".repeat(column)), column),
                path,
            )
        }
        _ => Err(mismatch(path, "a list")),
    }?;
    document.verify(&edited, path, |node| match &mut node.value {
        YamlValue::List(nodes) => nodes.push(element.node()),
        value => *value = YamlValue::List(vec![element.node()]),
    })?;
    Ok(edited)
}

/// The text with one more key at the end of the mapping at `path` (the top, if it is empty). A key without a value is
/// an empty mapping, except for the top. Nothing else changes.
///
/// # Errors
/// The path does not lead to a mapping, or to one that has the key or can't be changed safely.
pub fn insert(text: &str, path: &[&str], key: &str, value: &Value) -> Result<String, EditError> {
    let document = Document::parse(text)?;
    let (part, own) = document.find(path)?;
    let written = scalar(key, false, Where::Key);
    let exists = |pairs: &[(layout::Key, Part)]| pairs.iter().any(|(known, _)| known.name == key);
    let edited = match (&part.form, own) {
        (Form::BlockMap(pairs) | Form::FlowMap { pairs, .. }, _) if exists(pairs) => {
            Err(EditError::Exists(name(&[path, &[key]].concat())))
        }
        (Form::Null, Some(own)) => document.fill(part, own, path, &Value::Map(vec![(key.to_owned(), value.clone())])),
        (Form::FlowMap { pairs, close }, _) => {
            let inline = value.inline().ok_or_else(|| form(path))?;
            document.in_brackets(
                part,
                pairs.last().map(|(_, part)| part),
                *close,
                &format!("{written}: {inline}"),
                path,
            )
        }
        (Form::BlockMap(pairs), _) => {
            let column = document.column(part.start);
            let mut lines = value.after(&format!("{}{written}:", " ".repeat(column)), column);
            if path.is_empty() && document.has_blank_lines(pairs) {
                lines.insert(0, String::new());
            }
            document.below(pairs.last().map_or(part, |(_, part)| part), &lines, path)
        }
        _ => Err(mismatch(path, "a mapping")),
    }?;
    document.verify(&edited, path, |node| {
        let pair = (MappingKey { name: key.to_owned(), span: node.span }, value.node());
        match &mut node.value {
            YamlValue::Map(pairs) => pairs.push(pair),
            value => *value = YamlValue::Map(vec![pair]),
        }
    })?;
    Ok(edited)
}

/// The value of a document.
///
/// # Errors
/// It is not valid.
pub fn value(text: &str) -> Result<YamlNode, EditError> {
    let mut files = RecipeFiles::default();
    let file = files.add(Path::new(""), text.to_owned());
    let mut findings = Findings::default();
    let node = parse(&files, file, &mut findings);
    match (node, findings.sorted().first()) {
        (Some(node), None) => Ok(node),
        (_, found) => {
            let place = found.map(|found| (files.position(found.span).0, found.message.clone()));
            let (line, message) = place.unwrap_or_default();
            Err(EditError::Invalid(format!("line {line}: {message}")))
        }
    }
}

fn name(path: &[&str]) -> String {
    path.join(".")
}

fn form(path: &[&str]) -> EditError {
    EditError::Form(name(path))
}

fn mismatch(path: &[&str], expected: &'static str) -> EditError {
    EditError::Mismatch { path: name(path), expected }
}

struct Document<'a> {
    text: &'a str,
    node: YamlNode,
    root: Part,
}

impl<'a> Document<'a> {
    fn parse(text: &'a str) -> Result<Self, EditError> {
        let node = value(text)?;
        let root = layout::read(text).ok_or_else(|| EditError::Form(String::new()))?;
        Ok(Self { text, node, root })
    }

    /// The part at a path, and its key.
    fn find(&self, path: &[&str]) -> Result<(&Part, Option<&layout::Key>), EditError> {
        let (mut part, mut key) = (&self.root, None);
        for depth in 0..=path.len() {
            if part.is_shared {
                return Err(EditError::Shared(name(&path[..depth])));
            }
            if part.form == Form::Other {
                return Err(form(&path[..depth]));
            }
            let Some(next) = path.get(depth) else { break };
            let (Form::BlockMap(pairs) | Form::FlowMap { pairs, .. }) = &part.form else {
                return Err(mismatch(&path[..depth], "a mapping"));
            };
            let found = pairs.iter().find(|(known, _)| known.name == *next);
            let (found, below) = found.ok_or_else(|| mismatch(&path[..=depth], "there"))?;
            (part, key) = (below, Some(found));
        }
        Ok((part, key))
    }

    /// The column of an offset, in characters.
    fn column(&self, offset: usize) -> usize {
        let start = self.text[..offset].rfind('\n').map_or(0, |at| at + 1);
        self.text[start..offset].chars().count()
    }

    /// Whether the keys of a mapping are separated by blank lines.
    fn has_blank_lines(&self, pairs: &[(layout::Key, Part)]) -> bool {
        let mut lines = pairs.iter().skip(1).map(|(key, _)| self.text[..key.start].lines().rev());
        let above = |lines: &mut std::iter::Rev<std::str::Lines<'_>>| {
            lines.find(|line| !line.trim_start().starts_with('#')).is_some_and(|line| line.trim().is_empty())
        };
        lines.next_back().is_some_and(|mut lines| above(&mut lines))
    }

    /// Adds lines below a part.
    fn below(&self, part: &Part, lines: &[String], path: &[&str]) -> Result<String, EditError> {
        let end = part.end(self.text).ok_or_else(|| form(path))?;
        let at = self.text[end..].find('\n').map_or(self.text.len(), |line| end + line + 1);
        let is_crlf =
            self.text[..at].ends_with("\r\n") || (!self.text[..at].ends_with('\n') && self.text.contains("\r\n"));
        let line_end = if is_crlf { "\r\n" } else { "\n" };
        let (before, after) = self.text.split_at(at);
        let added = lines.join(line_end);
        // A text without a last line end stays one.
        Ok(match before.ends_with('\n') {
            true => format!("{before}{added}{line_end}{after}"),
            false => format!("{before}{line_end}{added}"),
        })
    }

    /// Adds something between brackets or braces: after the last part there, or into empty ones.
    fn in_brackets(
        &self,
        part: &Part,
        last: Option<&Part>,
        close: usize,
        added: &str,
        path: &[&str],
    ) -> Result<String, EditError> {
        let at = match last {
            None => part.start + 1,
            Some(last) => last.end_in_flow(self.text, close).ok_or_else(|| form(path))?,
        };
        let comma = if last.is_some() { ", " } else { "" };
        Ok(format!("{}{comma}{added}{}", &self.text[..at], &self.text[at..]))
    }

    /// Gives a key without a value one.
    fn fill(&self, part: &Part, key: &layout::Key, path: &[&str], value: &Value) -> Result<String, EditError> {
        let after = &self.text[key.end..];
        let colon = after.find(':').filter(|at| after[..*at].trim().is_empty()).ok_or_else(|| form(path))?;
        let (at, inline) = (key.end + colon + 1, value.inline().ok_or_else(|| form(path))?);
        // `~` or `null`.
        let rest = match ["null", "~"].iter().find(|word| self.text[part.start..].starts_with(**word)) {
            Some(word) if part.start > at => &self.text[part.start + word.len()..],
            _ => &self.text[at..],
        };
        Ok(format!("{} {inline}{rest}", &self.text[..at]))
    }

    /// The edited text has to be the old value with the change at `path`.
    fn verify(&self, edited: &str, path: &[&str], change: impl FnOnce(&mut YamlNode)) -> Result<(), EditError> {
        let mut expected = self.node.clone();
        let mut at = &mut expected;
        for key in path {
            at = at.get_mut(key).ok_or_else(|| form(path))?;
        }
        change(at);
        let is_right = value(edited).is_ok_and(|found| same(&found, &expected));
        if is_right { Ok(()) } else { Err(form(path)) }
    }
}

/// Whether a node has the expected value, wherever it is. A text that is expected in quotes may be without, if it is added:
/// then it was written by [`scalar`], which knows whether it needs them.
fn same(found: &YamlNode, expected: &YamlNode) -> bool {
    match (&found.value, &expected.value) {
        (YamlValue::Null, YamlValue::Null) => true,
        (YamlValue::Text { text: a, plain: p }, YamlValue::Text { text: b, plain: q }) => a == b && (p == q || !q),
        (YamlValue::List(a), YamlValue::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (YamlValue::Map(a), YamlValue::Map(b)) => {
            let pairs = |((key, a), (known, b)): (&(MappingKey, YamlNode), &(MappingKey, YamlNode))| {
                key.name == known.name && same(a, b)
            };
            a.len() == b.len() && a.iter().zip(b).all(pairs)
        }
        _ => false,
    }
}

/// A location for nodes that are only compared.
fn nowhere() -> Span {
    let mut files = RecipeFiles::default();
    Span { file: files.add(Path::new(""), String::new()), start: 0, end: 0 }
}

#[cfg(test)]
#[path = "edit/tests.rs"]
mod tests;
