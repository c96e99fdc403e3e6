//! Adding something to a list of a recipe or a component that exists.

use std::path::PathBuf;

use super::{Edit, Manual, ScaffoldError};
use crate::recipe::element_name;
use crate::yaml::edit::{self, EditError, Value};
use crate::yaml::node::{YamlNode, YamlValue};

/// A recipe or a component that is edited.
#[derive(Clone, Debug)]
pub struct TargetRecipe {
    /// Its file.
    pub path: PathBuf,
    /// The file's text.
    pub text: String,
    /// Its content, merged over what it extends.
    pub merged: YamlNode,
}

/// The result of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited {
    /// The text with the change.
    Done(Edit),
    /// The file's form does not allow it.
    Manual(Manual),
}

impl TargetRecipe {
    /// The node at keys, in the merged content.
    pub fn at(&self, path: &[&str]) -> Option<&YamlNode> {
        path.iter().try_fold(&self.merged, |node, key| node.get(key))
    }

    /// The names of a list's elements, in the merged content.
    pub fn names(&self, path: &[&str]) -> Vec<String> {
        match self.at(path).map(|node| &node.value) {
            Some(YamlValue::List(nodes)) => {
                let key = path.last().copied().unwrap_or_default();
                nodes.iter().filter_map(|node| element_name(node, key)).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether the file itself has a key at its top.
    pub fn states(&self, key: &str) -> bool {
        edit::value(&self.text).is_ok_and(|node| node.get(key).is_some())
    }

    /// Adds an element to the end of a list: to the list that the file states, or to the elements that it adds to the
    /// extended one's, or (if it states nothing) as such an addition.
    ///
    /// # Errors
    /// The file is not valid YAML. Other obstacles are [`Edited::Manual`].
    pub fn add_to_list(&self, path: &[&str], element: &Value) -> Result<Edited, ScaffoldError> {
        let node = edit::value(&self.text).map_err(|error| self.invalid(&error))?;
        let inherits =
            node.get("extends").is_some() && self.at(path).is_some_and(|node| matches!(node.value, YamlValue::List(_)));
        let list = Value::List(vec![element.clone()]);
        let addition = if inherits { Value::map([("add", list)]) } else { list };
        let stated = path.iter().try_fold(&node, |node, key| node.get(key));
        let is_list = stated.is_some_and(|node| matches!(node.value, YamlValue::List(_)));
        let after = match stated {
            Some(found) => match &found.value {
                YamlValue::Map(_) if found.get("add").is_some() => {
                    edit::push(&self.text, &[path, &["add"]].concat(), element)
                }
                YamlValue::Map(_) => edit::insert(&self.text, path, "add", &Value::List(vec![element.clone()])),
                _ => edit::push(&self.text, path, element),
            },
            None => {
                // The first key on the way that is missing.
                let is_there =
                    |depth: &usize| path[..*depth].iter().try_fold(&node, |node, key| node.get(key)).is_some();
                let depth = (0..path.len()).rev().find(is_there).unwrap_or(0);
                let below = path[depth + 1..].iter().rev();
                let value = below.fold(addition.clone(), |value, key| Value::Map(vec![((*key).to_owned(), value)]));
                edit::insert(&self.text, &path[..depth], path[depth], &value)
            }
        };
        Ok(match after {
            Ok(after) => Edited::Done(Edit { path: self.path.clone(), before: self.text.clone(), after }),
            Err(error) => Edited::Manual(Manual {
                path: self.path.clone(),
                why: error.to_string(),
                lines: lines(path, if is_list { Value::List(vec![element.clone()]) } else { addition }),
            }),
        })
    }

    fn invalid(&self, error: &EditError) -> ScaffoldError {
        ScaffoldError::Recipe(format!("{}: {error}", self.path.display()))
    }
}

/// A value at keys from the top, as the lines that state it.
fn lines(path: &[&str], value: Value) -> String {
    let Some((first, rest)) = path.split_first() else { return String::new() };
    let value = rest.iter().rev().fold(value, |value, key| Value::Map(vec![((*key).to_owned(), value)]));
    const HEAD: &str = "x: x\n";
    let text = edit::insert(HEAD, &[], first, &value).unwrap_or_default();
    text.strip_prefix(HEAD).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(text: &str, merged: &str) -> TargetRecipe {
        TargetRecipe { path: "r.yaml".into(), text: text.into(), merged: edit::value(merged).unwrap() }
    }

    #[track_caller]
    fn adds(text: &str, merged: &str, after: &str) {
        let edited = recipe(text, merged).add_to_list(&["rootfs", "components"], &Value::text("n")).unwrap();
        let Edited::Done(edit) = edited else { panic!("{edited:?}") };
        assert_eq!(edit.after, after);
    }

    const BASE: &str = "rootfs: {components: [busybox]}\n";

    #[test]
    fn the_form_that_the_recipe_has_is_kept() {
        adds("extends: b\n", BASE, "extends: b\nrootfs:\n  components: {add: [\"n\"]}\n");
        adds("recipe: b\n", "recipe: b\n", "recipe: b\nrootfs: {components: [\"n\"]}\n");
        adds("extends: b\n", "extends: b\n", "extends: b\nrootfs: {components: [\"n\"]}\n");
        let own = "extends: b\nrootfs:\n  components: [a] # c\n";
        adds(own, BASE, "extends: b\nrootfs:\n  components: [a, \"n\"] # c\n");
        let added = "extends: b\nrootfs:\n  components: {add: [a]}\n";
        adds(added, BASE, "extends: b\nrootfs:\n  components: {add: [a, \"n\"]}\n");
        let removed = "extends: b\nrootfs:\n  components: {remove: [a]}\n";
        adds(removed, BASE, "extends: b\nrootfs:\n  components: {remove: [a], add: [\"n\"]}\n");
        let other = "extends: b\nrootfs:\n  # Which one.\n  layout: split\n\nboot: {timeout: 1}\n";
        let expected = other.replace("split\n", "split\n  components: {add: [\"n\"]}\n");
        adds(other, BASE, &expected);
        adds("extends: b\nrootfs:\n", "rootfs:\n", "extends: b\nrootfs: {components: [\"n\"]}\n");
        let lines = "recipe: b\nrootfs:\n  components:\n  - a # c\nboot:\n";
        adds(lines, "rootfs: {components: [a]}", &lines.replace("# c\n", "# c\n  - \"n\"\n"));
    }

    #[test]
    fn what_is_not_changed_is_told() {
        let text = "extends: b\nx: &l [a]\nrootfs: {components: *l}\n";
        let edited = recipe(text, BASE).add_to_list(&["rootfs", "components"], &Value::text("new")).unwrap();
        let Edited::Manual(manual) = edited else { panic!("{edited:?}") };
        assert!(manual.why.contains("alias"), "{}", manual.why);
        assert_eq!(manual.lines, "rootfs: {components: [new]}\n");
        let text = "extends: b\nrootfs: &r {layout: split}\nx: *r\n";
        let edited = recipe(text, BASE).add_to_list(&["rootfs", "components"], &Value::text("new")).unwrap();
        let Edited::Manual(manual) = edited else { panic!("{edited:?}") };
        assert_eq!(manual.lines, "rootfs:\n  components: {add: [new]}\n");
    }
}
