//! From nodes to typed values, with a finding for every mismatch.
//!
//! A [`Table`] gives the values of a mapping by key and, when it is closed, reports the keys that were never read, each
//! with the nearest key that was.

use std::cell::RefCell;

use super::keys::Keys;
use super::node::{MappingKey, YamlNode, YamlValue};
use super::text::{DefaultValue, Findings, Span};
use crate::similar;

/// A value and its location in the recipe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its location.
    pub span: Span,
}

impl<T> std::ops::Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Shared by all decoding of one recipe.
pub type FindingSink = RefCell<Findings>;

/// A type that can be decoded from a node.
pub trait Decode: Sized {
    /// Decodes it, or adds a finding and gives nothing.
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self>;
}

/// Adds a finding for a value of the wrong type.
pub fn wrong_type(node: &YamlNode, expected: &str, sink: &FindingSink) {
    let message = format!("expected {expected}, found {}", node.kind());
    sink.borrow_mut().add("wrong-type", node.span, message).label(format!("expected {expected} here"));
}

impl Decode for String {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        match &node.value {
            YamlValue::Text { text, .. } => Some(text.clone()),
            _ => {
                wrong_type(node, "text", sink);
                None
            }
        }
    }
}

impl Decode for bool {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        match &node.value {
            YamlValue::Text { text, plain: true } if text == "true" => Some(true),
            YamlValue::Text { text, plain: true } if text == "false" => Some(false),
            _ => {
                wrong_type(node, "`true` or `false`", sink);
                None
            }
        }
    }
}

/// Decodes a required key with `read`; a missing key is a finding.
pub fn required<T>(table: &Table<'_>, name: &'static str, read: impl FnOnce(&YamlNode) -> Option<T>) -> Option<T> {
    match table.node(name) {
        Some(node) => read(node),
        None => {
            // Adds a finding for a missing key.
            table.required::<String>(name);
            None
        }
    }
}

impl Decode for u32 {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        if let YamlValue::Text { text, plain: true } = &node.value
            && let Ok(number) = text.parse()
        {
            return Some(number);
        }
        wrong_type(node, "a whole number from 0 to 4294967295", sink);
        None
    }
}

/// Memory of a machine in MiB, as in QEMU's `-m`.
pub struct Mebibytes(pub u32);

impl std::fmt::Display for Mebibytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Decode for Mebibytes {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let YamlValue::Text { text, .. } = &node.value else {
            wrong_type(node, "a number of MiB", sink);
            return None;
        };
        if let Some(number) = text.parse().ok().filter(|number| *number > 0) {
            return Some(Self(number));
        }
        let message = format!("`{text}` is not a positive number of MiB");
        let mut findings = sink.borrow_mut();
        let finding = findings.add("wrong-type", node.span, message).label("MiB, without a unit");
        if let Some(bytes) = size(text.trim_end_matches(['i', 'B'])).filter(|bytes| bytes >> 20 > 0) {
            finding.help(format!("{} is {}", text, bytes >> 20));
        }
        None
    }
}

/// A TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port(pub u16);

impl Decode for Port {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let number = match &node.value {
            YamlValue::Text { text, plain: true } => text.parse().ok().filter(|number| *number > 0),
            _ => None,
        };
        if number.is_none() {
            let what = match &node.value {
                YamlValue::Text { text, .. } => format!("`{text}`"),
                _ => node.kind().to_owned(),
            };
            let message = format!("{what} is not a port");
            sink.borrow_mut().add("wrong-type", node.span, message).label("expected a number from 1 to 65535");
        }
        number.map(Self)
    }
}

/// A number of bytes: `512M`, `2G`.
pub struct Size(pub u64);

impl Decode for Size {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let size = match &node.value {
            YamlValue::Text { text, .. } => size(text),
            _ => None,
        };
        if size.is_none() {
            wrong_type(node, "a size: a number with K, M, G or T (`512M`)", sink);
        }
        size.map(Self)
    }
}

/// The bytes of a size: a positive integer with K, M, G or T, each 1024 times the one before.
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let unit = match unit {
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1_u64 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|size| *size > 0)
}

/// A positive integer.
pub struct Positive(pub u64);

