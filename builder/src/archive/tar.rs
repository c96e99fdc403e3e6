//! What tar archives are read for: source trees on disk, and trees as data.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, UtimensatFlags, fchmod, fchmodat, futimens, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, linkat, symlinkat, unlinkat};

use super::dir::{Refusal, trim};
use super::entries::{Kind, Member};
use super::{ArchiveError, Dir, Entries, Links, lossy, os_path};
use crate::store::{Batch, StoreError};
use crate::tree::{BadPath, Entry, Node, Tree, TreePath};

/// How an archive is unpacked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Leading components taken off each name; members with fewer are left out, as by `tar --strip-components`.
    pub strip: usize,
}

/// Unpacks a decompressed archive into `dir`, which exists, as a source tree: files, folders and links with their
/// permission bits and times.
///
/// Owners are not looked at. The owner can always read and write, setuid bits are dropped, and device nodes and pipes
/// are left out: no source tree has a use for them. A member replaces what an earlier one of the same name left.
pub fn unpack_to_dir(input: impl Read, archive: &str, dir: &Path, options: Options) -> Result<(), ArchiveError> {
    let mut entries = Entries::new(input, archive);
    let top = Dir::open(dir, Links::Within).map_err(|source| ArchiveError::Io {
        archive: archive.to_owned(),
        entry: dir.display().to_string(),
        action: "open",
        source,
    })?;
    let mut unpack = Unpack { dir: top, folders: Vec::new(), strip: options.strip };
    while let Some(member) = entries.next_member()? {
        unpack.member(&mut entries, &member).map_err(|failure| failure.of(&entries, &member))?;
    }
    unpack.finish().map_err(|(path, error)| ArchiveError::Io {
        archive: archive.to_owned(),
        entry: lossy(&path),
        action: "set the time of",
        source: error.into(),
    })
}

