//! Writing a vendored folder.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nix::sys::stat::SFlag;

use super::{Manifest, VendorError, apt};
use crate::beneath::{BeneathError, Dir, Links, Refusal};
use crate::digest::Digest;
use crate::path_error::FromPathError as _;
use crate::source::{CONTENTS, MANIFEST, content_path};
use crate::store::Store;

/// Where a file is written before it has its name. The folder is locked by its writer, so one is enough.
const PARTIAL: &str = ".dbco-partial";

/// The maximum length of a manifest in bytes: several hundred thousand files.
const MAX_MANIFEST: u64 = 256 << 20;

/// What [`write_folder`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderReport {
    /// Files that were added.
    pub added: usize,
    /// The bytes of those.
    pub added_bytes: u64,
    /// Files that were there already, with the right content.
    pub present: usize,
    /// Paths of files that were damaged, and were replaced.
    pub mended: Vec<String>,
    /// Files that were removed.
    pub removed: usize,
    /// Whether the file system has hard links, which the names for apt need.
    pub links: bool,
}

/// Brings a folder up to date with files from the store. Files that it contains for other locks stay; with `keep`, those
/// that are neither selected nor in it are removed.
///
/// `progress` receives the number of bytes that were checked or written.
pub fn write_folder(
    path: &Path,
    selected: &Manifest,
    keep: Option<&BTreeSet<Digest>>,
    store: &Store,
    progress: &dyn Fn(u64),
) -> Result<FolderReport, VendorError> {
    crate::inherited::for_user(|| std::fs::create_dir_all(path)).map_err(VendorError::io("make", path))?;
    let path = &path.canonicalize().map_err(VendorError::io("open", path))?;
    let dir = Dir::open(path, Links::Never).map_err(VendorError::io("open", path))?;
    let _lock = dir.lock().map_err(VendorError::io("lock", path))?.ok_or_else(|| VendorError::Busy(path.clone()))?;
    let folder = Folder { path, dir };
    let mut manifest = match folder.manifest()? {
        Some(manifest) => manifest,
        None => {
            folder.must_be_empty()?;
            // From now on it is known as a vendored folder, even if this run is killed.
            folder.write(MANIFEST, Manifest::default().text().as_bytes())?;
            Manifest::default()
        }
    };
    let mut report = FolderReport { links: true, ..FolderReport::default() };
    let mut done = 0;
    for file in selected.0.values() {
        match folder.state(&file.sha256)? {
            State::Sound => report.present += 1,
            State::Missing => {
                folder.add(&file.sha256, store)?;
                (report.added, report.added_bytes) = (report.added + 1, report.added_bytes + file.size);
            }
            State::Damaged => {
                folder.add(&file.sha256, store)?;
                report.mended.push(content_path(&file.sha256));
            }
        }
        done += file.size;
        progress(done);
    }
    let goes = |digest: &Digest| keep.is_some_and(|keep| !keep.contains(digest)) && !selected.0.contains_key(digest);
    let old = std::mem::take(&mut manifest.0);
    let (gone, stays): (Vec<_>, Vec<_>) = old.into_values().partition(|file| goes(&file.sha256));
    manifest.0 = stays.into_iter().map(|file| (file.sha256, file)).collect();
    manifest.0.retain(|digest, _| folder.dir.has_file(content_path(digest)));
    for (digest, file) in &selected.0 {
        let mut file = file.clone();
        file.locked_by.extend(manifest.0.get(digest).into_iter().flat_map(|old| old.locked_by.clone()));
        manifest.0.insert(*digest, file);
    }
    report.links = folder.link(&manifest)?;
    let index = apt::index(&manifest, &|digest| {
        let file = folder.dir.open_file(content_path(digest)).map_err(|error| folder.below(error))?;
        Ok(Box::new(io::BufReader::new(file)))
    })?;
    folder.write(apt::INDEX, if report.links { index.as_bytes() } else { b"" })?;
    folder.write(MANIFEST, manifest.text().as_bytes())?;
    // Only now: files that an interrupted run did not remove are found by the next one.
    for file in gone.iter().filter_map(|file| file.pool.as_ref()) {
        if !manifest.0.values().any(|kept| kept.pool.as_ref() == Some(file)) {
            folder.dir.remove(file).map_err(|error| folder.below(error))?;
        }
    }
    if keep.is_some() {
        report.removed = folder.remove_unlisted(&manifest)?;
    }
    folder.dir.remove(PARTIAL).map_err(|error| folder.below(error))?;
    Ok(report)
}

/// A file's state in the folder.
enum State {
    Missing,
    Damaged,
    Sound,
}

pub(super) struct Folder<'a> {
    pub path: &'a Path,
    pub dir: Dir,
}

