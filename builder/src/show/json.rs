//! An effective recipe as JSON.

use serde_json::{Map, Value, json};

use super::{Content, Place, SetBy, Shown};
use crate::yaml::json::scalar;

/// The value. Plain whole numbers and booleans become those of JSON, everything else is text.
pub fn json(shown: &Shown) -> Value {
    match &shown.content {
        Content::Nothing => Value::Null,
        Content::Text { text, plain, .. } => scalar(text, *plain),
        Content::List(elements) => elements.iter().map(|(_, shown)| json(shown)).collect(),
        Content::Map { pairs, .. } => {
            Value::Object(pairs.iter().map(|(key, shown)| (key.clone(), json(shown))).collect::<Map<_, _>>())
        }
    }
}

/// The origin of each value: of texts, of empty lists and mappings, and of those that replaced another or were ordered.
pub fn origins(shown: &Shown, key: &str) -> Vec<Value> {
    let mut all = Vec::new();
    visit(shown, key, &mut |shown, key| {
        let origin = &shown.origin;
        let empty = match &shown.content {
            Content::Nothing | Content::Text { .. } => true,
            Content::List(elements) => elements.is_empty(),
            Content::Map { pairs, .. } => pairs.is_empty(),
        };
        if !empty && origin.overrode.is_empty() && origin.ordered.is_none() {
            return;
        }
        let set = match &origin.set {
            SetBy::File(at) => place(at),
            SetBy::Option => json!("--set"),
            SetBy::Default => json!("default"),
        };
        let params = origin
            .params
            .iter()
            .map(|used| json!({"name": used.name, "set": used.default.as_ref().map_or(json!("--set"), place)}));
        let mut value =
            json!({"key": key, "set": set, "overrode": origin.overrode.iter().map(place).collect::<Vec<_>>()});
        if !origin.params.is_empty() {
            value["params"] = params.collect();
        }
        if let Some(ordered) = &origin.ordered {
            value["ordered"] = place(ordered);
        }
        all.push(value);
    });
    all
}

/// The keys and elements that files removed.
pub fn removed(shown: &Shown, key: &str) -> Vec<Value> {
    let mut all = Vec::new();
    visit(shown, key, &mut |shown, key| {
        all.extend(shown.removed.iter().map(|removed| {
            json!({
                "key": join(key, &removed.name), "by": place(&removed.by),
                "was": removed.was.iter().map(place).collect::<Vec<_>>(),
            })
        }));
    });
    all
}

fn place(place: &Place) -> Value {
    json!({"file": place.file, "line": place.line, "column": place.column})
}

fn join(key: &str, name: &str) -> String {
    if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") }
}

fn visit(shown: &Shown, key: &str, act: &mut dyn FnMut(&Shown, &str)) {
    act(shown, key);
    match &shown.content {
        Content::Nothing | Content::Text { .. } => {}
        Content::List(elements) => {
            elements
                .iter()
                .enumerate()
                .for_each(|(number, (_, shown))| visit(shown, &join(key, &number.to_string()), act));
        }
        Content::Map { pairs, .. } => pairs.iter().for_each(|(name, shown)| visit(shown, &join(key, name), act)),
    }
}
