//! Lines and tokens of a Kconfig file, and the part of the macro language (kconfig-macro-language.rst) that needs no
//! shell.

use std::collections::HashMap;
use std::fmt;

use super::facts::ToolchainFacts;

/// An operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named as they are read")]
pub enum Op {
    And,
    Or,
    Not,
    Equal,
    Unequal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    Open,
    Close,
}

impl Op {
    /// Whether a comparison of two operands with this order is true.
    pub fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterEqual => order.is_ge(),
            Self::And | Self::Or | Self::Not | Self::Open | Self::Close => false,
        }
    }
}

/// Longer spellings first: the first match is used.
const OPERATORS: [(&str, Op); 11] = [
    ("&&", Op::And),
    ("||", Op::Or),
    ("!=", Op::Unequal),
    ("<=", Op::LessEqual),
    (">=", Op::GreaterEqual),
    ("!", Op::Not),
    ("=", Op::Equal),
    ("<", Op::Less),
    (">", Op::Greater),
    ("(", Op::Open),
    (")", Op::Close),
];

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spelling = OPERATORS.iter().find(|(_, op)| op == self).map_or("", |(spelling, _)| spelling);
        f.write_str(spelling)
    }
}

/// A token of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A keyword, symbol, number or unquoted path.
    Word(String),
    /// Text in quotes, stored without them.
    Text(String),
    /// A word or text with a macro in it that can't be expanded here; stored as it is written.
    Unknown(String),
    /// An operator.
    Op(Op),
}

/// How many bytes the expansion of one text may process: values that refer to others twice double at each level.
const EXPANSION: usize = 1 << 16;

/// Variables by name: those from make's environment and those that Kconfig files assign. Functions are variables with
/// `$(1)`, `$(2)` … in them.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    values: HashMap<String, String>,
    facts: ToolchainFacts,
}

impl Variables {
    /// None yet; `facts` answer `$(shell,…)`.
    pub(super) fn new(facts: ToolchainFacts) -> Self {
        Self { values: HashMap::new(), facts }
    }

    pub(super) fn set(&mut self, name: &str, text: &str) {
        self.values.insert(name.to_owned(), text.to_owned());
    }

    pub(super) fn append(&mut self, name: &str, text: &str) {
        let value = self.values.entry(name.to_owned()).or_default();
        value.push(' ');
        value.push_str(text);
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// `text` with every `$(name)` and `$(name,arguments)` replaced; `None` if one is unknown or depends on what the
    /// facts do not tell, or if the result would be unreasonably long.
    pub(super) fn expand(&self, text: &str) -> Option<String> {
        self.expand_within(text, &[], 0, &mut EXPANSION.clone())
    }

    /// `left` is how many more bytes may be processed, at any depth.
    fn expand_within(&self, text: &str, arguments: &[String], depth: usize, left: &mut usize) -> Option<String> {
        *left = left.checked_sub(text.len() + 1)?;
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            expanded.push_str(&rest[..at]);
            rest = &rest[at..];
            if rest.starts_with("$(") {
                let end = macro_end(rest)?;
                // A variable that refers to itself would not end.
                let value = (depth < 16).then(|| self.call(&rest[2..end - 1], arguments, depth, left)).flatten()?;
                expanded.push_str(&value);
                rest = &rest[end..];
            } else {
                // Before Linux 4.18, `$SRCARCH` in text referred to a symbol whose value comes from the environment.
                let length = rest[1..].find(|c: char| !is_name(c)).unwrap_or(rest.len() - 1);
                match self.get(&rest[1..1 + length]) {
                    Some(value) => {
                        *left = left.checked_sub(value.len())?;
                        expanded.push_str(value);
                    }
                    None => expanded.push_str(&rest[..1 + length]),
                }
                rest = &rest[1 + length..];
            }
        }
        expanded.push_str(rest);
        Some(expanded)
    }

