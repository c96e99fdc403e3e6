//! Changes of a list: elements are added, removed, changed and moved by their names.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::merge_node;
use crate::recipe::decode::{At, Decode, FindingSink, wrong_type};
use crate::recipe::node::{History, MappingKey, Removed, YamlNode, YamlValue};
use crate::recipe::text::Span;
use crate::similar;
use crate::source::PackageRequest;
use crate::source::kind::KEYS;

/// The operations, in the order in which they are applied, however a file states them.
const OPERATIONS: [&str; 6] = ["remove", "change", "add", "before", "after", "order"];

/// The keys whose value is the name of an element that is a mapping, if no key of a source is.
const NAME_KEYS: [&str; 5] = ["id", "name", "path", "from", "suite"];

/// Lists in which equal elements have a meaning; in all others a second one with the same name is a mistake.
const REPEATED: [&str; 6] = ["attributes", "boots", "disks", "make", "run", "words"];

/// The names of an element of the list under `key`: the text, or the value of its first key of [`NAME_KEYS`] or of a
/// source. A package with a version or a suite also has its plain name, the last. Without a name it can't be referred to.
pub(super) fn named<'a>(node: &'a YamlNode, key: &str) -> Vec<&'a str> {
    match node.text() {
        Some(text) if key == "packages" => {
            let plain = PackageRequest::parse(text).name;
            if plain == text { vec![text] } else { vec![text, plain] }
        }
        Some(text) => vec![text],
        None => {
            let mut keys = NAME_KEYS.into_iter().chain(KEYS.iter().map(|key| key.name));
            keys.find_map(|key| node.get(key)?.text()).into_iter().collect()
        }
    }
}

/// The operations that a file states for a list of the file that it extends.
pub(super) struct ListEdit {
    remove: Vec<YamlNode>,
    change: Vec<YamlNode>,
    add: Vec<YamlNode>,
    /// By the name of the element before or behind which they are added.
    beside: Vec<(Side, At<String>, Vec<YamlNode>)>,
    order: Vec<YamlNode>,
}

#[derive(Clone, Copy, PartialEq)]
enum Side {
    Before,
    After,
}

impl ListEdit {
    /// Reads operations; `None` if the value is to replace the one below. It is a mapping of operations if it has a key of
    /// that name (or a misspelt one) where there is a list, or nothing else where there is none. `base` is the value below.
    pub fn stated(node: &YamlNode, base: Option<&YamlNode>, sink: &FindingSink) -> Option<Self> {
        let YamlValue::Map(pairs) = &node.value else { return None };
        let is = |name: &str| OPERATIONS.contains(&name);
        let on_list = base.is_some_and(|base| matches!(base.value, YamlValue::List(_)));
        let stated = match on_list {
            true => pairs.iter().any(|(key, _)| is(&key.name) || similar::nearest(&key.name, OPERATIONS).is_some()),
            false => are_operations(pairs),
        };
        if !stated {
            return None;
        }
        if let Some(base) = base.filter(|base| !on_list && !matches!(base.value, YamlValue::Null)) {
            let message =
                format!("`{}` changes a list, and the extended file has {} here", pairs[0].0.name, base.kind());
            sink.borrow_mut().add("extends", pairs[0].0.span, message).relate(base.span, "not a list");
        }
        let mut edit =
            Self { remove: Vec::new(), change: Vec::new(), add: Vec::new(), beside: Vec::new(), order: Vec::new() };
        for (key, node) in pairs {
            match key.name.as_str() {
                "remove" => edit.remove = elements(node, sink),
                "change" => edit.change = elements(node, sink),
                "add" => edit.add = elements(node, sink),
                "order" => edit.order = elements(node, sink),
                "before" => edit.put_beside(Side::Before, node, sink),
                "after" => edit.put_beside(Side::After, node, sink),
                other => {
                    let message = format!("unknown key `{other}` in a change of a list");
                    let mut findings = sink.borrow_mut();
                    let finding = findings.add("unknown-key", key.span, message);
                    finding.help(format!("known keys: {}", OPERATIONS.join(", ")));
                    if let Some(near) = similar::nearest(other, OPERATIONS) {
                        finding.suggest(near);
                    }
                    base.into_iter().for_each(|base| _ = finding.relate(base.span, "the list"));
                }
            }
        }
        Some(edit)
    }

    fn put_beside(&mut self, side: Side, node: &YamlNode, sink: &FindingSink) {
        match &node.value {
            YamlValue::Map(pairs) => self.beside.extend(pairs.iter().map(|(key, node)| {
                let anchor = At { value: key.name.clone(), span: key.span };
                (side, anchor, elements(node, sink))
            })),
            YamlValue::Null => {}
            _ => wrong_type(node, "a mapping of the name of an element to those added beside it", sink),
        }
    }

