//! Writing a vendored archive: the folder's layout as a tar file, the same bytes for the same selection.

use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Manifest, VendorError, apt};
use crate::archive::{Budget, Entries, MemberKind, decompress};
use crate::image::ImageError;
use crate::image::tar::write_tar;
use crate::interrupt::Temporary;
use crate::path_error::FromPathError as _;
use crate::source::{MANIFEST, content_path};
use crate::store::Store;
use crate::tree::{Entry, Tree, TreePath};

/// The time of every entry: 1980-01-01, as in archives without times. GNU tar warns about 1970.
const TIME: u64 = 315_532_800;

/// Most files are compressed already: a higher level takes minutes and gains little.
const ZSTD_LEVEL: i32 = 3;

/// The format of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// Without compression.
    Tar,
    /// Compressed by zstd.
    Zstd,
}

impl ArchiveFormat {
    /// The format by the end of a file's name; `None` for a folder.
    pub fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        if name.ends_with(".tar") {
            Some(Self::Tar)
        } else if name.ends_with(".tar.zst") || name.ends_with(".tzst") {
            Some(Self::Zstd)
        } else {
            None
        }
    }
}

/// Writes an archive of the selected files, which are all in the store, and then moves it to its path. A file there is only
/// replaced if it is a vendored archive.
pub fn write_archive(
    path: &Path,
    format: ArchiveFormat,
    selected: &Manifest,
    store: &Store,
    progress: &dyn Fn(u64),
) -> Result<u64, VendorError> {
    may_replace(path)?;
    let tree = tree(selected, store)?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".dbco-").permissions(std::fs::Permissions::from_mode(crate::inherited::mode_for_user()));
    let failed = |error| VendorError::io("write", path)(error);
    crate::inherited::for_user(|| std::fs::create_dir_all(folder)).map_err(failed)?;
    let temporary = builder.tempfile_in(folder).map_err(failed)?;
    let _removed = Temporary::new(temporary.path());
    let out = Counted { inner: BufWriter::with_capacity(1 << 17, temporary.as_file()), count: 0, progress };
    match format {
        ArchiveFormat::Tar => {
            let mut out = out;
            // It flushes its writer.
            write_tar(&tree, store, TIME, &mut out)?;
        }
        ArchiveFormat::Zstd => {
            let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL).map_err(failed)?;
            encoder.include_checksum(true).map_err(failed)?;
            write_tar(&tree, store, TIME, &mut encoder)?;
            encoder.finish().and_then(|mut out| out.flush()).map_err(ImageError::Write)?;
        }
    }
    temporary.as_file().sync_data().map_err(failed)?;
    let size = temporary.as_file().metadata().map_err(failed)?.len();
    temporary.persist(path).map_err(|error| failed(error.error))?;
    Ok(size)
}

/// The layout of a vendored folder as a tree. Contents come before the packages' names, which are links to them.
fn tree(selected: &Manifest, store: &Store) -> Result<Tree, VendorError> {
    let index = apt::index(selected, &|digest| Ok(Box::new(io::BufReader::new(store.open_blob(digest)?))))?;
    let mut tree = Tree::new();
    let place = |path: &str| {
        TreePath::new(path).map_err(|error| VendorError::Manifest { path: path.into(), message: error.to_string() })
    };
    for (name, text) in [(MANIFEST, selected.text()), (apt::INDEX, index)] {
        let digest = store.add_bytes(text.as_bytes())?;
        tree.insert(place(name)?, Entry::file(digest, text.len() as u64, 0o644));
    }
    for (file, number) in selected.0.values().zip(1..) {
        let mut entry = Entry::file(file.sha256, file.size, 0o644);
        if let Some(pool) = &file.pool {
            entry.inode = Some(number);
            tree.insert(place(pool)?, entry.clone());
        }
        tree.insert(place(&content_path(&file.sha256))?, entry);
    }
    tree.complete();
    tree.settle_links();
    Ok(tree)
}

/// Whether there is nothing at a path, or a vendored archive.
fn may_replace(path: &Path) -> Result<(), VendorError> {
    let file = match crate::input::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(VendorError::io("read", path))?,
    };
    let name = path.display().to_string();
    let is_ours = || {
        let mut entries = Entries::new(decompress(file, &name, &Budget::USUAL).ok()?, &name, &Budget::USUAL);
        // The manifest is the first file.
        while let Some(member) = entries.next_member().ok()? {
            if member.kind == MemberKind::File {
                return Some(String::from_utf8_lossy(&member.path).trim_start_matches("./") == MANIFEST);
            }
        }
        None
    };
    if is_ours() == Some(true) {
        return Ok(());
    }
    let what = "a file that `dbco vendor` did not make is there: remove it, or choose another path".to_owned();
    Err(VendorError::NotOurs { path: path.to_owned(), what })
}

/// A writer that reports how much was written to it.
struct Counted<'a, W> {
    inner: W,
    count: u64,
    progress: &'a dyn Fn(u64),
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.count += count as u64;
        (self.progress)(self.count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
