//! A library that is packed into the program, as files.

use std::fs;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::read::GzDecoder;

use crate::beneath;
use crate::digest::Digest;
use crate::inherited;
use crate::interrupt::Temporary;
use crate::path_error::{FromPathError as _, PathError};

/// What unfinished folders begin with, as those of the store do.
const UNFINISHED: &str = ".dbco-";

/// The folder with the content of an archive: `<libraries>/<digest>`. One that has anything else is replaced.
pub fn unpacked(libraries: &Path, archive: &[u8], digest: &Digest) -> Result<PathBuf, PathError> {
    let folder = libraries.join(digest.to_string());
    let mut bytes = Vec::new();
    GzDecoder::new(archive).read_to_end(&mut bytes).map_err(PathError::io("unpack", &folder))?;
    let entries = entries(&bytes).map_err(PathError::io("unpack", &folder))?;
    if is_same(&folder, &entries) {
        note_use(&folder);
        return Ok(folder);
    }
    inherited::for_user(|| fs::create_dir_all(libraries)).map_err(PathError::io("make", libraries))?;
    // Another process may be unpacking it.
    let held = fs::File::open(libraries).map_err(PathError::io("lock", libraries))?;
    let _ = held.lock();
    if is_same(&folder, &entries) {
        return Ok(folder);
    }
    let new =
        tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(libraries).map_err(PathError::io("make", libraries))?;
    let _temporary = Temporary::new(new.path());
    let content = new.path().join("new");
    entries.iter().try_for_each(|entry| entry.write(&content))?;
    // What is there is damaged.
    let _ = fs::rename(&folder, new.path().join("damaged"));
    fs::rename(&content, &folder).map_err(PathError::io("make", &folder))?;
    // Whatever its content is.
    let _ = beneath::remove_all(new.path());
    Ok(folder)
}

/// Sets the time of a folder, by which `dbco cache gc` determines when it was last used.
fn note_use(folder: &Path) {
    let now = SystemTime::now();
    let old = fs::metadata(folder).and_then(|metadata| metadata.modified());
    if old.is_ok_and(|old| now.duration_since(old).unwrap_or_default() > crate::store::PRECISION) {
        let _ = fs::File::open(folder).and_then(|folder| folder.set_modified(now));
    }
}

/// One entry of the archive.
struct Entry<'a> {
    /// Relative to the library.
    path: PathBuf,
    content: Content<'a>,
}

#[derive(PartialEq)]
enum Content<'a> {
    Folder,
    File { bytes: &'a [u8], mode: u32 },
    Link(PathBuf),
}

fn entries(archive: &[u8]) -> io::Result<Vec<Entry<'_>>> {
    let mut found = vec![Entry { path: PathBuf::new(), content: Content::Folder }];
    for entry in tar::Archive::new(archive).entries()? {
        let entry = entry?;
        let path = entry.path()?.into_owned();
        let (start, size) = (entry.raw_file_position(), entry.size());
        let content = match entry.header().entry_type() {
            tar::EntryType::Directory => Content::Folder,
            tar::EntryType::Symlink => Content::Link(entry.link_name()?.unwrap_or_default().into_owned()),
            _ => {
                let range = usize::try_from(start).ok().zip(usize::try_from(start + size).ok());
                let bytes =
                    range.and_then(|(start, end)| archive.get(start..end)).ok_or(io::ErrorKind::UnexpectedEof)?;
                Content::File { bytes, mode: entry.header().mode()? }
            }
        };
        found.push(Entry { path, content });
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

impl Entry<'_> {
    fn write(&self, folder: &Path) -> Result<(), PathError> {
        let path = folder.join(&self.path);
        let written = match &self.content {
            Content::Folder => fs::create_dir(&path).and_then(|()| set_mode(&path, 0o755)),
            Content::Link(target) => symlink(target, &path),
            Content::File { bytes, mode } => fs::File::create_new(&path)
                .and_then(|mut file| file.write_all(bytes))
                .and_then(|()| set_mode(&path, *mode)),
        };
        written.map_err(PathError::io("write", &path))
    }
}

