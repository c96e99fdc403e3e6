//! A project: the recipes that share a lock.

use std::path::{Path, PathBuf};

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
