//! Folders with content from elsewhere: an archive, a package, a tool in the sandbox.
//!
//! Such a folder may contain anything: links to the host's files, pipes, devices, paths of any depth. A [`Dir`] looks
//! up every path from its own handle, never leaves the folder and follows links only as [`Links`] says; a file is
//! opened only if it is a regular file. Code that works on such folders opens nothing by a host path: `tests/tidy.rs`
//! enforces that, and [`Dir::host_path`] is only for the sandbox's bind mounts.

mod copy;
mod lookup;
mod remove;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, readlinkat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, UtimensatFlags, fstat, fstatat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, linkat, symlinkat, unlinkat};
use xattr::FileExt;

use crate::printable::printable;

pub use lookup::{Folders, trim};
pub use remove::remove_all;

/// How symbolic links on the way are treated, the last component included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Followed as long as they stay inside; an absolute target, or one with too many `..`, is an error, and so is a missing
    /// one where something is to be created below it.
    Within,
    /// Followed as after chroot(2): `/` is the folder itself, and `..` at its top stays there.
    InRoot,
    /// Every link is an error.
    Never,
}

/// Why a path could not be looked up, or why its file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It would leave the folder, or follow a link where links are not allowed; with details.
    #[error("{0}")]
    Climbs(String),
    /// A link on the way is dangling.
    #[error("it leads through {0}, which does not exist")]
    Dangling(String),
    /// Something on the way is not a folder.
    #[error("`{0}` is not a folder")]
    NotAFolder(String),
    /// Not a regular file; gives its type.
    #[error("it is {0}, expected a regular file")]
    NotAFile(&'static str),
    /// Larger than may be read at once.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// Not valid UTF-8.
    #[error("it is not UTF-8")]
    NotText,
    /// The limit on components of followed links was reached, in total for all paths so far.
    #[error("symbolic links expand to more than {0} path components in total")]
    Links(u64),
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// Something in the folder could not be used.
#[derive(Debug, thiserror::Error)]
#[error("can't {action} `{path}`")]
pub struct BeneathError {
    /// `read`, `write` …
    pub action: &'static str,
    /// Relative to the folder; special characters are escaped.
    pub path: String,
    /// The reason.
    #[source]
    pub refusal: Refusal,
}

impl BeneathError {
    /// For `map_err`: the action, and the path.
    pub fn of<E: Into<Refusal>>(action: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        move |refusal| Self { action, path: printable(bytes(path)).to_string(), refusal: refusal.into() }
    }

    /// Whether nothing exists at the path.
    pub fn is_missing(&self) -> bool {
        matches!(&self.refusal, Refusal::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

type Result<T> = std::result::Result<T, BeneathError>;

/// A folder with content from elsewhere.
#[derive(Clone, Debug)]
pub struct Dir {
    top: Arc<OwnedFd>,
    host: PathBuf,
    links: Links,
    /// Whether the kernel does the lookup ([`lookup`]); tests turn it off.
    kernel: bool,
}

/// An entry of a folder.
#[derive(Debug)]
pub struct DirEntry {
    /// Its name.
    pub name: OsString,
    /// Its type; links are not followed.
    pub stat: FileStat,
    folder: Arc<OwnedFd>,
}

impl Dir {
    /// Opens `path`, which must be an existing folder and not a link.
    pub fn open(path: &Path, links: Links) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let top = nix::fcntl::open(path, flags, Mode::empty())?;
        Ok(Self::of(Arc::new(top), path.to_owned(), links, true))
    }

    fn of(top: Arc<OwnedFd>, host: PathBuf, links: Links, kernel: bool) -> Self {
        Self { top, host, links, kernel }
    }

    /// The same folder with another rule for links.
    pub fn following(&self, links: Links) -> Self {
        Self::of(Arc::clone(&self.top), self.host.clone(), links, self.kernel)
    }

    /// The folder's path on the host: for bind mounts of the sandbox, never to open something below it.
    pub fn host_path(&self) -> &Path {
        &self.host
    }

    /// The folder itself.
    pub fn top(&self) -> BorrowedFd<'_> {
        self.top.as_fd()
    }

    /// Locks the folder (flock(2)) for as long as the file lives; `None` if another process holds the lock.
    pub fn lock(&self) -> io::Result<Option<File>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let file = File::from(openat(&self.top, ".", flags, Mode::empty())?);
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// A subfolder.
    pub fn dir(&self, path: impl AsRef<Path>) -> Result<Self> {
        self.below(path.as_ref(), false)
    }

    /// A subfolder, created with its parents if missing.
    pub fn make_dir(&self, path: impl AsRef<Path>) -> Result<Self> {
        self.below(path.as_ref(), true)
    }

    fn below(&self, path: &Path, make: bool) -> Result<Self> {
        let action = if make { "make" } else { "open" };
        let top = self.folder(bytes(path), make).map_err(BeneathError::of(action, path))?;
        Ok(Self::of(top, self.host.join(path), self.links, self.kernel))
    }

    /// The type of what is at `path`, links not followed; `None` if nothing is there.
    pub fn stat(&self, path: impl AsRef<Path>) -> Result<Option<FileStat>> {
        let path = path.as_ref();
        let stat = || -> std::result::Result<FileStat, Refusal> {
            match self.parent(bytes(path), false)? {
                Some((parent, name)) => Ok(fstatat(&parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)?),
                None => Ok(fstat(&self.top)?),
            }
        };
        match stat() {
            Ok(stat) => Ok(Some(stat)),
            Err(Refusal::NotAFolder(_)) => Ok(None),
            Err(Refusal::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(refusal) => Err(BeneathError::of("find", path)(refusal)),
        }
    }

    /// Whether a regular file is at `path`, with links followed according to the folder's rule.
    pub fn has_file(&self, path: impl AsRef<Path>) -> bool {
        self.look_up(bytes(path.as_ref())).is_ok_and(|(_, stat)| kind(&stat) == SFlag::S_IFREG)
    }

    /// Whether something exists at `path` when every link, including the last, is followed.
    pub fn exists(&self, path: impl AsRef<Path>) -> std::result::Result<bool, Refusal> {
        match self.look_up(bytes(path.as_ref())) {
            Ok(_) => Ok(true),
            Err(Refusal::NotAFolder(_) | Refusal::Dangling(_)) => Ok(false),
            Err(Refusal::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Opens a regular file for reading.
    pub fn open_file(&self, path: impl AsRef<Path>) -> Result<File> {
        let path = path.as_ref();
        self.open_regular(bytes(path)).map_err(BeneathError::of("open", path))
    }

    /// The content of a regular file of at most `most` bytes.
    pub fn read(&self, path: impl AsRef<Path>, most: u64) -> Result<Vec<u8>> {
        let path = path.as_ref();
        let read = || -> std::result::Result<Vec<u8>, Refusal> {
            let mut content = Vec::new();
            self.open_regular(bytes(path))?.take(most + 1).read_to_end(&mut content)?;
            if content.len() as u64 > most { Err(Refusal::TooLarge(most)) } else { Ok(content) }
        };
        read().map_err(BeneathError::of("read", path))
    }

    /// As [`Dir::read`], of text.
    pub fn read_text(&self, path: impl AsRef<Path>, most: u64) -> Result<String> {
        let path = path.as_ref();
        String::from_utf8(self.read(path, most)?).map_err(|_| BeneathError::of("read", path)(Refusal::NotText))
    }

    /// A new file at `path`, open for writing; an existing file or link is removed first, and parent folders are
    /// created.
    pub fn create(&self, path: impl AsRef<Path>) -> Result<File> {
        let path = path.as_ref();
        self.fresh(path, create).map_err(BeneathError::of("make", path))
    }

    /// Writes a file with the given content at `path`, mode 644; an existing file or link is removed first.
    pub fn write(&self, path: impl AsRef<Path>, content: &[u8]) -> Result<()> {
        let path = path.as_ref();
        let mut file = self.create(path)?;
        let written = file.write_all(content).and_then(|()| file.set_permissions(Permissions::from_mode(0o644)));
        written.map_err(BeneathError::of("write", path))
    }

    /// Opens a regular file for reading and writing; the last component must not be a link, whatever the folder's rule.
    pub fn open_writable(&self, path: impl AsRef<Path>) -> Result<File> {
        let path = path.as_ref();
        let open = || -> std::result::Result<File, Refusal> {
            let Some((parent, name)) = self.parent(bytes(path), false)? else { return Err(Errno::EISDIR.into()) };
            open_regular_at(&parent, name, READ | OFlag::O_RDWR)
        };
        open().map_err(BeneathError::of("open", path))
    }

    /// A hard link to what is at `from`, which is not followed if it is a link; an existing file or link at `to` is
    /// removed first.
    pub fn hard_link(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let link = || -> std::result::Result<(), Refusal> {
            let Some((old, name)) = self.parent(bytes(from), false)? else { return Err(Errno::EISDIR.into()) };
            self.fresh(to, |parent, new| linkat(&old, name, parent, new, AtFlags::empty()))
        };
        link().map_err(BeneathError::of("link", to))
    }

    /// As [`Dir::hard_link`], for a file of dbco's elsewhere on the host.
    pub fn hard_link_from(&self, host: &Path, to: impl AsRef<Path>) -> Result<()> {
        let to = to.as_ref();
        let link = |parent: &OwnedFd, name: &OsStr| linkat(AT_FDCWD, host, parent, name, AtFlags::empty());
        self.fresh(to, link).map_err(BeneathError::of("link", to))
    }

    /// A symbolic link at `path`; an existing file or link is removed first, and parent folders are created.
    pub fn symlink(&self, target: &OsStr, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        self.fresh(path, |parent, name| symlinkat(target, parent, name)).map_err(BeneathError::of("make", path))
    }

    /// Sets the modification time of what is at `path` in seconds since 1970; links are not followed.
    pub fn set_time(&self, path: impl AsRef<Path>, seconds: i64) -> Result<()> {
        let path = path.as_ref();
        let set = || -> std::result::Result<(), Refusal> {
            match self.parent(bytes(path), false)? {
                Some((parent, name)) => set_time(&parent, name, seconds)?,
                None => set_time(&self.top, OsStr::new("."), seconds)?,
            }
            Ok(())
        };
        set().map_err(BeneathError::of("set the time of", path))
    }

    /// Removes a file or link; it is not an error if it does not exist.
    pub fn remove(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let remove = || -> std::result::Result<(), Refusal> {
            let Some((parent, name)) = self.parent(bytes(path), false)? else { return Err(Errno::EISDIR.into()) };
            Ok(unlinkat(&parent, name, UnlinkatFlags::NoRemoveDir)?)
        };
        match remove().map_err(BeneathError::of("remove", path)) {
            Err(error) if error.is_missing() => Ok(()),
            other => other,
        }
    }

    /// The target of the link at `path`; `None` if it is not a link.
    pub fn read_link(&self, path: impl AsRef<Path>) -> Result<Option<OsString>> {
        let path = path.as_ref();
        let read = || -> std::result::Result<Option<OsString>, Refusal> {
            let Some((parent, name)) = self.parent(bytes(path), false)? else { return Ok(None) };
            match readlinkat(&parent, name) {
                Ok(text) => Ok(Some(text)),
                Err(Errno::EINVAL | Errno::ENOENT) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        read().map_err(BeneathError::of("read", path))
    }

    /// Renames `from` to `to`, whose parent must exist. An existing empty folder is replaced.
    pub fn rename(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let rename = || -> std::result::Result<(), Refusal> {
            let (Some((old, name)), Some((new, new_name))) =
                (self.parent(bytes(from), false)?, self.parent(bytes(to), false)?)
            else {
                return Err(Errno::EBUSY.into());
            };
            Ok(renameat(&old, name, &new, new_name)?)
        };
        rename().map_err(BeneathError::of("move", from))
    }

    /// Removes an empty folder.
    pub fn remove_dir(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let remove = || -> std::result::Result<(), Refusal> {
            let Some((parent, name)) = self.parent(bytes(path), false)? else { return Err(Errno::EBUSY.into()) };
            Ok(unlinkat(&parent, name, UnlinkatFlags::RemoveDir)?)
        };
        remove().map_err(BeneathError::of("remove", path))
    }

    /// The entries of the folder at `path`, sorted by name.
    pub fn list(&self, path: impl AsRef<Path>) -> Result<Vec<DirEntry>> {
        let path = path.as_ref();
        let list = || -> std::result::Result<Vec<DirEntry>, Refusal> { Ok(items(self.folder(bytes(path), false)?)?) };
        list().map_err(BeneathError::of("read", path))
    }

    /// Creates something at `path` with `make`, after removing what exists there, unless it is a folder.
    fn fresh<T>(
        &self,
        path: &Path,
        make: impl Fn(&OwnedFd, &OsStr) -> nix::Result<T>,
    ) -> std::result::Result<T, Refusal> {
        let Some((parent, name)) = self.parent(bytes(path), true)? else { return Err(Errno::EISDIR.into()) };
        match make(&parent, name) {
            Err(Errno::EEXIST) => {
                unlinkat(&parent, name, UnlinkatFlags::NoRemoveDir)?;
                Ok(make(&parent, name)?)
            }
            other => Ok(other?),
        }
    }
}

impl DirEntry {
    /// The type bits of its mode.
    pub fn kind(&self) -> SFlag {
        kind(&self.stat)
    }

    /// Opens a regular file.
    pub fn open(&self) -> std::result::Result<File, Refusal> {
        open_regular_at(&self.folder, &self.name, READ)
    }

    /// The extended attributes of a file or a folder by name; none for links and special files, on which tools can't
    /// set any.
    pub fn xattrs(&self) -> std::result::Result<BTreeMap<OsString, Vec<u8>>, Refusal> {
        let file = match self.kind() {
            SFlag::S_IFREG => self.open()?,
            SFlag::S_IFDIR => {
                openat(&self.folder, self.name.as_os_str(), READ | OFlag::O_DIRECTORY, Mode::empty())?.into()
            }
            _ => return Ok(BTreeMap::new()),
        };
        let names = match file.list_xattr() {
            // The file system has no extended attributes.
            Err(error) if error.raw_os_error() == Some(Errno::EOPNOTSUPP as i32) => return Ok(BTreeMap::new()),
            other => other?,
        };
        let mut all = BTreeMap::new();
        for name in names {
            if let Some(value) = file.get_xattr(&name)? {
                all.insert(name, value);
            }
        }
        Ok(all)
    }

    /// The target of a link.
    pub fn read_link(&self) -> io::Result<OsString> {
        Ok(readlinkat(&self.folder, self.name.as_os_str())?)
    }
}

/// The type bits of a mode.
pub fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// A new file, which must not exist yet.
pub fn create(parent: &OwnedFd, name: &OsStr) -> nix::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::from_bits_truncate(0o600)).map(File::from)
}

/// Sets the modification time of a file, link or folder, in seconds since 1970.
pub fn set_time(parent: &OwnedFd, name: &OsStr, seconds: i64) -> nix::Result<()> {
    utimensat(parent, name, &TimeSpec::UTIME_OMIT, &TimeSpec::new(seconds, 0), UtimensatFlags::NoFollowSymlink)
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// The entries of a folder, sorted by name.
fn items(folder: Arc<OwnedFd>) -> nix::Result<Vec<DirEntry>> {
    // The handle may have been opened with O_PATH, which can't be read.
    let mut open = nix::dir::Dir::openat(&folder, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())?;
    let mut items = Vec::new();
    for entry in open.iter() {
        let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
        if name == "." || name == ".." {
            continue;
        }
        let stat = fstatat(&folder, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        items.push(DirEntry { name, stat, folder: Arc::clone(&folder) });
    }
    items.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(items)
}

/// Flags for opening a regular file: should something else have taken its place meanwhile, a pipe does not block and a
/// terminal does not become the controlling one.
const READ: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_NOFOLLOW).union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY).union(OFlag::O_CLOEXEC);

/// A device must not even be opened: that alone may rewind a tape.
fn check_regular(stat: &FileStat) -> std::result::Result<(), Refusal> {
    Err(Refusal::NotAFile(match kind(stat) {
        SFlag::S_IFREG => return Ok(()),
        SFlag::S_IFDIR => "a folder",
        SFlag::S_IFLNK => "a link",
        SFlag::S_IFIFO => "a named pipe",
        SFlag::S_IFSOCK => "a socket",
        _ => "a device",
    }))
}

fn open_regular_at(folder: &OwnedFd, name: &OsStr, flags: OFlag) -> std::result::Result<File, Refusal> {
    check_regular(&fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?)?;
    let file = openat(folder, name, flags, Mode::empty())?;
    check_regular(&fstat(&file)?)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests;
