//! Merging a file over the one that it extends. `docs/recipes.md` has the rules for users.
//!
//! Mappings are merged key by key, everything else is replaced, and a mapping of operations ([`ListEdit`]) where the other
//! file has a list changes that list. The history of each node keeps what was replaced and removed.

mod list;

use std::collections::{HashMap, HashSet};

use super::decode::{At, Decode, FindingSink};
use super::node::{MappingKey, Removed, YamlNode, YamlValue};
use super::text::Span;
use crate::similar;

use list::{List, ListEdit, named};

/// The kind of a file that can extend another of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// An image recipe.
    Recipe,
    /// A component.
    Component,
    /// A toolchain.
    Toolchain,
}

impl FileKind {
    /// Its word in messages; also the key with the file's own name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Recipe => "recipe",
            Self::Component => "component",
            Self::Toolchain => "toolchain",
        }
    }
}

/// Mappings whose keys the author chooses: decoding can't notice that one of them is misspelt.
const CHOSEN_KEYS: [&str; 8] = ["early", "env", "files", "links", "network", "params", "profiles", "xattrs"];

/// Merges a file over the one that it extends, which becomes the result.
pub(super) fn merge(base: &mut YamlNode, mut over: YamlNode, kind: FileKind, sink: &FindingSink) {
    if kind == FileKind::Toolchain {
        toolchain_packages(base, &mut over, sink);
    }
    merge_node(base, over, "", sink);
}

/// Merges a value under the key `key` over the one there.
fn merge_node(base: &mut YamlNode, over: YamlNode, key: &str, sink: &FindingSink) {
    match (&mut base.value, over.value) {
        (YamlValue::Map(_), YamlValue::Map(pairs)) => merge_maps(base, pairs, key, sink),
        (_, value) => {
            let over = YamlNode { value, ..over };
            match ListEdit::stated(&over, Some(base), sink) {
                Some(edit) => edit.apply(base, key, sink),
                None => replace(base, over),
            }
        }
    }
}

fn replace(base: &mut YamlNode, mut over: YamlNode) {
    over.history.overrode = base.past();
    *base = over;
}

fn merge_maps(base: &mut YamlNode, pairs: Vec<(MappingKey, YamlNode)>, key: &str, sink: &FindingSink) {
    let span = base.span;
    let YamlValue::Map(mine) = &mut base.value else { return };
    let known: HashMap<String, usize> =
        mine.iter().enumerate().map(|(index, (key, _))| (key.name.clone(), index)).collect();
    let mut gone = Vec::new();
    for (own, mut node) in pairs {
        match (known.get(&own.name).copied(), &node.value) {
            (Some(index), YamlValue::Null) => {
                let was = mine[index].1.past();
                base.history.removed.retain(|removed| removed.name != own.name);
                base.history.removed.push(Removed { name: own.name, by: own.span, was });
                gone.push(index);
            }
            (Some(index), _) => merge_node(&mut mine[index].1, node, &own.name, sink),
            (None, YamlValue::Null) if CHOSEN_KEYS.contains(&key) => {
                let message = format!("the extended `{key}` has no `{}`", own.name);
                let mut findings = sink.borrow_mut();
                let finding = findings.add("extends", own.span, message).relate(span, format!("the extended `{key}`"));
                if let Some(near) = similar::nearest(&own.name, mine.iter().map(|(key, _)| key.name.as_str())) {
                    finding.suggest(near);
                }
            }
            (None, _) => {
                // What a file between the two removed, and this one states again.
                if let Some(at) = base.history.removed.iter().position(|removed| removed.name == own.name) {
                    node.history.overrode = base.history.removed.remove(at).was;
                }
                let node = added(node, &own.name, sink);
                mine.push((own, node));
            }
        }
    }
    gone.sort_unstable();
    // A repeated key has been reported.
    gone.dedup();
    gone.into_iter().rev().for_each(|index| drop(mine.remove(index)));
}

/// A value under a key that the extended file does not have. Operations on a list in it work on an empty one.
fn added(mut node: YamlNode, key: &str, sink: &FindingSink) -> YamlNode {
    if let Some(edit) = ListEdit::stated(&node, None, sink) {
        node.value = YamlValue::List(Vec::new());
        edit.apply(&mut node, key, sink);
    } else if let YamlValue::Map(pairs) = &mut node.value {
        for (key, below) in pairs {
            let empty = YamlNode::new(YamlValue::Null, below.span);
            *below = added(std::mem::replace(below, empty), &key.name, sink);
        }
    }
    node
}

