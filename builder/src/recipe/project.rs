//! A project: the recipes that share a lock.

use std::path::{Component, Path, PathBuf};

/// The name of a project's lock.
pub const LOCK: &str = "dbco.lock";

/// The folder of the project that a recipe in the folder `of` belongs to: the nearest one at `of` or above that has a lock,
/// or else `of`. Above a folder with `.git` nothing is looked for: a repository does not depend on what it lies in.
pub fn folder(of: &Path) -> PathBuf {
    for folder in above(of) {
        if folder.join(LOCK).symlink_metadata().is_ok() {
            return folder;
        }
        if is_repository(&folder) {
            break;
        }
    }
    of.to_owned()
}

/// Whether a folder is the top of a git repository, a work tree or a submodule.
pub(super) fn is_repository(folder: &Path) -> bool {
    folder.join(".git").symlink_metadata().is_ok()
}

/// `from` and the folders above it, as far as its text and then the working folder's path go.
pub(super) fn above(from: &Path) -> impl Iterator<Item = PathBuf> {
    let absolute = std::path::absolute(from).unwrap_or_else(|_| from.to_owned());
    let levels = absolute.ancestors().count();
    // Relative paths stay relative while they can: messages then read as the user typed them.
    let relative: Vec<PathBuf> =
        from.ancestors().filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned).collect();
    let above = absolute.ancestors().skip(relative.len()).map(Path::to_owned).collect::<Vec<_>>();
    relative.into_iter().chain(above).take(levels)
}

/// A path that is relative to a recipe's folder, relative to the folder of its project: recipes in several folders
/// that name the same file then ask for the same.
pub(super) fn relative(path: &str, of: &Path, project: &Path) -> String {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (of, project) = (absolute(of), absolute(project));
    let Some(below) = of.strip_prefix(&project).ok().filter(|below| !below.as_os_str().is_empty()) else {
        return path.to_owned();
    };
    let joined = below.join(path);
    let mut plain = PathBuf::new();
    for part in joined.components() {
        match part {
            Component::ParentDir if plain.file_name().is_some_and(|name| name != "..") => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    // Through a link to a folder `..` leads elsewhere than its text says.
    let file = |path: &Path| project.join(path).canonicalize().ok();
    let found = if file(&plain) == file(&joined) { plain } else { joined };
    found.to_str().map_or_else(|| path.to_owned(), str::to_owned)
}
