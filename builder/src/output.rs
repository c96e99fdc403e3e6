//! The outputs' folder: whole and new, or the old one as it was.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::build::Built;
use crate::digest::{Digest, copy};
use crate::plan::Plan;
use crate::store::{Output, Store, StoreError};

/// The name of the list of digests, as `sha256sum -c` takes it.
pub const SUMS: &str = "SHA256SUMS";

/// How the names of folders begin that are about to take an outputs' folder's place.
const NEW: &str = ".dbco-";

/// A file that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Where it is.
    pub path: PathBuf,
    /// Length in bytes.
    pub size: u64,
    /// Digest of the content.
    pub digest: Digest,
}

/// What [`write`] did.
#[derive(Clone, Debug)]
pub struct Report {
    /// The folder.
    pub folder: PathBuf,
    /// Its files, `SHA256SUMS` aside.
    pub files: Vec<Given>,
    /// Whether the folder held exactly this before.
    pub unchanged: bool,
}

/// Puts a plan's products into `folder`, which is replaced in one step (renameat2(2) with `RENAME_EXCHANGE`).
pub fn write(folder: &Path, plan: &Plan, built: &Built, store: &Store) -> Result<Report, StoreError> {
    let mut products = BTreeMap::new();
    for product in &plan.products {
        if let Some(Output::Blob { digest, size }) = built.output(&product.from) {
            products.insert(product.name.clone(), (digest, size));
        }
    }
    let given = |(name, (digest, size)): (&String, &(Digest, u64))| Given {
        path: folder.join(name),
        size: *size,
        digest: *digest,
    };
    let files = products.iter().map(given).collect();
    let sums: String = products.iter().map(|(name, (digest, _))| format!("{digest}  {name}\n")).collect();
    let unchanged = holds(folder, &products, &sums).map_err(StoreError::io("read", folder))?;
    if !unchanged {
        check(folder)?;
        replace(folder, &products, &sums, store)?;
    }
    Ok(Report { folder: folder.to_owned(), files, unchanged })
}

/// Whether a folder may be replaced: it holds nothing but what [`write`] put there.
pub fn check(folder: &Path) -> Result<(), StoreError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(StoreError::io("read", folder))?,
    };
    let sums = fs::read_to_string(folder.join(SUMS)).unwrap_or_default();
    let ours: Vec<_> = sums.lines().filter_map(|line| line.split_once("  ")).map(|(_, name)| name).collect();
    for entry in entries {
        let name = entry.map_err(StoreError::io("read", folder))?.file_name();
        if name != SUMS && !ours.iter().any(|ours| name == *ours) {
            let message = format!(
                "it holds `{}`, which is no output of dbco and would be lost: move it away, or choose another folder with --output",
                name.display()
            );
            return Err(StoreError::io("replace", folder)(io::Error::other(message)));
        }
    }
    Ok(())
}

