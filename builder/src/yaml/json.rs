//! YAML's single values as JSON.

use serde_json::Value;

/// A text as JSON: a whole number or a boolean if it is written plain and spelt as JSON would spell it, so `007` is a text.
pub fn scalar(text: &str, plain: bool) -> Value {
    match (text, text.parse::<i64>()) {
        ("true" | "false", _) if plain => Value::Bool(text == "true"),
        (text, Ok(number)) if plain && number.to_string() == text => number.into(),
        (text, _) => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::scalar;
    use serde_json::json;

    #[test]
    fn only_what_json_spells_the_same_is_a_number_or_a_boolean() {
        for (text, plain, value) in [
            ("7", true, json!(7)),
            ("-7", true, json!(-7)),
            ("7", false, json!("7")),
            ("007", true, json!("007")),
            ("+7", true, json!("+7")),
            ("6.1", true, json!("6.1")),
            ("true", true, json!(true)),
            ("true", false, json!("true")),
            ("True", true, json!("True")),
        ] {
            assert_eq!(scalar(text, plain), value, "{text} {plain}");
        }
    }
}
