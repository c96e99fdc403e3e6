//! The YAML model: image recipes, components and toolchains, with the location of every error.
//!
//! [`load`] turns a file into a [`Recipe`]: `extends` merged, parameters substituted, every named component, toolchain,
//! patch, fragment and overlay found. The result is complete; later stages read no YAML.

pub mod boot;
pub mod checks;
pub mod component;
mod effective;
mod error;

mod find;
pub mod image;
pub mod keys;
mod libraries;
pub mod limits;
pub mod lints;
mod load;
mod loader;
mod merge;
pub mod name;
pub mod origin;
pub mod output;
mod params;
mod place;
mod profiles;
pub mod programs;
pub mod project;
mod reproducible;
pub mod rootfs;
mod settings;
mod sniff;
pub mod test;
mod texts;
pub mod toolchain;

pub use crate::yaml::{decode, node, text};
pub use component::{BaseConfig, Component, KconfigOptions, Resolve};
pub use effective::{Effective, effective, effective_with};
pub use error::LoadError;
pub use find::{recipes_below, recipes_of_project};
pub use image::Image;
pub use lints::lint;
pub use load::{Recipe, load, load_with};
pub use loader::LoadOptions;
pub use merge::{FileKind, element_name};
pub use name::Name;
pub use origin::Origin;
pub use output::OutputKind;
pub use params::{Parameter, ParameterType};
pub use place::FileFinder;
pub use reproducible::{unpinned, unstable_kernel};
pub use settings::Settings;
pub use text::{BadRecipe, Finding, RecipeFiles};
pub use toolchain::Toolchain;
