//! Lays out a toolchain root from Debian packages: all are unpacked into one folder by dbco's own code, and no
//! maintainer script is run.
//!
//! The root has merged /usr (file-hierarchy(7)): `/bin`, `/sbin` and `/lib*` are links into `/usr`, and files that a
//! package ships below them are placed there. There is no `ld.so.cache`: the loader of Debian's C library searches
//! `/lib/<triplet>` and `/usr/lib/<triplet>` by default. Owners, setuid bits, device nodes and extended attributes are
//! left out, and modes are 755 or 644: the tools run as the only user.
//!
//! Packages are unpacked in no particular order, so the result must not depend on it: a path that two packages ship
//! must have the same content in both, unless one replaces the other, and no package may ship something below a link of
//! another.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::SFlag;
use nix::unistd::{linkat, symlinkat};

use super::SKELETON;
use crate::archive::tar::{MemberFailure, fill, inside};
use crate::archive::{ArchiveError, Budget, Entries, Member, MemberKind, PackageFile, os_path};
use crate::beneath::{BeneathError, Dir, Folders, Links, create, kind, set_time};
use crate::digest::Digest;
use crate::path_error::FromPathError as _;
use crate::store::{Depth, Store, StoreError};
use crate::threads;
use crate::tree::TreePath;
use crate::tree::contested::keepers;
use crate::tree::usrmerge::{FOLDERS, is_link, is_within};

/// Decoding takes up to 64 MiB for each package that is being unpacked (the dictionary of `xz -9`), so their number is
/// limited.
const MOST_THREADS: usize = 4;

/// Why a root could not be laid out.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// A package can't be read, or has paths that lead out of the root.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Two packages ship the same path with different content.
    #[error("`/{path}` is in {first} and in {second}, with different content: leave out one of the packages")]
    Conflict {
        /// The path without its leading slash.
        path: String,
        /// The package listed first.
        first: String,
        /// The other one.
        second: String,
    },
    /// A link from the toolchain's file whose target does not exist.
    #[error("the toolchain's link {link} points to `{target}`, which no package ships")]
    Dangling {
        /// Path of the link.
        link: String,
        /// Its text.
        target: String,
    },
    /// A path from the toolchain's file that can't be used.
    #[error("the toolchain's path {path}: {why}")]
    Path {
        /// As written in the file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something in the root, which packages have filled, could not be used.
    #[error(transparent)]
    Beneath(#[from] BeneathError),
    /// The store or its disk failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The parts of a root.
#[derive(Clone, Copy)]
pub struct RootLayout<'a> {
    /// Packages, all in the store.
    pub packages: &'a [PackageFile],
    /// Symbolic links to add, by absolute path; they override what packages ship.
    pub links: &'a BTreeMap<String, String>,
    /// Small files to add, by absolute path; they override what packages ship, too.
    pub files: &'a BTreeMap<String, String>,
    /// The limits for unpacking each package.
    pub budget: &'a Budget,
    /// Whether the first package's files replace those of the second, by their numbers (`Replaces`).
    pub replaces: &'a (dyn Fn(usize, usize) -> bool + Sync),
}

/// Lays the root out at [`Store::root_path`] of `key`; does nothing if an intact one exists. `progress` is called with
/// the name of each package before it is unpacked.
pub fn lay_out(
    store: &Store,
    key: &Digest,
    layout: RootLayout<'_>,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), RootError> {
    let target = store.root_path(key);
    if store.check_root(key, Depth::Stamps)?.is_some() {
        return Ok(());
    }
    let work = store.work_dir()?;
    let dir = Dir::open(work.path(), Links::Never).map_err(StoreError::io("open", work.path()))?;
    let (top, spare) = (dir.make_dir("root")?, dir.make_dir("again")?);
    make_skeleton(&top)?;
    unpack_all(store, layout, &top, &spare, progress)?;
    add_own(&top, layout)?;
    settle(&top)?;
    store.seal_root(top.host_path(), key)?;
    match fs::rename(top.host_path(), &target) {
        // Another dbco was faster.
        Err(_) if target.is_dir() => Ok(()),
        other => Ok(other.map_err(StoreError::io("make", &target))?),
    }
}

fn make_skeleton(top: &Dir) -> Result<(), BeneathError> {
    let merged = FOLDERS.iter().map(|name| format!("usr/{name}"));
    for name in merged.chain(SKELETON.iter().map(ToString::to_string)) {
        top.make_dir(name)?;
    }
    for name in FOLDERS {
        top.symlink(format!("usr/{name}").as_ref(), name)?;
        top.set_time(name, 0)?;
    }
    Ok(())
}

/// The path in a merged-/usr root that corresponds to `path`.
fn merged(path: &[u8]) -> Vec<u8> {
    if is_within(path, &FOLDERS) { [b"usr/", path].concat() } else { path.to_vec() }
}

/// Whether a member is one of the links that [`make_skeleton`] has made: since Debian 13 `base-files` ships them.
fn is_merged_link(member: &Member, path: &[u8]) -> bool {
    member.kind == MemberKind::Symlink && is_link(path, &member.link)
}

/// A path that already existed when a package brought it.
struct Again {
    path: Vec<u8>,
    package: usize,
    content: Content,
}

enum Content {
    /// Stored beside the root until all packages are unpacked and the two can be compared.
    File {
        spare: String,
        mode: u32,
        mtime: i64,
    },
    Link {
        text: Vec<u8>,
        mtime: i64,
    },
    /// Another name for this path.
    Hard {
        to: Vec<u8>,
    },
}

/// The data shared by the threads.
struct Shared<'a> {
    store: &'a Store,
    packages: &'a [PackageFile],
    budget: &'a Budget,
    replaces: &'a (dyn Fn(usize, usize) -> bool + Sync),
    top: &'a Dir,
    spare: &'a Dir,
    /// Which package brought a path first.
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
    layout: RootLayout<'_>,
    top: &Dir,
    spare: &Dir,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), RootError> {
    let RootLayout { packages, budget, replaces, .. } = layout;
    // The largest first: if it were started last, a single thread would be busy with it at the end.
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
        budget,
        replaces,
        top,
        spare,
        origins: Mutex::default(),
        again: Mutex::default(),
        spares: AtomicUsize::new(0),
        failed: AtomicBool::new(false),
    };
    let next = AtomicUsize::new(0);
    let unpack_some = || -> Result<(), RootError> {
        let mut unpack = Unpack { dir: Folders::of(top.clone()), shared: &shared, package: 0 };
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
    let outcome = Mutex::new(Ok(()));
    threads::side_by_side(threads::processors().min(MOST_THREADS), &|| {
        if let Err(error) = unpack_some() {
            let mut outcome = lock(&outcome);
            if outcome.is_ok() {
                *outcome = Err(error);
            }
        }
    });
    outcome.into_inner().unwrap_or_else(|e| e.into_inner())?;
    shared.compare()
}

