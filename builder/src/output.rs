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
        replace(folder, &products, &sums, store)?;
    }
    Ok(Report { folder: folder.to_owned(), files, unchanged })
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
    let new = tempfile::Builder::new()
        .prefix(".dbco-")
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