/// The two keys of toolchains that are older than [`ListEdit`]: a list under `packages` is added, and what `without` lists is
/// removed.
fn toolchain_packages(base: &mut YamlNode, over: &mut YamlNode, sink: &FindingSink) {
    if over.get("packages").or(over.get("without")).is_none() {
        return;
    }
    let span = base.span;
    let has_packages = base.get("packages").is_some();
    if let (YamlValue::Map(pairs), false) = (&mut base.value, has_packages) {
        pairs
            .push((MappingKey { name: "packages".to_owned(), span }, YamlNode::new(YamlValue::List(Vec::new()), span)));
    }
    let Some(packages) = base.get_mut("packages") else { return };
    let without = over.take("without").and_then(|without| Vec::<At<String>>::decode(&without, sink));
    let mut own = match over.get("packages").map(|own| &own.value) {
        Some(YamlValue::Null | YamlValue::List(_)) => over.take("packages"),
        _ => None,
    };
    let YamlValue::List(nodes) = &mut packages.value else { return };
    let (nodes, history) = (std::mem::take(nodes), std::mem::take(&mut packages.history));
    let mut list = List { nodes, key: "packages", span: packages.span, history, sink };
    list.remove(&without.unwrap_or_default(), "without", "the extended toolchain does not list the package");
    if let Some(YamlValue::List(own)) = own.as_mut().map(|own| &mut own.value) {
        list.nodes.append(own);
    }
    *packages = YamlNode { value: YamlValue::List(list.nodes), span: packages.span, history: list.history };
}

/// Adds to the findings about values that replaced others where those are, and to those about operations that had no list
/// to change what they are.
pub(super) fn relate(node: &YamlNode, sink: &FindingSink) {
    let mut merged = MergedValues::default();
    merged.collect(node);
    for finding in sink.borrow_mut().iter_mut().filter(|finding| finding.related.is_empty()) {
        if let Some((span, kind)) = merged.overrode.get(&finding.span) {
            finding.relate(*span, format!("it replaces {kind} here"));
        }
        if finding.id == "wrong-type" && finding.help.is_none() && merged.operations.contains(&finding.span) {
            finding.help("`add`, `remove` and the like change a list of the file that this one `extends`");
        }
    }
}

/// Locations of values that findings may be about.
#[derive(Default)]
struct MergedValues {
    /// Values that replaced another: that one's location and type.
    overrode: HashMap<Span, (Span, &'static str)>,
    /// Mappings of operations that were not applied.
    operations: HashSet<Span>,
}

impl MergedValues {
    fn collect(&mut self, node: &YamlNode) {
        if let Some(last) = node.history.overrode.first() {
            self.overrode.insert(node.span, (last.span, last.kind));
        }
        match &node.value {
            YamlValue::List(nodes) => nodes.iter().for_each(|node| self.collect(node)),
            YamlValue::Map(pairs) => {
                if list::are_operations(pairs) {
                    self.operations.insert(node.span);
                }
                pairs.iter().for_each(|(_, node)| self.collect(node));
            }
            YamlValue::Null | YamlValue::Text { .. } => {}
        }
    }
}

/// The name by which another file can refer to an element of the list under `key`.
pub fn element_name<'a>(node: &'a YamlNode, key: &str) -> Option<&'a str> {
    named(node, key).last().copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::CHOSEN_KEYS;
    use crate::recipe::keys::{COMPONENT, RECIPE, TOOLCHAIN};
    use crate::yaml::keys::{Form, Keys};

    /// Adds the keys of a table, and of those below it, whose values are mappings with keys of the author's choice.
    fn chosen(keys: &'static Keys, seen: &mut Vec<&'static str>, found: &mut BTreeSet<&'static str>) {
        if seen.contains(&keys.id) {
            return;
        }
        seen.push(keys.id);
        for key in keys.all() {
            let mut forms = vec![&key.form];
            while let Some(form) = forms.pop() {
                match form {
                    Form::Scalar(_) | Form::Words(_) | Form::Difference(_) => {}
                    Form::List(of) => forms.push(of),
                    Form::Any(all) => forms.extend(all.iter()),
                    Form::Mapping(keys) => chosen(keys, seen, found),
                    Form::Map(of) => {
                        found.insert(key.name);
                        forms.push(of);
                    }
                }
            }
        }
    }

    #[test]
    fn the_mappings_with_chosen_keys_are_those_of_the_tables() {
        let (mut seen, mut found) = (Vec::new(), BTreeSet::new());
        [&RECIPE, &COMPONENT, &TOOLCHAIN].into_iter().for_each(|keys| chosen(keys, &mut seen, &mut found));
        assert_eq!(found, BTreeSet::from(CHOSEN_KEYS));
    }
}