/// Whether a folder holds exactly these files, by content.
fn holds(folder: &Path, products: &BTreeMap<String, (Digest, u64)>, sums: &str) -> io::Result<bool> {
    if fs::read_to_string(folder.join(SUMS)).is_ok_and(|text| text == sums) {
        let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        if names.len() == products.len() + 1 {
            for (name, (digest, size)) in products {
                let path = folder.join(name);
                let right = fs::metadata(&path).is_ok_and(|metadata| metadata.len() == *size)
                    && Digest::of_file(&path)?.0 == *digest;
                if !right {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
    }
    Ok(false)
}

fn replace(
    folder: &Path,
    products: &BTreeMap<String, (Digest, u64)>,
    sums: &str,
    store: &Store,
) -> Result<(), StoreError> {
    let parent = folder.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(StoreError::io("make", parent))?;
    // One writer at a time. Where there are no locks (some network file systems), what a killed one left stays.
    let lock = File::open(parent).map_err(StoreError::io("open", parent))?;
    if lock.lock().is_ok() {
        sweep(parent);
    }
    let new = tempfile::Builder::new()
        .prefix(NEW)
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir_in(parent)
        .map_err(StoreError::io("make a folder in", parent))?;
    for (name, (digest, _)) in products {
        let path = new.path().join(name);
        let mut from = store.open_blob(digest)?;
        let done = File::create(&path).and_then(|mut file| {
            copy(&mut from, &mut file)?;
            file.sync_data()
        });
        done.map_err(StoreError::io("write", &path))?;
    }
    let path = new.path().join(SUMS);
    let done = File::create(&path).and_then(|mut file| {
        file.write_all(sums.as_bytes())?;
        file.sync_data()
    });
    done.map_err(StoreError::io("write", &path))?;
    exchange(new, folder)
}

/// Removes what a killed writer left. The caller holds the lock.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(NEW.as_bytes())) {
        let _ = fs::remove_dir_all(entry.path());
    }
}

/// Puts the new folder in the old one's place; the old one then goes.
fn exchange(new: tempfile::TempDir, folder: &Path) -> Result<(), StoreError> {
    use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
    if !folder.exists() {
        let new = new.keep();
        return fs::rename(&new, folder).map_err(StoreError::io("write", folder));
    }
    match renameat2(AT_FDCWD, new.path(), AT_FDCWD, folder, RenameFlags::RENAME_EXCHANGE) {
        Ok(()) => Ok(()),
        // A file system that can't exchange (some network file systems): the gap between the two renames is short.
        Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOSYS) => {
            let old = new.path().with_extension("old");
            fs::rename(folder, &old).map_err(StoreError::io("replace", folder))?;
            fs::rename(new.keep(), folder).map_err(StoreError::io("write", folder))?;
            fs::remove_dir_all(&old).map_err(StoreError::io("remove", &old))
        }
        Err(error) => Err(StoreError::io("replace", folder)(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Products = BTreeMap<String, (Digest, u64)>;

    struct Place {
        folder: tempfile::TempDir,
        store: Store,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(&folder.path().join("store")).unwrap();
            Self { folder, store }
        }

        fn out(&self) -> PathBuf {
            self.folder.path().join("out/small")
        }

        fn products(&self, files: &[(&str, &str)]) -> (Products, String) {
            let add = |(name, text): &(&str, &str)| {
                (name.to_string(), (self.store.add_bytes(text.as_bytes()).unwrap(), text.len() as u64))
            };
            let products: Products = files.iter().map(add).collect();
            let sums = products.iter().map(|(name, (digest, _))| format!("{digest}  {name}\n")).collect();
            (products, sums)
        }

        fn put(&self, files: &[(&str, &str)]) {
            let (products, sums) = self.products(files);
            replace(&self.out(), &products, &sums, &self.store).unwrap();
        }

        fn holds(&self, files: &[(&str, &str)]) -> bool {
            let (products, sums) = self.products(files);
            holds(&self.out(), &products, &sums).unwrap()
        }

        fn names(&self, folder: &Path) -> Vec<String> {
            let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        }
    }

    #[test]
    fn the_folder_is_replaced_whole_and_nothing_is_left_beside_it() {
        let place = Place::new();
        place.put(&[("a", "1"), ("b", "2")]);
        assert_eq!(place.names(&place.out()), [SUMS, "a", "b"]);
        place.put(&[("a", "3")]);
        assert_eq!(place.names(&place.out()), [SUMS, "a"]);
        assert_eq!(fs::read_to_string(place.out().join("a")).unwrap(), "3");
        assert_eq!(place.names(place.out().parent().unwrap()), ["small"]);
    }

    #[test]
    fn a_folder_with_files_of_others_is_not_replaced() {
        let place = Place::new();
        check(&place.out()).unwrap();
        place.put(&[("a", "1")]);
        check(&place.out()).unwrap();
        fs::write(place.out().join("mine"), "x").unwrap();
        let error = check(&place.out()).unwrap_err();
        let text = format!("{}", std::error::Error::source(&error).unwrap());
        assert!(text.contains("`mine`") && text.contains("--output"), "{text}");
        fs::remove_file(place.out().join(SUMS)).unwrap();
        check(&place.out()).unwrap_err();
    }

    #[test]
    fn what_a_killed_writer_left_is_swept() {
        let place = Place::new();
        let left = place.folder.path().join("out/.dbco-left");
        fs::create_dir_all(&left).unwrap();
        fs::write(left.join("a"), "half").unwrap();
        place.put(&[("a", "1")]);
        assert_eq!(place.names(place.out().parent().unwrap()), ["small"]);
    }

    #[test]
    fn who_has_the_old_folder_open_keeps_it_whole() {
        let place = Place::new();
        place.put(&[("a", "1")]);
        let mut old = File::open(place.out().join("a")).unwrap();
        place.put(&[("a", "2")]);
        let mut text = String::new();
        io::Read::read_to_string(&mut old, &mut text).unwrap();
        assert_eq!(text, "1");
    }

    #[test]
    fn only_exactly_the_same_files_are_unchanged() {
        let place = Place::new();
        let files = [("a", "1"), ("b", "2")];
        assert!(!place.holds(&files));
        place.put(&files);
        assert!(place.holds(&files));
        assert!(!place.holds(&[("a", "1")]) && !place.holds(&[("a", "1"), ("b", "3")]));
        fs::write(place.out().join("b"), "3").unwrap();
        assert!(!place.holds(&files), "a file of the same length was edited");
        place.put(&files);
        fs::write(place.out().join("c"), "").unwrap();
        assert!(!place.holds(&files), "a file came in");
        place.put(&files);
        fs::remove_file(place.out().join("a")).unwrap();
        fs::write(place.out().join("c"), "1").unwrap();
        assert!(!place.holds(&files), "a file was renamed");
    }

    #[test]
    fn what_can_not_be_written_leaves_the_old_folder_as_it_was() {
        let place = Place::new();
        place.put(&[("a", "1")]);
        let (products, sums) = place.products(&[("a", "2"), ("b", "3")]);
        fs::remove_file(place.store.blob_path(&products["b"].0)).unwrap();
        assert!(replace(&place.out(), &products, &sums, &place.store).is_err());
        assert!(place.holds(&[("a", "1")]));
        assert_eq!(place.names(place.out().parent().unwrap()), ["small"]);
    }
}
