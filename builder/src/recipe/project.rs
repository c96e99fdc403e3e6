//! A project: recipes that share a lock, and may have a library to build on.

use std::path::{Component, Path, PathBuf};

use super::sniff::is_recipe;
use crate::input::{LIMIT, read_text};

/// The name of a project's lock.
pub const LOCK: &str = "dbco.lock";

/// The name of the file that a project's top folder may have.
pub const FILE: &str = "dbco.yaml";

/// The folder of the project that a recipe in the folder `of` belongs to: the nearest one at `of` or above that has a
/// lock or a project's file, otherwise `of`. The search stops at a folder with `.git`: a repository does not depend on
/// its surroundings.
pub fn folder(of: &Path) -> PathBuf {
    surroundings(of).find(|folder| is_top(folder)).unwrap_or_else(|| of.to_owned())
}

/// The project's file for recipes in the folder `of`: the nearest one at `of` or above, in the same repository.
pub fn file_of(of: &Path) -> Option<PathBuf> {
    surroundings(of).find_map(|folder| file_in(&folder))
}

/// Whether a folder is the top of a project.
pub(super) fn is_top(folder: &Path) -> bool {
    folder.join(LOCK).symlink_metadata().is_ok() || file_in(folder).is_some()
}

/// The project's file in a folder. A recipe may have its name.
fn file_in(folder: &Path) -> Option<PathBuf> {
    let path = folder.join(FILE);
    let is_other = || read_text(&path, LIMIT).is_ok_and(|text| is_recipe(FILE.as_ref(), &text));
    (path.symlink_metadata().is_ok() && !is_other()).then_some(path)
}

/// `of` and the folders above it, up to the top of the repository that it is in.
fn surroundings(of: &Path) -> impl Iterator<Item = PathBuf> {
    let mut is_over = false;
    above(of).take_while(move |folder| !std::mem::replace(&mut is_over, is_repository(folder)))
}

/// Whether a folder is the top of a git work tree, a repository or a submodule.
pub(super) fn is_repository(folder: &Path) -> bool {
    folder.join(".git").symlink_metadata().is_ok()
}

/// `from` and the folders above it, first along its own components, then along those of the working folder. Relative
/// paths stay relative as long as possible, so that messages show them as the user typed them.
pub(super) fn above(from: &Path) -> impl Iterator<Item = PathBuf> {
    let is_up = |path: &Path| matches!(path.components().next_back(), Some(Component::ParentDir));
    let own = from.ancestors().filter(|path| !path.as_os_str().is_empty());
    let relative: Vec<PathBuf> = own.take_while(|path| !is_up(path)).map(Path::to_owned).collect();
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let above: Vec<PathBuf> = match from.ancestors().find(|path| is_up(path)) {
        // What is above `a/..` is not what its text says, if `a` is a link.
        Some(up) => up.canonicalize().unwrap_or_else(|_| absolute(up)).ancestors().map(Path::to_owned).collect(),
        None => absolute(from).ancestors().skip(relative.len()).map(Path::to_owned).collect(),
    };
    relative.into_iter().chain(above)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_above_are_found_along_the_path_and_then_along_the_working_folder() {
        let here = std::env::current_dir().unwrap();
        let ancestors = |path: &Path, skipped| path.ancestors().skip(skipped).map(Path::to_owned).collect::<Vec<_>>();
        let of = |path: &str| above(Path::new(path)).collect::<Vec<_>>();
        assert_eq!(of("src/recipe"), [vec!["src/recipe".into(), "src".into()], ancestors(&here, 0)].concat());
        assert_eq!(of("."), [vec![".".into()], ancestors(&here, 1)].concat());
        assert_eq!(of("./src"), [vec!["./src".into(), ".".into()], ancestors(&here, 1)].concat());
        assert_eq!(of("/usr/lib"), ["/usr/lib", "/usr", "/"].map(PathBuf::from));
        assert_eq!(of(".."), ancestors(&here, 1));
        assert_eq!(of("../builder"), [vec!["../builder".into()], ancestors(&here, 1)].concat());
        assert_eq!(of("src/../tests"), [vec!["src/../tests".into()], ancestors(&here, 0)].concat());
    }
}
