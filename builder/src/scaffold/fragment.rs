//! A Kconfig fragment.

use std::path::PathBuf;

use super::{Changes, ScaffoldError, TargetRecipe, checked};
use crate::kernel::{self, SymbolValue};
use crate::yaml::edit::Value;
use crate::yaml::node::YamlValue;

/// A Kconfig fragment.
#[derive(Clone, Debug)]
pub struct Fragment {
    /// Its name.
    pub name: String,
    /// Its settings, each `NAME=VALUE` with or without `CONFIG_`.
    pub settings: Vec<String>,
    /// The folder of fragments.
    pub folder: PathBuf,
}

impl Fragment {
    /// The fragment, and its place among those of a recipe's kernel.
    ///
    /// # Errors
    /// The name or a setting can't be used, the recipe's kernel has no fragments, or has one of the name.
    pub fn changes(&self, recipe: &TargetRecipe) -> Result<Changes, ScaffoldError> {
        const LIST: [&str; 2] = ["kernel", "config"];
        let name = checked(&self.name)?;
        let stated = recipe.at(&["kernel", "component"]).is_some_and(|node| !matches!(node.value, YamlValue::Null));
        if !stated {
            return Err(ScaffoldError::Recipe(format!(
                "the kernel of {} is not built from source, so that it has no fragments: choose a recipe with `kernel.component` \
                 (`extends: library:dbcolinux.yaml` has one)",
                recipe.path.display()
            )));
        }
        if recipe.names(&LIST).iter().any(|known| known == name) {
            let message = format!("{} has a fragment `{name}` already", recipe.path.display());
            return Err(ScaffoldError::Recipe(message));
        }
        let mut text = format!("# {name}: what these settings are for.\n");
        for setting in &self.settings {
            let pair = setting.strip_prefix("CONFIG_").unwrap_or(setting).split_once('=');
            let parsed = pair.and_then(|(symbol, value)| Some((symbol, SymbolValue::parse(value)?)));
            let is_read = |(symbol, value): &(&str, SymbolValue)| {
                kernel::Fragment::parse(name, &value.line(symbol)).is_ok_and(|one| one.settings.len() == 1)
            };
            let (symbol, value) = parsed.filter(is_read).ok_or_else(|| {
                ScaffoldError::Answer(format!(
                    "`{setting}` is no setting: expected NAME=VALUE with y, m, n, a number or \"text\""
                ))
            })?;
            text += &format!("{}\n", value.line(symbol));
        }
        if self.settings.is_empty() {
            text += "# `CONFIG_NAME=y`, `=m` or `# CONFIG_NAME is not set`, one a line; each has to take effect.\n";
        }
        let mut changes = Changes::default();
        changes.file(self.folder.join(format!("{name}.config")), text);
        changes.edit(recipe.add_to_list(&LIST, &Value::text(name))?);
        Ok(changes)
    }
}
