//! What a parser's message means to the author of a file.

use super::text::Finding;

/// The lines of a text before a position, with what matters for explanations.
struct Before<'a> {
    text: &'a str,
    /// The line with the position, up to it, and whole.
    line: (&'a str, &'a str),
    /// The start of that line.
    start: usize,
}

impl<'a> Before<'a> {
    fn new(text: &'a str, at: usize) -> Self {
        let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let line = text[start..].lines().next().unwrap_or_default();
        Self { text, line: (&text[start..at], line), start }
    }

    /// The last line before that has content: its number from 1, its start, and its text.
    fn last(&self) -> Option<(usize, usize, &'a str)> {
        let mut start = 0;
        let mut found = None;
        for (index, line) in self.text[..self.start].split_inclusive('\n').enumerate() {
            let content = line.trim();
            if !content.is_empty() && !content.starts_with('#') {
                found = Some((index + 1, start, line.trim_end()));
            }
            start += line.len();
        }
        found
    }

    /// The bracket that is still open at the position: its character, and the number of its line.
    fn open_bracket(&self) -> Option<(char, usize)> {
        let mut open: Vec<(char, usize)> = Vec::new();
        let (mut line, mut quote, mut before) = (1, None, '\n');
        let mut chars = self.text[..self.start + self.line.0.len()].chars().peekable();
        while let Some(c) = chars.next() {
            let starts = before.is_whitespace() || "[{,:".contains(before);
            match (quote, c) {
                (_, '\n') => line += 1,
                (Some(quoted), c) => {
                    if c == '\\' && quoted == '"' {
                        chars.next();
                    } else if c == quoted {
                        quote = None;
                    }
                }
                (None, '#') if before.is_whitespace() => while chars.next_if(|c| *c != '\n').is_some() {},
                (None, '"' | '\'') if starts => quote = Some(c),
                (None, '[' | '{') if starts => open.push((c, line)),
                (None, ']' | '}') => _ = open.pop(),
                _ => {}
            }
            before = c;
        }
        open.pop()
    }
}

/// The key of a line without a space after its colon: `epoch:2021`.
fn key_without_space(line: &str) -> Option<&str> {
    let (key, value) = line.trim_start().split_once(':')?;
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || "_-".contains(c));
    (is_key && !value.is_empty() && !value.starts_with([' ', '/', '\t'])).then_some(key)
}

/// Makes a finding of a parser's message, `info`, about the byte `at` of a text. `deepest` is the maximum nesting.
pub fn explain(info: &str, text: &str, at: usize, deepest: usize, finding: &mut Finding) {
    let before = Before::new(text, at);
    let (own, line) = before.line;
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let last = before.last();
    let message = if info.contains("recursion limit") {
        format!("mappings and lists are nested deeper than {deepest} levels")
    } else if line[..indent(line)].contains('\t') || info.contains("tab") {
        finding.label("use spaces");
        // The parser is at the line before it, where a text could continue.
        let mut start = before.start;
        for line in text[before.start..].split_inclusive('\n') {
            if line[..indent(line)].contains('\t') {
                finding.span.start = start;
                finding.span.end = start + indent(line);
                break;
            }
            start += line.len();
        }
        "tabs can't be used for indentation".to_owned()
    } else if info.contains("quoted scalar") {
        "the text in quotes that begins here does not end".to_owned()
    } else if info.contains("mapping values") && own.contains(": ") {
        finding.label("a text that contains `: ` needs quotes");
        "a second `: ` in one line".to_owned()
    } else if let Some((bracket, number)) =
        before.open_bracket().filter(|(_, number)| text[..before.start].lines().count() >= *number)
    {
        format!("the `{bracket}` of line {number} is not closed")
    } else if let Some((key, number, start)) = last
        .and_then(|(number, start, line)| Some((key_without_space(line)?, number, start)))
        .filter(|_| info.contains("key"))
    {
        finding.span.start = start;
        finding.span.end = start + text[start..].lines().next().unwrap_or_default().len();
        format!("line {number} has no space after `{key}:`")
    } else if let Some((number, _, other)) = last.filter(|(_, _, other)| {
        let is_block = info.contains("block") || info.contains("mapping values");
        is_block && indent(other) != indent(line) && indent(line) > 0
    }) {
        format!("the line is indented by {}, line {number} before it by {}", indent(line), indent(other))
    } else {
        finding.message = format!("invalid YAML: {info}");
        return;
    };
    finding.message = format!("invalid YAML: {message}");
    finding.help(format!("parser message: {info}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_brackets_are_found() {
        for (text, expected) in [
            ("a: [b, c\n", Some(('[', 1))),
            ("a: [b, c]\n", None),
            ("a: {b: [c]\n", Some(('{', 1))),
            ("a:\n  - [x\n", Some(('[', 2))),
            ("a: '[b'\n", None),
            ("a: \"[b\\\"\"\n", None),
            ("a: b # [\n", None),
            ("a: b[c\n", None),
            ("a: it's [x]\n", None),
        ] {
            assert_eq!(Before::new(text, text.len()).open_bracket(), expected, "{text}");
        }
    }

    #[test]
    fn keys_without_a_space_are_found() {
        for (line, key) in [
            ("epoch:2021", Some("epoch")),
            ("  a-b:c", Some("a-b")),
            ("epoch: 2021", None),
            ("epoch:", None),
            ("http://x", None),
            ("- a:b", None),
        ] {
            assert_eq!(key_without_space(line), key, "{line}");
        }
    }
}
