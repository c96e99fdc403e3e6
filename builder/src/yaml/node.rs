//! YAML as a tree of nodes with locations.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::explain::explain;
use super::text::{FileId, Findings, RecipeFiles, Span};

/// A value with its location.
#[derive(Clone, Debug)]
pub struct YamlNode {
    /// The value.
    pub value: YamlValue,
    /// Its location. A mapping or list that was merged has that of the file at the start of the chain of `extends`.
    pub span: Span,
    /// What merging has changed here; empty for a node of a single file.
    pub history: History,
}

/// What merging files has changed at a node.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The values that the node's value replaced, the latest first.
    pub overrode: Vec<Overridden>,
    /// The keys of a mapping and the elements of a list that were removed.
    pub removed: Vec<Removed>,
    /// The location of the names that a list was last ordered by.
    pub ordered: Option<Span>,
}

/// A value that another one replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overridden {
    /// Its location.
    pub span: Span,
    /// Its type, as [`YamlNode::kind`] gives it.
    pub kind: &'static str,
}

/// A key or an element that was removed.
#[derive(Clone, Debug)]
pub struct Removed {
    /// The key, or the element's name.
    pub name: String,
    /// The location of what removed it.
    pub by: Span,
    /// The value, and those that it had replaced.
    pub was: Vec<Overridden>,
}

/// The value of a node.
#[derive(Clone, Debug)]
pub enum YamlValue {
    /// Nothing, `~` or `null`.
    Null,
    /// Text; also numbers and booleans, until one is decoded.
    Text {
        /// The text.
        text: String,
        /// Whether it was written plain (so that it may be a number).
        plain: bool,
    },
    /// A sequence.
    List(Vec<YamlNode>),
    /// A mapping in the order written.
    Map(Vec<(MappingKey, YamlNode)>),
}

/// The key of a mapping.
#[derive(Clone, Debug)]
pub struct MappingKey {
    /// Its text.
    pub name: String,
    /// Its location.
    pub span: Span,
}

impl YamlNode {
    /// A node without a history.
    pub fn new(value: YamlValue, span: Span) -> Self {
        Self { value, span, history: History::default() }
    }

