//! From nodes to typed values, with every mismatch as a finding.
//!
//! A [`Table`] hands out the values of a mapping by key and, when it is closed, reports what nobody asked for with the
//! nearest key that somebody did ask for.

use std::cell::RefCell;

use super::node::{Key, Node, Value};
use super::text::{Findings, Span, suggestion};

/// A value and where it stands in the recipe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

impl<T> std::ops::Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Shared by all decoding of one recipe.
pub type Sink = RefCell<Findings>;

/// A type that a node can be read as.
pub trait Decode: Sized {
    /// Reads it, or adds a finding and gives nothing.
    fn decode(node: &Node, sink: &Sink) -> Option<Self>;
}

/// A finding of a value of the wrong kind.
pub fn wrong_type(node: &Node, expected: &str, sink: &Sink) {
    let message = format!("expected {expected}, found {}", node.kind());
    sink.borrow_mut().add("wrong-type", node.span, message).label(format!("{expected} belongs here"));
}

impl Decode for String {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        match &node.value {
            Value::Text { text, .. } => Some(text.clone()),
            _ => {
                wrong_type(node, "text", sink);
                None
            }
        }
    }
}

impl Decode for bool {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        match &node.value {
            Value::Text { text, plain: true } if text == "true" => Some(true),
            Value::Text { text, plain: true } if text == "false" => Some(false),
            _ => {
                wrong_type(node, "`true` or `false`", sink);
                None
            }
        }
    }
}

impl Decode for u32 {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        if let Value::Text { text, plain: true } = &node.value
            && let Ok(number) = text.parse()
        {
            return Some(number);
        }
        wrong_type(node, "a whole number from 0 to 4294967295", sink);
        None
    }
}

impl Decode for u16 {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        if let Value::Text { text, plain: true } = &node.value
            && let Ok(number) = text.parse()
        {
            return Some(number);
        }
        wrong_type(node, "a whole number from 0 to 65535", sink);
        None
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        match &node.value {
            Value::Null => Some(Vec::new()),
            Value::List(nodes) => Some(nodes.iter().filter_map(|node| T::decode(node, sink)).collect()),
            _ => {
                wrong_type(node, "a list", sink);
                None
            }
        }
    }
}

impl<T: Decode> Decode for Vec<(Key, T)> {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        match &node.value {
            Value::Null => Some(Vec::new()),
            Value::Map(pairs) => {
                let read = |(key, node): &(Key, Node)| Some((key.clone(), T::decode(node, sink)?));
                Some(pairs.iter().filter_map(read).collect())
            }
            _ => {
                wrong_type(node, "a mapping", sink);
                None
            }
        }
    }
}

impl<T: Decode> Decode for At<T> {
    fn decode(node: &Node, sink: &Sink) -> Option<Self> {
        Some(At { value: T::decode(node, sink)?, span: node.span })
    }
}

/// A mapping whose keys are known.
pub struct Table<'a> {
    pairs: &'a [(Key, Node)],
    asked: RefCell<Vec<&'static str>>,
    sink: &'a Sink,
    what: &'static str,
    /// Where the mapping stands.
    pub span: Span,
}

impl<'a> Table<'a> {
    /// Opens a mapping; anything else is a finding. `what` names it in messages: `an entry of the boot menu`.
    pub fn open(node: &'a Node, what: &'static str, sink: &'a Sink) -> Option<Self> {
        match &node.value {
            Value::Map(pairs) => Some(Self { pairs, asked: RefCell::new(Vec::new()), sink, what, span: node.span }),
            _ => {
                wrong_type(node, &format!("{what} (a mapping)"), sink);
                None
            }
        }
    }

    /// The node under a key.
    pub fn node(&self, name: &'static str) -> Option<&'a Node> {
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(&name) {
            asked.push(name);
        }
        self.pairs.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// The key itself, for findings about it.
    pub fn key(&self, name: &str) -> Option<Span> {
        self.pairs.iter().find(|(key, _)| key.name == name).map(|(key, _)| key.span)
    }

    /// The value under a key that may be absent.
    pub fn optional<T: Decode>(&self, name: &'static str) -> Option<T> {
        self.node(name).filter(|node| !matches!(node.value, Value::Null)).and_then(|node| T::decode(node, self.sink))
    }

    /// The value under a key that may be absent, or that type's default.
    pub fn or_default<T: Decode + Default>(&self, name: &'static str) -> T {
        self.optional(name).unwrap_or_default()
    }

    /// The value under a key that must be there.
    pub fn required<T: Decode>(&self, name: &'static str) -> Option<T> {
        match self.node(name) {
            Some(node) => T::decode(node, self.sink),
            None => {
                let message = format!("{} lacks `{name}`", self.what);
                self.sink
                    .borrow_mut()
                    .add("missing-key", self.span, message)
                    .label(format!("`{name}:` is expected here"));
                None
            }
        }
    }

    /// Reports the keys that nobody asked for.
    pub fn close(self) {
        let asked = self.asked.into_inner();
        for (key, _) in self.pairs {
            if !asked.contains(&key.name.as_str()) {
                let mut findings = self.sink.borrow_mut();
                let finding =
                    findings.add("unknown-key", key.span, format!("unknown key `{}` in {}", key.name, self.what));
                match suggestion(&key.name, asked.iter().copied()) {
                    Some(near) => finding.label(format!("did you mean `{near}`?")),
                    None => finding.help(format!("known here: {}", asked.join(", "))),
                };
            }
        }
    }
}

/// Reads one of several words; anything else is a finding with the nearest.
pub fn word<T: Copy>(node: &Node, words: &[(&'static str, T)], sink: &Sink) -> Option<T> {
    let names = || words.iter().map(|(name, _)| *name);
    let Value::Text { text, .. } = &node.value else {
        wrong_type(node, &format!("one of: {}", names().collect::<Vec<_>>().join(", ")), sink);
        return None;
    };
    if let Some((_, value)) = words.iter().find(|(name, _)| name == text) {
        return Some(*value);
    }
    let mut findings = sink.borrow_mut();
    let finding = findings.add("unknown-word", node.span, format!("`{text}` is not known here"));
    finding.help(format!("one of: {}", names().collect::<Vec<_>>().join(", ")));
    if let Some(near) = suggestion(text, names()) {
        finding.label(format!("did you mean `{near}`?"));
    }
    None
}
