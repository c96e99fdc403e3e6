//! Names of what is made.

use crate::recipe::Name;

/// A name that can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} can't be used as a name: {why}")]
pub struct NameError {
    name: String,
    why: String,
}

/// A name of a recipe, component, fragment or test that is made. Since it also becomes the name of a program and a word in
/// scripts and makefiles, it has fewer characters than the name of a recipe may have.
///
/// # Errors
/// It is no valid name.
pub fn checked(name: &str) -> Result<&str, NameError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_+.".contains(c);
    let why = match Name::fault(name) {
        Some(why) => why,
        None if !name.chars().all(fits) => "expected letters of ASCII, digits, `-`, `_`, `+` and `.`".to_owned(),
        None if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) => {
            "expected a letter or a digit first".to_owned()
        }
        None => return Ok(name),
    };
    Err(NameError { name: name.chars().take(40).collect(), why })
}

/// Words that cargo or the language do not accept as the name of a crate.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
    "build",
    "deps",
    "examples",
    "incremental",
];

/// The name of a crate.
///
/// # Errors
/// It is no valid name of a crate.
pub fn checked_crate(name: &str) -> Result<&str, NameError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let why = match checked(name)? {
        name if RESERVED.contains(&name) => "it is reserved in Rust",
        name if !name.chars().all(fits) || !name.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            "the name of a crate has letters of ASCII, digits, `-` and `_`, and begins with a letter"
        }
        name => return Ok(name),
    };
    Err(NameError { name: name.to_owned(), why: why.to_owned() })
}

/// A host name (RFC 1123) like a name.
pub fn host(name: &str) -> String {
    let text: String =
        name.to_ascii_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    let text = text.trim_matches('-');
    if text.is_empty() { "box".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_word_of_a_script() {
        for name in ["a", "n", "1.0", "hello-2", "g++", "A_b"] {
            assert_eq!(checked(name), Ok(name));
        }
        for name in ["", "a b", "a/b", "..", "-a", "_a", "+a", "ü", "$x", "a'b", "a\nb", "a:b", "a@b", &"a".repeat(101)]
        {
            assert!(checked(name).is_err(), "{name:?}");
        }
        for name in ["a", "hello-2", "hello_2"] {
            assert_eq!(checked_crate(name), Ok(name));
        }
        for name in ["1a", "a.b", "a+", "fn", "test", "core"] {
            assert!(checked_crate(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_host_name_is_made_of_any_name() {
        for (name, expected) in [("Box", "box"), ("my_box.1", "my-box-1"), ("a-", "a"), ("...", "box")] {
            assert_eq!(host(name), expected);
        }
    }
}