    /// The value of `name`, or of `name,argument,argument`.
    fn call(&self, inner: &str, outer: &[String], depth: usize, left: &mut usize) -> Option<String> {
        let mut parts = arguments(inner).into_iter();
        let name = parts.next()?;
        if let Ok(number) = name.parse::<usize>() {
            let value = outer.get(number.checked_sub(1)?).cloned().unwrap_or_default();
            *left = left.checked_sub(value.len())?;
            return Some(value);
        }
        let given: Option<Vec<String>> = parts.map(|part| self.expand_within(part, outer, depth + 1, left)).collect();
        let given = given?;
        if name == "shell" {
            let printed = self.facts.shell(given.first()?)?;
            *left = left.checked_sub(printed.len())?;
            return Some(printed);
        }
        self.expand_within(self.get(name)?, &given, depth + 1, left)
    }
}

/// The parts of a macro's content between the commas that are not inside another macro or parentheses.
fn arguments(inner: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0usize);
    for (at, c) in inner.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    parts
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The length of the macro at the start of `text`, which starts with `$(`; nested parentheses are counted.
fn macro_end(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return Some(at + 1),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// The tokens of a line, up to its comment.
pub(super) fn tokens(line: &str, variables: &Variables) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let used = match first {
            '#' => break,
            '"' | '\'' => {
                let (text, used) = quoted(rest, first).ok_or("a closing quote is missing")?;
                tokens.push(variables.expand(&text).map_or_else(|| Token::Unknown(text), Token::Text));
                used
            }
            c if is_word(c) => {
                let used = word(rest)?;
                let text = &rest[..used];
                tokens.push(variables.expand(text).map_or_else(|| Token::Unknown(text.to_owned()), Token::Word));
                used
            }
            _ => match OPERATORS.iter().find(|(spelling, _)| rest.starts_with(spelling)) {
                Some((spelling, op)) => {
                    tokens.push(Token::Op(*op));
                    spelling.len()
                }
                None => return Err(format!("unexpected `{first}`")),
            },
        };
        rest = rest[used..].trim_start();
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    is_name(c) || matches!(c, '-' | '/' | '.' | '$' | '*' | '?' | '+' | '@' | ',' | ':')
}

/// The length of the word at the start of `text`; macros in it may contain any character.
fn word(text: &str) -> Result<usize, String> {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if text[at..].starts_with("$(") {
            at += macro_end(&text[at..]).ok_or("a `$(` is not closed")?;
        } else if is_word(c) {
            at += c.len_utf8();
        } else {
            break;
        }
    }
    Ok(at)
}

/// The text between quotes at the start of `line`, and its length with the quotes. Quotes inside a macro don't end it.
fn quoted(line: &str, quote: char) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut at = 1;
    // For each macro that is not closed, the whole rest is searched: after a few, the others are not treated as macros.
    let mut unclosed = 0;
    loop {
        let rest = &line[at..];
        let c = rest.chars().next()?;
        if c == quote {
            return Some((text, at + 1));
        }
        if c == '\\' {
            let escaped = rest[1..].chars().next()?;
            text.push(escaped);
            at += 1 + escaped.len_utf8();
        } else if unclosed < 16 && rest.starts_with("$(") {
            let length = macro_end(rest).unwrap_or_else(|| {
                unclosed += 1;
                1
            });
            text.push_str(&rest[..length]);
            at += length;
        } else {
            text.push(c);
            at += c.len_utf8();
        }
    }
}

/// The lines of a file, with continued lines joined.
pub(super) struct Lines<'a> {
    lines: Vec<&'a str>,
    next: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { lines: text.lines().collect(), next: 0 }
    }

    /// The next line and its number, from 1.
    pub(super) fn next(&mut self) -> Option<(usize, std::borrow::Cow<'a, str>)> {
        let number = self.next + 1;
        let first = *self.lines.get(self.next)?;
        self.next += 1;
        let Some(head) = first.strip_suffix('\\') else {
            return Some((number, first.into()));
        };
        let mut joined = head.to_owned();
        while let Some(line) = self.lines.get(self.next) {
            self.next += 1;
            match line.strip_suffix('\\') {
                Some(head) => joined.push_str(head),
                None => {
                    joined.push_str(line);
                    break;
                }
            }
        }
        Some((number, joined.into()))
    }

    /// Skips a help text: it ends before the first line that is indented less than its first one.
    pub(super) fn skip_help(&mut self) {
        let mut text_indent = None;
        while let Some(line) = self.lines.get(self.next) {
            if let Some(indent) = indent(line) {
                let least = *text_indent.get_or_insert(indent.max(1));
                if indent < least {
                    return;
                }
            }
            self.next += 1;
        }
    }
}