/// Whatever the umask.
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Whether a folder has exactly these entries.
fn is_same(folder: &Path, entries: &[Entry<'_>]) -> bool {
    let mut left = entries.iter();
    has_entries(folder, Path::new(""), &mut left).unwrap_or(false) && left.next().is_none()
}

/// Compares what is at a path, and below it, with the next entries.
fn has_entries<'a>(folder: &Path, name: &Path, left: &mut impl Iterator<Item = &'a Entry<'a>>) -> io::Result<bool> {
    let Some(entry) = left.next().filter(|entry| entry.path == name) else { return Ok(false) };
    let path = folder.join(name);
    let metadata = fs::symlink_metadata(&path)?;
    match &entry.content {
        Content::Link(target) => Ok(metadata.is_symlink() && fs::read_link(&path)? == *target),
        Content::File { bytes, mode } => Ok(metadata.is_file()
            && metadata.len() == bytes.len() as u64
            && metadata.permissions().mode() & 0o777 == *mode
            && fs::read(&path)? == *bytes),
        Content::Folder if metadata.is_dir() => {
            let inside = fs::read_dir(&path)?.collect::<io::Result<Vec<_>>>()?;
            let mut names: Vec<PathBuf> = inside.iter().map(|entry| name.join(entry.file_name())).collect();
            names.sort();
            for name in names {
                if !has_entries(folder, &name, left)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Content::Folder => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> (tempfile::TempDir, Vec<u8>) {
        let checkout = tempfile::tempdir().unwrap();
        for folder in super::super::pack::FOLDERS {
            fs::create_dir_all(checkout.path().join(folder).join("a")).unwrap();
            fs::create_dir_all(checkout.path().join(folder).join("target/x")).unwrap();
            if folder == "livefs" {
                fs::write(checkout.path().join(folder).join("Cargo.toml"), "").unwrap();
            }
            fs::write(checkout.path().join(folder).join("a.yaml"), folder).unwrap();
            fs::write(checkout.path().join(folder).join("a/run"), "#!/bin/sh\n").unwrap();
            set_mode(&checkout.path().join(folder).join("a/run"), 0o700).unwrap();
        }
        symlink("a.yaml", checkout.path().join("recipes/b.yaml")).unwrap();
        let mut tar = Vec::new();
        super::super::pack::pack(checkout.path(), super::super::pack::Part::All, &mut tar).unwrap();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&tar).unwrap();
        (checkout, packed.finish().unwrap())
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_library_is_unpacked_as_it_was_and_only_once() {
        let (checkout, archive) = archive();
        let store = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"x");
        let folder = unpacked(store.path(), &archive, &digest).unwrap();
        assert_eq!(folder, store.path().join(digest.to_string()));
        assert_eq!(fs::read_to_string(folder.join("livefs/a.yaml")).unwrap(), "livefs");
        assert_eq!(fs::read_link(folder.join("recipes/b.yaml")).unwrap(), Path::new("a.yaml"));
        assert_eq!((mode(&folder.join("recipes/a/run")), mode(&folder.join("recipes/a.yaml"))), (0o755, 0o644));
        assert!(!folder.join("livefs/target").exists() && folder.join("recipes/target/x").is_dir());
        let before = fs::metadata(folder.join("recipes/a.yaml")).unwrap().modified().unwrap();
        assert_eq!(unpacked(store.path(), &archive, &digest).unwrap(), folder);
        assert_eq!(fs::metadata(folder.join("recipes/a.yaml")).unwrap().modified().unwrap(), before);
        assert_eq!(fs::read_dir(store.path()).unwrap().count(), 1);
        drop(checkout);
    }

    #[test]
    fn a_changed_library_is_replaced() {
        let (_checkout, archive) = archive();
        let store = tempfile::tempdir().unwrap();
        let digest = Digest::of(b"x");
        type Change = (&'static str, fn(&Path));
        let changes: [Change; 8] = [
            ("a byte", |folder| fs::write(folder.join("recipes/a.yaml"), "recipez").unwrap()),
            ("a mode", |folder| set_mode(&folder.join("recipes/a/run"), 0o644).unwrap()),
            ("a file more", |folder| fs::write(folder.join("recipes/c.yaml"), "").unwrap()),
            ("a file less", |folder| fs::remove_file(folder.join("livefs/a/run")).unwrap()),
            ("a folder less", |folder| fs::remove_dir_all(folder.join("recipes")).unwrap()),
            ("a link", |folder| {
                fs::remove_file(folder.join("recipes/b.yaml")).unwrap();
                symlink("a", folder.join("recipes/b.yaml")).unwrap();
            }),
            ("a file for a folder", |folder| {
                fs::remove_dir_all(folder.join("recipes/a")).unwrap();
                fs::write(folder.join("recipes/a"), "").unwrap();
            }),
            ("a file for all of it", |folder| {
                fs::remove_dir_all(folder).unwrap();
                fs::write(folder, "").unwrap();
            }),
        ];
        let folder = unpacked(store.path(), &archive, &digest).unwrap();
        for (what, change) in changes {
            change(&folder);
            unpacked(store.path(), &archive, &digest).unwrap();
            assert_eq!(fs::read_to_string(folder.join("recipes/a.yaml")).unwrap(), "recipes", "{what}");
            assert_eq!(fs::read_link(folder.join("recipes/b.yaml")).unwrap(), Path::new("a.yaml"), "{what}");
            assert_eq!(mode(&folder.join("recipes/a/run")), 0o755, "{what}");
            assert!(folder.join("livefs/a/run").is_file() && !folder.join("recipes/c.yaml").exists(), "{what}");
            assert_eq!(fs::read_dir(store.path()).unwrap().count(), 1, "{what}");
        }
    }
}
