//! A project: recipes that share a lock.

use std::path::{Path, PathBuf};

/// The name of a project's lock.
pub const LOCK: &str = "dbco.lock";

/// The folder of the project that a recipe in the folder `of` belongs to: the nearest one at `of` or above that has a
/// lock, otherwise `of`. The search stops at a folder with `.git`: a repository does not depend on its surroundings.
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

/// Whether a folder is the top of a git work tree, a repository or a submodule.
pub(super) fn is_repository(folder: &Path) -> bool {
    folder.join(".git").symlink_metadata().is_ok()
}

/// `from` and the folders above it, first along its own components, then along those of the working folder.
pub(super) fn above(from: &Path) -> impl Iterator<Item = PathBuf> {
    let absolute = std::path::absolute(from).unwrap_or_else(|_| from.to_owned());
    let levels = absolute.ancestors().count();
    // Relative paths stay relative as long as possible, so that messages show them as the user typed them.
    let relative: Vec<PathBuf> =
        from.ancestors().filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned).collect();
    let above = absolute.ancestors().skip(relative.len()).map(Path::to_owned).collect::<Vec<_>>();
    relative.into_iter().chain(above).take(levels)
}
