//! Which recipes were built with this store: `dbco cache gc --keep-seen` keeps what they use.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::listing::entries;
use super::{Store, StoreError, write_atomically};
use crate::digest::Digest;
use crate::path_error::FromPathError as _;

/// The most bytes of a path (`PATH_MAX`).
const MAX_PATH: u64 = 4096;

impl Store {
    /// Records that a recipe is built with this store. A failure does not affect the build.
    pub fn note_recipe(&self, recipe: &Path) {
        let Ok(path) = recipe.canonicalize() else { return };
        let record = self.record_of(&path);
        if fs::symlink_metadata(&record).is_err() {
            let folder = self.path().join("recipes");
            let _ = fs::create_dir_all(folder).map(|()| write_atomically(&record, path.as_os_str().as_bytes()));
        }
    }

    /// The recipes that were built with this store, ordered by their paths. Some may be gone.
    pub fn seen_recipes(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut recipes = Vec::new();
        for record in entries(&self.path().join("recipes"))? {
            let text = crate::input::read(&record, MAX_PATH).map_err(StoreError::io("read", &record))?;
            let path = PathBuf::from(OsString::from_vec(text));
            // Anything else is damaged, or an unfinished record.
            if self.record_of(&path) == record {
                recipes.push(path);
            }
        }
        recipes.sort();
        Ok(recipes)
    }

    /// Forgets a recipe.
    pub fn forget_recipe(&self, recipe: &Path) -> Result<(), StoreError> {
        let record = self.record_of(recipe);
        fs::remove_file(&record).map_err(StoreError::io("remove", &record))
    }

    fn record_of(&self, recipe: &Path) -> PathBuf {
        self.path().join("recipes").join(Digest::of(recipe.as_os_str().as_bytes()).to_string())
    }
}
