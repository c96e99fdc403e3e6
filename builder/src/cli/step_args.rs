//! A recipe and one of its steps, as arguments.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{DEFAULT_RECIPE, setting};
use crate::recipe::Settings;

#[derive(Debug, Args)]
pub struct StepArgs {
    /// The image recipe [default: recipes/dbcolinux.yaml]
    #[arg(value_name = "RECIPE")]
    recipe: Option<PathBuf>,
    /// A step of it
    #[arg(value_name = "STEP")]
    step: Option<String>,
    /// Sets a parameter of the recipe; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// The lock file [default: the nearest dbco.lock in the recipe's folder or above it]
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
}

impl StepArgs {
    /// The recipe and the step. A single argument that is neither a file nor named like one is a step.
    pub fn target(&self) -> (&Path, Option<&str>) {
        match (self.recipe.as_deref(), self.step.as_deref()) {
            (None, _) => (Path::new(DEFAULT_RECIPE), None),
            (Some(recipe), Some(step)) => (recipe, Some(step)),
            (Some(only), None) => match only.to_str() {
                Some(step) if !super::show::is_file_name(only) && !only.exists() => {
                    (Path::new(DEFAULT_RECIPE), Some(step))
                }
                _ => (only, None),
            },
        }
    }

    /// The recipe's parameters.
    pub fn settings(&self) -> Settings {
        self.set.iter().cloned().collect()
    }
}
