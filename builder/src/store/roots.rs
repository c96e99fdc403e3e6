//! Toolchain roots: folders of thousands of files that steps run in, and how a change to one is detected.
//!
//! When a root is laid out, each file's digest goes into a list beside it (`seals/<key>.files`). Reading the whole root
//! for each build would cost more than the build, so after all files have been read and match, their stat(2) data is
//! recorded (`seals/<key>.stamps`, one digest for all), and as long as it is unchanged they are not read again. See
//! [`Stamp`] for what that can't detect; `dbco cache verify` reads everything.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, Metadata};
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use super::damage::{blame, open_regular};
use super::{Damage, Stamp, Store, StoreError};
use crate::digest::Digest;
use crate::input::{LONG, read_text};
use crate::path_error::FromPathError as _;
use crate::threads;

/// What a root has at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RootItem {
    Folder { mode: u32 },
    File { mode: u32, digest: Digest },
    Link { text: Vec<u8> },
    Other,
}

/// How thoroughly a root is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Files that have not changed since they were last read are not read again.
    Stamps,
    /// All files are read.
    Content,
}

impl Store {
    fn seal_path(&self, key: &Digest, what: &str) -> PathBuf {
        self.root.join("seals").join(format!("{key}.{what}"))
    }

    /// The list of the files of a toolchain root with their digests, made when it was laid out. Lines are in the order
    /// of the paths.
    pub fn root_files(&self, key: &Digest) -> Result<String, StoreError> {
        let path = self.seal_path(key, "files");
        fs::read_to_string(&path).map_err(StoreError::io("read", &path))
    }

    /// Records the content of a root that is laid out and about to get its name; meanwhile flushes the root to disk.
    pub fn seal_root(&self, top: &Path, key: &Digest) -> Result<(), StoreError> {
        let folder = fs::File::open(top).map_err(StoreError::io("open", top))?;
        let listed = || {
            let found = walk(top).map_err(StoreError::io("read", top))?;
            list(top, &found).map_err(|(path, error)| StoreError::io("read", &top.join(&path[1..]))(error))
        };
        let (flushed, list) = threads::both(|| nix::unistd::syncfs(&folder), listed);
        flushed.map_err(|error| StoreError::io("flush", top)(error.into()))?;
        let text = list?;
        let sum = Digest::of(&text);
        let path = self.seal_path(key, "stamps");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::io("remove", &path)(error));
            }
            _ => {}
        }
        self.put(&self.seal_path(key, "files"), format!("{text}{sum}\n").as_bytes())
    }

    /// Whether there is an intact root with this key. A damaged one is moved aside.
    pub fn check_root(&self, key: &Digest, depth: Depth) -> Result<Option<PathBuf>, StoreError> {
        let path = self.root_path(key);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("read", &path)(error)),
            Ok(metadata) if !metadata.is_dir() => {
                self.reject_root(key, "it is not a folder".into())?;
                return Ok(None);
            }
            Ok(_) => {}
        }
        let begin = SystemTime::now();
        let found = walk(&path).map_err(StoreError::io("read", &path))?;
        let (stamps, settled) = stamps(&found, begin);
        let record = self.seal_path(key, "stamps");
        if depth == Depth::Stamps && read_text(&record, LONG).is_ok_and(|text| text == stamps) {
            return Ok(Some(path));
        }
        match self.difference(key, &path, &found)? {
            None => {
                if settled {
                    self.put(&record, stamps.as_bytes())?;
                }
                Ok(Some(path))
            }
            Some(why) => {
                self.reject_root(key, why)?;
                Ok(None)
            }
        }
    }

    /// The root with this key, which must be intact; otherwise the error for it.
    pub fn verified_root(&self, key: &Digest) -> Result<PathBuf, StoreError> {
        let known = self.damages().len();
        match self.check_root(key, Depth::Stamps)? {
            Some(path) => Ok(path),
            None => {
                let why = || Damage { kind: "toolchain root", name: *key, why: "it is missing".into(), aside: None };
                let damage = self.damages().into_iter().skip(known).find(|damage| damage.name == *key);
                Err(StoreError::Damaged(Box::new(damage.unwrap_or_else(|| self.report(why())))))
            }
        }
    }

    fn reject_root(&self, key: &Digest, why: String) -> Result<(), StoreError> {
        self.move_aside("toolchain root", key, &self.root_path(key), why)?;
        Ok(())
    }

    /// How a root differs from its list.
    fn difference(&self, key: &Digest, top: &Path, found: &ScannedPaths) -> Result<Option<String>, StoreError> {
        let seal = self.seal_path(key, "files");
        let wanted = match open_regular(&seal).and_then(|file| io::read_to_string(file.take(LONG))) {
            Ok(text) => sealed_list(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => blame(error).map(|_| None).map_err(StoreError::io("read", &seal))?,
        };
        let Some(wanted) = wanted else { return Ok(Some("the list of its files is damaged".into())) };
        let holds = match list(top, found) {
            Ok(holds) => holds,
            // A file that disappeared between the two checks is a change, too.
            Err((path, error)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Some(format!("{path} is missing")));
            }
            Err((path, error)) => {
                let why = blame(error).map_err(StoreError::io("read", &top.join(path.trim_start_matches('/'))))?;
                return Ok(Some(format!("{path}: {why}")));
            }
        };
        if holds == wanted {
            return Ok(None);
        }
        let lines = |text: &str| text.lines().map(split).collect::<BTreeMap<String, String>>();
        let (holds, wanted) = (lines(&holds), lines(&wanted));
        let paths: Vec<_> =
            holds.keys().chain(wanted.keys()).filter(|path| holds.get(*path) != wanted.get(*path)).collect();
        let Some(first) = paths.into_iter().min() else { return Ok(None) };
        let what = match (holds.contains_key(first), wanted.contains_key(first)) {
            (true, true) => "changed",
            (true, false) => "was added",
            _ => "is missing",
        };
        Ok(Some(format!("/{first} {what}")))
    }
}