/// A failure that does not know yet which member it is about.
pub(crate) enum Failure {
    Refused(Refusal),
    System(&'static str, std::io::Error),
    Archive(ArchiveError),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ArchiveError> for Failure {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

impl Failure {
    /// For `map_err`: a system call's failure.
    pub(crate) fn system<E: Into<std::io::Error>>(action: &'static str) -> impl Fn(E) -> Failure {
        move |error| Self::System(action, error.into())
    }

    /// The error, about `member`.
    pub(crate) fn of<R: Read>(self, entries: &Entries<R>, member: &Member) -> ArchiveError {
        let (archive, entry) = (entries.archive().to_owned(), lossy(&member.path));
        match self {
            Self::Refused(Refusal::Climbs(how)) => ArchiveError::Climbs { archive, entry, how },
            Self::Refused(Refusal::NotAFolder(path)) => ArchiveError::Entry {
                archive,
                entry,
                why: format!("`{path}` is no folder, an earlier entry made it a file"),
            },
            Self::Refused(Refusal::Io(source)) => {
                ArchiveError::Io { archive, entry, action: "find the folder of", source }
            }
            Self::System(action, source) => ArchiveError::Io { archive, entry, action, source },
            Self::Archive(error) => error,
        }
    }
}

struct Unpack {
    dir: Dir,
    /// Folders whose mode and time are set last: what is put into them would change the time again, and a mode of 555
    /// would refuse it.
    folders: Vec<(Vec<u8>, u32, i64)>,
    strip: usize,
}

impl Unpack {
    fn member<R: Read>(&mut self, entries: &mut Entries<R>, member: &Member) -> Result<(), Failure> {
        let path = inside(&member.path)?;
        let Some(path) = strip(path, self.strip) else { return Ok(()) };
        if member.kind == Kind::Dir {
            self.dir.folder(path, true)?;
            self.folders.push((path.to_owned(), member.mode & 0o777 | 0o700, member.mtime));
            return Ok(());
        }
        let Some((parent, name)) = self.dir.parent(path)? else {
            return Err(entries.refused(&member.path, "the archive's top is not a folder").into());
        };
        match member.kind {
            Kind::File => {
                let file = self.fresh(|| create(&parent, name), &parent, name, "make")?;
                fill(entries, file, member.mode & 0o777 | 0o600, member.mtime)?;
            }
            Kind::Symlink => {
                let target = os_path(&member.link);
                self.fresh(|| symlinkat(target, &parent, name), &parent, name, "make")?;
                set_time(&parent, name, member.mtime).map_err(Failure::system("set the time of"))?;
            }
            Kind::HardLink => {
                let missing = || entries.refused(&member.path, "a hard link to a name that did not come before it");
                let target = strip(inside(&member.link)?, self.strip).ok_or_else(missing)?;
                let (from, from_name) = self.dir.parent(target)?.ok_or_else(missing)?;
                if (from_name, target) != (name, path) {
                    let link = || linkat(&from, from_name, &parent, name, AtFlags::empty());
                    self.fresh(link, &parent, name, "link").map_err(|failure| match failure {
                        Failure::System(_, error) if error.kind() == std::io::ErrorKind::NotFound => missing().into(),
                        other => other,
                    })?;
                }
            }
            Kind::Char | Kind::Block | Kind::Fifo => {}
            Kind::Dir => unreachable!("handled above"),
        }
        Ok(())
    }

    /// Makes something by `make`; what stands in its place already is removed first. A folder is not.
    fn fresh<T>(
        &mut self,
        make: impl Fn() -> nix::Result<T>,
        parent: &Rc<OwnedFd>,
        name: &std::ffi::OsStr,
        action: &'static str,
    ) -> Result<T, Failure> {
        match make() {
            Err(Errno::EEXIST) => {
                unlinkat(parent, name, UnlinkatFlags::NoRemoveDir).map_err(Failure::system("replace"))?;
                self.dir.forget();
                make().map_err(Failure::system(action))
            }
            other => other.map_err(Failure::system(action)),
        }
    }

    fn finish(mut self) -> Result<(), (Vec<u8>, Errno)> {
        // Deepest first, so that no mode that is set shuts the way to another folder.
        for (path, mode, mtime) in std::mem::take(&mut self.folders).into_iter().rev() {
            // Looked up anew: a later entry may have replaced a link on the way by another, which leads out.
            let Ok(folder) = self.dir.folder(&path, false) else { continue };
            let set = fchmodat(&folder, ".", Mode::from_bits_truncate(mode), FchmodatFlags::FollowSymlink)
                .and_then(|()| set_time(&folder, std::ffi::OsStr::new("."), mtime));
            set.map_err(|error| (path, error))?;
        }
        Ok(())
    }
}

/// A new file, which must not exist yet.
pub(crate) fn create(parent: &OwnedFd, name: &std::ffi::OsStr) -> nix::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name, flags, Mode::from_bits_truncate(0o600)).map(File::from)
}

/// Writes the content in hand to `file`, then sets its mode and time.
pub(crate) fn fill<R: Read>(entries: &mut Entries<R>, mut file: File, mode: u32, mtime: i64) -> Result<(), Failure> {
    let mut buffer = [0; 64 * 1024];
    loop {
        let count = entries.read(&mut buffer).map_err(|error| entries.reading(error))?;
        if count == 0 {
            break;
        }
        file.write_all(&buffer[..count]).map_err(Failure::system("write"))?;
    }
    fchmod(&file, Mode::from_bits_truncate(mode)).map_err(Failure::system("set the mode of"))?;
    futimens(&file, &TimeSpec::UTIME_OMIT, &time(mtime)).map_err(Failure::system("set the time of"))
}

fn time(mtime: i64) -> TimeSpec {
    TimeSpec::new(mtime, 0)
}

/// Sets the time of a link or folder.
pub(crate) fn set_time(parent: &OwnedFd, name: &std::ffi::OsStr, mtime: i64) -> nix::Result<()> {
    utimensat(parent, name, &TimeSpec::UTIME_OMIT, &time(mtime), UtimensatFlags::NoFollowSymlink)
}

/// A member's name, or the name a hard link points to, without a leading `./`; one that climbs is refused.
pub(crate) fn inside(path: &[u8]) -> Result<&[u8], Refusal> {
    if path.starts_with(b"/") {
        return Err(Refusal::Climbs(format!("`{}` is an absolute name", lossy(path))));
    }
    if path.split(|&b| b == b'/').any(|part| part == b"..") {
        return Err(Refusal::Climbs(format!("`{}` holds `..`", lossy(path))));
    }
    Ok(trim(path))
}

/// `path` without its first `count` components; `None` when it has no more than these.
fn strip(mut path: &[u8], count: usize) -> Option<&[u8]> {
    for _ in 0..count {
        path = trim(&path[path.iter().position(|&b| b == b'/')?..]);
    }
    (count == 0 || !path.is_empty()).then_some(path)
}

/// Reads a decompressed archive as data: owners, modes, devices and attributes are fields, and files go to `batch`.
///
/// A hard link becomes a file of the same content: trees know no inodes. A later member replaces an earlier one of the
/// same name. A member below something that is no folder is refused.
pub fn read_tree(input: impl Read, archive: &str, batch: &mut Batch) -> Result<Tree, ArchiveError> {
    let mut entries = Entries::new(input, archive);
    let mut tree = Tree::new();
    while let Some(member) = entries.next_member()? {
        let path = tree_path(&entries, &member, &member.path)?;
        let mut above = path.parent();
        while let Some(parent) = above {
            if let Some(entry) = tree.get(&parent).filter(|entry| !entry.is_dir()) {
                let how = match &entry.node {
                    Node::Symlink { target } => format!("it goes through `{parent}`, a link to `{target}`"),
                    _ => return Err(entries.refused(&member.path, format!("`{parent}` is no folder"))),
                };
                return Err(Failure::Refused(Refusal::Climbs(how)).of(&entries, &member));
            }
            above = parent.parent();
        }
        if path.is_root() && member.kind != Kind::Dir {
            return Err(entries.refused(&member.path, "the archive's top is not a folder"));
        }
        let entry = tree_entry(&mut entries, &member, &tree, batch)?;
        let was_folder = tree.get(&path).is_some_and(Entry::is_dir);
        if was_folder && !entry.is_dir() {
            return Err(entries.refused(&member.path, "it would replace a folder"));
        }
        tree.insert(path, entry);
    }
    Ok(tree)
}

fn tree_path<R: Read>(entries: &Entries<R>, member: &Member, path: &[u8]) -> Result<TreePath, ArchiveError> {
    let path = inside(path).map_err(|refusal| Failure::Refused(refusal).of(entries, member))?;
    TreePath::from_bytes(path).map_err(|error| match error {
        BadPath::Climbs(_) => Failure::Refused(Refusal::Climbs(error.to_string())).of(entries, member),
        BadPath::NotUtf8(_) | BadPath::Nul(_) => entries.refused(&member.path, error.to_string()),
    })
}

fn tree_entry<R: Read>(
    entries: &mut Entries<R>,
    member: &Member,
    tree: &Tree,
    batch: &mut Batch,
) -> Result<Entry, ArchiveError> {
    let (major, minor) = member.device;
    let node = match member.kind {
        Kind::File => {
            let (blob, size) = batch.add(&mut *entries).map_err(|error| match error {
                // The store blames the file that it writes; what did not decode is the archive's fault.
                StoreError::Io { source, .. } if source.raw_os_error().is_none() => entries.reading(source),
                other => other.into(),
            })?;
            Node::File { blob, size }
        }
        Kind::HardLink => {
            let target = tree_path(entries, member, &member.link)?;
            return match tree.get(&target) {
                Some(entry) if !entry.is_dir() => Ok(entry.clone()),
                _ => Err(entries.refused(&member.path, "a hard link to a name that did not come before it")),
            };
        }
        Kind::Dir => Node::Dir,
        Kind::Symlink => match String::from_utf8(member.link.clone()) {
            Ok(target) if !target.is_empty() && !target.contains('\0') => Node::Symlink { target },
            _ => return Err(entries.refused(&member.path, "its link's text is empty or not UTF-8")),
        },
        Kind::Char => Node::Char { major, minor },
        Kind::Block => Node::Block { major, minor },
        Kind::Fifo => Node::Fifo,
    };
    let narrow = |id: u64| {
        u32::try_from(id).map_err(|_| entries.refused(&member.path, format!("its owner {id} is no owner on Linux")))
    };
    let mode = if member.kind == Kind::Symlink { 0o777 } else { member.mode };
    Ok(Entry { node, mode, uid: narrow(member.uid)?, gid: narrow(member.gid)?, xattrs: member.xattrs.clone() })
}
