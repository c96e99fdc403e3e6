//! Single values as YAML.

use crate::printable::is_harmless;

/// Where a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// On a line of its own.
    Block,
    /// In brackets or braces.
    Flow,
    /// As a key.
    Key,
}

/// A text on one line: as it is if a reader then gets the same text, and otherwise in quotes. `plain` is whether it may be
/// read as a number or a boolean.
pub fn scalar(text: &str, plain: bool, place: Where) -> String {
    if can_be_plain(text, place) && (plain || place == Where::Key || !looks_typed(text)) {
        return text.to_owned();
    }
    let all_harmless = text.chars().all(is_harmless);
    if all_harmless && text.contains(['"', '\\']) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted += "\\n",
            '\t' => quoted += "\\t",
            '\r' => quoted += "\\r",
            c if is_harmless(c) => quoted.push(c),
            c if u32::from(c) <= 0xff => quoted += &format!("\\x{:02x}", u32::from(c)),
            c if u32::from(c) <= 0xffff => quoted += &format!("\\u{:04x}", u32::from(c)),
            c => quoted += &format!("\\U{:08x}", u32::from(c)),
        }
    }
    quoted + "\""
}

/// Whether a text without quotes is read as the same text (YAML 1.2, 7.3.3); stricter than necessary.
fn can_be_plain(text: &str, place: Where) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let starts = first.is_alphanumeric() || "/.$_(<+^-".contains(first);
    let dashes = text.starts_with("- ") || text == "-" || text.starts_with("---") || text.starts_with("...");
    let inside = match place {
        Where::Block => !text.contains(": ") && !text.ends_with(':'),
        // The parser takes `[a -]`, which is valid, for the start of another element.
        Where::Flow | Where::Key => !text.contains([',', '[', ']', '{', '}', ':']) && !text.ends_with(" -"),
    };
    let null = ["null", "~"].contains(&text);
    starts
        && inside
        && !null
        && !dashes
        && !text.contains(" #")
        && !text.ends_with(char::is_whitespace)
        && text.chars().all(is_harmless)
}

/// Whether a reader of YAML may take a text without quotes for a number, a boolean or a date.
fn looks_typed(text: &str) -> bool {
    let word = text.to_ascii_lowercase();
    let is_path = text.starts_with("./") || text.starts_with("../");
    (text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) && !is_path)
        || ["true", "false", "yes", "no", "on", "off", "y", "n", "null"].contains(&word.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_may_be_read_as_something_else_is_quoted() {
        for text in [
            "n", "y", "on", "No", "1.0", "true", "null", "~", "", "- a", "a: b", "a #b", "*a", "&a", ".5", ".inf",
            "[a]", " a",
        ] {
            let written = scalar(text, false, Where::Block);
            assert!(written.starts_with(['"', '\'']), "{text:?}: {written}");
        }
        for text in ["hello", "a b", "a-b", "/a/b", "a, b", "a:b", "../a", "./a"] {
            assert_eq!(scalar(text, false, Where::Block), text);
        }
        assert_eq!(scalar("1.0", true, Where::Block), "1.0");
        for text in ["a, b", "a:b", "a]"] {
            assert_eq!(scalar(text, false, Where::Flow), format!("\"{text}\""));
        }
        assert_eq!(scalar("say \"it\"", false, Where::Block), "say \"it\"");
        assert_eq!(scalar("\"it's\"", false, Where::Block), "'\"it''s\"'");
        assert_eq!(scalar("a\nb", false, Where::Block), "\"a\\nb\"");
    }
}