struct Unpack<'a> {
    dir: Folders,
    shared: &'a Shared<'a>,
    package: usize,
}

impl Unpack<'_> {
    fn run(&mut self) -> Result<(), RootError> {
        let package = &self.shared.packages[self.package];
        let (file, budget) = (self.shared.store.open_blob(&package.blob)?, self.shared.budget);
        let mut entries =
            Entries::new(package.format.files(Box::new(file), &package.name, 1, budget)?, &package.name, budget);
        let mut own = Vec::new();
        while let Some(member) = entries.next_member()? {
            if let Some(path) = self.member(&mut entries, &member).map_err(|failure| failure.of(&entries, &member))? {
                own.push(path);
            }
        }
        lock(&self.shared.origins).extend(own.into_iter().map(|path| (path, self.package)));
        Ok(())
    }

    /// Returns the path if this package was the first to ship it.
    fn member<R: Read>(&mut self, entries: &mut Entries<R>, member: &Member) -> Result<Option<Vec<u8>>, MemberFailure> {
        let inside_path = inside(&member.path)?;
        if is_merged_link(member, inside_path) {
            return Ok(None);
        }
        let path = merged(inside_path);
        if member.kind == MemberKind::Dir {
            self.dir.folder(&path, true)?;
            return Ok(None);
        }
        let Some((parent, name)) = self.dir.parent(&path)? else {
            return Err(entries.refused(&member.path, "the package's root entry is not a folder").into());
        };
        let content = match member.kind {
            MemberKind::File => {
                let mode = if member.mode & 0o111 == 0 { 0o644 } else { 0o755 };
                match create(&parent, name) {
                    Ok(file) => {
                        fill(entries, file, mode, member.mtime)?;
                        return Ok(Some(path));
                    }
                    Err(Errno::EEXIST) => {
                        let spare = self.shared.spares.fetch_add(1, Ordering::Relaxed).to_string();
                        let file = self.shared.spare.create(&spare).map_err(|error| error.refusal)?;
                        fill(entries, file, mode, member.mtime)?;
                        Content::File { spare, mode, mtime: member.mtime }
                    }
                    Err(error) => return Err(MemberFailure::system("make")(error)),
                }
            }
            MemberKind::Symlink => {
                let text = std::os::unix::ffi::OsStrExt::from_bytes(&member.link);
                match symlinkat::<_, std::ffi::OsStr, _>(text, &parent, name) {
                    Ok(()) => {
                        set_time(&parent, name, member.mtime).map_err(MemberFailure::system("set the time of"))?;
                        return Ok(Some(path));
                    }
                    Err(Errno::EEXIST) => Content::Link { text: member.link.clone(), mtime: member.mtime },
                    Err(error) => return Err(MemberFailure::system("make")(error)),
                }
            }
            MemberKind::HardLink => {
                let to = merged(inside(&member.link)?);
                let missing = || entries.refused(&member.path, "a hard link to a name that does not precede it");
                let (from, from_name) = self.dir.parent(&to)?.ok_or_else(missing)?;
                match linkat(&from, from_name, &parent, name, AtFlags::empty()) {
                    Ok(()) => return Ok(Some(path)),
                    Err(Errno::EEXIST) => Content::Hard { to },
                    Err(Errno::ENOENT) => return Err(missing().into()),
                    Err(error) => return Err(MemberFailure::system("link")(error)),
                }
            }
            MemberKind::Char | MemberKind::Block | MemberKind::Fifo | MemberKind::Dir => return Ok(None),
        };
        lock(&self.shared.again).push(Again { path, package: self.package, content });
        Ok(None)
    }
}