impl Folder<'_> {
    pub fn below(&self, error: BeneathError) -> VendorError {
        VendorError::Below { path: self.path.to_owned(), error }
    }

    /// The manifest; `None` if there is none.
    pub fn manifest(&self) -> Result<Option<Manifest>, VendorError> {
        let text = match self.dir.read_text(MANIFEST, MAX_MANIFEST) {
            Err(error) if error.is_missing() => return Ok(None),
            text => text.map_err(|error| self.below(error))?,
        };
        let path = self.path.join(MANIFEST);
        Manifest::parse(&text).map(Some).map_err(|message| VendorError::Manifest { path, message })
    }

    fn must_be_empty(&self) -> Result<(), VendorError> {
        let found = self.dir.list("").map_err(|error| self.below(error))?;
        match found.iter().find(|entry| entry.name != PARTIAL) {
            None => Ok(()),
            Some(entry) => Err(VendorError::NotOurs {
                path: self.path.to_owned(),
                what: format!(
                    "it contains `{}` but no {MANIFEST}: choose a folder that is empty or that `dbco vendor` made",
                    crate::printable::printable(entry.name.as_encoded_bytes())
                ),
            }),
        }
    }

    fn state(&self, digest: &Digest) -> Result<State, VendorError> {
        let file = match self.dir.open_file(content_path(digest)) {
            Err(error) if error.is_missing() => return Ok(State::Missing),
            // A folder or a pipe in its place, for instance.
            Err(BeneathError { refusal: Refusal::NotAFile(_), .. }) => return Ok(State::Damaged),
            file => file.map_err(|error| self.below(error))?,
        };
        let found = digest_of(file)?;
        Ok(if found.is_some_and(|(found, _)| found == *digest) { State::Sound } else { State::Damaged })
    }

    /// Copies a file from the store, checked, and gives it its name when it is complete.
    fn add(&self, digest: &Digest, store: &Store) -> Result<(), VendorError> {
        let failed = |error| self.below(error);
        let mut content = store.open_blob(digest)?;
        let mut file = self.dir.create(PARTIAL).map_err(failed)?;
        let path = self.path.join(PARTIAL);
        let mut hasher = crate::digest::Hasher::new(&mut file);
        crate::digest::copy(&mut content, &mut hasher).map_err(VendorError::io("write", &path))?;
        let (got, size) = hasher.finish();
        if got != *digest {
            return Err(store.reject_blob(digest, format!("{size} bytes with sha256 {got}")).into());
        }
        self.publish(&file, &content_path(digest))
    }

    /// Writes a small file atomically.
    fn write(&self, name: &str, content: &[u8]) -> Result<(), VendorError> {
        let mut file = self.dir.create(PARTIAL).map_err(|error| self.below(error))?;
        file.write_all(content).map_err(VendorError::io("write", &self.path.join(PARTIAL)))?;
        self.publish(&file, name)
    }

    fn publish(&self, file: &File, name: &str) -> Result<(), VendorError> {
        let mode = crate::inherited::mode_for_user() & 0o666;
        let written =
            file.set_permissions(std::fs::Permissions::from_mode(mode | 0o400)).and_then(|()| file.sync_data());
        written.map_err(VendorError::io("write", &self.path.join(PARTIAL)))?;
        let name = Path::new(name);
        let failed = |error| self.below(error);
        if let Some(parent) = name.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.dir.make_dir(parent).map_err(failed)?;
        }
        self.dir.rename(PARTIAL, name).map_err(failed)
    }

    /// Gives each Debian package the name that it has on a mirror; `false` if the file system has no hard links.
    fn link(&self, manifest: &Manifest) -> Result<bool, VendorError> {
        let failed = |error| self.below(error);
        for file in manifest.0.values() {
            let (Some(pool), content) = (&file.pool, content_path(&file.sha256)) else { continue };
            let inode = |path: &str| -> Result<Option<u64>, VendorError> {
                match self.dir.stat(path) {
                    Err(error) if error.is_missing() => Ok(None),
                    stat => Ok(stat.map_err(failed)?.map(|stat| stat.st_ino)),
                }
            };
            if inode(pool)?.is_some_and(|known| inode(&content).is_ok_and(|own| own == Some(known))) {
                continue;
            }
            match self.dir.hard_link(&content, pool) {
                Err(error) if no_links(&error) => return Ok(false),
                linked => linked.map_err(failed)?,
            }
        }
        Ok(true)
    }

    /// Removes files below [`CONTENTS`] that the manifest does not list; gives their number.
    fn remove_unlisted(&self, manifest: &Manifest) -> Result<usize, VendorError> {
        let unlisted = self.unlisted(manifest)?;
        for path in &unlisted {
            self.dir.remove(path).map_err(|error| self.below(error))?;
        }
        Ok(unlisted.len())
    }

    /// Contents that the manifest does not list.
    pub fn unlisted(&self, manifest: &Manifest) -> Result<Vec<String>, VendorError> {
        let list = |path: &str| match self.dir.list(path) {
            Err(error) if error.is_missing() => Ok(Vec::new()),
            found => found.map_err(|error| self.below(error)),
        };
        let mut unlisted = Vec::new();
        for shard in list(CONTENTS)?.into_iter().filter(|entry| entry.kind() == SFlag::S_IFDIR) {
            let shard = format!("{CONTENTS}/{}", shard.name.to_string_lossy());
            for file in list(&shard)? {
                let path = format!("{shard}/{}", file.name.to_string_lossy());
                let digest = crate::source::content_digest(&path);
                if digest.is_some_and(|digest| !manifest.0.contains_key(&digest)) {
                    unlisted.push(path);
                }
            }
        }
        unlisted.sort();
        Ok(unlisted)
    }
}

/// The digest and length of what a reader gives; `None` if it can't be read to its end.
pub(super) fn digest_of(mut reader: impl Read) -> Result<Option<(Digest, u64)>, VendorError> {
    let read = Digest::of_reader(&mut reader);
    crate::interrupt::check().map_err(VendorError::Interrupted)?;
    Ok(read.ok())
}

fn no_links(error: &BeneathError) -> bool {
    use nix::errno::Errno;
    let Refusal::Io(error) = &error.refusal else { return false };
    let refused = [Errno::EPERM, Errno::EOPNOTSUPP, Errno::EMLINK, Errno::ENOSYS].map(|errno| errno as i32);
    error.raw_os_error().is_some_and(|code| refused.contains(&code))
}
