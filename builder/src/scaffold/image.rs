//! A project, and a recipe of an image.

use std::path::{Path, PathBuf};

use super::names::host;
use super::template::{fill, inside, line};
use super::{Changes, DEFAULT_EXTENDS, ScaffoldError, checked};

/// An image's recipe.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its name.
    pub name: String,
    /// What it extends, relative to the folder of recipes.
    pub extends: String,
    /// The folder of recipes.
    pub folder: PathBuf,
}

impl Image {
    /// The recipe's file.
    pub fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.yaml", self.name))
    }

    /// A recipe with an overlay of its own and a boot test.
    ///
    /// # Errors
    /// The name can't be used.
    pub fn changes(&self) -> Result<Changes, ScaffoldError> {
        let name = checked(&self.name)?;
        let about = format!("This is {name}.");
        let overlay = format!("overlays/{name}");
        let text = fill(
            include_str!("templates/recipe.yaml"),
            &[
                ("NAME", name),
                ("RECIPE", &line(name)),
                ("TEST", &line(name)),
                ("EXTENDS", &line(&self.extends)),
                ("SUMMARY", &line(&format!("The image {name}"))),
                ("HOST", &inside(&host(name))),
                ("OVERLAY", &inside(&overlay)),
                ("ENTRY", "live"),
                ("ABOUT", &inside(&about)),
            ],
        );
        let mut changes = Changes::default();
        changes.file(self.path(), text);
        changes.file(self.folder.join(overlay).join("usr/share").join(name).join("about"), about + "\n");
        Ok(changes)
    }
}

/// A project.
#[derive(Clone, Debug)]
pub struct Project {
    /// The name of its first image.
    pub name: String,
    /// What that extends; the program's library's `quick` if it is none.
    pub extends: Option<String>,
}

impl Project {
    /// The project's files, relative to its folder.
    ///
    /// # Errors
    /// The name can't be used.
    pub fn changes(&self) -> Result<Changes, ScaffoldError> {
        let extends = self.extends.as_deref().unwrap_or(DEFAULT_EXTENDS).to_owned();
        let image = Image { name: self.name.clone(), extends, folder: Path::new("recipes").into() };
        let mut changes = Changes::default();
        changes.file("dbco.yaml", include_str!("templates/project/dbco.yaml"));
        changes.files.extend(image.changes()?.files);
        changes.file(".gitignore", include_str!("templates/project/gitignore"));
        changes.file("README.md", fill(include_str!("templates/project/readme.md"), &[("NAME", &self.name)]));
        Ok(changes)
    }
}
