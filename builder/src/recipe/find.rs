//! The image recipes of a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::input::{LIMIT, read_text};

/// The image recipes in a folder and below it, in order: YAML files with a key `recipe`. Hidden folders and links to
/// folders are left out. A YAML file that can't be read is an error: it might be one.
pub fn recipes_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut queue = vec![folder.to_owned()];
    while let Some(folder) = queue.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, entry.path());
            if kind.is_dir() && !entry.file_name().as_encoded_bytes().starts_with(b".") {
                queue.push(path);
            } else if !kind.is_dir() && path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
                let text = read_text(&path, LIMIT)
                    .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
                if text.lines().any(states_a_recipe) {
                    found.push(path);
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a line has the key `recipe` at the top, in any of the ways in which YAML writes it.
fn states_a_recipe(line: &str) -> bool {
    let line = line.trim_start_matches(['{', ' ']);
    let rest = ["recipe", "\"recipe\"", "'recipe'"].iter().find_map(|key| line.strip_prefix(key));
    rest.is_some_and(|rest| rest.trim_start().starts_with(':'))
}
