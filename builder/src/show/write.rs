//! An effective recipe as YAML that can be read back, with origins as comments.

use super::{Content, Origin, Place, SetBy, Shown};
use crate::printable::{is_harmless, printable};
use crate::yaml::scalar::{Where, scalar};

/// The most characters of a line that holds several values.
const WIDTH: usize = 100;

/// The column of comments, if a line is not longer.
const COMMENTS: usize = 44;

/// What is written beside the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Nothing.
    Values,
    /// Their origins.
    Origins,
}

/// The value as YAML, each line with its end.
pub fn write(shown: &Shown, style: Style) -> String {
    let mut writer = Writer { lines: Vec::new(), style };
    writer.value(shown, "", 0);
    let mut text = String::new();
    for (line, comment) in writer.lines {
        // Names of files, parameters and elements are the user's, and a comment ends at the end of its line.
        let comment = printable(&comment).to_string();
        match comment.is_empty() {
            true => text += &line,
            false if line.trim().is_empty() => text += &format!("{line}# {comment}"),
            false => text += &format!("{line:<COMMENTS$}  # {comment}"),
        }
        text.push('\n');
    }
    text
}

struct Writer {
    /// Each line, and its comment.
    lines: Vec<(String, String)>,
    style: Style,
}

impl Writer {
    /// Writes a value behind `lead`, which is `key:`, `-` or nothing with its indentation. Lines below it are indented by
    /// `indent`.
    fn value(&mut self, shown: &Shown, lead: &str, indent: usize) {
        let after = |text: &str| if lead.is_empty() { text.to_owned() } else { format!("{lead} {text}") };
        let fits = |text: &str| match &shown.content {
            Content::Text { .. } => true,
            // Keys at the top are easier to read below each other.
            Content::Map { pairs, .. } if lead.is_empty() && !pairs.is_empty() => false,
            _ => lead.chars().count() + text.chars().count() < WIDTH,
        };
        if let Some((text, note)) = self.one_line(shown).filter(|(text, _)| fits(text)) {
            self.lines.push((after(&text), note));
        } else {
            let space = " ".repeat(indent);
            match &shown.content {
                Content::Nothing => self.lines.push((after("null"), self.note(&shown.origin, true))),
                Content::Text { text, verbatim, .. } => {
                    let escaped = escape_parameters(text, *verbatim);
                    let chomping = if escaped.ends_with('\n') { "" } else { "-" };
                    self.lines.push((after(&format!("|{chomping}")), self.note(&shown.origin, true)));
                    for line in escaped.strip_suffix('\n').unwrap_or(&escaped).split('\n') {
                        let line = if line.is_empty() {
                            String::new()
                        } else {
                            format!("{}{line}", " ".repeat(indent.max(2)))
                        };
                        self.lines.push((line, String::new()));
                    }
                }
                Content::List(elements) => {
                    self.head(shown, lead);
                    elements.iter().for_each(|(_, shown)| self.value(shown, &format!("{space}-"), indent + 2));
                }
                Content::Map { pairs, .. } => {
                    // The first key of a list's element is on the line of its `-`.
                    let bare = lead.ends_with('-') && self.note(&shown.origin, false).is_empty();
                    let mut first = bare.then(|| format!("{lead} "));
                    if first.is_none() {
                        self.head(shown, lead);
                    }
                    for (key, shown) in pairs {
                        let start = first.take().unwrap_or_else(|| space.clone());
                        self.value(shown, &format!("{start}{}:", scalar(key, false, Where::Key)), indent + 2);
                    }
                }
            }
        }
        if self.style == Style::Origins {
            for removed in &shown.removed {
                let was = removed.was.iter().map(short).collect::<Vec<_>>().join(", ");
                let comment = format!("{}: removed by {}, was {was}", removed.name, short(&removed.by));
                self.lines.push((" ".repeat(indent), comment));
            }
        }
    }

    /// The line before the elements of a list or the keys of a mapping.
    fn head(&mut self, shown: &Shown, lead: &str) {
        let note = self.note(&shown.origin, false);
        if !lead.is_empty() || !note.is_empty() {
            self.lines.push((lead.to_owned(), note));
        }
    }

