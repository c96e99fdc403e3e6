//! Tables of keys as JSON Schema, draft 2020-12.

use serde_json::{Map, Value, json};

use super::DocumentKind;
use super::example::to_json;
use crate::recipe::keys::LIST_CHANGES;
use crate::yaml::keys::{Form, Key, Keys, Need, Rule, Scalar, Word};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The name of the definition of a value with parameters.
const PARAMETER: &str = "with-parameter";

/// The schema of a kind of file. What it accepts is a superset of what dbco accepts: what a schema can't express is left
/// to `dbco check`.
pub fn schema(kind: &DocumentKind) -> Value {
    let mut writer = SchemaWriter { parameters: kind.parameters, definitions: Map::new() };
    let complete = writer.mapping(kind.keys, Part::Complete);
    let mut root = json!({ "$schema": DRAFT, "title": format!("dbco: {}", kind.name), "description": kind.keys.about });
    if kind.extends {
        // A file that extends another one states only what differs.
        root["if"] = json!({ "required": ["extends"] });
        root["then"] = writer.mapping(kind.keys, Part::Difference);
        root["else"] = complete;
    } else {
        root["$ref"] = complete["$ref"].clone();
    }
    if kind.parameters {
        let about = "a text with a parameter: `${name}`";
        writer
            .definitions
            .insert(PARAMETER.into(), json!({ "type": "string", "pattern": "\\$\\{", "description": about }));
    }
    root["$defs"] = Value::Object(writer.definitions);
    root
}

/// Whether a mapping is stated completely, or merged over another one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Complete,
    Difference,
}

struct SchemaWriter {
    parameters: bool,
    definitions: Map<String, Value>,
}

impl SchemaWriter {
    /// A reference to a definition, which `make` makes if it is not there yet.
    fn definition(&mut self, name: String, make: impl FnOnce(&mut Self) -> Value) -> Value {
        let reference = json!({ "$ref": format!("#/$defs/{name}") });
        if !self.definitions.contains_key(&name) {
            self.definitions.insert(name.clone(), Value::Null);
            let made = make(self);
            self.definitions.insert(name, made);
        }
        reference
    }

    fn mapping(&mut self, keys: &'static Keys, part: Part) -> Value {
        let name = match part {
            Part::Complete => keys.id.to_owned(),
            Part::Difference => format!("{}.difference", keys.id),
        };
        self.definition(name, |writer| writer.complete_mapping(keys, part))
    }

    fn complete_mapping(&mut self, keys: &'static Keys, part: Part) -> Value {
        let properties: Map<String, Value> =
            keys.all().map(|key| (key.name.to_owned(), self.property(key, part))).collect();
        let mut made = json!({
            "type": "object",
            "description": keys.about,
            "properties": properties,
            "additionalProperties": false,
        });
        if part == Part::Complete {
            let required: Vec<_> = keys.all().filter(|key| key.need == Need::Required).map(|key| key.name).collect();
            if !required.is_empty() {
                made["required"] = json!(required);
            }
            let rules: Vec<Value> = keys.rules.iter().map(rule).collect();
            if !rules.is_empty() {
                made["allOf"] = json!(rules);
            }
        }
        made
    }

    fn property(&mut self, key: &'static Key, part: Part) -> Value {
        let mut made = self.form(&key.form, part);
        // A key without a value counts as missing, and removes the value of the extended file.
        if part == Part::Difference || key.need != Need::Required {
            made = nullable(made);
        }
        made["description"] = key.about.into();
        made["examples"] = json!([to_json(key.example)]);
        if let Need::Default(value) = key.need {
            made["default"] = to_json(value);
        }
        made
    }

