//! The shipped recipes, components, toolchains, patches, fragments and overlays, and the live system's sources, as a
//! library that projects build on: a folder laid out as this repository.
//!
//! A program that was built to leave its checkout (`build.rs`) has it inside, and unpacks it into the store. Otherwise
//! the checkout is the library.

mod pack;
mod unpacked;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::digest::{Digest, Hasher};
use crate::path_error::{FromPathError as _, PathError};

/// The folder of its recipes, which paths in a library are relative to.
pub const RECIPES: &str = "recipes";

/// A library on disk.
#[derive(Clone, Debug)]
pub struct Library {
    folder: PathBuf,
    digest: Option<Digest>,
}

/// Why there is no library.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The folder of the store is unknown.
    #[error(
        "the library of this program is unpacked into the store, and neither XDG_CACHE_HOME nor HOME is set: pass --store DIR"
    )]
    NoStore,
    /// The checkout that the program was built in is gone.
    #[error(
        "the library of this program was the folder {}, which is gone: build dbco with `--features embedded-library`",
        .0.display()
    )]
    NoCheckout(PathBuf),
    /// A system call failed on a path.
    #[error("the library of this program: {0}")]
    Io(#[from] PathError),
}

impl Library {
    /// The library in a folder that the user names. Its content is not pinned.
    pub fn at(folder: PathBuf) -> Self {
        Self { folder, digest: None }
    }

    /// The program's own library. One that is packed into the program is unpacked below `store`, unless it is there
    /// already; each of its files is compared, as the store's content is not trusted.
    pub fn of_program(store: Option<&Path>) -> Result<Self, LibraryError> {
        match PROGRAM {
            Program::Packed { archive, digest, content } => {
                let store = store.ok_or(LibraryError::NoStore)?;
                let parse =
                    |text: &str| text.parse::<Digest>().map_err(io::Error::other).map_err(PathError::io("read", store));
                let (digest, content) = (parse(digest)?, parse(content)?);
                let folder = unpacked::unpacked(&store.join(FOLDER), archive, &content)?;
                Ok(Self { folder, digest: Some(digest) })
            }
            Program::Checkout(manifest) => {
                let folder = Path::new(manifest).parent().unwrap_or(Path::new("/")).to_owned();
                if !folder.join(RECIPES).is_dir() {
                    return Err(LibraryError::NoCheckout(folder));
                }
                let digest = digest_of_checkout(&folder)?;
                Ok(Self { folder, digest: Some(digest) })
            }
        }
    }

    /// The folder that contains `recipes`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of its recipes.
    pub fn recipes(&self) -> PathBuf {
        self.folder.join(RECIPES)
    }

    /// The folders that hold `components`, `toolchains`, `patches` and `kernel-config`, the first one first.
    pub fn folders(&self) -> [PathBuf; 2] {
        [self.recipes(), self.folder.clone()]
    }

    /// The sha256 of its content as a tar archive, without its lock: what that names is in the project's lock. None for a
    /// folder that the user names.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// A path relative to its recipes, if `path` is inside of it.
    pub fn name_of(&self, path: &Path) -> Option<PathBuf> {
        let written = || normal(path.strip_prefix(&self.folder).ok()?);
        let resolved =
            || Some(path.canonicalize().ok()?.strip_prefix(self.folder.canonicalize().ok()?).ok()?.to_owned());
        let inside = written().or_else(resolved).filter(|inside| is_part(inside))?;
        Some(match inside.strip_prefix(RECIPES) {
            Ok(name) => name.to_owned(),
            Err(_) => Path::new("..").join(inside),
        })
    }

    /// The file that a path relative to its recipes names; none if the path leaves the library.
    pub fn path_of(&self, name: &Path) -> Option<PathBuf> {
        let inside = normal(&Path::new(RECIPES).join(name)).filter(|inside| is_part(inside))?;
        Some(self.folder.join(inside))
    }
}

/// Whether a path relative to a library's folder is part of it: a checkout has other folders, too.
fn is_part(inside: &Path) -> bool {
    inside.components().next().is_some_and(|first| pack::FOLDERS.iter().any(|folder| first.as_os_str() == *folder))
}

/// A relative path without `.` and `..`; none if it is absolute or begins above its start.
fn normal(path: &Path) -> Option<PathBuf> {
    use std::path::Component;
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => normal.push(name),
            Component::CurDir => {}
            Component::ParentDir if normal.pop() => {}
            _ => return None,
        }
    }
    Some(normal)
}

/// The store's folder for libraries.
pub const FOLDER: &str = "libraries";

/// Where the program's library comes from.
enum Program {
    /// Inside of the program.
    #[cfg_attr(not(embedded_library), expect(dead_code))]
    Packed {
        archive: &'static [u8],
        /// The digest that locks pin.
        digest: &'static str,
        /// The digest of the uncompressed archive.
        content: &'static str,
    },
    /// The checkout that the program was built from, and is in: the folder of the crate in it.
    #[cfg_attr(embedded_library, expect(dead_code))]
    Checkout(&'static str),
}

#[cfg(embedded_library)]
const PROGRAM: Program = Program::Packed {
    archive: include_bytes!(concat!(env!("OUT_DIR"), "/library.tar.gz")),
    digest: env!("DBCO_LIBRARY"),
    content: env!("DBCO_LIBRARY_CONTENT"),
};

#[cfg(not(embedded_library))]
const PROGRAM: Program = Program::Checkout(env!("CARGO_MANIFEST_DIR"));

/// The digest of the checkout. It is determined once: a process does not see it change between two recipes.
fn digest_of_checkout(folder: &Path) -> Result<Digest, PathError> {
    static DIGEST: OnceLock<Digest> = OnceLock::new();
    if let Some(known) = DIGEST.get() {
        return Ok(*known);
    }
    let mut hasher = Hasher::new(io::sink());
    pack::pack(folder, pack::Part::Pinned, &mut hasher).map_err(PathError::io("read", folder))?;
    Ok(*DIGEST.get_or_init(|| hasher.finish().0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        let library = Library::at("/l".into());
        for (name, path) in [
            ("quick.yaml", Some("/l/recipes/quick.yaml")),
            ("components/a.yaml", Some("/l/recipes/components/a.yaml")),
            ("./a", Some("/l/recipes/a")),
            ("../kernel-config/tiny.config", Some("/l/kernel-config/tiny.config")),
            ("x/../../livefs", Some("/l/livefs")),
            ("..", None),
            ("../builder/src", None),
            ("../.git", None),
            ("../..", None),
            ("../../x", None),
            ("x/../../../y", None),
            ("/etc", None),
        ] {
            assert_eq!(library.path_of(Path::new(name)), path.map(PathBuf::from), "{name}");
        }
        for (path, name) in [
            ("/l/recipes/quick.yaml", Some("quick.yaml")),
            ("/l/recipes/components/../a", Some("a")),
            ("/l/recipes/components/../../livefs", Some("../livefs")),
            ("/l/livefs/Cargo.lock", Some("../livefs/Cargo.lock")),
            ("/l/../x", None),
            ("/m/recipes/a", None),
        ] {
            assert_eq!(library.name_of(Path::new(path)), name.map(PathBuf::from), "{path}");
        }
    }

    #[test]
    fn the_program_has_a_library() {
        let store = tempfile::tempdir().unwrap();
        let library = Library::of_program(Some(store.path())).unwrap();
        assert!(library.recipes().join("quick.yaml").is_file());
        assert!(library.folder().join("livefs/Cargo.lock").is_file());
        assert_eq!(library.digest(), Library::of_program(Some(store.path())).unwrap().digest());
    }
}
