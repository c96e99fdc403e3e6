//! Names that become file names, folder names, labels or keys of the menu.

use std::fmt;

use super::decode::{Decode, FindingSink};
use super::node::YamlNode;

/// The maximum length in bytes. The longest name that dbco derives from one (`NAME.tests`, `NAME.tar.zst`,
/// `NAME.edited`) stays far below the 255 of a file name.
const MOST: usize = 100;

/// A name that is a single component of a path, checked when it is decoded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Why a text is not a valid name; `None` if it is.
    pub fn fault(text: &str) -> Option<String> {
        if text.is_empty() {
            return Some("it is empty".into());
        }
        if text.len() > MOST {
            return Some(format!("it has {} bytes, the limit is {MOST}", text.len()));
        }
        if text.contains('/') {
            return Some("it contains `/`: a name is one component of a path".into());
        }
        if text.starts_with(['.', '-']) {
            return Some("it begins with `.` or `-`".into());
        }
        if text.contains(char::is_control) {
            return Some("it contains a control character or a line break".into());
        }
        if text.trim() != text {
            return Some("it begins or ends with a space".into());
        }
        None
    }
}

impl Decode for Name {
    /// An invalid name is a finding; the rest of the recipe is still checked.
    fn decode(node: &YamlNode, sink: &FindingSink) -> Option<Self> {
        let text = String::decode(node, sink)?;
        if let Some(why) = Self::fault(&text) {
            let shown: String = text.chars().take(40).collect();
            let message = format!("{shown:?} can't be used as a name: {why}");
            sink.borrow_mut()
                .add("name", node.span, message)
                .label("letters, digits, `-`, `_` and `.` are always allowed");
        }
        Some(Self(text))
    }
}

impl std::ops::Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_component_of_a_path() {
        for name in ["small", "dbcolinux-6.1", "a b", "Büro", "你好", "x.y", "_", &"n".repeat(100)] {
            assert_eq!(Name::fault(name), None, "{name}");
        }
        let long = "n".repeat(260);
        for name in ["", "/abs/x", "../x", "..", ".", ".git", "-o", "a/b", "a\nb", "a\0", "\x1b[2J", " a", "a ", &long]
        {
            assert!(Name::fault(name).is_some(), "{name:?}");
        }
    }
}