/// The column of the first non-blank character, with tabs at every 8; `None` for an empty line.
fn indent(line: &str) -> Option<usize> {
    let mut column = 0;
    for c in line.chars() {
        match c {
            '\t' => column = column / 8 * 8 + 8,
            c if c.is_whitespace() => column += 1,
            _ => return Some(column),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_texts_macros_and_comments_are_told_apart() {
        let mut variables = Variables::default();
        variables.set("SRCARCH", "x86");
        variables.set("comma", ",");
        variables.set("loop", "$(loop)");
        let read = |line: &str| tokens(line, &variables).unwrap();
        let word = |text: &str| Token::Word(text.into());
        let text = |text: &str| Token::Text(text.into());
        assert_eq!(read("source \"arch/$(SRCARCH)/Kconfig\""), [word("source"), text("arch/x86/Kconfig")]);
        assert_eq!(read("source \"arch/$SRCARCH/$OTHER\""), [word("source"), text("arch/x86/$OTHER")]);
        assert_eq!(read("source libbb/Config.in"), [word("source"), word("libbb/Config.in")]);
        assert_eq!(read("prompt 'a \"b\\'' # c"), [word("prompt"), text("a \"b'")]);
        assert_eq!(read("x $(sh,a (b) \"c\")"), [word("x"), Token::Unknown("$(sh,a (b) \"c\")".into())]);
        assert_eq!(read("x \"$(sh,echo \"c\")\""), [word("x"), Token::Unknown("$(sh,echo \"c\")".into())]);
        assert_eq!(read("x $(loop)"), [word("x"), Token::Unknown("$(loop)".into())]);
        assert_eq!(read("range -5 0x10"), [word("range"), word("-5"), word("0x10")]);
        assert!(tokens("prompt \"open", &variables).is_err());
    }

    #[test]
    fn values_that_double_at_each_step_stay_as_they_are_written() {
        let mut variables = Variables::default();
        for step in 1..15 {
            variables.set(&format!("v{step}"), &format!("$(v{0})$(v{0})", step - 1).repeat(50));
        }
        for value in ["text", ""] {
            variables.set("v0", value);
            assert_eq!(tokens("x $(v14)", &variables).unwrap()[1], Token::Unknown("$(v14)".into()));
            assert_eq!(variables.expand("$(v1)"), Some(value.repeat(100)));
        }
    }

    #[test]
    fn arguments_that_multiply_at_each_step_count_for_the_limit() {
        let mut variables = Variables::default();
        variables.set("four", "$(1)$(1)$(1)$(1)");
        let within = |steps: usize, mut limit: usize| {
            let text = format!("{}text{}", "$(four,".repeat(steps), ")".repeat(steps));
            variables.expand_within(&text, &[], 0, &mut limit)
        };
        assert_eq!(within(3, 4096), Some("text".repeat(64)));
        assert_eq!(within(6, 4096), None, "16 KB from a text of 52 bytes");
        // What a command prints counts as well.
        let printed = "$(shell,set -- 1234567890 && echo $1)";
        let within = |mut limit: usize| variables.expand_within(printed, &[], 0, &mut limit);
        let read = printed.len() + "set -- 1234567890 && echo $1".len() + 2;
        assert_eq!(within(read + 10).as_deref(), Some("1234567890"));
        assert_eq!(within(read + 9), None);
    }

    #[test]
    fn macros_that_are_never_closed_cost_no_more_than_others() {
        let line = format!("prompt \"{}", "$(".repeat(200_000));
        assert!(tokens(&line, &Variables::default()).is_err());
    }

    #[test]
    fn help_ends_with_its_indentation_and_lines_may_continue() {
        let mut lines = Lines::new("help\n\n\t  one\n\n\t    config TWO\n\tdepends on \\\n\t\tA\n");
        assert_eq!(lines.next().unwrap().1, "help");
        lines.skip_help();
        assert_eq!(lines.next().unwrap(), (6, "\tdepends on \t\tA".into()));
        assert!(lines.next().is_none());
        let mut none = Lines::new("help\nconfig B\n");
        none.next();
        none.skip_help();
        assert_eq!(none.next().unwrap().1, "config B");
    }
}