/// The list of a seal, if it is complete.
fn sealed_list(text: String) -> Option<String> {
    let list = &text[..text.len().checked_sub(65)?];
    (text.get(list.len()..) == Some(&format!("{}\n", Digest::of(list)))).then(|| list.to_owned())
}

/// A line of a list: the item, and its path.
fn split(line: &str) -> (String, String) {
    let (what, path) = line.split_once(" /").unwrap_or((line, ""));
    (path.to_owned(), what.to_owned())
}

type ScannedPaths = BTreeMap<Vec<u8>, Metadata>;

/// Everything below a folder, by path.
fn walk(top: &Path) -> io::Result<ScannedPaths> {
    let mut found = ScannedPaths::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(top.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path.into_os_string().into_vec(), metadata);
        }
    }
    Ok(found)
}

/// One digest over the stat(2) data of all, and whether all of it had settled at that time.
fn stamps(found: &ScannedPaths, time: SystemTime) -> (String, bool) {
    let mut text = Vec::new();
    let mut settled = true;
    for (path, metadata) in found {
        let stamp = Stamp::of(metadata);
        settled &= stamp.is_settled(time);
        text.extend_from_slice(stamp.to_string().as_bytes());
        text.extend_from_slice(path);
        text.push(0);
    }
    (format!("{}\n", Digest::of(text)), settled)
}

/// A line for each path, after reading all files with as many threads as there are processors; or the path that could
/// not be read.
fn list(top: &Path, found: &ScannedPaths) -> Result<String, (String, io::Error)> {
    let all: Vec<_> = found.iter().collect();
    let items: Vec<Mutex<Option<io::Result<RootItem>>>> = all.iter().map(|_| Mutex::new(None)).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some((path, metadata)) = all.get(index) else { return };
            let item = item(&top.join(std::ffi::OsStr::from_bytes(path)), metadata);
            *items[index].lock().unwrap_or_else(|e| e.into_inner()) = Some(item);
        }
    };
    threads::side_by_side(threads::processors(), &work);
    let mut text = String::new();
    for ((path, _), item) in all.iter().zip(items) {
        let item = item.into_inner().unwrap_or_else(|e| e.into_inner()).unwrap_or(Ok(RootItem::Other));
        let _ = match item.map_err(|error| (format!("/{}", path.escape_ascii()), error))? {
            RootItem::Folder { mode } => write!(text, "folder {mode:o}"),
            RootItem::File { mode, digest } => write!(text, "file {mode:o} {digest}"),
            RootItem::Link { text: link } => write!(text, "link {}", Digest::of(link)),
            RootItem::Other => write!(text, "other"),
        };
        let _ = writeln!(text, " /{}", path.escape_ascii());
    }
    Ok(text)
}

