//! The parameters of a recipe.

use std::collections::BTreeMap;

use super::decode::{Decode, FindingSink, Table, word};
use super::error::LoadError;
use super::keys;
use super::node::{self, YamlNode, YamlValue};
use super::text::{Findings, Span};
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
}

impl Decode for Parameter {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        if let YamlValue::Text { text, .. } = &node.value {
            return Some(Self { default: Some(text.clone()), choices: Vec::new() });
        }
        let table = Table::open(node, &keys::PARAMETER, sink)?;
        if let Some(kind) = table.node("type") {
            word(kind, &[("string", ())], sink);
        }
        let parameter = Self { default: table.optional("default"), choices: table.or_default("choices") };
        let _help: Option<String> = table.optional("help");
        table.close();
        Some(parameter)
    }
}

/// Substitutes the values of parameters for `${name}`; `$${` stands for `${`.
///
/// Gives the parameters by name.
pub(super) fn substitute(
    root: &mut YamlNode,
    settings: &Settings,
    sink: &FindingSink,
) -> Result<BTreeMap<String, Parameter>, LoadError> {
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
                sink.borrow_mut().add("parameter", key.span, message).help(help);
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
        return Err(LoadError::Parameter { name: name.clone(), hint });
    }
    root.visit_text(&mut |text, span| *text = expand(text, &values, span, &mut sink.borrow_mut()));
    Ok(params.into_iter().map(|(key, parameter)| (key.name, parameter)).collect())
}

fn expand(text: &str, values: &BTreeMap<String, String>, span: Span, findings: &mut Findings) -> String {
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
        match values.get(name) {
            Some(value) => out.push_str(value),
            None => {
                let finding = findings.add("parameter", span, format!("there is no parameter `{name}`"));
                match similar::nearest(name, values.keys().map(String::as_str)) {
                    Some(near) => finding.suggest(near),
                    None => finding.help("declare it under `params`, or write $${ for a literal ${"),
                };
            }
        }
        rest = after;
    }
    out.push_str(rest);
    out
}
