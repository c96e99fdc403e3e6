//! Why a recipe can't be read.

use std::io;
use std::path::PathBuf;

use super::text::BadRecipe;
use crate::library::LibraryError;

/// Why a recipe could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The recipe's own file can't be read.
    #[error("can't read the recipe {}{hint}", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// The recipe that was probably meant.
        hint: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The recipe is invalid.
    #[error(transparent)]
    Bad(#[from] Box<BadRecipe>),
    /// The program's library can't be unpacked.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// A file with values of parameters can't be read.
    #[error("can't read the settings {}", path.display())]
    Settings {
        /// Its path.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// `--profile` names a profile that does not exist.
    #[error("`--profile {name}`: the recipe has no such profile{hint}")]
    Profile {
        /// The name given.
        name: String,
        /// The nearest profile, or a list of all.
        hint: String,
    },
    /// `--set`, or a file of settings, names a parameter that does not exist.
    #[error("{stated}: the recipe has no parameter `{name}`{hint}")]
    Parameter {
        /// How it was set: an option, or the place in a file.
        stated: String,
        /// The name given.
        name: String,
        /// The nearest parameter, or a list of all.
        hint: String,
    },
}
