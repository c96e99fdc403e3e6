//! A value that is added to a document.

use super::super::node::{MappingKey, YamlNode, YamlValue};
use super::super::scalar::{Where, scalar};
use super::nowhere;

/// The most characters of a line with a list or a mapping.
const WIDTH: usize = 110;

/// A value that is added to a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text, which stays one if it looks like a number.
    Text(String),
    /// A number or a boolean.
    Plain(String),
    /// A list.
    List(Vec<Value>),
    /// A mapping.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A mapping.
    pub fn map<const N: usize>(pairs: [(&str, Value); N]) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// The value on one line, as it may be inside of brackets. `None` if that would be unreadable: a text of several lines.
    pub fn inline(&self) -> Option<String> {
        Some(match self {
            Self::Text(text) if text.contains('\n') => return None,
            Self::Text(text) => scalar(text, false, Where::Flow),
            Self::Plain(text) => scalar(text, true, Where::Flow),
            Self::List(elements) => {
                format!("[{}]", elements.iter().map(Self::inline).collect::<Option<Vec<_>>>()?.join(", "))
            }
            Self::Map(pairs) => {
                let pair = |(key, value): &(String, Self)| {
                    Some(format!("{}: {}", scalar(key, false, Where::Key), value.inline()?))
                };
                format!("{{{}}}", pairs.iter().map(pair).collect::<Option<Vec<_>>>()?.join(", "))
            }
        })
    }

    /// The lines of the value after `lead`, which is `key:` or `-` with its indentation; lines below are indented
    /// further than `column`. A mapping that contains another one is not written on one line.
    pub(super) fn after(&self, lead: &str, column: usize) -> Vec<String> {
        let is_nested = match self {
            Self::Map(pairs) => pairs.iter().any(|(_, value)| match value {
                Self::Map(_) => true,
                Self::List(elements) => elements.iter().any(|element| matches!(element, Self::Map(_))),
                _ => false,
            }),
            _ => false,
        };
        let line = match self {
            Self::Text(text) => Some(scalar(text, false, Where::Block)),
            Self::Plain(text) => Some(scalar(text, true, Where::Block)),
            _ => self.inline().filter(|line| !is_nested && lead.chars().count() + line.chars().count() < WIDTH),
        };
        if let Some(line) = line {
            return vec![format!("{lead} {line}")];
        }
        let inner = column + 2;
        let space = " ".repeat(inner);
        match self {
            Self::List(elements) => {
                let below = elements.iter().flat_map(|element| element.after(&format!("{space}-"), inner));
                std::iter::once(lead.to_owned()).chain(below).collect()
            }
            Self::Map(pairs) => {
                let below = pairs.iter().flat_map(|(key, value)| {
                    value.after(&format!("{space}{}:", scalar(key, false, Where::Key)), inner)
                });
                let mut lines: Vec<String> = below.collect();
                match lines.first_mut() {
                    // The first key of a list's element is on the line of its `-`.
                    Some(first) if lead.ends_with('-') => *first = format!("{lead} {}", first.trim_start()),
                    _ => lines.insert(0, lead.to_owned()),
                }
                lines
            }
            Self::Text(_) | Self::Plain(_) => Vec::new(),
        }
    }

    /// The value as a node, to compare with. A text may be written without quotes all the same.
    pub(super) fn node(&self) -> YamlNode {
        let value = match self {
            Self::Text(text) => YamlValue::Text { text: text.clone(), plain: false },
            Self::Plain(text) => YamlValue::Text { text: text.clone(), plain: true },
            Self::List(elements) => YamlValue::List(elements.iter().map(Self::node).collect()),
            Self::Map(pairs) => {
                let pair =
                    |(key, value): &(String, Self)| (MappingKey { name: key.clone(), span: nowhere() }, value.node());
                YamlValue::Map(pairs.iter().map(pair).collect())
            }
        };
        YamlNode::new(value, nowhere())
    }
}