    /// A value that fits into one line, with its comment: a single value, or a list or mapping of single values that all
    /// have the same origin.
    fn one_line(&self, shown: &Shown) -> Option<(String, String)> {
        let own = |leaf| self.note(&shown.origin, leaf);
        let single = |shown: &Shown| match &shown.content {
            Content::Text { text, plain, verbatim } if !text.contains('\n') => {
                Some((scalar(&escape_parameters(text, *verbatim), *plain, Where::Flow), self.note(&shown.origin, true)))
            }
            Content::Nothing => Some(("null".to_owned(), self.note(&shown.origin, true))),
            _ => None,
        };
        let (texts, notes): (Vec<String>, Vec<String>) = match &shown.content {
            Content::Nothing => return Some(("null".to_owned(), own(true))),
            Content::Text { text, plain, verbatim } if !is_block(text) => {
                return Some((scalar(&escape_parameters(text, *verbatim), *plain, Where::Block), own(true)));
            }
            Content::Text { .. } => return None,
            Content::List(elements) if elements.is_empty() => return Some(("[]".to_owned(), own(true))),
            Content::Map { pairs, .. } if pairs.is_empty() => return Some(("{}".to_owned(), own(true))),
            Content::List(elements) => {
                elements.iter().map(|(_, shown)| single(shown)).collect::<Option<Vec<_>>>()?.into_iter().unzip()
            }
            Content::Map { pairs, .. } => {
                let pair = |(key, shown): &(String, Shown)| {
                    let (text, note) = single(shown)?;
                    Some((format!("{}: {text}", scalar(key, false, Where::Key)), note))
                };
                pairs.iter().map(pair).collect::<Option<Vec<_>>>()?.into_iter().unzip()
            }
        };
        if notes.iter().any(|note| *note != notes[0]) {
            return None;
        }
        let text = match shown.content {
            Content::List(_) => format!("[{}]", texts.join(", ")),
            _ => format!("{{{}}}", texts.join(", ")),
        };
        let notes = [notes[0].clone(), own(false)].into_iter().filter(|note| !note.is_empty());
        Some((text, notes.collect::<Vec<_>>().join(", ")))
    }

    /// The comment about an origin: all of it for a single value (`leaf`); for a list or a mapping, whose parts have their
    /// own, only what it replaced.
    fn note(&self, origin: &Origin, leaf: bool) -> String {
        if self.style == Style::Values {
            return String::new();
        }
        let mut parts = Vec::new();
        if leaf {
            parts.push(match &origin.set {
                SetBy::File(place) => short(place),
                SetBy::Option => "--set".to_owned(),
                SetBy::Default => "default".to_owned(),
            });
        }
        parts.extend(origin.params.iter().map(|used| match &used.default {
            Some(place) => format!("${{{}}} of {}", used.name, short(place)),
            None => format!("${{{}}} of --set", used.name),
        }));
        if !origin.overrode.is_empty() {
            parts.push(format!("over {}", origin.overrode.iter().map(short).collect::<Vec<_>>().join(", ")));
        }
        parts.extend(origin.ordered.iter().map(|place| format!("ordered by {}", short(place))));
        parts.join(", ")
    }
}

/// File and line.
fn short(place: &Place) -> String {
    format!("{}:{}", place.file, place.line)
}

/// In a recipe `$${` stands for `${`, except in the value of a parameter.
fn escape_parameters(text: &str, verbatim: bool) -> String {
    if verbatim { text.to_owned() } else { text.replace("${", "$${") }
}

