//! Why a recipe can't be read.

use std::io;
use std::path::PathBuf;

use super::text::BadRecipe;

/// Why a recipe could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The recipe's own file can't be read.
    #[error("can't read the recipe {}{hint}", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// What may have been meant.
        hint: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Something is wrong in it.
    #[error(transparent)]
    Bad(#[from] Box<BadRecipe>),
    /// `--set` names no parameter.
    #[error("`--set {name}=…`: the recipe has no parameter `{name}`{hint}")]
    Parameter {
        /// The name given.
        name: String,
        /// The nearest, or those there are.
        hint: String,
    },
}
