//! What single words and tokens of a line mean.

use super::SymbolType;
use super::expr::Atom;
use super::token::Token;

/// A path relative to the source's root, with `..` resolved; `None` if it leads outside.
pub(super) fn below(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            ".." => drop(parts.pop()?),
            "." => {}
            part => parts.push(part),
        }
    }
    (!path.starts_with('/')).then(|| parts.join("/"))
}

/// The type that a keyword states, and whether a default (not a prompt) follows.
pub(super) fn kind_of(keyword: &str) -> Option<(SymbolType, bool)> {
    let (keyword, default) = match keyword.strip_prefix("def_") {
        Some(rest) => (rest, true),
        None => (keyword, false),
    };
    let kind = match keyword {
        "bool" | "boolean" => SymbolType::Bool,
        "tristate" => SymbolType::Tristate,
        "string" => SymbolType::Text,
        "int" => SymbolType::Int,
        "hex" => SymbolType::Hex,
        _ => return None,
    };
    Some((kind, default))
}

pub(super) fn at_end(tokens: &[Token]) -> Result<(), String> {
    match tokens.first() {
        None => Ok(()),
        Some(token) => Err(format!("expected the end of the line, found `{}`", text_of(token))),
    }
}

pub(super) fn text_of(token: &Token) -> String {
    match token {
        Token::Word(text) | Token::Text(text) | Token::Unknown(text) => text.clone(),
        Token::Op(op) => op.to_string(),
    }
}

pub(super) fn atom_of(token: &Token) -> Result<Atom, String> {
    match token {
        Token::Word(word) => Ok(Atom::Symbol(word.as_str().into())),
        Token::Text(text) => Ok(Atom::Text(text.as_str().into())),
        Token::Unknown(text) => Ok(Atom::Unknown(text.as_str().into())),
        Token::Op(op) => Err(format!("expected a value, found `{op}`")),
    }
}

/// `name := value`, `name = value`, `name += value`.
pub(super) fn assignment(line: &str) -> Option<(&str, &str, &str)> {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))?;
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let operator = [":=", "+=", "="].into_iter().find(|operator| rest.starts_with(operator))?;
    (!name.is_empty()).then(|| (name, operator, rest[operator.len()..].trim_start()))
}