    /// Changes a list under the key `key`.
    pub fn apply(self, base: &mut YamlNode, key: &str, sink: &FindingSink) {
        let nodes = match &mut base.value {
            YamlValue::List(nodes) => std::mem::take(nodes),
            YamlValue::Null => Vec::new(),
            // Reported by `stated`.
            YamlValue::Text { .. } | YamlValue::Map(_) => return,
        };
        let mut list = List { nodes, key, span: base.span, history: std::mem::take(&mut base.history), sink };
        let names = |nodes: &[YamlNode]| -> Vec<At<String>> {
            nodes.iter().filter_map(|node| At::<String>::decode(node, sink)).collect()
        };
        list.remove(&names(&self.remove), "extends", "");
        list.change(self.change);
        list.add(self.add, self.beside);
        list.order(&names(&self.order));
        base.history = list.history;
        base.value = YamlValue::List(list.nodes);
    }
}

/// Whether a mapping has only keys of operations, each with a value of its type.
pub(super) fn are_operations(pairs: &[(MappingKey, YamlNode)]) -> bool {
    let is = |(key, node): &(MappingKey, YamlNode)| match &node.value {
        YamlValue::Map(_) => ["before", "after"].contains(&key.name.as_str()),
        YamlValue::List(_) => ["remove", "change", "add", "order"].contains(&key.name.as_str()),
        YamlValue::Null | YamlValue::Text { .. } => false,
    };
    !pairs.is_empty() && pairs.iter().all(is)
}

fn elements(node: &YamlNode, sink: &FindingSink) -> Vec<YamlNode> {
    match &node.value {
        YamlValue::List(nodes) => nodes.clone(),
        YamlValue::Null => Vec::new(),
        _ => {
            wrong_type(node, "a list", sink);
            Vec::new()
        }
    }
}

/// A list that is being changed.
pub(super) struct List<'a> {
    pub nodes: Vec<YamlNode>,
    pub key: &'a str,
    pub span: Span,
    pub history: History,
    pub sink: &'a FindingSink,
}

