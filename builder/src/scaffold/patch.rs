//! A patch.

use std::path::PathBuf;

use super::template::line;
use super::{Changes, ScaffoldError, TargetRecipe, checked};
use crate::archive::Budget;
use crate::kernel::patch::inspect;
use crate::yaml::edit::Value;

/// A patch for a component.
#[derive(Clone, Debug)]
pub struct Patch {
    /// The component's name.
    pub component: String,
    /// The name of the patch's file.
    pub file: String,
    /// The patch.
    pub text: String,
    /// The folder of recipes.
    pub folder: PathBuf,
}

/// Where the patches of a component are listed.
#[derive(Clone, Debug)]
pub enum PatchTarget {
    /// In `kernel.patches` of the recipe, as it is the recipe's kernel.
    Kernel(TargetRecipe),
    /// In the component's file in the project.
    Component(TargetRecipe),
    /// The component is the library's: the project gets one of the same name that extends it.
    Library {
        /// Whether that has patches, to which this one is added.
        has_patches: bool,
    },
}

impl Patch {
    /// The patch's file, and its place in the component's series.
    ///
    /// # Errors
    /// It is no patch, its name can't be used, or the series has it already.
    pub fn changes(&self, target: &PatchTarget) -> Result<Changes, ScaffoldError> {
        let file = checked(&self.file)?;
        inspect(file, self.text.as_bytes(), &Budget::default())
            .map_err(|error| ScaffoldError::Answer(error.to_string()))?;
        let name = format!("{}/{file}", self.component);
        let mut changes = Changes::default();
        changes.file(self.folder.join("patches").join(&self.component).join(file), self.text.clone());
        let (recipe, list): (_, &[&str]) = match target {
            PatchTarget::Kernel(recipe) => (recipe, &["kernel", "patches"]),
            PatchTarget::Component(component) => (component, &["patches"]),
            PatchTarget::Library { has_patches } => {
                let patches = Value::List(vec![Value::text(&name)]);
                let patches = if *has_patches { Value::map([("add", patches)]) } else { patches };
                let component = &self.component;
                let text = format!(
                    "# In place of the library's component, in all recipes of this project.\ncomponent: {}\nextends: {}\n\
                     patches: {}\n",
                    line(component),
                    line(&format!("library:components/{component}.yaml")),
                    patches.inline().unwrap_or_default()
                );
                changes.file(self.folder.join("components").join(format!("{component}.yaml")), text);
                return Ok(changes);
            }
        };
        if recipe.names(list).contains(&name) {
            return Err(ScaffoldError::Recipe(format!("{} has the patch `{name}` already", recipe.path.display())));
        }
        changes.edit(recipe.add_to_list(list, &Value::text(name))?);
        Ok(changes)
    }
}
