//! The parameters of a recipe.

use std::collections::{BTreeMap, BTreeSet};

use super::decode::{At, Decode, FindingSink, Table, size};
use super::error::LoadError;
use super::keys;
use super::node::{self, YamlNode, YamlValue};
use super::settings::Settings;
use super::text::{RecipeFiles, Span};
use crate::similar;

/// A parameter of a recipe.
#[derive(Clone, Debug, Default)]
pub struct Parameter {
    /// What its value is.
    pub kind: ParameterType,
    /// Its default value.
    pub default: Option<String>,
    /// The permitted values; empty for any.
    pub choices: Vec<String>,
    /// The least and the greatest permitted value of a number or a size.
    pub bounds: (Option<String>, Option<String>),
    /// Where it is declared.
    pub declared: Option<Span>,
    /// Whether a text of the recipe contains it.
    pub is_used: bool,
}

impl Decode for Parameter {
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        if let YamlValue::Text { text, .. } = &node.value {
            return Some(Self { default: Some(text.clone()), ..Self::default() });
        }
        let table = Table::open(node, &keys::PARAMETER, sink)?;
        let kind = table.word_or("type", &ParameterType::WORDS, ParameterType::Text).unwrap_or_default();
        let (default, choices) = (table.optional("default"), table.or_default("choices"));
        let bounds = ["minimum", "maximum"].map(|name| {
            let bound: Option<At<String>> = table.optional(name);
            let message = match &bound {
                Some(_) if kind.number("0").is_none() => {
                    format!("`{name}` is only valid for a parameter of type `integer` or `size`")
                }
                Some(bound) if kind.number(bound).is_none() => format!("`{name}` is not {}", kind.what()),
                _ => return bound.map(|bound| bound.value),
            };
            bound.iter().for_each(|bound| _ = sink.borrow_mut().add("parameter", bound.span, message.clone()));
            None
        });
        let [minimum, maximum] = bounds;
        let _help: Option<String> = table.optional("help");
        table.close();
        Some(Self { kind, default, choices, bounds: (minimum, maximum), ..Self::default() })
    }
}

/// What the value of a parameter is. Each is inserted as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ParameterType {
    /// Any text.
    #[default]
    Text,
    /// A whole number, with or without a sign.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// A number of bytes: `512M`.
    Size,
}

impl ParameterType {
    const WORDS: [(&str, Self); 4] =
        [("string", Self::Text), ("integer", Self::Integer), ("boolean", Self::Boolean), ("size", Self::Size)];

    /// What a value is, for messages.
    fn what(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Integer => "a whole number",
            Self::Boolean => "`true` or `false`",
            Self::Size => "a size: a number with K, M, G or T (`512M`)",
        }
    }

    /// The number that a value stands for; none for a value that is not of this type, and for types without an order.
    fn number(self, value: &str) -> Option<i128> {
        match self {
            Self::Integer => value.parse::<i64>().ok().map(i128::from),
            // A parameter may also switch something off.
            Self::Size if value == "0" => Some(0),
            Self::Size => size(value).map(i128::from),
            Self::Text | Self::Boolean => None,
        }
    }
}

impl Parameter {
    /// What is wrong with a value, and what would be right.
    fn fault(&self, name: &str, value: &str) -> Option<(String, String)> {
        let is_typed = match self.kind {
            ParameterType::Text => true,
            ParameterType::Boolean => ["true", "false"].contains(&value),
            ParameterType::Integer | ParameterType::Size => self.kind.number(value).is_some(),
        };
        let wrong = |help: String| Some((format!("`{value}` is not a valid value of parameter `{name}`"), help));
        if !is_typed {
            return wrong(format!("expected {}", self.kind.what()));
        }
        if !self.choices.is_empty() && !self.choices.iter().any(|choice| choice == value) {
            return wrong(format!("one of: {}", self.choices.join(", ")));
        }
        let number = self.kind.number(value)?;
        let bound = |bound: &Option<String>| bound.as_deref().and_then(|bound| self.kind.number(bound));
        match (&self.bounds, bound(&self.bounds.0), bound(&self.bounds.1)) {
            ((Some(least), _), Some(limit), _) if number < limit => wrong(format!("at least {least}")),
            ((_, Some(most)), _, Some(limit)) if number > limit => wrong(format!("at most {most}")),
            _ => None,
        }
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

/// Substitutes the values of parameters for `${name}`; `$${` stands for `${`. `elsewhere` has the names of parameters that
/// parts of the recipe use which are not in it now.
pub(super) fn substitute(
    root: &mut YamlNode,
    settings: &Settings,
    elsewhere: &BTreeSet<String>,
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
            if let Some((mut message, help)) = parameter.fault(&key.name, value) {
                if let Some(place) = settings.place(&key.name) {
                    message = format!("{place}: {message}");
                }
                let mut findings = sink.borrow_mut();
                let finding = findings.add("parameter", key.span, message).help(help);
                // Each may be of another file.
                let stated = root.get("params").and_then(|params| params.get(&key.name));
                for (key, what) in [("choices", "the valid values"), ("type", "its type")] {
                    let node = stated.and_then(|node| node.get(key));
                    node.into_iter().for_each(|node| _ = finding.relate(node.span, what));
                }
                let default = stated.map(|node| node.get("default").unwrap_or(node));
                let default = default.filter(|_| settings.get(&key.name).is_none());
                default.into_iter().for_each(|node| _ = finding.relate(node.span, "its default"));
            }
            values.insert(key.name.clone(), value.clone());
        } else {
            let message = format!("parameter `{}` has no default and was not set", key.name);
            let help = format!("pass --set {}=…", key.name);
            sink.borrow_mut().add("parameter", key.span, message).help(help);
        }
    }
    if let Some(name) = settings.names().find(|name| !params.iter().any(|(key, _)| key.name == **name)) {
        let names: Vec<&str> = params.iter().map(|(key, _)| key.name.as_str()).collect();
        let hint = match similar::nearest(name, names.iter().copied()) {
            Some(near) => format!("; {}", similar::did_you_mean(near)),
            None => format!("; there are: {}", names.join(", ")),
        };
        let place = root.get("params").map(|node| format!(" ({})", files.locate(node.span)));
        let hint = hint + &place.unwrap_or_default();
        let stated = match settings.place(name) {
            Some(place) => format!("{place}: `{name}`"),
            None => format!("`--set {name}=…`"),
        };
        return Err(LoadError::Parameter { stated, name: name.clone(), hint });
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
    let used: BTreeSet<&String> = uses.values().flatten().chain(elsewhere).collect();
    let noted = |(key, parameter): (node::MappingKey, Parameter)| {
        let is_used = used.contains(&key.name);
        (key.name, Parameter { declared: Some(key.span), is_used, ..parameter })
    };
    let declared = params.into_iter().map(noted).collect();
    Ok(Parameters { declared, uses })
}

/// The names of the parameters in a text.
pub(super) fn names_in(text: &str) -> BTreeSet<String> {
    expand(text, &BTreeMap::new()).1
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
