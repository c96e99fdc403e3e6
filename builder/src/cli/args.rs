//! Arguments that several commands have.

use std::num::NonZero;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::recipe::{LoadError, Settings};
use crate::sandbox::Mode;
use crate::session::Options;

/// The recipe of commands that are given none: the shipped one or, where it is not, the only one in `recipes`.
pub fn default_recipe() -> PathBuf {
    let shipped = PathBuf::from("recipes/dbcolinux.yaml");
    if shipped.exists() {
        return shipped;
    }
    let entries = std::fs::read_dir("recipes").into_iter().flatten().flatten().take(1000);
    let mut files = entries.map(|entry| entry.path()).filter(|path| is_yaml(path) && path.is_file());
    match (files.next(), files.next()) {
        (Some(only), None) => only,
        _ => shipped,
    }
}

/// Whether a path is named like a recipe, a component or a toolchain.
pub fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "yaml" || end == "yml")
}

/// What is chosen of a recipe: parameters and profiles.
#[derive(Debug, Args)]
pub struct ChoiceArgs {
    /// Sets a parameter of the recipe; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// Sets the parameters in a YAML file, a mapping of names to values; may be repeated. Later files replace values of earlier
    /// ones, and --set those of all files
    #[arg(long, value_name = "FILE")]
    settings: Vec<PathBuf>,
    /// Merges a profile of the recipe over it; may be repeated, in this order
    #[arg(long, value_name = "NAME")]
    profile: Vec<String>,
}

impl ChoiceArgs {
    /// The recipe's parameters and profiles; reads the files.
    pub fn settings(&self) -> Result<Settings, LoadError> {
        let mut settings = Settings::new();
        for path in &self.settings {
            settings.extend(Settings::read(path)?);
        }
        settings.extend(self.set.iter().cloned().collect());
        settings.profiles.clone_from(&self.profile);
        Ok(settings)
    }
}

/// What is chosen of a recipe, and its lock.
#[derive(Debug, Args)]
pub struct SettingArgs {
    #[command(flatten)]
    choice: ChoiceArgs,
    /// The lock file [default: the nearest dbco.lock in the recipe's folder or above it]
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
}

impl SettingArgs {
    /// The recipe's parameters and profiles.
    pub fn settings(&self) -> Result<Settings, LoadError> {
        self.choice.settings()
    }
}

/// A recipe.
#[derive(Debug, Args)]
pub struct RecipeArgs {
    /// The image recipe, or library:PATH for one of the library [default: recipes/dbcolinux.yaml, or the only one in recipes]
    #[arg(default_value_os_t = default_recipe(), hide_default_value = true, value_name = "RECIPE")]
    pub recipe: PathBuf,
    #[command(flatten)]
    given: SettingArgs,
}

impl RecipeArgs {
    /// The recipe's parameters and profiles.
    pub fn settings(&self) -> Result<Settings, LoadError> {
        self.given.settings()
    }

    /// The lock file, if one is given.
    pub fn lock(&self) -> Option<&Path> {
        self.given.lock.as_deref()
    }
}

/// A recipe and one of its steps.
#[derive(Debug, Args)]
pub struct StepArgs {
    /// The image recipe [default: as for `dbco build`]
    #[arg(value_name = "RECIPE")]
    recipe: Option<PathBuf>,
    /// A step of it
    #[arg(value_name = "STEP")]
    step: Option<String>,
    #[command(flatten)]
    pub given: SettingArgs,
}

impl StepArgs {
    /// The recipe and the step. A single argument that is neither a file nor named like one is a step.
    pub fn target(&self) -> (PathBuf, Option<&str>) {
        recipe_and(self.recipe.as_deref(), self.step.as_deref())
    }
}

/// The recipe, and a part of it. A single argument that is neither a file nor named like one is a part of the default recipe.
pub fn recipe_and<'a>(recipe: Option<&'a Path>, part: Option<&'a str>) -> (PathBuf, Option<&'a str>) {
    match (recipe, part) {
        (None, _) => (default_recipe(), None),
        (Some(recipe), Some(part)) => (recipe.to_owned(), Some(part)),
        (Some(only), None) => match only.to_str() {
            Some(part) if !is_yaml(only) && !only.exists() => (default_recipe(), Some(part)),
            _ => (only.to_owned(), None),
        },
    }
}

/// How something is built.
#[derive(Debug, Args)]
pub struct OptionArgs {
    /// Fail if the lock does not match the recipe, instead of updating it
    #[arg(long)]
    locked: bool,
    /// Use no network: everything has to be fetched already (implies --locked)
    #[arg(long)]
    offline: bool,
    /// Processes that a build may run in parallel [default: the number of processors]
    #[arg(short, long, value_name = "N", value_parser = positive)]
    jobs: Option<NonZero<usize>>,
    /// How tools are isolated [default: in namespaces if possible]
    #[arg(long, value_name = "MODE", value_parser = Mode::parse, hide = true)]
    sandbox: Option<Mode>,
}

impl OptionArgs {
    /// The library's options, with a lock file if one is given.
    pub fn options(&self, lock: Option<&Path>) -> Options {
        Options {
            lock: lock.map(Path::to_owned),
            locked: self.locked,
            offline: self.offline,
            jobs: self.jobs.map_or(0, NonZero::get),
            sandbox: self.sandbox,
        }
    }
}

/// A recipe whose outputs are built.
#[derive(Debug, Args)]
pub struct BuildArgs {
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// Where outputs go: DIR/<recipe>/
    #[arg(short, long, default_value = "out", value_name = "DIR")]
    pub output: PathBuf,
    #[command(flatten)]
    how: OptionArgs,
}

impl BuildArgs {
    /// The library's options.
    pub fn options(&self) -> Options {
        self.how.options(self.recipe.lock())
    }
}

/// Parses the number of processes.
pub fn positive(text: &str) -> Result<NonZero<usize>, String> {
    text.parse().map_err(|_| "expected a positive whole number".to_owned())
}

/// Parses `NAME=VALUE`.
pub fn setting(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}
