//! What `dbco show` prints: the effective recipe as values with their origins, a part of it, and its text forms.

mod build;
mod json;
mod select;
mod write;

pub use build::shown;
pub use json::{json, origins, removed};
pub use select::{NoSuchKey, select};
pub use write::{Style, write};

/// A value of an effective recipe.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The value.
    pub content: Content,
    /// Where it comes from.
    pub origin: Origin,
    /// What other files removed from it.
    pub removed: Vec<RemovedValue>,
}

/// A value without its origin.
#[derive(Clone, Debug)]
pub enum Content {
    /// No value: a key that is not set.
    Nothing,
    /// Text; also numbers and booleans.
    Text {
        /// The text.
        text: String,
        /// Whether it was written plain, so that it may be a number.
        plain: bool,
        /// Whether `${` in it is not escaped in a recipe: the value of a parameter.
        verbatim: bool,
    },
    /// A list: each element and the name by which it can be selected.
    List(Vec<(Option<String>, Shown)>),
    /// A mapping.
    Map {
        /// Its keys and values.
        pairs: Vec<(String, Shown)>,
        /// The keys that it may have, if the author can't choose them.
        known: Vec<&'static str>,
    },
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// What set it.
    pub set: SetBy,
    /// The locations of the values that it replaced, the latest first.
    pub overrode: Vec<Place>,
    /// The parameters in its text.
    pub params: Vec<ParameterUse>,
    /// The location of the names by which a list was ordered.
    pub ordered: Option<Place>,
}

/// What set a value.
#[derive(Clone, Debug)]
pub enum SetBy {
    /// A file.
    File(Place),
    /// `--set` on the command line.
    Option,
    /// No file: it is the default.
    Default,
}

/// A location in a file; line and column are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's path.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column in characters.
    pub column: usize,
}

/// A parameter that a text contained.
#[derive(Clone, Debug)]
pub struct ParameterUse {
    /// Its name.
    pub name: String,
    /// The location of its default; none if its value was set by `--set`.
    pub default: Option<Place>,
}

/// A key or an element that another file removed.
#[derive(Clone, Debug)]
pub struct RemovedValue {
    /// The key, or the element's name.
    pub name: String,
    /// The location of what removed it.
    pub by: Place,
    /// Its location, and those of what it had replaced.
    pub was: Vec<Place>,
}
