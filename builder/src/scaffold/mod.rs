//! What `dbco new` makes: from the answers of a user to a list of new files and of edits of recipes. Nothing is read or
//! written here; paths are those that a user would type.

mod app;
mod component;
mod edits;
mod fragment;
mod image;
mod names;
mod patch;
mod template;
mod test;

use std::path::PathBuf;

pub use app::App;
pub use component::{Component, Language, Origin};
pub use edits::{Edited, TargetRecipe};
pub use fragment::Fragment;
pub use image::{Image, Project};
pub use names::{NameError, checked};
pub use patch::{Patch, PatchTarget};
pub use test::BootTest;

/// The recipe that new ones extend, unless another one is stated.
pub const DEFAULT_EXTENDS: &str = "library:quick.yaml";

/// The recipe that new application containers extend: their test needs a system with containers.
pub const APP_EXTENDS: &str = "library:dbcolinux.yaml";

/// A file that is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Its path.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
}

/// A file whose text changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Its path.
    pub path: PathBuf,
    /// Its text now.
    pub before: String,
    /// The text that it gets.
    pub after: String,
}

/// What the user has to add, as it can't be added safely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manual {
    /// The file.
    pub path: PathBuf,
    /// Why it is not changed, as a sentence.
    pub why: String,
    /// The lines to add.
    pub lines: String,
}

/// All that one command makes and changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The files that are made.
    pub files: Vec<NewFile>,
    /// The files that are changed.
    pub edits: Vec<Edit>,
    /// What is left to the user.
    pub manual: Vec<Manual>,
}

impl Changes {
    fn file(&mut self, path: impl Into<PathBuf>, text: impl Into<String>) {
        self.files.push(NewFile { path: path.into(), text: text.into() });
    }

    fn edit(&mut self, edited: Edited) {
        match edited {
            Edited::Done(edit) => self.edits.push(edit),
            Edited::Manual(manual) => self.manual.push(manual),
        }
    }
}

/// Why something can't be made.
#[derive(Debug, thiserror::Error)]
pub enum ScaffoldError {
    /// A name that can't be used.
    #[error(transparent)]
    Name(#[from] NameError),
    /// What the recipe has already, or what it can't have.
    #[error("{0}")]
    Recipe(String),
    /// An answer that does not fit.
    #[error("{0}")]
    Answer(String),
}
