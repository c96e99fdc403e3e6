//! Lays a toolchain root out from Debian packages: unpacked side by side by our own code, no maintainer script run.
//!
//! The root is merged-/usr (file-hierarchy(7)): `/bin`, `/sbin` and `/lib*` are links into `/usr`, and what a package ships
//! below these lands there. There is no `ld.so.cache`: the loader of Debian's C library looks into `/lib/<triplet>` and
//! `/usr/lib/<triplet>` by itself. Owners, setuid bits, device nodes and extended attributes are left out, and modes are
//! 755 or 644: the tools run as the only user there is.
//!
//! Packages are unpacked in no certain order, so nothing may depend on it: a path that two packages ship must have the
//! same content in both, and no package may ship something below a link of another.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::time::TimeSpec;
use nix::unistd::{linkat, symlinkat};

use super::SKELETON;
use crate::archive::tar::{Failure, create, fill, inside, set_time};
use crate::archive::{ArchiveError, Dir, Entries, Kind, Links, Member, deb};
use crate::digest::Digest;
use crate::store::{Store, StoreError};
use crate::tree::TreePath;

/// Top folders that are links into `/usr`.
const MERGED: &[&str] = &["bin", "lib", "lib32", "lib64", "libx32", "sbin"];

/// Decoding takes up to 64 MiB for each package in work (the dictionary of `xz -9`), so there is an end to it.
const MOST_THREADS: usize = 4;

/// A package to lay out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// For messages: `gcc-12 12.2.0-14`.
    pub name: String,
    /// The `.deb` file in the store.
    pub blob: Digest,
}

/// Why a root could not be laid out.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// A package can't be read, or tries to leave the root.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Two packages ship the same path with different content.
    #[error("`/{path}` is in {first} and in {second}, and not the same: leave one of the packages out")]
    Conflict {
        /// The path without its leading slash.
        path: String,
        /// The package listed first.
        first: String,
        /// The other one.
        second: String,
    },
    /// A link of the toolchain's file that leads nowhere.
    #[error("the toolchain's link {link} leads to `{target}`, which no package ships")]
    Dangling {
        /// Path of the link.
        link: String,
        /// Its text.
        target: String,
    },
    /// A path of the toolchain's file that can't be used.
    #[error("the toolchain's path {path}: {why}")]
    Path {
        /// As the file has it.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The store or its disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a root is made of.
#[derive(Clone, Copy, Debug)]
pub struct Layout<'a> {
    /// Packages, all in the store.
    pub packages: &'a [Package],
    /// Symbolic links to add, by absolute path; they win over what packages ship.
    pub links: &'a BTreeMap<String, String>,
    /// Small files to add, by absolute path; they win too.
    pub files: &'a BTreeMap<String, String>,
}

/// Lays the root out at [`Store::root_path`] of `key`; does nothing if it stands there. `progress` hears the name of each
/// package when it is begun.
pub fn lay_out(
    store: &Store,
    key: &Digest,
    layout: Layout<'_>,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), RootError> {
    let target = store.root_path(key);
    if target.is_dir() {
        return Ok(());
    }
    let work = store.work_dir()?;
    let top = work.path().join("root");
    let spare = work.path().join("again");
    for folder in [&top, &spare] {
        fs::create_dir(folder).map_err(StoreError::io("make", folder))?;
    }
    make_skeleton(&top)?;
    unpack_all(store, layout.packages, &top, &spare, progress)?;
    add_own(&top, layout)?;
    settle(&top)?;
    let folder = fs::File::open(&top).map_err(StoreError::io("open", &top))?;
    nix::unistd::syncfs(&folder).map_err(|error| StoreError::io("flush", &top)(error.into()))?;
    match fs::rename(&top, &target) {
        // Another dbco was faster.
        Err(_) if target.is_dir() => Ok(()),
        other => Ok(other.map_err(StoreError::io("make", &target))?),
    }
}

fn make_skeleton(top: &Path) -> Result<(), StoreError> {
    let merged = MERGED.iter().map(|name| format!("usr/{name}"));
    for name in merged.chain(SKELETON.iter().map(ToString::to_string)) {
        let path = top.join(name);
        fs::create_dir_all(&path).map_err(StoreError::io("make", &path))?;
    }
    for name in MERGED {
        let path = top.join(name);
        let made = symlink(Path::new("usr").join(name), &path).and_then(|()| set_mtime(&path, 0));
        made.map_err(StoreError::io("make", &path))?;
    }
    Ok(())
}

/// The path that `path` has in a merged-/usr root.
fn merged(path: &[u8]) -> Vec<u8> {
    let top = path.split(|&b| b == b'/').next().unwrap_or_default();
    if MERGED.iter().any(|name| name.as_bytes() == top) { [b"usr/", path].concat() } else { path.to_vec() }
}

/// A path that was there already when a package came with it.
struct Again {
    path: Vec<u8>,
    package: usize,
    content: Content,
}