impl Decode for Positive {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let number = match &node.value {
            YamlValue::Text { text, plain: true } => text.parse().ok().filter(|number| *number > 0),
            _ => None,
        };
        if number.is_none() {
            wrong_type(node, "a positive whole number", sink);
        }
        number.map(Self)
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        match &node.value {
            YamlValue::Null => Some(Vec::new()),
            YamlValue::List(nodes) => Some(nodes.iter().filter_map(|node| T::decode(node, sink)).collect()),
            other => {
                let message = format!("expected a list, found {}", node.kind());
                let mut findings = sink.borrow_mut();
                let finding = findings.add("wrong-type", node.span, message).label("expected a list here");
                if let YamlValue::Text { text, .. } = other
                    && !text.contains(['\n', ',', '[', ']', '{', '}', '#', ':'])
                {
                    finding.help(format!("a list with this text: `[{text}]`"));
                }
                None
            }
        }
    }
}

impl<T: Decode> Decode for Vec<(MappingKey, T)> {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        match &node.value {
            YamlValue::Null => Some(Vec::new()),
            YamlValue::Map(pairs) => {
                let read = |(key, node): &(MappingKey, YamlNode)| Some((key.clone(), T::decode(node, sink)?));
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
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        Some(At { value: T::decode(node, sink)?, span: node.span })
    }
}

/// A mapping with known keys: those of its [`Keys`], of which the ones that were read are accepted.
pub struct Table<'a> {
    keys: &'static Keys,
    pairs: &'a [(MappingKey, YamlNode)],
    known: RefCell<Vec<&'static str>>,
    /// Required keys that are missing; reported at the end, as one of them may only be misspelt.
    missing: RefCell<Vec<&'static str>>,
    defaults: RefCell<Vec<(&'static str, DefaultValue)>>,
    sink: &'a FindingSink,
    /// The location of the mapping.
    pub span: Span,
}

impl<'a> Table<'a> {
    /// Opens a mapping with these keys; anything else is a finding.
    pub fn open(node: &'a YamlNode, keys: &'static Keys, sink: &'a FindingSink) -> Option<Self> {
        match &node.value {
            YamlValue::Map(pairs) => Some(Self {
                keys,
                pairs,
                known: RefCell::default(),
                missing: RefCell::default(),
                defaults: RefCell::default(),
                sink,
                span: node.span,
            }),
            _ => {
                wrong_type(node, &format!("{} (a mapping)", keys.what), sink);
                None
            }
        }
    }

