//! The values that a `.config` gives, by the types of their symbols.

use super::super::fragment::number;
use super::SymbolType;
use super::expr::Tristate;

/// What the user requests for a symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Tristate(Tristate),
    Text(String),
}

/// The value that a line of the file gives a symbol of a type; `None` if `conf` ignores it: `conf_set_sym_val()`.
pub(super) fn wanted(kind: Option<SymbolType>, text: Option<&str>) -> Option<Wanted> {
    let text = text.unwrap_or("n");
    match (kind?, text.as_bytes().first()) {
        (SymbolType::Tristate, Some(b'm')) => Some(Wanted::Tristate(Tristate::Module)),
        (SymbolType::Bool | SymbolType::Tristate, Some(b'y')) => Some(Wanted::Tristate(Tristate::Yes)),
        (SymbolType::Bool | SymbolType::Tristate, Some(b'n')) => Some(Wanted::Tristate(Tristate::No)),
        (SymbolType::Bool | SymbolType::Tristate, _) => None,
        (SymbolType::Text, _) => {
            let (mut value, mut rest) = (String::new(), text.strip_prefix('"')?.chars());
            loop {
                match rest.next()? {
                    '"' => return Some(Wanted::Text(value)),
                    '\\' => value.push(rest.next()?),
                    c => value.push(c),
                }
            }
        }
        (SymbolType::Int, _) => {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let fits = digits.bytes().all(|c| c.is_ascii_digit()) && (digits.len() == 1 || !digits.starts_with('0'));
            (!digits.is_empty() && fits).then(|| Wanted::Text(text.to_owned()))
        }
        (SymbolType::Hex, _) => {
            let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
            let fits = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_hexdigit());
            fits.then(|| Wanted::Text(text.to_owned()))
        }
    }
}

/// A bound or value, as strtoll(3) reads it: what is no number is 0.
pub(super) fn to_number(kind: Option<SymbolType>, text: &str) -> i128 {
    match kind {
        Some(SymbolType::Hex) => {
            let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
            i128::from_str_radix(digits, 16).unwrap_or(0)
        }
        _ => text.parse().unwrap_or(0),
    }
}

/// The value by which an operand of a type is compared: `expr_parse_string()`. `None` if it is compared as text.
pub(super) fn parse(kind: Option<SymbolType>, text: &str) -> Option<i128> {
    match kind {
        Some(SymbolType::Bool | SymbolType::Tristate) => match text {
            "n" => Some(0),
            "m" => Some(1),
            "y" => Some(2),
            _ => None,
        },
        Some(SymbolType::Int) => text.parse().ok(),
        Some(SymbolType::Hex) => {
            let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
            i128::from_str_radix(digits, 16).ok()
        }
        Some(SymbolType::Text) | None => number(text).map(|(_, value)| value),
    }
}
