//! Finding the image recipes of a folder.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::project::{LOCK, is_repository};
use crate::input::{LIMIT, read_text};

/// The image recipes in a folder and below it, in order: YAML files with a key `recipe`, or with `extends` that are not
/// toolchains. Hidden folders and links to folders are skipped. A YAML file that can't be read is an error, as it might
/// be one.
pub fn recipes_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    below(folder, &|_| true)
}

/// The image recipes of the project in a folder, as [`recipes_below`] finds them, without folders that have their own
/// lock or are other repositories.
pub fn recipes_of_project(folder: &Path) -> io::Result<Vec<PathBuf>> {
    below(folder, &|folder| folder.join(LOCK).symlink_metadata().is_err() && !is_repository(folder))
}

fn below(folder: &Path, enter: &dyn Fn(&Path) -> bool) -> io::Result<Vec<PathBuf>> {
    let at = |path: &Path, error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut found = Vec::new();
    let mut queue = vec![folder.to_owned()];
    while let Some(folder) = queue.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| at(&folder, error))? {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, entry.path());
            if kind.is_dir() {
                if !entry.file_name().as_encoded_bytes().starts_with(b".") && enter(&path) {
                    queue.push(path);
                }
            } else if path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
                let text = read_text(&path, LIMIT).map_err(|error| at(&path, error))?;
                if is_recipe(&entry.file_name(), &text) {
                    found.push(path);
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a YAML file describes an image. Its name may come from the recipe that it extends; other programs' settings
/// with a key `extends` are usually in hidden files.
fn is_recipe(name: &OsStr, text: &str) -> bool {
    let has = |key: &str| text.lines().any(|line| states(line, key));
    let extends = text.lines().any(|line| line.starts_with("extends") && states(line, "extends"));
    let hidden = name.as_encoded_bytes().starts_with(b".");
    has("recipe") || (extends && !hidden && !has("toolchain") && !has("component"))
}

/// Whether a line starts with a key, in any of YAML's notations.
fn states(line: &str, key: &str) -> bool {
    let line = line.trim_start_matches(['{', ' ']);
    let line = line.strip_prefix(['"', '\'']).unwrap_or(line);
    let rest = line.strip_prefix(key).map(|rest| rest.strip_prefix(['"', '\'']).unwrap_or(rest));
    rest.is_some_and(|rest| rest.trim_start().starts_with(':'))
}
