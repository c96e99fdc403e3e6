//! Patterns of paths in the image.

use crate::tree::TreePath;

/// A pattern of absolute paths: `*` and `?` stop at `/`, `**` does not, and `folder/**` means all that lies below.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    glob: glob::Pattern,
}

impl Pattern {
    /// Reads a pattern; `Err` says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        if !text.starts_with('/') {
            return Err(format!("`{text}` does not begin with `/`"));
        }
        let glob = glob::Pattern::new(text).map_err(|error| format!("`{text}`: {}", error.msg))?;
        Ok(Self { text: text.to_owned(), glob })
    }

    /// Whether a path fits.
    pub fn matches(&self, path: &TreePath) -> bool {
        let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::new() };
        self.glob.matches_with(&path.to_string(), options)
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}
