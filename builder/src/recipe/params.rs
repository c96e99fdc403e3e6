//! The parameters of a recipe.

use std::collections::{BTreeMap, BTreeSet};

use super::decode::{Decode, FindingSink, Table, word};
use super::error::LoadError;
use super::keys;
use super::node::{self, YamlNode, YamlValue};
use super::text::{RecipeFiles, Span};
use crate::similar;

/// Settings of parameters: `--set name=value`.
pub type Settings = BTreeMap<String, String>;

/// A parameter of a recipe.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its default value.
    pub default: Option<String>,
    /// The permitted values; empty for any.
    pub choices: Vec<String>,
    /// Where it is declared.
    pub declared: Option<Span>,
    /// Whether a text of the recipe contains it.
    pub is_used: bool,
}

impl Decode for Parameter {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        if let YamlValue::Text { text, .. } = &node.value {
            let default = Some(text.clone());
            return Some(Self { default, choices: Vec::new(), declared: None, is_used: false });
        }
        let table = Table::open(node, &keys::PARAMETER, sink)?;
        if let Some(kind) = table.node("type") {
            word(kind, &[("string", ())], sink);
        }
        let (default, choices) = (table.optional("default"), table.or_default("choices"));
        let parameter = Self { default, choices, declared: None, is_used: false };
        let _help: Option<String> = table.optional("help");
        table.close();
        Some(parameter)
    }
}

/// The parameters of a recipe and their uses.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    /// The parameters by name.
    pub declared: BTreeMap<String, Parameter>,
    /// The names of the parameters in each text that contains any.
    pub uses: BTreeMap<Span, BTreeSet<String>>,
}

/// Substitutes the values of parameters for `${name}`; `$${` stands for `${`.
pub(super) fn substitute(
    root: &mut YamlNode,
    settings: &Settings,
    files: &RecipeFiles,
    sink: &FindingSink,
) -> Result<Parameters, LoadError> {
    let params = match root.get("params") {
        Some(node) => Vec::<(node::MappingKey, Parameter)>::decode(node, sink).unwrap_or_default(),
        None => Vec::new(),
    };
    let mut values = BTreeMap::new();
    for (key, parameter) in &params {
        let value = settings.get(&key.name).or(parameter.default.as_ref());
        if let Some(value) = value {
            if !parameter.choices.is_empty() && !parameter.choices.contains(value) {
                let message = format!("`{value}` is not a valid value of parameter `{}`", key.name);
                let help = format!("one of: {}", parameter.choices.join(", "));
                let mut findings = sink.borrow_mut();
                let finding = findings.add("parameter", key.span, message).help(help);
                // Each may be of another file.
                let stated = root.get("params").and_then(|params| params.get(&key.name));
                stated
                    .and_then(|node| node.get("choices"))
                    .into_iter()
                    .for_each(|node| _ = finding.relate(node.span, "the valid values"));
                let default = stated.map(|node| node.get("default").unwrap_or(node));
                let default = default.filter(|_| !settings.contains_key(&key.name));
                default.into_iter().for_each(|node| _ = finding.relate(node.span, "its default"));
            }
            values.insert(key.name.clone(), value.clone());
        } else {
            let message = format!("parameter `{}` has no default and was not set", key.name);
            let help = format!("pass --set {}=…", key.name);
            sink.borrow_mut().add("parameter", key.span, message).help(help);
        }
    }
    if let Some(name) = settings.keys().find(|name| !params.iter().any(|(key, _)| key.name == **name)) {
        let names: Vec<&str> = params.iter().map(|(key, _)| key.name.as_str()).collect();
        let hint = match similar::nearest(name, names.iter().copied()) {
            Some(near) => format!("; {}", similar::did_you_mean(near)),
            None => format!("; there are: {}", names.join(", ")),
        };
        let place = root.get("params").map(|node| format!(" ({})", files.locate(node.span)));
        let hint = hint + &place.unwrap_or_default();
        return Err(LoadError::Parameter { name: name.clone(), hint });
    }
    let declared = root.get("params").map(|node| (node.span, node.history.removed.clone()));
    let mut uses: BTreeMap<Span, BTreeSet<String>> = BTreeMap::new();
    root.visit_text(&mut |text, span| {
        let (expanded, names) = expand(text, &values);
        *text = expanded;
        for name in names.iter().filter(|name| !values.contains_key(*name)) {
            let mut findings = sink.borrow_mut();
            let finding = findings.add("parameter", span, format!("there is no parameter `{name}`"));
            match similar::nearest(name, values.keys().map(String::as_str)) {
                Some(near) => finding.suggest(near),
                None => finding.help("declare it under `params`, or write $${ for a literal ${"),
            };
            match &declared {
                Some((span, removed)) => match removed.iter().find(|removed| removed.name == *name) {
                    Some(removed) => finding.relate(removed.by, "it is removed here"),
                    None => finding.relate(*span, "the parameters are declared here"),
                },
                None => finding,
            };
        }
        if !names.is_empty() {
            uses.insert(span, names);
        }
    });
    let used: BTreeSet<&String> = uses.values().flatten().collect();
    let noted = |(key, parameter): (node::MappingKey, Parameter)| {
        let is_used = used.contains(&key.name);
        (key.name, Parameter { declared: Some(key.span), is_used, ..parameter })
    };
    let declared = params.into_iter().map(noted).collect();
    Ok(Parameters { declared, uses })
}

/// A text with the values of its parameters, and their names.
fn expand(text: &str, values: &BTreeMap<String, String>) -> (String, BTreeSet<String>) {
    let mut names = BTreeSet::new();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let escaped = rest[..at].ends_with('$');
        out.push_str(rest[..at].strip_suffix('$').filter(|_| escaped).unwrap_or(&rest[..at]));
        rest = &rest[at + 2..];
        if escaped {
            out.push_str("${");
            continue;
        }
        let (name, after) = rest.split_once('}').unwrap_or((rest, ""));
        out.push_str(values.get(name).map_or("", String::as_str));
        names.insert(name.to_owned());
        rest = after;
    }
    out.push_str(rest);
    (out, names)
}