enum Content {
    /// Kept beside the root until all packages are unpacked and the two can be compared.
    File {
        spare: PathBuf,
        mode: u32,
        mtime: i64,
    },
    Link {
        text: Vec<u8>,
    },
    /// Another name for this path.
    Hard {
        to: Vec<u8>,
    },
}

/// What the threads share.
struct Shared<'a> {
    store: &'a Store,
    packages: &'a [Package],
    top: &'a Path,
    spare: &'a Path,
    /// Which package a path came from first.
    origins: Mutex<HashMap<Vec<u8>, usize>>,
    again: Mutex<Vec<Again>>,
    spares: AtomicUsize,
    failed: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn unpack_all(
    store: &Store,
    packages: &[Package],
    top: &Path,
    spare: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), RootError> {
    // The largest first: one that is begun last would keep a single thread busy in the end.
    let mut order = Vec::with_capacity(packages.len());
    for (index, package) in packages.iter().enumerate() {
        let path = store.blob_path(&package.blob);
        let size = fs::metadata(&path).map_err(StoreError::io("find", &path))?.len();
        order.push((std::cmp::Reverse(size), index));
    }
    order.sort_unstable();
    let shared = Shared {
        store,
        packages,
        top,
        spare,
        origins: Mutex::default(),
        again: Mutex::default(),
        spares: AtomicUsize::new(0),
        failed: AtomicBool::new(false),
    };
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), RootError> {
        let dir = Dir::open(top, Links::Never).map_err(StoreError::io("open", top))?;
        let mut unpack = Unpack { dir, shared: &shared, package: 0 };
        while let Some(&(_, index)) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            if shared.failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            unpack.package = index;
            progress(&packages[index].name);
            unpack.run().inspect_err(|_| shared.failed.store(true, Ordering::Relaxed))?;
        }
        Ok(())
    };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).min(MOST_THREADS);
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        let results = others.into_iter().map(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        std::iter::once(own).chain(results.collect::<Vec<_>>()).collect::<Result<(), RootError>>()
    })
    .and_then(|()| shared.compare())
}

struct Unpack<'a> {
    dir: Dir,
    shared: &'a Shared<'a>,
    package: usize,
}

impl Unpack<'_> {
    fn run(&mut self) -> Result<(), RootError> {
        let package = &self.shared.packages[self.package];
        let file = self.shared.store.open_blob(&package.blob)?;
        let mut entries = Entries::new(deb::data(file, &package.name, 1)?, &package.name);
        let mut own = Vec::new();
        while let Some(member) = entries.next_member()? {
            if let Some(path) = self.member(&mut entries, &member).map_err(|failure| failure.of(&entries, &member))? {
                own.push(path);
            }
        }
        lock(&self.shared.origins).extend(own.into_iter().map(|path| (path, self.package)));
        Ok(())
    }

    /// Gives the path if this package was the first to ship it.
    fn member<R: Read>(&mut self, entries: &mut Entries<R>, member: &Member) -> Result<Option<Vec<u8>>, Failure> {
        let path = merged(inside(&member.path)?);
        if member.kind == Kind::Dir {
            self.dir.folder(&path, true)?;
            return Ok(None);
        }
        let Some((parent, name)) = self.dir.parent(&path)? else {
            return Err(entries.refused(&member.path, "the package's top is not a folder").into());
        };
        let content = match member.kind {
            Kind::File => {
                let mode = if member.mode & 0o111 == 0 { 0o644 } else { 0o755 };
                match create(&parent, name) {
                    Ok(file) => {
                        fill(entries, file, mode, member.mtime)?;
                        return Ok(Some(path));
                    }
                    Err(Errno::EEXIST) => {
                        let number = self.shared.spares.fetch_add(1, Ordering::Relaxed);
                        let spare = self.shared.spare.join(number.to_string());
                        let file = fs::File::create(&spare).map_err(Failure::system("make"))?;
                        fill(entries, file, mode, member.mtime)?;
                        Content::File { spare, mode, mtime: member.mtime }
                    }
                    Err(error) => return Err(Failure::system("make")(error)),
                }
            }
            Kind::Symlink => {
                let text = std::os::unix::ffi::OsStrExt::from_bytes(&member.link);
                match symlinkat::<_, std::ffi::OsStr, _>(text, &parent, name) {
                    Ok(()) => {
                        set_time(&parent, name, member.mtime).map_err(Failure::system("set the time of"))?;
                        return Ok(Some(path));
                    }
                    Err(Errno::EEXIST) => Content::Link { text: member.link.clone() },
                    Err(error) => return Err(Failure::system("make")(error)),
                }
            }
            Kind::HardLink => {
                let to = merged(inside(&member.link)?);
                let missing = || entries.refused(&member.path, "a hard link to a name that did not come before it");
                let (from, from_name) = self.dir.parent(&to)?.ok_or_else(missing)?;
                match linkat(&from, from_name, &parent, name, AtFlags::empty()) {
                    Ok(()) => return Ok(Some(path)),
                    Err(Errno::EEXIST) => Content::Hard { to },
                    Err(Errno::ENOENT) => return Err(missing().into()),
                    Err(error) => return Err(Failure::system("link")(error)),
                }
            }
            Kind::Char | Kind::Block | Kind::Fifo | Kind::Dir => return Ok(None),
        };
        lock(&self.shared.again).push(Again { path, package: self.package, content });
        Ok(None)
    }
}

