//! A boot test.

use super::{Changes, ScaffoldError, TargetRecipe, checked};
use crate::yaml::edit::Value;
use crate::yaml::node::YamlValue;

/// A boot test.
#[derive(Clone, Debug)]
pub struct BootTest {
    /// Its name.
    pub name: String,
    /// The command that it runs.
    pub command: String,
    /// What the command prints; anything, if it is empty.
    pub expect: String,
}

impl BootTest {
    /// The test as the last one of a recipe.
    ///
    /// # Errors
    /// The name can't be used, or the recipe has such a test or no boot entry.
    pub fn changes(&self, recipe: &TargetRecipe) -> Result<Changes, ScaffoldError> {
        let name = checked(&self.name)?;
        if recipe.names(&["tests"]).iter().any(|known| known == name) {
            return Err(ScaffoldError::Recipe(format!("{} has a test `{name}` already", recipe.path.display())));
        }
        let live = match recipe.at(&["boot", "entries"]).map(|node| &node.value) {
            Some(YamlValue::List(entries)) => {
                entries.iter().find_map(|entry| entry.get("id").and_then(|id| id.text())).map(str::to_owned)
            }
            _ => None,
        };
        let entry = live.ok_or_else(|| {
            ScaffoldError::Recipe(format!(
                "{} has no `boot.entries`, of which a test starts one",
                recipe.path.display()
            ))
        })?;
        let mut run = vec![("command", Value::text(&self.command))];
        run.extend((!self.expect.is_empty()).then(|| ("expect", Value::text(&self.expect))));
        let run = Value::Map(run.into_iter().map(|(key, value)| (key.to_owned(), value)).collect());
        let test = Value::map([
            ("name", Value::text(name)),
            ("entry", Value::text(entry)),
            ("medium", Value::text("kernel")),
            ("memory", Value::Plain("256".into())),
            ("expect", Value::text("login:")),
            ("login", Value::map([("user", Value::text("root"))])),
            ("run", Value::List(vec![run])),
            ("end", Value::text("poweroff")),
        ]);
        let mut changes = Changes::default();
        changes.edit(recipe.add_to_list(&["tests"], &test)?);
        Ok(changes)
    }
}
