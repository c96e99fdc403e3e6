//! An application container.

use std::path::PathBuf;

use super::template::{fill, inside, line};
use super::{Changes, ScaffoldError, checked};

/// An application container: a recipe whose template is one program, and the program.
#[derive(Clone, Debug)]
pub struct App {
    /// The name of the recipe, the component and the program.
    pub name: String,
    /// The recipe of the machine that it is tested in.
    pub extends: String,
    /// The TCP port that it listens on.
    pub port: u16,
    /// The folder of recipes.
    pub folder: PathBuf,
}

impl App {
    /// The recipe's file.
    pub fn path(&self) -> PathBuf {
        self.folder.join(format!("{}.yaml", self.name))
    }

    /// Its files.
    ///
    /// # Errors
    /// The name can't be used.
    pub fn changes(&self) -> Result<Changes, ScaffoldError> {
        let name = checked(&self.name)?;
        let (quoted_name, port) = (line(name), self.port.to_string());
        let source = format!("{{path: {}}}", inside(&format!("../sources/{name}")));
        let summary = line(&format!("The application {name} in a container of its own"));
        let extends = line(&self.extends);
        let values = [
            ("NAME", name),
            ("RECIPE", &quoted_name),
            ("COMPONENT", &quoted_name),
            ("TEST", &quoted_name),
            ("EXTENDS", &extends),
            ("SUMMARY", &summary),
            ("PORT", &port),
            ("VERSION", "\"1\""),
            ("LICENSE", "MIT"),
            ("SOURCE", &source),
        ];
        let component =
            [include_str!("templates/component/head.yaml"), include_str!("templates/component/app.yaml")].concat();
        let sources = self.folder.join("sources").join(name);
        let mut changes = Changes::default();
        changes.file(self.path(), fill(include_str!("templates/app/recipe.yaml"), &values));
        changes.file(self.folder.join("components").join(format!("{name}.yaml")), fill(&component, &values));
        changes.file(sources.join(format!("{name}.c")), fill(include_str!("templates/app/server.c"), &values));
        changes.file(sources.join("Makefile"), fill(include_str!("templates/component/Makefile.c"), &values));
        Ok(changes)
    }
}
