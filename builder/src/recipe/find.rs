//! Finding the image recipes of a folder, and the one that was meant by a wrong path.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::project::{FILE, is_repository, is_top};
use super::sniff::is_recipe;
use crate::input::{LIMIT, read_text};
use crate::similar;

/// The image recipes in a folder and below it, in order: YAML files with a key `recipe`, or with `extends` that are not
/// toolchains. Hidden folders and links to folders are skipped. A YAML file that can't be read is an error, as it might
/// be one.
pub fn recipes_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    below(folder, &|_| true)
}

/// The image recipes of the project in a folder, as [`recipes_below`] finds them, without folders that are other
/// projects or repositories.
pub fn recipes_of_project(folder: &Path) -> io::Result<Vec<PathBuf>> {
    below(folder, &|folder| !is_top(folder) && !is_repository(folder))
}

/// The image recipes in a folder itself, in order; what can't be read is left out.
pub fn recipes_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(1000);
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "yml");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_yaml).collect();
    paths
        .retain(|path| read_text(path, LIMIT).is_ok_and(|text| is_recipe(path.file_name().unwrap_or_default(), &text)));
    paths.sort();
    paths
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

/// The maximum number of recipes listed in a message.
const SHOWN: usize = 8;

/// The recipe that was probably meant by a wrong path, as the end of a sentence.
pub(super) fn suggest_path(path: &Path) -> String {
    match nearest(path) {
        (Some(near), _) => format!(" (did you mean {near}?)"),
        (None, known) if known.is_empty() || path.is_file() => String::new(),
        (None, known) => {
            let more = if known.len() > SHOWN { ", …" } else { "" };
            format!(" (there are: {}{more})", known[..known.len().min(SHOWN)].join(", "))
        }
    }
}

/// The recipe with the name nearest to a wrong path, and all existing ones.
pub(super) fn nearest(path: &Path) -> (Option<String>, Vec<String>) {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let own = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let folders = BTreeSet::from([own.to_owned(), PathBuf::new(), "recipes".into()]);
    let mut known: Vec<String> = Vec::new();
    for folder in &folders {
        let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        for entry in fs::read_dir(here).into_iter().flatten().flatten().take(1000) {
            let path = folder.join(entry.file_name());
            let is_project = entry.file_name() == FILE;
            if path.extension().is_some_and(|end| end == "yaml") && path.is_file() && !is_project {
                known.push(path.display().to_string());
            }
        }
    }
    known.sort();
    let stem = |path: &str| Path::new(path).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let stems: Vec<String> = known.iter().map(|path| stem(path)).collect();
    let near = similar::nearest(&name, stems.iter().map(String::as_str));
    let near = near.and_then(|near| known.iter().find(|path| stem(path) == near)).cloned();
    (near.filter(|near| path.is_dir() || Path::new(near) != path), known)
}
