//! Where the parts of a document are, and how they are written.

use saphyr_parser::{Event, Parser, ScalarStyle};

/// A value in the text.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    /// Its first byte: of a block list the first `-`, of a block mapping its first key.
    pub start: usize,
    /// How it is written.
    pub form: Form,
    /// Whether it has an anchor, or is an alias.
    pub is_shared: bool,
}

/// A key in the text.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// Its text.
    pub name: String,
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

/// How a value is written.
#[derive(Debug, PartialEq, Eq)]
pub enum Form {
    /// Nothing, `~` or `null`.
    Null,
    /// Without quotes; the byte after its last.
    Plain(usize),
    /// In quotes.
    Quoted(char),
    /// A literal or folded block; the byte after its last.
    Lines(usize),
    /// A list of lines.
    BlockList(Vec<Part>),
    /// A mapping of lines.
    BlockMap(Vec<(Key, Part)>),
    /// A list in brackets; `close` is the offset of the last one.
    FlowList { parts: Vec<Part>, close: usize },
    /// A mapping in braces; `close` is the offset of the last one.
    FlowMap { pairs: Vec<(Key, Part)>, close: usize },
    /// An alias; the byte after its last.
    Alias(usize),
    /// Anything else: with a tag, or a pair in brackets without braces.
    Other,
}

impl Part {
    /// The byte after the last one of the value, without comments. `None` if that can't be told.
    pub fn end(&self, text: &str) -> Option<usize> {
        match &self.form {
            Form::Null => {
                let word = ["null", "~"].iter().find(|word| text[self.start..].starts_with(**word));
                Some(self.start + word.map_or(0, |word| word.len()))
            }
            Form::Plain(end) | Form::Lines(end) | Form::Alias(end) => {
                Some(self.start + text[self.start..*end].trim_end().len())
            }
            Form::Quoted(quote) => quoted_end(text, self.start, *quote),
            Form::BlockList(parts) => parts.last()?.end(text),
            Form::BlockMap(pairs) => pairs.last()?.1.end(text),
            Form::FlowList { close, .. } | Form::FlowMap { close, .. } => Some(close + 1),
            Form::Other => None,
        }
    }

    /// The same for the last value between brackets or braces that close at `close`. A value that is missing ends
    /// where the bracket is, unless a comment is between.
    pub fn end_in_flow(&self, text: &str, close: usize) -> Option<usize> {
        match self.form {
            Form::Null => {
                let between = text.get(self.start..close)?;
                (!between.contains('#')).then(|| self.start + between.trim_end().len())
            }
            _ => self.end(text),
        }
    }
}

/// The byte after the quote that ends the text whose first quote is at `start` (YAML 1.2, 7.3).
fn quoted_end(text: &str, start: usize, quote: char) -> Option<usize> {
    let mut chars = text.get(start..)?.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote == '"' => {
                chars.next();
            }
            '\'' if quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                chars.next();
            }
            c if c == quote => return Some(start + at + 1),
            _ => {}
        }
    }
    None
}

/// An open list or mapping.
enum Open {
    List(Vec<Part>),
    Map(Vec<(Key, Part)>, Option<Key>),
}

/// The parts of a document. `None` if it has no content, or a key is something else than a text.
pub fn read(text: &str) -> Option<Part> {
    let mut offsets: Vec<usize> = text.char_indices().map(|(offset, _)| offset).collect();
    offsets.push(text.len());
    let offset = |chars: usize| offsets[chars.min(offsets.len() - 1)];
    let mut stack: Vec<(Open, usize, bool, bool)> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.ok()?;
        let (start, end) = (offset(span.start.index()), offset(span.end.index()));
        let (part, name) = match event {
            Event::Scalar(value, style, anchor, tag) => {
                let form = match style {
                    _ if tag.is_some() => Form::Other,
                    ScalarStyle::Plain if ["", "~", "null"].contains(&value.as_ref()) => Form::Null,
                    ScalarStyle::Plain => Form::Plain(end),
                    ScalarStyle::SingleQuoted if text[start..].starts_with('\'') => Form::Quoted('\''),
                    ScalarStyle::DoubleQuoted if text[start..].starts_with('"') => Form::Quoted('"'),
                    ScalarStyle::Literal | ScalarStyle::Folded => Form::Lines(end),
                    _ => Form::Other,
                };
                (Part { start, form, is_shared: anchor != 0 }, Some(value.into_owned()))
            }
            Event::Alias(_) => (Part { start, form: Form::Alias(end), is_shared: true }, None),
            Event::SequenceStart(anchor, tag) => {
                stack.push((Open::List(Vec::new()), start, anchor != 0, tag.is_some()));
                continue;
            }
            Event::MappingStart(anchor, tag) => {
                stack.push((Open::Map(Vec::new(), None), start, anchor != 0, tag.is_some()));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (open, mut first, is_shared, has_tag) = stack.pop()?;
                // The parser gives a list that is indented as its key the location of its first element.
                if let Open::List(parts) = &open
                    && parts.first().is_some_and(|part| part.start == first)
                    && let Some(before) = text[..first].trim_end().strip_suffix('-')
                {
                    first = before.len();
                }
                let closes = |bracket| text[first..].starts_with(bracket);
                let form = match open {
                    _ if has_tag => Form::Other,
                    Open::List(parts) if closes('[') => Form::FlowList { parts, close: start },
                    Open::List(parts) if closes('-') => Form::BlockList(parts),
                    Open::Map(pairs, _) if closes('{') && end > start => Form::FlowMap { pairs, close: start },
                    // A pair in brackets without braces also has no end.
                    Open::Map(pairs, _) if is_block(text, first, &pairs) => Form::BlockMap(pairs),
                    // With an anchor the start is the anchor's.
                    _ => Form::Other,
                };
                (Part { start: first, form, is_shared }, None)
            }
            _ => continue,
        };
        match stack.last_mut() {
            None => {
                root.get_or_insert(part);
            }
            Some((Open::List(parts), ..)) => parts.push(part),
            Some((Open::Map(pairs, key), ..)) => match key.take() {
                Some(key) => pairs.push((key, part)),
                None => *key = Some(Key { name: name?, start: part.start, end: part.end(text)? }),
            },
        }
    }
    root
}

/// Whether a mapping that is not in braces is one of lines: each key is the first of its line, or after the `-` of an
/// element.
fn is_block(text: &str, start: usize, pairs: &[(Key, Part)]) -> bool {
    let Some((first, _)) = pairs.first() else { return false };
    let column = |at: usize| at - text[..at].rfind('\n').map_or(0, |line| line + 1);
    let lead = &text[start - column(start)..start];
    first.start == start
        && lead.chars().all(|c| " -?\u{feff}".contains(c))
        && pairs.iter().all(|(key, _)| column(key.start) == column(start))
}