    fn form(&mut self, form: &'static Form, part: Part) -> Value {
        match form {
            Form::Scalar(kind) => self.definition(kind.id.to_owned(), |writer| writer.scalar(kind)),
            Form::Words(words) => self.words(words),
            Form::List(of) => {
                // A list replaces that of the extended file: what is in it is complete.
                let list = json!({ "type": "array", "items": self.form(of, Part::Complete) });
                match part {
                    Part::Complete => list,
                    Part::Difference => json!({ "anyOf": [list, self.changes(of)] }),
                }
            }
            Form::Map(of) => {
                let value = self.form(of, part);
                let value = if part == Part::Difference { nullable(value) } else { value };
                json!({ "type": "object", "additionalProperties": value })
            }
            Form::Mapping(keys) => self.mapping(keys, part),
            Form::Difference(keys) => self.mapping(keys, Part::Difference),
            Form::Any(forms) => {
                let forms: Vec<Value> = forms.iter().map(|form| self.form(form, part)).collect();
                json!({ "anyOf": forms })
            }
        }
    }

    /// Operations that change a list with elements of this form.
    fn changes(&mut self, of: &'static Form) -> Value {
        let elements = json!({ "type": "array", "items": self.form(of, Part::Complete) });
        let differences = json!({ "type": "array", "items": self.form(of, Part::Difference) });
        let names = json!({ "type": "array", "items": { "type": ["string", "number", "boolean"] } });
        let operation = |word: &Word| {
            let mut form = match word.name {
                "remove" | "order" => names.clone(),
                "change" => differences.clone(),
                "before" | "after" => json!({ "type": "object", "additionalProperties": elements }),
                _ => elements.clone(),
            };
            form["description"] = word.about.into();
            (word.name.to_owned(), form)
        };
        let operations: Map<String, Value> = LIST_CHANGES.iter().map(operation).collect();
        json!({ "type": "object", "properties": operations, "additionalProperties": false, "minProperties": 1 })
    }

    fn words(&self, words: &[Word]) -> Value {
        let names: Vec<_> = words.iter().map(|word| word.name).collect();
        let about: Vec<_> = words.iter().map(|word| word.about).collect();
        // The second one is no part of the standard; editors show it beside each word.
        let made = json!({ "enum": names, "markdownEnumDescriptions": about });
        if self.parameters { json!({ "anyOf": [made, reference(PARAMETER)] }) } else { made }
    }

    fn scalar(&self, kind: &Scalar) -> Value {
        let mut forms = Vec::new();
        if let Some((least, most)) = kind.integers {
            let mut form = json!({ "type": "integer", "minimum": least });
            if most < u64::MAX {
                form["maximum"] = most.into();
            }
            forms.push(form);
        }
        match kind.texts {
            // What YAML reads as a number or a boolean is a text for dbco.
            Some("") => forms.push(json!({ "type": ["string", "number", "boolean"] })),
            Some(pattern) => forms.push(json!({ "type": "string", "pattern": pattern })),
            None => {}
        }
        if kind.booleans && kind.texts.is_none() {
            forms.push(json!({ "type": "boolean" }));
        }
        if kind.booleans && kind.texts.is_some_and(|texts| !texts.is_empty()) {
            forms.push(json!({ "type": ["number", "boolean"] }));
        }
        if self.parameters && kind.texts != Some("") {
            forms.push(reference(PARAMETER));
        }
        let mut made = if forms.len() == 1 { forms.remove(0) } else { json!({ "anyOf": forms }) };
        made["description"] = kind.about.into();
        made
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn nullable(form: Value) -> Value {
    let mut forms = match form {
        Value::Object(mut map) if map.len() == 1 && map.contains_key("anyOf") => match map.remove("anyOf") {
            Some(Value::Array(forms)) => forms,
            _ => Vec::new(),
        },
        form => vec![form],
    };
    forms.push(json!({ "type": "null" }));
    json!({ "anyOf": forms })
}

fn rule(rule: &Rule) -> Value {
    match rule {
        Rule::One(names) => {
            let each: Vec<_> = names.iter().map(|name| json!({ "required": [name] })).collect();
            json!({ "oneOf": each })
        }
        Rule::Needs(names, other) => {
            let each: Map<String, Value> = names.iter().map(|name| ((*name).to_owned(), json!([other]))).collect();
            json!({ "dependentRequired": each })
        }
        Rule::Not(one, other) => json!({ "not": { "required": [one, other] } }),
    }
}