impl Shared<'_> {
    /// Compares what was shipped twice, now that all is unpacked.
    fn compare(self) -> Result<(), RootError> {
        let (mut again, mut origins) = (lock(&self.again), lock(&self.origins));
        again.sort_by(|a, b| (&a.path, a.package).cmp(&(&b.path, b.package)));
        for Again { path, package, content } in again.iter() {
            let at = self.top.join(crate::archive::os_path(path));
            let same = match content {
                Content::File { spare, .. } => same_file(spare, &at),
                Content::Link { text } => {
                    Ok(fs::read_link(&at).is_ok_and(|link| link == crate::archive::os_path(text)))
                }
                Content::Hard { to } => same_file(&self.top.join(crate::archive::os_path(to)), &at),
            };
            let origin = origins.get(path).copied();
            if !same.map_err(StoreError::io("compare", &at))? {
                let name = |index: usize| self.packages[index].name.clone();
                let (first, second) = match origin {
                    Some(origin) => (name(origin.min(*package)), name(origin.max(*package))),
                    None => ("another package, as a folder,".to_owned(), name(*package)),
                };
                let path = String::from_utf8_lossy(path).into_owned();
                return Err(RootError::Conflict { path, first, second });
            }
            // Mode and time are those of the package listed first, whichever was unpacked first.
            if let (Content::File { mode, mtime, .. }, true) = (content, origin.is_some_and(|first| *package < first)) {
                let set =
                    fs::set_permissions(&at, fs::Permissions::from_mode(*mode)).and_then(|()| set_mtime(&at, *mtime));
                set.map_err(StoreError::io("set the time of", &at))?;
                origins.insert(path.clone(), *package);
            }
        }
        Ok(())
    }
}

fn same_file(one: &Path, other: &Path) -> std::io::Result<bool> {
    let (a, b) = (fs::symlink_metadata(one)?, fs::symlink_metadata(other)?);
    if !a.is_file() || !b.is_file() || a.len() != b.len() {
        return Ok(false);
    }
    Ok(Digest::of_file(one)? == Digest::of_file(other)?)
}

fn set_mtime(path: &Path, mtime: i64) -> std::io::Result<()> {
    use nix::sys::stat::{UtimensatFlags, utimensat};
    let time = TimeSpec::new(mtime, 0);
    utimensat(nix::fcntl::AT_FDCWD, path, &TimeSpec::UTIME_OMIT, &time, UtimensatFlags::NoFollowSymlink)?;
    Ok(())
}

/// Adds the links and files that the toolchain's own file states.
fn add_own(top: &Path, layout: Layout<'_>) -> Result<(), RootError> {
    let mut dir = Dir::open(top, Links::InRoot).map_err(StoreError::io("open", top))?;
    let mut place = |text: &str, make: &dyn Fn(&Path) -> std::io::Result<()>| -> Result<(), RootError> {
        let wrong = |why: String| RootError::Path { path: text.to_owned(), why };
        let path = TreePath::new(text).map_err(|error| wrong(error.to_string()))?;
        if !text.starts_with('/') || path.is_root() {
            return Err(wrong("an absolute path is expected".into()));
        }
        let (parent, name) = match dir.parent(path.as_str().as_bytes()) {
            Ok(Some(found)) => found,
            Ok(None) => return Err(wrong("the root itself is a folder".into())),
            Err(error) => return Err(wrong(error.to_string())),
        };
        let at = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&*parent))).join(name);
        match fs::remove_file(&at) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(wrong(error.to_string())),
            _ => make(&at).map_err(|error| wrong(error.to_string())),
        }
    };
    for (path, text) in layout.files {
        place(path, &|at| {
            fs::write(at, text)?;
            fs::set_permissions(at, fs::Permissions::from_mode(0o644))?;
            set_mtime(at, 0)
        })?;
    }
    for (path, target) in layout.links {
        place(path, &|at| symlink(target, at).and_then(|()| set_mtime(at, 0)))?;
    }
    for (link, target) in layout.links {
        let path = link.trim_start_matches('/');
        let found = dir
            .exists(path.as_bytes())
            .map_err(|error| RootError::Path { path: link.clone(), why: error.to_string() })?;
        if !found {
            return Err(RootError::Dangling { link: link.clone(), target: target.clone() });
        }
    }
    Ok(())
}

/// Gives folders the time 0, since theirs tells when this root was made.
fn settle(top: &Path) -> Result<(), StoreError> {
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = || StoreError::io("read", &folder);
        for entry in fs::read_dir(&folder).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            if entry.file_type().map_err(failed())?.is_dir() {
                folders.push(entry.path());
            }
        }
        set_mtime(&folder, 0).map_err(StoreError::io("set the time of", &folder))?;
    }
    Ok(())
}