impl Shared<'_> {
    /// Resolves paths that were shipped twice, after everything is unpacked.
    fn compare(self) -> Result<(), RootError> {
        let (mut again, origins) = (lock(&self.again), lock(&self.origins));
        again.sort_by(|a, b| (&a.path, a.package).cmp(&(&b.path, b.package)));
        for shipped in again.chunk_by(|a, b| a.path == b.path) {
            self.settle_path(shipped, origins.get(&shipped[0].path).copied())?;
        }
        Ok(())
    }

    /// Resolves a path that existed, from the package `placed`, when others brought it.
    fn settle_path(&self, others: &[Again], placed: Option<usize>) -> Result<(), RootError> {
        let path = &others[0].path;
        let at = os_path(path);
        let conflict = |first: String, second: usize| {
            let (path, second) = (crate::printable::printable(path).to_string(), self.packages[second].name.clone());
            Err(RootError::Conflict { path, first, second })
        };
        let there = What::stands_at(self.top, at)?;
        let Some(placed) = placed else {
            for other in others {
                if self.what(&other.content)? != there {
                    return conflict("another package, as a folder,".to_owned(), other.package);
                }
            }
            return Ok(());
        };
        let mut owners = vec![(placed, there.clone(), None)];
        for other in others {
            owners.push((other.package, self.what(&other.content)?, Some(&other.content)));
        }
        owners.sort_by_key(|(package, ..)| *package);
        let differ = |one: usize, other: usize| owners[one].1 != owners[other].1;
        let conflict = |one: usize, other: usize| conflict(self.packages[owners[one].0].name.clone(), owners[other].0);
        let all: Vec<usize> = (0..owners.len()).collect();
        let replaces = |one: usize, other: usize| (self.replaces)(owners[one].0, owners[other].0);
        let kept = keepers(&all, |one, other| !differ(one, other), replaces);
        let contested = all.iter().find(|other| differ(0, **other)).copied();
        // The further names of a file have the content of whichever package was unpacked first.
        let linked = self.top.stat(at)?.is_some_and(|stat| stat.st_nlink > 1);
        let (first, other) = match (kept.first(), contested) {
            (None, Some(other)) => return conflict(0, other),
            (Some(_), Some(other)) if linked => return conflict(0, other),
            (Some(&first), _) => (first, kept.iter().find(|other| differ(first, **other)).copied()),
            (None, None) => return Ok(()),
        };
        if let Some(other) = other {
            return conflict(first, other);
        }
        // Mode and time are those of the package listed first, whichever was unpacked first.
        match owners[first].2 {
            Some(content) if owners[first].1 != there => match self.replace(at, content)? {
                true => {}
                false => return conflict(0, contested.unwrap_or(first)),
            },
            Some(Content::File { mode, mtime, .. }) => {
                let set = self.top.open_file(at)?.set_permissions(fs::Permissions::from_mode(*mode));
                set.map_err(BeneathError::of("set the mode of", at))?;
                self.top.set_time(at, *mtime)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// What a package shipped at a path that already existed.
    fn what(&self, content: &Content) -> Result<What, RootError> {
        Ok(match content {
            Content::File { spare, .. } => What::stands_at(self.spare, Path::new(spare))?,
            Content::Link { text, .. } => What::Link(os_path(text).into()),
            Content::Hard { to } => What::stands_at(self.top, os_path(to))?,
        })
    }

    /// Replaces the existing entry with that of another package; returns whether that was possible.
    fn replace(&self, at: &Path, content: &Content) -> Result<bool, RootError> {
        match content {
            Content::File { spare, mode, mtime } => {
                let mut from = self.spare.open_file(spare)?;
                let mut to = self.top.create(at)?;
                let copied = crate::digest::copy(&mut from, &mut to);
                let set = copied.and_then(|_| to.set_permissions(fs::Permissions::from_mode(*mode)));
                set.map_err(BeneathError::of("replace", at))?;
                self.top.set_time(at, *mtime)?;
            }
            Content::Link { text, mtime } => {
                self.top.symlink(os_path(text).as_os_str(), at)?;
                self.top.set_time(at, *mtime)?;
            }
            Content::Hard { .. } => return Ok(false),
        }
        Ok(true)
    }
}

/// What is at a path, in the respects in which two packages may differ.
#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    File(Digest),
    Link(PathBuf),
    Other,
}

impl What {
    fn stands_at(dir: &Dir, path: &Path) -> Result<Self, BeneathError> {
        let kind = dir.stat(path)?.map(|stat| kind(&stat));
        Ok(match kind {
            Some(SFlag::S_IFREG) => {
                let read = Digest::of_reader(dir.open_file(path)?).map_err(BeneathError::of("read", path))?;
                Self::File(read.0)
            }
            Some(SFlag::S_IFLNK) => dir.read_link(path)?.map_or(Self::Other, |text| Self::Link(text.into())),
            _ => Self::Other,
        })
    }
}

/// Adds the links and files that the toolchain's own file states.
fn add_own(top: &Dir, layout: RootLayout<'_>) -> Result<(), RootError> {
    let dir = top.following(Links::InRoot);
    let place = |text: &str, make: &dyn Fn(&Path) -> Result<(), BeneathError>| -> Result<(), RootError> {
        let wrong = |why: String| RootError::Path { path: text.to_owned(), why };
        let path = TreePath::new(text).map_err(|error| wrong(error.to_string()))?;
        if !text.starts_with('/') || path.is_root() {
            return Err(wrong("expected an absolute path".into()));
        }
        let path = Path::new(path.as_str());
        make(path).and_then(|()| dir.set_time(path, 0)).map_err(|error| wrong(error.refusal.to_string()))
    };
    for (path, text) in layout.files {
        place(path, &|at| dir.write(at, text.as_bytes()))?;
    }
    for (path, target) in layout.links {
        place(path, &|at| dir.symlink(target.as_ref(), at))?;
    }
    for (link, target) in layout.links {
        let found = dir.exists(link).map_err(|error| RootError::Path { path: link.clone(), why: error.to_string() })?;
        if !found {
            return Err(RootError::Dangling { link: link.clone(), target: target.clone() });
        }
    }
    Ok(())
}

/// Sets the time of folders to 0, since their real times tell when this root was made.
fn settle(top: &Dir) -> Result<(), BeneathError> {
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let below = top.list(&folder)?.into_iter().filter(|item| item.kind() == SFlag::S_IFDIR);
        folders.extend(below.map(|item| folder.join(item.name)));
        top.set_time(&folder, 0)?;
    }
    Ok(())
}
