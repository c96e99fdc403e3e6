//! From an effective recipe to values with their origins.

use super::{Content, Origin, ParameterUse, Place, RemovedValue, SetBy, Shown};
use crate::recipe::{Effective, FileKind, element_name};
use crate::yaml::node::{History, YamlNode, YamlValue};
use crate::yaml::text::{DefaultValue, KnownKeys, Span};

/// The values of an effective recipe, with defaults and the values of parameters.
pub fn shown(effective: &Effective) -> Shown {
    let mut root = Builder { effective }.node(&effective.node, "");
    if effective.kind == FileKind::Recipe {
        Builder { effective }.parameters(&mut root);
    }
    root
}

struct Builder<'a> {
    effective: &'a Effective,
}

impl Builder<'_> {
    fn place(&self, span: Span) -> Place {
        let (line, column) = self.effective.files.position(span);
        Place { file: self.effective.files.path(span.file).display().to_string(), line, column }
    }

    fn origin(&self, span: Span, history: &History) -> Origin {
        // A parameter that the recipe does not have was reported, and brought nothing.
        let uses = self.effective.uses.get(&span).into_iter().flatten();
        let uses = uses.filter(|name| self.effective.params.contains_key(*name));
        Origin {
            set: SetBy::File(self.place(span)),
            overrode: history.overrode.iter().map(|past| self.place(past.span)).collect(),
            params: uses.map(|name| self.parameter(name)).collect(),
            ordered: history.ordered.map(|span| self.place(span)),
        }
    }

    fn parameter(&self, name: &str) -> ParameterUse {
        let stated = self.effective.node.get("params").and_then(|params| params.get(name));
        let default = stated.map(|node| self.place(node.get("default").unwrap_or(node).span));
        let default = default.filter(|_| self.effective.settings.get(name).is_none());
        ParameterUse { name: name.to_owned(), default }
    }

    /// `key` is that of the list or mapping which contains the node.
    fn node(&self, node: &YamlNode, key: &str) -> Shown {
        let content = match &node.value {
            YamlValue::Null => Content::Nothing,
            YamlValue::Text { text, plain } => {
                Content::Text { text: text.clone(), plain: *plain, verbatim: self.effective.kind != FileKind::Recipe }
            }
            YamlValue::List(nodes) => Content::List(
                nodes.iter().map(|node| (element_name(node, key).map(str::to_owned), self.node(node, ""))).collect(),
            ),
            YamlValue::Map(pairs) => {
                let stated = pairs.iter().filter(|(_, node)| !matches!(node.value, YamlValue::Null));
                let mut pairs: Vec<(String, Shown)> =
                    stated.map(|(key, node)| (key.name.clone(), self.node(node, &key.name))).collect();
                let keys = self.effective.tables.get(&node.span);
                keys.iter().for_each(|keys| add_defaults(&mut pairs, keys));
                Content::Map { pairs, known: keys.map(|keys| keys.keys.clone()).unwrap_or_default() }
            }
        };
        let removed = node.history.removed.iter().map(|removed| RemovedValue {
            name: removed.name.clone(),
            by: self.place(removed.by),
            was: removed.was.iter().map(|past| self.place(past.span)).collect(),
        });
        Shown { content, origin: self.origin(node.span, &node.history), removed: removed.collect() }
    }

    /// Sets the defaults of the parameters to their values, so that the recipe needs no `--set` when it is read again.
    fn parameters(&self, root: &mut Shown) {
        let Some(params) = root.get_mut("params") else { return };
        let Content::Map { pairs, .. } = &mut params.content else { return };
        for (name, shown) in pairs {
            let declared = self.effective.params.get(name).and_then(|parameter| parameter.default.as_ref());
            let set = self.effective.settings.get(name);
            let Some(value) = set.or(declared) else { continue };
            let content = |plain| Content::Text { text: value.clone(), plain, verbatim: true };
            match &mut shown.content {
                Content::Map { pairs, .. } => match pairs.iter_mut().find(|(key, _)| key == "default") {
                    Some((_, default)) => default.set(content, set.is_some()),
                    None => pairs.insert(0, ("default".to_owned(), Shown::new(content(false), SetBy::Option))),
                },
                Content::Text { .. } => shown.set(content, set.is_some()),
                Content::Nothing | Content::List(_) => {}
            }
        }
    }
}

impl Shown {
    /// A value without a history.
    pub(super) fn new(content: Content, set: SetBy) -> Self {
        let origin = Origin { set, overrode: Vec::new(), params: Vec::new(), ordered: None };
        Self { content, origin, removed: Vec::new() }
    }

    /// The value of a key, if this is a mapping that has it.
    fn get_mut(&mut self, name: &str) -> Option<&mut Shown> {
        match &mut self.content {
            Content::Map { pairs, .. } => pairs.iter_mut().find(|(key, _)| key == name).map(|(_, shown)| shown),
            _ => None,
        }
    }

    /// Replaces a text, by `--set` or as the file has it. `content` gets whether the text was written plain.
    fn set(&mut self, content: impl FnOnce(bool) -> Content, by_option: bool) {
        self.content = content(matches!(self.content, Content::Text { plain: true, .. }));
        self.origin.params.clear();
        if by_option && let SetBy::File(place) = std::mem::replace(&mut self.origin.set, SetBy::Option) {
            self.origin.overrode.insert(0, place);
        }
    }
}

/// Adds the keys that a mapping does not state and that have a default. `a.b` is the key `b` of a mapping `a`.
fn add_defaults(pairs: &mut Vec<(String, Shown)>, keys: &KnownKeys) {
    let text = |text: &String| Content::Text { text: text.clone(), plain: true, verbatim: false };
    for (key, value) in &keys.defaults {
        let content = match value {
            DefaultValue::Text(value) => text(value),
            DefaultValue::List(values) => {
                let element = |value: &String| (Some(value.clone()), Shown::new(text(value), SetBy::Default));
                Content::List(values.iter().map(element).collect())
            }
        };
        let shown = Shown::new(content, SetBy::Default);
        let Some((outer, inner)) = key.split_once('.') else {
            pairs.push(((*key).to_owned(), shown));
            continue;
        };
        let at = pairs.iter().position(|(name, _)| name == outer).unwrap_or_else(|| {
            let empty = Content::Map { pairs: Vec::new(), known: Vec::new() };
            pairs.push((outer.to_owned(), Shown::new(empty, SetBy::Default)));
            pairs.len() - 1
        });
        if let Content::Map { pairs, .. } = &mut pairs[at].1.content {
            pairs.push((inner.to_owned(), shown));
        }
    }
}