    /// The text, if this is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            YamlValue::Text { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The type of the value, for messages.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            YamlValue::Null => "nothing",
            YamlValue::Text { text, plain: true } if text.parse::<i64>().is_ok() => "a number",
            YamlValue::Text { text, plain: true } if text == "true" || text == "false" => "a boolean",
            YamlValue::Text { .. } => "text",
            YamlValue::List(_) => "a list",
            YamlValue::Map(_) => "a mapping",
        }
    }

    /// The value of a key, if this is a mapping that has it.
    pub fn get(&self, name: &str) -> Option<&YamlNode> {
        match &self.value {
            YamlValue::Map(pairs) => pairs.iter().find(|(key, _)| key.name == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The value of a key, mutable.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut YamlNode> {
        match &mut self.value {
            YamlValue::Map(pairs) => pairs.iter_mut().find(|(key, _)| key.name == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// Removes a key and its value from a mapping.
    pub fn take(&mut self, name: &str) -> Option<YamlNode> {
        match &mut self.value {
            YamlValue::Map(pairs) => {
                let index = pairs.iter().position(|(key, _)| key.name == name)?;
                Some(pairs.remove(index).1)
            }
            _ => None,
        }
    }

    /// The value for a history: this one, and those that it had replaced.
    pub fn past(&self) -> Vec<Overridden> {
        let own = Overridden { span: self.span, kind: self.kind() };
        std::iter::once(own).chain(self.history.overrode.iter().copied()).collect()
    }

    /// Calls `change` with every text below, except for keys.
    pub fn visit_text(&mut self, change: &mut impl FnMut(&mut String, Span)) {
        match &mut self.value {
            YamlValue::Null => {}
            YamlValue::Text { text, .. } => change(text, self.span),
            YamlValue::List(nodes) => nodes.iter_mut().for_each(|node| node.visit_text(change)),
            YamlValue::Map(pairs) => pairs.iter_mut().for_each(|(_, node)| node.visit_text(change)),
        }
    }
}

/// Whether a file has nothing but comments, which only some kinds of file may.
pub fn is_blank(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

/// The maximum nesting of mappings and lists; those of this repository have up to 7 levels.
const DEPTH: usize = 64;

/// The maximum number of values in a file, including those repeated by aliases; the files of this repository have up to
/// 3,000.
const NODES: usize = 100_000;

/// Parses one YAML document. Invalid YAML 1.2, a repeated key, or a second document is a finding.
pub fn parse(files: &RecipeFiles, file: FileId, findings: &mut Findings) -> Option<YamlNode> {
    let text = files.text(file);
    let mut offsets: Vec<usize> = text.char_indices().map(|(offset, _)| offset).collect();
    offsets.push(text.len());
    let mut builder = Builder { file, offsets, stack: Vec::new(), anchors: HashMap::new(), count: 0, root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(pair) => pair,
            Err(error) => {
                let at = builder.offset(error.marker().index());
                let span = Span { file, start: at, end: at };
                explain(error.info(), text, at, DEPTH, findings.add("yaml", span, ""));
                return None;
            }
        };
        let span = builder.span(span.start.index(), span.end.index());
        builder.take(event, span, findings);
        let over = match () {
            () if builder.stack.len() > DEPTH => format!("mappings and lists are nested deeper than {DEPTH} levels"),
            () if builder.count > NODES => {
                format!("the file has more than {NODES} values, including those repeated by aliases")
            }
            () if findings.is_full() => return None,
            () => continue,
        };
        findings.add("yaml", span, over);
        return None;
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
    /// Anchored nodes, each with its number of values.
    anchors: HashMap<usize, (YamlNode, usize)>,
    count: usize,
    root: Option<YamlNode>,
}

enum Open {
    List {
        nodes: Vec<YamlNode>,
        start: Span,
        anchor: usize,
        before: usize,
    },
    Map {
        pairs: Vec<(MappingKey, YamlNode)>,
        names: HashSet<String>,
        key: Option<MappingKey>,
        start: Span,
        anchor: usize,
        before: usize,
    },
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
                    "" | "~" | "null" if plain => YamlValue::Null,
                    text => YamlValue::Text { text: text.to_owned(), plain },
                };
                self.count += 1;
                self.put(YamlNode::new(value, span), (anchor, 1), findings);
            }
            Event::SequenceStart(anchor, _) => {
                self.count += 1;
                self.stack.push(Open::List { nodes: Vec::new(), start: span, anchor, before: self.count - 1 });
            }
            Event::MappingStart(anchor, _) => {
                self.count += 1;
                let (pairs, names) = (Vec::new(), HashSet::new());
                self.stack.push(Open::Map { pairs, names, key: None, start: span, anchor, before: self.count - 1 });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (value, start, anchor, before) = match self.stack.pop() {
                    Some(Open::List { nodes, start, anchor, before }) => {
                        (YamlValue::List(nodes), start, anchor, before)
                    }
                    Some(Open::Map { pairs, start, anchor, before, .. }) => {
                        (YamlValue::Map(pairs), start, anchor, before)
                    }
                    None => return,
                };
                let span = Span { end: start.end.max(start.start), ..start };
                self.put(YamlNode::new(value, span), (anchor, self.count - before), findings);
            }
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor);
                self.count = self.count.saturating_add(known.map_or(1, |(_, count)| *count));
                let node = match known {
                    // Reported once for the whole file; what is copied until then stays within the budget.
                    _ if self.count > NODES => YamlNode::new(YamlValue::Null, span),
                    Some((node, _)) => node.clone(),
                    None => {
                        findings.add("yaml", span, "an alias is inside the node that it repeats");
                        YamlNode::new(YamlValue::Null, span)
                    }
                };
                self.put(node, (0, 0), findings);
            }
            Event::DocumentStart(_) if self.root.is_some() => {
                findings.add("yaml", span, "a second document begins here; expected one in a file");
            }
            _ => {}
        }
    }

    fn put(&mut self, node: YamlNode, (anchor, count): (usize, usize), findings: &mut Findings) {
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), count));
        }
        match self.stack.last_mut() {
            None => {
                self.root.get_or_insert(node);
            }
            Some(Open::List { nodes, .. }) => nodes.push(node),
            Some(Open::Map { pairs, names, key, .. }) => match key.take() {
                Some(key) => pairs.push((key, node)),
                None => {
                    let name = match &node.value {
                        YamlValue::Text { text, .. } => text.clone(),
                        _ => {
                            let kind = node.kind();
                            findings.add("yaml", node.span, format!("a key must be text, found {kind}"));
                            String::new()
                        }
                    };
                    if !names.insert(name.clone()) {
                        let message = format!("duplicate key `{name}`");
                        let finding = findings.add("repeated-key", node.span, message);
                        if let Some((first, _)) = pairs.iter().find(|(key, _)| key.name == name) {
                            finding.relate(first.span, "the first one");
                        }
                    }
                    *key = Some(MappingKey { name, span: node.span });
                }
            },
        }
    }
}
