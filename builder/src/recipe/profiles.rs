//! Profiles of a recipe: parts of it that are merged over the rest if they are chosen.

use std::collections::BTreeSet;

use super::decode::{FindingSink, wrong_type};
use super::merge::{self, FileKind};
use super::name::Name;
use super::node::{MappingKey, YamlNode, YamlValue};
use super::params::names_in;
use super::text::Span;
use crate::similar;

/// Keys of a recipe that a profile can't have: which files a recipe consists of does not depend on a profile.
const OUTSIDE: [&str; 2] = ["extends", "profiles"];

/// The profiles of a recipe and of those that it extends.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    /// Each profile that a file states, from the recipe itself to the last that it extends.
    stated: Vec<(MappingKey, YamlNode)>,
}

impl Profiles {
    /// Takes the profiles of a file, whose `profiles` is this node.
    pub fn add(&mut self, node: YamlNode, sink: &FindingSink) {
        let pairs = match node.value {
            YamlValue::Null => return,
            YamlValue::Map(pairs) => pairs,
            _ => return wrong_type(&node, "a mapping of names to parts of a recipe", sink),
        };
        for (key, profile) in pairs {
            if let Some(why) = Name::fault(&key.name) {
                let message = format!("{:?} can't be the name of a profile: {why}", key.name);
                sink.borrow_mut().add("name", key.span, message);
                continue;
            }
            match &profile.value {
                YamlValue::Map(pairs) => {
                    for (inner, _) in pairs.iter().filter(|(inner, _)| OUTSIDE.contains(&inner.name.as_str())) {
                        let message = format!("a profile can't have `{}`", inner.name);
                        sink.borrow_mut().add("unknown-key", inner.span, message);
                    }
                    self.stated.push((key, profile));
                }
                YamlValue::Null => self.stated.push((key, YamlNode::new(YamlValue::Map(Vec::new()), profile.span))),
                _ => wrong_type(&profile, "a part of a recipe (a mapping)", sink),
            }
        }
    }

    /// The names of all profiles, in order.
    pub fn names(&self) -> BTreeSet<String> {
        self.stated.iter().map(|(key, _)| key.name.clone()).collect()
    }

    /// The first of the names that is no profile.
    pub fn unknown<'n>(&self, names: &'n [String]) -> Option<&'n String> {
        names.iter().find(|name| !self.stated.iter().any(|(key, _)| key.name == **name))
    }

    /// What there is instead of an unknown profile, as the end of a sentence.
    pub fn hint(&self, name: &str) -> String {
        let names = self.names();
        match similar::nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("; {}", similar::did_you_mean(near)),
            None if names.is_empty() => "; it has none".to_owned(),
            None => format!("; there are: {}", names.into_iter().collect::<Vec<_>>().join(", ")),
        }
    }

    /// Merges the profiles of these names over a recipe, in their order, each once; of each first what the file states that is
    /// extended by all others.
    pub fn apply(&self, names: &[String], recipe: &mut YamlNode, sink: &FindingSink) {
        for (_, name) in names.iter().enumerate().filter(|(at, name)| !names[..*at].contains(name)) {
            for (_, profile) in self.stated.iter().rev().filter(|(key, _)| key.name == *name) {
                merge::merge(recipe, profile.clone(), FileKind::Recipe, sink);
            }
        }
    }

    /// The names of parameters that any of them contains.
    pub fn parameters(&self) -> BTreeSet<String> {
        let mut used = BTreeSet::new();
        for (_, profile) in &self.stated {
            profile.clone().visit_text(&mut |text: &mut String, _: Span| used.extend(names_in(text)));
        }
        used
    }
}