impl List<'_> {
    /// The positions of the elements, by name. Once for each operation: a list may have many elements and names.
    fn positions(&self) -> HashMap<String, Vec<usize>> {
        let mut positions: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, node) in self.nodes.iter().enumerate() {
            for name in named(node, self.key) {
                positions.entry(name.to_owned()).or_default().push(index);
            }
        }
        positions
    }

    /// Reports that there is no such element, with the list's location and the nearest name. `what` is the list, if not
    /// named by its key.
    fn report_missing(&self, name: &str, span: Span, id: &'static str, what: &str) {
        let mut findings = self.sink.borrow_mut();
        if findings.is_full() {
            return;
        }
        let message = match (what, self.key) {
            ("", "") => format!("the extended list has no `{name}`"),
            ("", key) => format!("the extended `{key}` has no `{name}`"),
            (what, _) => format!("{what} `{name}`"),
        };
        let finding = findings.add(id, span, message);
        match self.history.removed.iter().find(|removed| removed.name == name) {
            Some(removed) => finding.relate(removed.by, "it was removed here already"),
            None => finding.relate(self.span, "the extended list"),
        };
        let known = self.nodes.iter().flat_map(|node| named(node, self.key));
        // One that was removed twice is not what was meant.
        let known: Vec<&str> = known.filter(|known| *known != name).collect();
        match similar::nearest(name, known.iter().copied()) {
            Some(near) => _ = finding.suggest(near),
            None if known.is_empty() => _ = finding.help("its elements have no names: state the whole list"),
            None => {}
        }
    }

    /// The only element of that name; none or several are a finding.
    fn only(&self, positions: &HashMap<String, Vec<usize>>, name: &str, span: Span) -> Option<usize> {
        match positions.get(name).map(Vec::as_slice) {
            Some([index]) => Some(*index),
            Some([first, second, ..]) => {
                let message = format!("`{name}` is the name of several elements");
                let mut findings = self.sink.borrow_mut();
                let finding = findings.add("extends", span, message);
                finding.relate(self.nodes[*first].span, "one of them").relate(self.nodes[*second].span, "another");
                None
            }
            _ => {
                self.report_missing(name, span, "extends", "");
                None
            }
        }
    }

    /// Removes every element of each name. A name without one is a finding with the code `id`, whose message is `what` and
    /// the name.
    pub fn remove(&mut self, names: &[At<String>], id: &'static str, what: &str) {
        let positions = self.positions();
        let mut gone = HashSet::new();
        for name in names {
            let found = positions.get(&name.value).cloned().unwrap_or_default();
            if found.iter().all(|index| gone.contains(index)) {
                self.report_missing(&name.value, name.span, id, what);
                continue;
            }
            let was = found.iter().filter(|index| !gone.contains(*index)).flat_map(|index| self.nodes[*index].past());
            let removed = Removed { name: name.value.clone(), by: name.span, was: was.collect() };
            self.history.removed.push(removed);
            gone.extend(found);
        }
        let mut index = 0;
        self.nodes.retain(|_| {
            index += 1;
            !gone.contains(&(index - 1))
        });
    }

    /// Merges elements over those of the same names.
    fn change(&mut self, changes: Vec<YamlNode>) {
        let positions = self.positions();
        for node in changes {
            let Some(name) = named(&node, self.key).last().map(|name| (*name).to_owned()) else {
                let keys = NAME_KEYS.map(|key| format!("`{key}`")).join(", ");
                let message = format!("an element under `change` needs the key with its name: one of {keys}");
                self.sink.borrow_mut().add("extends", node.span, message).relate(self.span, "the extended list");
                continue;
            };
            if let Some(index) = self.only(&positions, &name, node.span) {
                let mut node = node;
                // The name is not changed by being named.
                if let YamlValue::Map(pairs) = &mut node.value {
                    let old = &self.nodes[index];
                    pairs.retain(|(key, own)| {
                        own.text().is_none() || old.get(&key.name).and_then(YamlNode::text) != own.text()
                    });
                }
                merge_node(&mut self.nodes[index], node, "", self.sink);
            }
        }
    }

    /// Adds elements at the end, and beside others.
    fn add(&mut self, nodes: Vec<YamlNode>, beside: Vec<(Side, At<String>, Vec<YamlNode>)>) {
        let all = nodes.iter().chain(beside.iter().flat_map(|(_, _, nodes)| nodes));
        let mut known: HashMap<String, Span> = HashMap::new();
        // What is reported is not added: it would only be reported once more.
        let mut refused: HashSet<Span> = HashSet::new();
        let unique = !REPEATED.contains(&self.key);
        for (old, node) in self.nodes.iter().map(|node| (true, node)).chain(all.map(|node| (false, node))) {
            let Some(name) = named(node, self.key).first().copied().filter(|_| unique) else { continue };
            match known.get(name).filter(|_| !old) {
                Some(there) => {
                    refused.insert(node.span);
                    let message = format!("the list has `{name}` already");
                    let mut findings = self.sink.borrow_mut();
                    let finding = findings.add("extends", node.span, message).relate(*there, "it is here");
                    if node.text().is_none() {
                        finding.help("`change` sets keys of an element");
                    }
                }
                None => _ = known.insert(name.to_owned(), node.span),
            }
        }
        let is_added = |node: &YamlNode| !refused.contains(&node.span);
        self.nodes.extend(nodes.into_iter().filter(is_added));
        let positions = self.positions();
        let mut inserted: BTreeMap<usize, Vec<YamlNode>> = BTreeMap::new();
        for (side, anchor, nodes) in beside {
            if let Some(index) = self.only(&positions, &anchor.value, anchor.span) {
                inserted
                    .entry(index + usize::from(side == Side::After))
                    .or_default()
                    .extend(nodes.into_iter().filter(is_added));
            }
        }
        for (index, node) in std::mem::take(&mut self.nodes).into_iter().enumerate() {
            self.nodes.extend(inserted.remove(&index).into_iter().flatten());
            self.nodes.push(node);
        }
        self.nodes.extend(inserted.into_values().flatten());
    }

    /// Moves the named elements to the start, in the order of the names.
    fn order(&mut self, names: &[At<String>]) {
        let positions = self.positions();
        let mut moved: Vec<usize> = Vec::new();
        let mut seen = HashMap::new();
        for name in names {
            let Some(index) = self.only(&positions, &name.value, name.span) else { continue };
            match seen.insert(index, name.span) {
                Some(first) => {
                    let message = format!("`{}` is listed twice", name.value);
                    self.sink.borrow_mut().add("extends", name.span, message).relate(first, "the first time");
                }
                None => moved.push(index),
            }
        }
        if let Some(first) = names.first() {
            self.history.ordered = Some(first.span);
        }
        let mut rest: Vec<Option<YamlNode>> = std::mem::take(&mut self.nodes).into_iter().map(Some).collect();
        self.nodes.extend(moved.into_iter().filter_map(|index| rest[index].take()));
        self.nodes.extend(rest.into_iter().flatten());
    }
}