/// Whether a text is written as a literal block: several lines that would be unreadable in quotes, if a block can have them
/// (YAML 1.2, 8.1).
fn is_block(text: &str) -> bool {
    let harmless = |c: char| c == '\n' || c == '\t' || is_harmless(c);
    text.contains('\n')
        && !text.starts_with(char::is_whitespace)
        && !text.ends_with("\n\n")
        && text.chars().all(harmless)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::yaml::node::{YamlNode, YamlValue, parse};
    use crate::yaml::text::{Findings, RecipeFiles};

    fn read(text: &str) -> YamlNode {
        let mut files = RecipeFiles::default();
        let file = files.add(Path::new("x.yaml"), text.to_owned());
        let mut findings = Findings::default();
        let node = parse(&files, file, &mut findings);
        assert!(findings.is_empty(), "{text:?}: {:?}", findings.sorted());
        node.unwrap()
    }

    fn text(text: &str, plain: bool) -> Shown {
        Shown::new(Content::Text { text: text.to_owned(), plain, verbatim: true }, SetBy::Default)
    }

    const TEXTS: [&str; 50] = [
        "",
        "a",
        "a b",
        " a",
        "a ",
        "- a",
        "-a",
        "-",
        "---",
        "...",
        "a: b",
        "a:b",
        "a:",
        ":",
        "# a",
        "a #b",
        "a#b",
        "[a]",
        "{a: b}",
        "a, b",
        "a]",
        "a -",
        "a - b",
        "*a",
        "&a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a`",
        "'a'",
        "\"a\"",
        "a\"b\\c",
        "a\nb",
        "a\nb\n",
        "a\n\n",
        "\na",
        "a\n  b\n\tc\n",
        "\ta\nb",
        "null",
        "~",
        "true",
        "007",
        "1.10",
        "${a} $${b}",
        "你好",
        "\u{202e}x\u{7f}\u{feff}",
        "<<",
        "? a",
    ];

    #[test]
    fn a_text_is_read_back_as_it_was() {
        for one in TEXTS {
            for plain in [true, false] {
                let list = Shown::new(
                    Content::List(vec![(None, text(one, plain)), (None, text("a\nb", false))]),
                    SetBy::Default,
                );
                let pairs = vec![(one.to_owned(), text(one, plain)), ("z".to_owned(), list.clone())];
                let map = Shown::new(Content::Map { pairs, known: Vec::new() }, SetBy::Default);
                let outer = Shown::new(
                    Content::List(vec![(None, map.clone()), (None, list), (None, text(one, plain))]),
                    SetBy::Default,
                );
                for (shown, style) in [(&map, Style::Values), (&outer, Style::Values), (&outer, Style::Origins)] {
                    let written = write(shown, style);
                    let node = read(&written);
                    assert_eq!(values(&node), expected(shown), "{one:?}:\n{written}");
                }
            }
        }
    }

    #[test]
    fn a_text_that_looks_like_a_number_stays_text_and_a_number_one() {
        for one in ["0700", "1", "true", "6.1", "-1"] {
            for plain in [true, false] {
                let node = read(&write(&text(one, plain), Style::Values));
                assert!(matches!(node.value, YamlValue::Text { plain: read, .. } if read == plain), "{one}");
            }
        }
    }

    #[test]
    fn what_looks_like_a_parameter_is_escaped() {
        let shown = Content::Text { text: "${a} $${b}".into(), plain: false, verbatim: false };
        assert_eq!(write(&Shown::new(shown, SetBy::Default), Style::Values), "$${a} $$${b}\n");
    }

    fn values(node: &YamlNode) -> String {
        match &node.value {
            YamlValue::Null => "null".into(),
            YamlValue::Text { text, .. } => format!("{text:?}"),
            YamlValue::List(nodes) => format!("{:?}", nodes.iter().map(values).collect::<Vec<_>>()),
            YamlValue::Map(pairs) => {
                format!("{:?}", pairs.iter().map(|(key, node)| (&key.name, values(node))).collect::<Vec<_>>())
            }
        }
    }

    fn expected(shown: &Shown) -> String {
        match &shown.content {
            Content::Nothing => "null".into(),
            Content::Text { text, .. } => format!("{text:?}"),
            Content::List(elements) => {
                format!("{:?}", elements.iter().map(|(_, shown)| expected(shown)).collect::<Vec<_>>())
            }
            Content::Map { pairs, .. } => {
                format!("{:?}", pairs.iter().map(|(key, shown)| (key, expected(shown))).collect::<Vec<_>>())
            }
        }
    }
}
