//! YAML as a tree of nodes that know where they stand.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::text::{FileId, Files, Findings, Span};

/// A value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Where it stands.
    pub span: Span,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Text; numbers and booleans too, until somebody asks for one.
    Text {
        /// The text.
        text: String,
        /// Whether it was written plain (so that it may be a number).
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order written.
    Map(Vec<(Key, Node)>),
}

/// The key of a mapping.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its text.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

impl Node {
    /// What kind of value it is, for messages.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Text { text, plain: true } if text.parse::<i64>().is_ok() => "a number",
            Value::Text { text, plain: true } if text == "true" || text == "false" => "a boolean",
            Value::Text { .. } => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The value under a key, if this is a mapping that has it.
    pub fn get(&self, name: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(pairs) => pairs.iter().find(|(key, _)| key.name == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// Lays `over` on this node as RFC 7396 (JSON Merge Patch) does: mappings merge key by key, a key without a value takes
    /// the one below away, everything else is replaced.
    pub fn overlay(&mut self, over: Node) {
        match (&mut self.value, over.value) {
            (Value::Map(mine), Value::Map(theirs)) => {
                for (key, node) in theirs {
                    let known = mine.iter().position(|(known, _)| known.name == key.name);
                    match (known, &node.value) {
                        (Some(index), Value::Null) => {
                            mine.remove(index);
                        }
                        (Some(index), _) => mine[index].1.overlay(node),
                        (None, _) => mine.push((key, node)),
                    }
                }
            }
            (_, value) => *self = Node { value, span: over.span },
        }
    }

    /// Calls `change` with every text below, keys aside.
    pub fn visit_text(&mut self, change: &mut impl FnMut(&mut String, Span)) {
        match &mut self.value {
            Value::Null => {}
            Value::Text { text, .. } => change(text, self.span),
            Value::List(nodes) => nodes.iter_mut().for_each(|node| node.visit_text(change)),
            Value::Map(pairs) => pairs.iter_mut().for_each(|(_, node)| node.visit_text(change)),
        }
    }
}

/// Parses one YAML document. What is not YAML 1.2, a repeated key, or a second document is a finding.
pub fn parse(files: &Files, file: FileId, findings: &mut Findings) -> Option<Node> {
    let text = files.text(file);
    let mut offsets: Vec<usize> = text.char_indices().map(|(offset, _)| offset).collect();
    offsets.push(text.len());
    let mut builder = Builder { file, offsets, stack: Vec::new(), anchors: HashMap::new(), root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(pair) => pair,
            Err(error) => {
                let at = builder.offset(error.marker().index());
                let span = Span { file, start: at, end: at };
                findings.add("yaml", span, format!("this is not YAML: {}", error.info()));
                return None;
            }
        };
        let span = builder.span(span.start.index(), span.end.index());
        builder.take(event, span, findings);
    }
    let root = builder.root;
    if root.is_none() {
        findings.add("yaml", Span { file, start: 0, end: 0 }, "the file is empty");
    }
    root
}

struct Builder {
    file: FileId,
    offsets: Vec<usize>,
    stack: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
}

enum Open {
    List { nodes: Vec<Node>, start: Span, anchor: usize },
    Map { pairs: Vec<(Key, Node)>, key: Option<Key>, start: Span, anchor: usize },
}

impl Builder {
    fn offset(&self, chars: usize) -> usize {
        self.offsets[chars.min(self.offsets.len() - 1)]
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span { file: self.file, start: self.offset(start), end: self.offset(end) }
    }

    fn take(&mut self, event: Event<'_>, span: Span, findings: &mut Findings) {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let value = match text.as_ref() {
                    "" | "~" | "null" if plain => Value::Null,
                    text => Value::Text { text: text.to_owned(), plain },
                };
                self.put(Node { value, span }, anchor, findings);
            }
            Event::SequenceStart(anchor, _) => self.stack.push(Open::List { nodes: Vec::new(), start: span, anchor }),
            Event::MappingStart(anchor, _) => {
                self.stack.push(Open::Map { pairs: Vec::new(), key: None, start: span, anchor });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (value, start, anchor) = match self.stack.pop() {
                    Some(Open::List { nodes, start, anchor }) => (Value::List(nodes), start, anchor),
                    Some(Open::Map { pairs, start, anchor, .. }) => (Value::Map(pairs), start, anchor),
                    None => return,
                };
                let span = Span { end: start.end.max(start.start), ..start };
                self.put(Node { value, span }, anchor, findings);
            }
            Event::Alias(anchor) => {
                if let Some(node) = self.anchors.get(&anchor).cloned() {
                    self.put(node, 0, findings);
                }
            }
            Event::DocumentStart(_) if self.root.is_some() => {
                findings.add("yaml", span, "a second document begins here; a file holds one");
            }
            _ => {}
        }
    }

    fn put(&mut self, node: Node, anchor: usize, findings: &mut Findings) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut() {
            None => {
                self.root.get_or_insert(node);
            }
            Some(Open::List { nodes, .. }) => nodes.push(node),
            Some(Open::Map { pairs, key, .. }) => match key.take() {
                Some(key) => pairs.push((key, node)),
                None => {
                    let name = match &node.value {
                        Value::Text { text, .. } => text.clone(),
                        _ => {
                            let kind = node.kind();
                            findings.add("yaml", node.span, format!("a key must be text, this is {kind}"));
                            String::new()
                        }
                    };
                    if pairs.iter().any(|(known, _)| known.name == name) {
                        findings.add("repeated-key", node.span, format!("the key `{name}` stands here a second time"));
                    }
                    *key = Some(Key { name, span: node.span });
                }
            },
        }
    }
}
