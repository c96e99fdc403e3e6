//! Examples and defaults, which the tables have as YAML.

use std::path::Path;

use serde_json::{Map, Value};

use crate::yaml::json::scalar;
use crate::yaml::node::{YamlNode, YamlValue, parse};
use crate::yaml::text::{Findings, RecipeFiles};

/// A text in YAML as JSON, as an editor reads it.
pub fn to_json(yaml: &str) -> Value {
    let mut files = RecipeFiles::default();
    let file = files.add(Path::new("example"), yaml.to_owned());
    parse(&files, file, &mut Findings::default()).map_or(Value::Null, |node| value(&node))
}

fn value(node: &YamlNode) -> Value {
    match &node.value {
        YamlValue::Null => Value::Null,
        YamlValue::Text { text, plain } => scalar(text, *plain),
        YamlValue::List(nodes) => nodes.iter().map(value).collect(),
        YamlValue::Map(pairs) => {
            Value::Object(pairs.iter().map(|(key, node)| (key.name.clone(), value(node))).collect::<Map<_, _>>())
        }
    }
}