    /// The node under a key. A key that is not documented does not exist.
    pub fn node(&self, name: &'static str) -> Option<&'a YamlNode> {
        if self.keys.find(name).is_none() {
            debug_assert!(false, "`{name}` is read from {}, but is not in its table of keys", self.keys.what);
            return None;
        }
        let mut known = self.known.borrow_mut();
        if !known.contains(&name) {
            known.push(name);
        }
        self.pairs.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// The location of a key that is not one of the mapping's, if it is there: the caller reports it.
    pub fn refused(&self, name: &'static str) -> Option<Span> {
        let span = self.key(name)?;
        self.known.borrow_mut().push(name);
        Some(span)
    }

    /// The key itself, for findings about it.
    pub fn key(&self, name: &str) -> Option<Span> {
        self.pairs.iter().find(|(key, _)| key.name == name).map(|(key, _)| key.span)
    }

    /// The location of a key's value.
    pub fn value(&self, name: &str) -> Option<Span> {
        self.pairs.iter().find(|(key, _)| key.name == name).map(|(_, node)| node.span)
    }

    /// The value of an optional key.
    pub fn optional<T: Decode>(&self, name: &'static str) -> Option<T> {
        self.node(name)
            .filter(|node| !matches!(node.value, YamlValue::Null))
            .and_then(|node| T::decode(node, self.sink))
    }

    /// The value of an optional key, or the type's default.
    pub fn or_default<T: Decode + Default>(&self, name: &'static str) -> T {
        self.optional(name).unwrap_or_default()
    }

    /// The value of an optional key, or this default.
    pub fn or<T: Decode + ToString>(&self, name: &'static str, default: T) -> T {
        let value = self.optional(name);
        self.note_default(name, &default);
        value.unwrap_or(default)
    }

    /// One of several words, or this default; `None` if there is another word.
    pub fn word_or<T: Copy + PartialEq>(
        &self,
        name: &'static str,
        words: &[(&'static str, T)],
        default: T,
    ) -> Option<T> {
        if let Some((stated, _)) = words.iter().find(|(_, value)| *value == default) {
            self.note_default(name, stated);
        }
        self.node(name).map_or(Some(default), |node| word(node, words, self.sink))
    }

    /// Notes the default of a key, for `dbco show`, if the key has no value. `a.b` is the key `b` of a mapping `a` that
    /// may be missing, too.
    pub fn note_default(&self, name: &'static str, value: &(impl ToString + ?Sized)) {
        self.note(name, || DefaultValue::Text(value.to_string()));
    }

    /// The same for a list of texts.
    pub fn note_default_list(&self, name: &'static str, values: &[String]) {
        self.note(name, || DefaultValue::List(values.to_vec()));
    }

    fn note(&self, name: &'static str, value: impl FnOnce() -> DefaultValue) {
        let outer = name.split('.').next().unwrap_or(name);
        let stated = self.pairs.iter().find(|(key, _)| key.name == outer);
        if stated.is_none_or(|(_, node)| matches!(node.value, YamlValue::Null)) {
            self.defaults.borrow_mut().push((name, value()));
        }
    }

    /// The value of a required key.
    pub fn required<T: Decode>(&self, name: &'static str) -> Option<T> {
        match self.node(name) {
            Some(node) => T::decode(node, self.sink),
            None => {
                self.missing.borrow_mut().push(name);
                None
            }
        }
    }

    /// Reports unknown keys, and missing ones that are not just misspelt.
    pub fn close(self) {
        let known = self.known.into_inner();
        let mut missing = self.missing.into_inner();
        let mut findings = self.sink.borrow_mut();
        let noted = findings.notes.tables.entry(self.span).or_default();
        noted.keys.extend(known.iter().filter(|key| !noted.keys.contains(key)).copied().collect::<Vec<_>>());
        noted.defaults.extend(self.defaults.into_inner());
        for (key, _) in self.pairs {
            if known.contains(&key.name.as_str()) {
                continue;
            }
            if findings.is_full() {
                break;
            }
            let finding =
                findings.add("unknown-key", key.span, format!("unknown key `{}` in {}", key.name, self.keys.what));
            match similar::nearest(&key.name, known.iter().copied()) {
                Some(near) => {
                    finding.suggest(near);
                    // A key of the extended file can't be missing.
                    missing.retain(|name| *name != near && near != "extends");
                }
                None => {
                    finding.help(format!("known keys: {}", known.join(", ")));
                }
            }
        }
        for name in missing {
            let message = format!("{} lacks `{name}`", self.keys.what);
            findings.add("missing-key", self.span, message).label(format!("expected `{name}:` here"));
        }
    }
}

/// Decodes one of several words; anything else is a finding that suggests the nearest.
pub fn word<T: Copy>(node: &YamlNode, words: &[(&'static str, T)], sink: &FindingSink) -> Option<T> {
    let names = || words.iter().map(|(name, _)| *name);
    let YamlValue::Text { text, .. } = &node.value else {
        wrong_type(node, &format!("one of: {}", names().collect::<Vec<_>>().join(", ")), sink);
        return None;
    };
    if let Some((_, value)) = words.iter().find(|(name, _)| name == text) {
        return Some(*value);
    }
    let mut findings = sink.borrow_mut();
    let finding = findings.add("unknown-word", node.span, format!("unknown value `{text}`"));
    finding.help(format!("one of: {}", names().collect::<Vec<_>>().join(", ")));
    if let Some(near) = similar::nearest(text, names()) {
        finding.suggest(near);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit() {
        for (text, bytes) in [("1K", 1024), ("512M", 512 << 20), ("2G", 2 << 30), ("64G", 64 << 30), ("1T", 1 << 40)] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in ["", "G", "0G", "1", "-1G", "1.5G", "1g", "1GB", "99999999999999T", "1 G"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
