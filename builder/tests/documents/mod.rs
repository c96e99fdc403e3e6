//! Documents that are made of the tables of keys: for each mapping a file that contains it, and variants of it.

pub mod judge;
pub mod parser;

use std::path::Path;

use dbco::schema::DocumentKind;
use dbco::yaml::keys::{Form, Key, Keys, Rule};
use dbco::yaml::node::{MappingKey, YamlNode, YamlValue, parse};
use dbco::yaml::text::{Findings, RecipeFiles};

/// A text as YAML, with every location at its start.
pub fn yaml(text: &str) -> YamlNode {
    let mut files = RecipeFiles::default();
    let file = files.add(Path::new("text"), text.to_owned());
    let mut findings = Findings::default();
    let node = parse(&files, file, &mut findings);
    assert!(findings.is_empty(), "{text}: {:?}", findings.sorted());
    node.unwrap()
}

/// A node as YAML in flow style; what was plain stays plain.
pub fn text(node: &YamlNode) -> String {
    match &node.value {
        YamlValue::Null => "null".into(),
        YamlValue::Text { text, plain: true } if !text.contains(['{', '}', '[', ']', ',', '#', ':', '"']) => {
            text.clone()
        }
        YamlValue::Text { text, .. } => serde_json::to_string(text).unwrap(),
        YamlValue::List(nodes) => format!("[{}]", nodes.iter().map(text_of).collect::<Vec<_>>().join(", ")),
        YamlValue::Map(pairs) => {
            let each = pairs
                .iter()
                .map(|(key, node)| format!("{}: {}", serde_json::to_string(&key.name).unwrap(), text(node)));
            format!("{{{}}}", each.collect::<Vec<_>>().join(", "))
        }
    }
}

fn text_of(node: &YamlNode) -> String {
    text(node)
}

/// A file at its top level in block style, as `dbco` finds a file's kind by its first lines.
pub fn file(node: &YamlNode) -> String {
    let YamlValue::Map(pairs) = &node.value else { return text(node) };
    pairs.iter().map(|(key, node)| format!("{}: {}\n", key.name, text(node))).collect()
}

/// Where a mapping is in a kind of file.
#[derive(Clone)]
pub struct Place {
    pub kind: &'static DocumentKind,
    pub keys: &'static Keys,
    /// The keys that lead to it, each with the mapping that has it, and the lists and mappings of names in between.
    path: Vec<(&'static Keys, &'static Key, Vec<Hop>, &'static Keys)>,
}

#[derive(Clone, Copy)]
enum Hop {
    List,
    Map,
}

/// Every mapping of a kind of file, each once.
pub fn places(kind: &'static DocumentKind) -> Vec<Place> {
    let mut found = vec![Place { kind, keys: kind.keys, path: Vec::new() }];
    let mut next = 0;
    while let Some(place) = found.get(next).cloned() {
        next += 1;
        for key in place.keys.all() {
            below(&key.form, &mut Vec::new(), &mut |keys, hops| {
                if !found.iter().any(|known| known.keys.id == keys.id) {
                    let mut path = place.path.clone();
                    path.push((place.keys, key, hops.to_vec(), keys));
                    found.push(Place { kind, keys, path });
                }
            });
        }
    }
    found
}

fn below(form: &'static Form, hops: &mut Vec<Hop>, found: &mut impl FnMut(&'static Keys, &[Hop])) {
    match form {
        Form::Scalar(_) | Form::Words(_) | Form::Difference(_) => {}
        Form::List(of) => {
            hops.push(Hop::List);
            below(of, hops, found);
            hops.pop();
        }
        Form::Map(of) => {
            hops.push(Hop::Map);
            below(of, hops, found);
            hops.pop();
        }
        Form::Any(forms) => forms.iter().for_each(|form| below(form, hops, found)),
        Form::Mapping(keys) => found(keys, hops),
    }
}

impl Place {
    /// A document with this mapping at the place.
    pub fn document(&self, mapping: YamlNode) -> YamlNode {
        let mut made = mapping;
        for (depth, (owner, key, hops, _)) in self.path.iter().enumerate().rev() {
            for hop in hops.iter().rev() {
                let span = made.span;
                let name = MappingKey { name: "one".into(), span };
                let value = match hop {
                    Hop::List => YamlValue::List(vec![made]),
                    Hop::Map => YamlValue::Map(vec![(name, made)]),
                };
                made = YamlNode::new(value, span);
            }
            let above = if depth == 0 { self.kind.keys } else { self.path[depth - 1].3 };
            assert_eq!(above.id, owner.id);
            made = with(above, yaml(above.example), key.name, made);
        }
        made
    }

    /// The mapping's example with a key that has this value.
    pub fn example_with(&self, key: &str, value: &str) -> YamlNode {
        with(self.keys, yaml(self.keys.example), key, yaml(value))
    }

    /// Its name in messages of tests.
    pub fn name(&self) -> String {
        format!("{}: {}", self.kind.name, self.keys.id)
    }
}

/// A mapping with a key set, without those that exclude it, and with those that it needs.
pub fn with(keys: &'static Keys, mut mapping: YamlNode, key: &str, value: YamlNode) -> YamlNode {
    for rule in keys.rules {
        match rule {
            Rule::One(names) if names.contains(&key) => {
                names.iter().filter(|name| **name != key).for_each(|name| remove(keys, &mut mapping, name));
            }
            Rule::Not(one, other) if key == *one || key == *other => {
                remove(keys, &mut mapping, if key == *one { other } else { one });
            }
            _ => {}
        }
    }
    set(&mut mapping, key, value);
    for rule in keys.rules {
        if let Rule::Needs(names, other) = rule
            && names.contains(&key)
            && mapping.get(other).is_none()
        {
            let example = yaml(keys.find(other).unwrap().example);
            mapping = with(keys, mapping, other, example);
        }
    }
    mapping
}

/// Sets a key, whatever else is there.
pub fn set(mapping: &mut YamlNode, key: &str, value: YamlNode) {
    let span = mapping.span;
    match (mapping.get_mut(key).is_some(), &mut mapping.value) {
        (false, YamlValue::Map(pairs)) => pairs.push((MappingKey { name: key.to_owned(), span }, value)),
        _ => *mapping.get_mut(key).expect("it is a mapping") = value,
    }
}

/// Removes a key, and those that need it.
fn remove(keys: &'static Keys, mapping: &mut YamlNode, key: &str) {
    if mapping.take(key).is_none() {
        return;
    }
    for rule in keys.rules {
        if let Rule::Needs(names, other) = rule
            && *other == key
        {
            names.iter().for_each(|name| remove(keys, mapping, name));
        }
    }
}

/// A value that a form can't have.
pub fn wrong(form: &Form) -> &'static str {
    match form {
        Form::Scalar(_) | Form::Words(_) => "{qqqqqqqq: 1}",
        Form::List(_) | Form::Map(_) | Form::Mapping(_) | Form::Difference(_) => "5",
        Form::Any(_) => "[[5]]",
    }
}

/// The words of a form, if it is one of several words, or a list of them.
pub fn words(form: &Form) -> Option<Vec<&'static str>> {
    match form {
        Form::Words(words) => Some(words.iter().map(|word| word.name).collect()),
        Form::List(of) => words_of(of),
        _ => None,
    }
}

fn words_of(form: &Form) -> Option<Vec<&'static str>> {
    match form {
        Form::Words(words) => Some(words.iter().map(|word| word.name).collect()),
        _ => None,
    }
}
