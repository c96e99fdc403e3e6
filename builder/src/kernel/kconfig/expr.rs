//! Expressions over symbols: three-valued (n < m < y), as kconfig-language.rst, "Menu dependencies", defines them.

use std::fmt;

use super::token::{Op, Token};

/// A tristate value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tristate {
    /// `n`
    No,
    /// `m`
    Module,
    /// `y`
    Yes,
}

impl fmt::Display for Tristate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "n",
            Self::Module => "m",
            Self::Yes => "y",
        })
    }
}

/// An operand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Atom {
    /// A symbol, or one of the constants `y`, `m`, `n`, or a bare number.
    Symbol(Box<str>),
    /// A quoted constant.
    Text(Box<str>),
    /// A macro such as `$(cc-option,-m64)`, whose value only the build's own compiler can determine.
    Unknown(Box<str>),
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symbol(name) => f.write_str(name),
            Self::Text(text) => write!(f, "\"{text}\""),
            Self::Unknown(text) => f.write_str(text),
        }
    }
}

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// A single operand.
    Atom(Atom),
    /// `=`, `!=`, `<` …
    Compare(Atom, Op, Atom),
    /// `!`
    Not(Box<Expr>),
    /// `&&`, two or more.
    And(Vec<Expr>),
    /// `||`, two or more.
    Or(Vec<Expr>),
}

/// How deep parentheses and `!` may nest: each level takes a few stack frames. Linux has 6.
const DEEPEST: usize = 100;

impl Expr {
    /// Parses an expression from the start of `tokens`, up to a closing parenthesis, `if` or the end.
    pub(super) fn parse(tokens: &mut &[Token]) -> Result<Self, String> {
        Self::parse_or(tokens, 0)
    }

    fn parse_or(tokens: &mut &[Token], depth: usize) -> Result<Self, String> {
        let first = Self::parse_and(tokens, depth)?;
        let mut all = vec![first];
        while take(tokens, Op::Or) {
            all.push(Self::parse_and(tokens, depth)?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Self::Or(all) })
    }

    fn parse_and(tokens: &mut &[Token], depth: usize) -> Result<Self, String> {
        let mut all = vec![Self::parse_not(tokens, depth)?];
        while take(tokens, Op::And) {
            all.push(Self::parse_not(tokens, depth)?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Self::And(all) })
    }

    fn parse_not(tokens: &mut &[Token], depth: usize) -> Result<Self, String> {
        if depth > DEEPEST {
            return Err(format!("the expression nests more than {DEEPEST} levels deep"));
        }
        if take(tokens, Op::Not) {
            return Ok(Self::Not(Box::new(Self::parse_not(tokens, depth + 1)?)));
        }
        if take(tokens, Op::Open) {
            let inner = Self::parse_or(tokens, depth + 1)?;
            return if take(tokens, Op::Close) { Ok(inner) } else { Err("a `)` is missing".to_owned()) };
        }
        let left = atom(tokens)?;
        match tokens.first() {
            Some(Token::Op(
                op @ (Op::Equal | Op::Unequal | Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual),
            )) => {
                *tokens = &tokens[1..];
                Ok(Self::Compare(left, *op, atom(tokens)?))
            }
            _ => Ok(Self::Atom(left)),
        }
    }

    /// Calls `visit` for every operand.
    pub fn atoms(&self, visit: &mut dyn FnMut(&Atom)) {
        match self {
            Self::Atom(atom) => visit(atom),
            Self::Compare(left, _, right) => {
                visit(left);
                visit(right);
            }
            Self::Not(inner) => inner.atoms(visit),
            Self::And(all) | Self::Or(all) => all.iter().for_each(|expr| expr.atoms(visit)),
        }
    }

    /// The symbol, if the expression is a single symbol.
    pub fn symbol(&self) -> Option<&str> {
        match self {
            Self::Atom(Atom::Symbol(name)) => Some(name),
            _ => None,
        }
    }

    fn grouped(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Atom(_) | Self::Not(_) => write!(f, "{self}"),
            _ => write!(f, "({self})"),
        }
    }
}

fn take(tokens: &mut &[Token], op: Op) -> bool {
    let found = tokens.first() == Some(&Token::Op(op));
    if found {
        *tokens = &tokens[1..];
    }
    found
}

fn atom(tokens: &mut &[Token]) -> Result<Atom, String> {
    let atom = match tokens.first() {
        Some(Token::Word(word)) => Atom::Symbol(word.as_str().into()),
        Some(Token::Text(text)) => Atom::Text(text.as_str().into()),
        Some(Token::Unknown(text)) => Atom::Unknown(text.as_str().into()),
        Some(Token::Op(op)) => return Err(format!("expected a symbol, found `{op}`")),
        None => return Err("expected a symbol".to_owned()),
    };
    *tokens = &tokens[1..];
    Ok(atom)
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, all: &[Expr], with: &str| {
            all.iter().enumerate().try_for_each(|(index, expr)| {
                if index > 0 {
                    f.write_str(with)?;
                }
                match expr {
                    Self::And(_) | Self::Or(_) => expr.grouped(f),
                    _ => write!(f, "{expr}"),
                }
            })
        };
        match self {
            Self::Atom(atom) => write!(f, "{atom}"),
            Self::Compare(left, op, right) => write!(f, "{left} {op} {right}"),
            Self::Not(inner) => {
                f.write_str("!")?;
                inner.grouped(f)
            }
            Self::And(all) => joined(f, all, " && "),
            Self::Or(all) => joined(f, all, " || "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::{Variables, tokens};
    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        let all = tokens(text, &Variables::default())?;
        let mut rest = &all[..];
        let expr = Expr::parse(&mut rest)?;
        Ok(format!("{expr}{}", if rest.is_empty() { "" } else { " …" }))
    }

    #[test]
    fn precedence_is_that_of_the_language() {
        for (text, shown) in [
            ("A||B&&!C", "A || (B && !C)"),
            ("(A||B)&&C", "(A || B) && C"),
            ("!(A && B) || C!=y", "!(A && B) || C != y"),
            ("!A=B", "!(A = B)"),
            ("A <= 5 && B > 0x10 if C", "A <= 5 && B > 0x10 …"),
            ("A = \"x y\" && $(cc-option,-m64) # why", "A = \"x y\" && $(cc-option,-m64)"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(shown), "{text}");
        }
        for text in ["A &&", "(A", "|| A", ""] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_nests_without_end_is_an_error() {
        for head in ["!", "(", "!(", "A && (", "A || ("] {
            let why = parse(&format!("{}A", head.repeat(100_000))).err().unwrap_or_default();
            assert!(why.contains("more than 100 levels"), "{head}");
        }
        assert!(parse(&format!("{}A", "!".repeat(100))).is_ok());
    }
}
