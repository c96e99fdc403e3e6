//! The library that a project builds on, and paths in it.

use std::path::{Path, PathBuf};

use super::decode::{At, FindingSink, Table, wrong_type};
use super::error::LoadError;
use super::find::recipes_in;
use super::keys;
use super::node::{YamlNode, YamlValue};
use super::text::{RecipeFiles, Span};
use crate::library::{Library, RECIPES};
use crate::similar;
use crate::store::default_path;

/// What a path in a library begins with.
pub const PREFIX: &str = "library:";

/// The library that a project's file states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LibraryChoice {
    /// The program's own.
    Embedded,
    /// A folder.
    Folder(PathBuf),
}

impl LibraryChoice {
    /// Reads a project's file: its `library`.
    pub fn decode(node: &YamlNode, files: &RecipeFiles, sink: &FindingSink) -> Option<At<Self>> {
        if matches!(node.value, YamlValue::Null) {
            return None;
        }
        let table = Table::open(node, &keys::PROJECT, sink)?;
        let choice = table.node("library").filter(|node| !matches!(node.value, YamlValue::Null));
        let choice = choice.and_then(|node| {
            let value = match &node.value {
                YamlValue::Text { text, .. } if text == "embedded" => Self::Embedded,
                YamlValue::Map(_) => Self::Folder(folder(node, files, sink)?),
                other => {
                    wrong_type(node, "`embedded` or `{path: FOLDER}`", sink);
                    if let YamlValue::Text { text, .. } = other
                        && let Some(near) = similar::nearest(text, ["embedded"])
                        && let Some(finding) = sink.borrow_mut().iter_mut().last()
                    {
                        finding.suggest(near);
                    }
                    return None;
                }
            };
            Some(At { value, span: node.span })
        });
        table.close();
        choice
    }

    /// The library. The program's own may be unpacked into the store.
    pub fn open(&self, store: Option<&Path>) -> Result<Library, LoadError> {
        match self {
            Self::Embedded => {
                let store = store.map(Path::to_owned).or_else(default_path);
                Ok(Library::of_program(store.as_deref())?)
            }
            Self::Folder(folder) => Ok(Library::at(folder.clone())),
        }
    }
}

fn folder(node: &YamlNode, files: &RecipeFiles, sink: &FindingSink) -> Option<PathBuf> {
    let table = Table::open(node, &keys::LIBRARY_FOLDER, sink)?;
    let path: Option<At<String>> = table.required("path");
    table.close();
    let path = path?;
    let folder = files.folder(path.span.file).join(&path.value);
    if folder.join(RECIPES).is_dir() {
        return Some(folder);
    }
    let message = format!("{} is no library: it has no folder `{RECIPES}`", folder.display());
    sink.borrow_mut().add("library", path.span, message).help("a library is a folder like dbco's repository");
    None
}

/// The path in a library that a text names, if it names one.
pub(super) fn in_library(text: &str) -> Option<&str> {
    text.strip_prefix(PREFIX)
}

/// The file that `library:NAME` stands for. Without a library, and for a path that leaves it, there is a finding.
pub(super) fn locate(name: &str, library: Option<&Library>, span: Span, sink: &FindingSink) -> Option<PathBuf> {
    let Some(library) = library else {
        // What is wrong with the project's file is the reason.
        if sink.borrow().has_any(&["library", "missing-file", "unknown-key", "wrong-type", "yaml"]) {
            return None;
        }
        let message = format!("`{PREFIX}{name}` is a path in a library, and this project states none");
        sink.borrow_mut()
            .add("library", span, message)
            .help("write `library: embedded` into the file dbco.yaml in the top folder of the project");
        return None;
    };
    let path = library.path_of(Path::new(name));
    if path.is_none() {
        let message = format!("`{PREFIX}{name}` is not in the library");
        sink.borrow_mut().add("library", span, message).help(format!("the path is relative to its folder `{RECIPES}`"));
    }
    path
}

/// A path as a text of a recipe: with the prefix, if it is in the library.
pub(super) fn as_text(path: &Path, library: Option<&Library>) -> Option<String> {
    Some(format!("{PREFIX}{}", library?.name_of(path)?.display()))
}

/// The names of the recipes of a library, without their ending.
fn names(library: &Library) -> Vec<String> {
    let paths = recipes_in(&library.recipes());
    paths.iter().filter_map(|path| Some(path.file_name()?.to_str()?.strip_suffix(".yaml")?.to_owned())).collect()
}

/// What recipes there are in a library.
pub(super) fn recipes(library: &Library) -> String {
    format!("the library has the recipes {}", names(library).join(", "))
}

/// The recipe of a library that was probably meant by a wrong path.
pub(super) fn nearest(path: &Path, library: &Library) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let names = names(library);
    let near = similar::nearest(name.trim_end_matches(".yaml"), names.iter().map(String::as_str))?;
    Some(format!("{PREFIX}{near}.yaml"))
}

/// The recipe of a library that was probably meant by a wrong path, as the end of a sentence.
pub(super) fn suggest(name: &str, library: &Library) -> String {
    match nearest(Path::new(name), library) {
        Some(near) => format!(" (did you mean {near}?)"),
        None => format!(" ({})", recipes(library)),
    }
}