fn item(path: &Path, metadata: &Metadata) -> io::Result<RootItem> {
    let mode = metadata.mode() & 0o7777;
    Ok(match metadata.file_type() {
        kind if kind.is_dir() => RootItem::Folder { mode },
        kind if kind.is_symlink() => RootItem::Link { text: fs::read_link(path)?.into_os_string().into_vec() },
        kind if kind.is_file() => RootItem::File { mode, digest: Digest::of_reader(open_regular(path)?)?.0 },
        _ => RootItem::Other,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    struct Place {
        _folder: tempfile::TempDir,
        store: Store,
        key: Digest,
    }

    impl Place {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::open(folder.path()).unwrap();
            let key = Digest::of("root");
            let top = store.root_path(&key);
            fs::create_dir_all(top.join("usr/bin")).unwrap();
            fs::write(top.join("usr/bin/tool"), "tool").unwrap();
            fs::write(top.join("usr/data"), "data").unwrap();
            fs::write(top.join(std::ffi::OsStr::from_bytes(b"a \xff\nb")), "odd").unwrap();
            symlink("usr/bin", top.join("bin")).unwrap();
            store.seal_root(&top, &key).unwrap();
            Self { _folder: folder, store, key }
        }

        fn top(&self) -> PathBuf {
            self.store.root_path(&self.key)
        }

        /// Reads it until nothing has changed for so long that its stamps are recorded.
        fn settle(&self) {
            while !self.store.seal_path(&self.key, "stamps").exists() {
                assert!(self.store.check_root(&self.key, Depth::Stamps).unwrap().is_some());
                std::thread::yield_now();
            }
        }
    }

    #[test]
    fn each_change_in_a_root_is_seen_and_named() {
        type Case = (&'static str, fn(&Path));
        let cases: [Case; 9] = [
            ("/usr/bin/tool changed", |top| {
                let path = top.join("usr/bin/tool");
                let time = fs::metadata(&path).unwrap().modified().unwrap();
                fs::write(&path, "tOol").unwrap();
                fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
            }),
            ("/usr/data changed", |top| fs::write(top.join("usr/data"), "").unwrap()),
            ("/usr/data is missing", |top| fs::remove_file(top.join("usr/data")).unwrap()),
            ("/usr/more was added", |top| fs::write(top.join("usr/more"), "").unwrap()),
            ("/usr/bin/tool changed", |top| {
                fs::set_permissions(top.join("usr/bin/tool"), fs::Permissions::from_mode(0o755)).unwrap();
            }),
            ("/bin changed", |top| {
                fs::remove_file(top.join("bin")).unwrap();
                symlink("usr", top.join("bin")).unwrap();
            }),
            ("/usr/data changed", |top| {
                fs::remove_file(top.join("usr/data")).unwrap();
                symlink("bin/tool", top.join("usr/data")).unwrap();
            }),
            ("it is not a folder", |top| {
                fs::rename(top, top.with_extension("moved")).unwrap();
                symlink(top.with_extension("moved"), top).unwrap();
            }),
            ("the list of its files is damaged", |top| {
                let seals = top.parent().unwrap().parent().unwrap().join("seals");
                let name = format!("{}.files", top.file_name().unwrap().to_str().unwrap());
                fs::remove_file(seals.join(&name)).unwrap();
                fs::write(seals.join(&name), "").unwrap();
            }),
        ];
        for (why, change) in cases {
            let place = Place::new();
            assert_eq!(place.store.check_root(&place.key, Depth::Content).unwrap(), Some(place.top()));
            change(&place.top());
            assert_eq!(place.store.check_root(&place.key, Depth::Stamps).unwrap(), None, "{why}");
            let damages = place.store.damages();
            assert!(damages.len() == 1 && damages[0].to_string().contains(why), "{why}: {damages:?}");
            assert!(!place.top().exists() && damages[0].aside.as_ref().unwrap().symlink_metadata().is_ok());
            assert!(matches!(place.store.verified_root(&place.key), Err(StoreError::Damaged(_))));
        }
    }

    #[test]
    fn a_root_whose_stamps_are_kept_is_not_read_until_something_changes() {
        let place = Place::new();
        place.settle();
        // Nothing is read: the list is unreadable.
        let list = place.store.seal_path(&place.key, "files");
        let text = fs::read(&list).unwrap();
        fs::remove_file(&list).unwrap();
        assert!(place.store.check_root(&place.key, Depth::Stamps).unwrap().is_some());
        fs::write(&list, text).unwrap();
        // Another hard link, as in the chroot's copy, changes times and nothing else.
        fs::hard_link(place.top().join("usr/data"), place.store.path().join("copy")).unwrap();
        assert!(place.store.check_root(&place.key, Depth::Stamps).unwrap().is_some());
        let path = place.top().join("usr/data");
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "date").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        assert_eq!(place.store.check_root(&place.key, Depth::Stamps).unwrap(), None);
    }
}
