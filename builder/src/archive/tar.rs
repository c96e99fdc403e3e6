//! The two uses of tar archives: source trees on disk, and trees as data.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmod, fchmodat, fstat, fstatat, futimens, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, linkat, mkfifoat, symlinkat, unlinkat};

use super::entries::{Member, MemberKind};
use super::{ArchiveError, Budget, Entries, Exceeded, os_path, shown};
use crate::beneath::{Dir, Folders, Links, Refusal, create, kind, set_time, trim};
use crate::path_error::PathError;
use crate::store::{Batch, StoreError};
use crate::tree::{BadPath, Entry, Node, Tree, TreePath};

/// Unpacks a decompressed archive into `dir` as a source tree: files, folders and links with their
/// permission bits and times.
///
/// Owners are ignored. The owner can always read and write, and setuid bits are dropped. As with tar(1) run by an
/// ordinary user, pipes are created and device nodes are an error. A member replaces an earlier one of the same name; a
/// folder is replaced by something else only if it is empty.
pub fn unpack_to_dir(input: impl Read, archive: &str, budget: &Budget, dir: &Dir) -> Result<(), ArchiveError> {
    let mut entries = Entries::new(input, archive, budget);
    let dir = Folders::of(dir.following(Links::Within)).following_at_most(budget.links);
    let mut unpack = TarUnpacker { dir, folders: BTreeMap::new() };
    while let Some(member) = entries.next_member()? {
        unpack.member(&mut entries, &member).map_err(|failure| failure.of(&entries, &member))?;
    }
    unpack.finish().map_err(|(path, failure)| failure.at(archive, &path))
}

/// A failure that is not yet associated with a member.
pub(crate) enum MemberFailure {
    Refused(Refusal),
    /// In its place stands a folder that holds something.
    NotEmpty,
    System(&'static str, std::io::Error),
    Archive(ArchiveError),
}

impl From<Refusal> for MemberFailure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ArchiveError> for MemberFailure {
    fn from(error: ArchiveError) -> Self {
        Self::Archive(error)
    }
}

impl MemberFailure {
    /// For `map_err`: a system call's failure.
    pub(crate) fn system<E: Into<std::io::Error>>(action: &'static str) -> impl Fn(E) -> MemberFailure {
        move |error| Self::System(action, error.into())
    }

    /// The error, for `member`.
    pub(crate) fn of<R: Read>(self, entries: &Entries<R>, member: &Member) -> ArchiveError {
        self.at(entries.archive(), &member.path)
    }

    /// The error, for the entry of that name.
    fn at(self, archive: &str, entry: &[u8]) -> ArchiveError {
        let (archive, entry) = (archive.to_owned(), shown(entry));
        match self {
            Self::Refused(refusal @ Refusal::Links(_)) => {
                ArchiveError::Budget { archive, exceeded: Exceeded::new("links", format!("{refusal} (at `{entry}`)")) }
            }
            Self::Refused(Refusal::Climbs(how)) => ArchiveError::Climbs { archive, entry, how },
            Self::Refused(Refusal::NotAFolder(path)) => ArchiveError::Entry {
                archive,
                entry,
                why: format!("`{path}` is not a folder: an earlier entry created it as something else"),
            },
            Self::Refused(Refusal::Io(source)) => {
                ArchiveError::Io { archive, entry, action: "find the folder of", source }
            }
            Self::Refused(other) => ArchiveError::Entry { archive, entry, why: other.to_string() },
            Self::NotEmpty => {
                let why = "it would replace a folder that earlier entries put something into".to_owned();
                ArchiveError::Entry { archive, entry, why }
            }
            Self::System(action, source) => ArchiveError::Io { archive, entry, action, source },
            Self::Archive(error) => error,
        }
    }
}

struct TarUnpacker {
    dir: Folders,
    /// By device and inode: folders whose mode and time are set last, because adding entries changes the time.
    folders: BTreeMap<(u64, u64), (Vec<u8>, u32, i64)>,
}

impl TarUnpacker {
    fn member<R: Read>(&mut self, entries: &mut Entries<R>, member: &Member) -> Result<(), MemberFailure> {
        let path = inside(&member.path)?;
        let Some((parent, name)) = self.dir.parent(path)? else {
            if member.kind == MemberKind::Dir {
                // `.`, or `a/.` as `tar -c a/.` writes it.
                let top = self.dir.folder(path, true)?;
                return self.folder(path, &top, member);
            }
            return Err(entries.refused(&member.path, "the archive's root entry is not a folder").into());
        };
        match member.kind {
            MemberKind::File => {
                let file = self.fresh(|| create(&parent, name), &parent, name, "make")?;
                fill(entries, file, member.mode & 0o777 | 0o600, member.mtime)?;
            }
            MemberKind::Symlink => {
                let target = os_path(&member.link);
                self.fresh(|| symlinkat(target, &parent, name), &parent, name, "make")?;
                set_time(&parent, name, member.mtime).map_err(MemberFailure::system("set the time of"))?;
            }
            MemberKind::HardLink => {
                let missing = || entries.refused(&member.path, "a hard link to a name that does not precede it");
                let target = inside(&member.link)?;
                let (from, from_name) = self.dir.parent(target)?.ok_or_else(missing)?;
                if (from_name, target) != (name, path) {
                    let link = || linkat(&from, from_name, &parent, name, AtFlags::empty());
                    self.fresh(link, &parent, name, "link").map_err(|failure| match failure {
                        MemberFailure::System(_, error) if error.kind() == std::io::ErrorKind::NotFound => {
                            missing().into()
                        }
                        other => other,
                    })?;
                }
            }
            MemberKind::Dir => {
                self.make_folder(&parent, name)?;
                let folder = self.dir.folder(path, false)?;
                self.folder(path, &folder, member)?;
            }
            MemberKind::Fifo => {
                let mode = Mode::from_bits_truncate(member.mode & 0o777 | 0o600);
                self.fresh(|| mkfifoat(&parent, name, mode), &parent, name, "make")?;
            }
            MemberKind::Char | MemberKind::Block => {
                let why = "a device node, which only root can create: sources do not need any";
                return Err(entries.refused(&member.path, why).into());
            }
        }
        Ok(())
    }

    /// Makes a folder, or keeps an existing one; a link or a file in its place is replaced.
    fn make_folder(&mut self, parent: &Arc<OwnedFd>, name: &std::ffi::OsStr) -> Result<(), MemberFailure> {
        let make = || mkdirat(parent, name, Mode::from_bits_truncate(0o755));
        match make() {
            Err(Errno::EEXIST) => {
                let stat =
                    fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(MemberFailure::system("look at"))?;
                if kind(&stat) == SFlag::S_IFDIR {
                    return Ok(());
                }
                self.fresh(make, parent, name, "make")
            }
            other => other.map_err(MemberFailure::system("make")),
        }
    }

    /// Records the final mode and time of a folder; of one listed twice, those of the last entry.
    fn folder(&mut self, path: &[u8], folder: &OwnedFd, member: &Member) -> Result<(), MemberFailure> {
        let stat = fstat(folder).map_err(MemberFailure::system("look at"))?;
        self.folders.insert((stat.st_dev, stat.st_ino), (path.to_owned(), member.mode & 0o777 | 0o700, member.mtime));
        Ok(())
    }

    /// Creates something with `make`; anything that exists in its place is removed first, a folder only if it is empty.
    fn fresh<T>(
        &mut self,
        make: impl Fn() -> nix::Result<T>,
        parent: &Arc<OwnedFd>,
        name: &std::ffi::OsStr,
        action: &'static str,
    ) -> Result<T, MemberFailure> {
        match make() {
            Err(Errno::EEXIST) => {
                let removed = match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
                    Err(Errno::EISDIR) => unlinkat(parent, name, UnlinkatFlags::RemoveDir),
                    other => other,
                };
                removed.map_err(|error| match error {
                    Errno::ENOTEMPTY | Errno::EEXIST => MemberFailure::NotEmpty,
                    other => MemberFailure::system("replace")(other),
                })?;
                self.dir.forget();
                make().map_err(MemberFailure::system(action))
            }
            other => other.map_err(MemberFailure::system(action)),
        }
    }

    fn finish(mut self) -> Result<(), (Vec<u8>, MemberFailure)> {
        for (id, (path, mode, mtime)) in std::mem::take(&mut self.folders) {
            // Looked up again: a later entry may have replaced a link on the way by one that leads elsewhere.
            let folder = match self.dir.folder(&path, false) {
                Ok(folder) => folder,
                Err(refusal @ Refusal::Links(_)) => return Err((path, refusal.into())),
                Err(_) => continue,
            };
            if !fstat(&folder).is_ok_and(|stat| (stat.st_dev, stat.st_ino) == id) {
                continue;
            }
            let set = fchmodat(&folder, ".", Mode::from_bits_truncate(mode), FchmodatFlags::FollowSymlink)
                .and_then(|()| set_time(&folder, std::ffi::OsStr::new("."), mtime));
            set.map_err(|error| (path, MemberFailure::system("set the time of")(error)))?;
        }
        Ok(())
    }
}

/// Writes the current content to `file`, then sets its mode and time.
pub(crate) fn fill<R: Read>(
    entries: &mut Entries<R>,
    mut file: File,
    mode: u32,
    mtime: i64,
) -> Result<(), MemberFailure> {
    let mut buffer = [0; 64 * 1024];
    loop {
        let count = entries.read(&mut buffer).map_err(|error| entries.reading(error))?;
        if count == 0 {
            break;
        }
        file.write_all(&buffer[..count]).map_err(MemberFailure::system("write"))?;
    }
    fchmod(&file, Mode::from_bits_truncate(mode)).map_err(MemberFailure::system("set the mode of"))?;
    futimens(&file, &TimeSpec::UTIME_OMIT, &time(mtime)).map_err(MemberFailure::system("set the time of"))
}

fn time(mtime: i64) -> TimeSpec {
    TimeSpec::new(mtime, 0)
}

/// A member's name, or a hard link's target, without a leading `./`; one that climbs out is rejected.
pub(crate) fn inside(path: &[u8]) -> Result<&[u8], Refusal> {
    if path.starts_with(b"/") {
        return Err(Refusal::Climbs(format!("`{}` is an absolute path", shown(path))));
    }
    if path.split(|&b| b == b'/').any(|part| part == b"..") {
        return Err(Refusal::Climbs(format!("`{}` contains `..`", shown(path))));
    }
    Ok(trim(path))
}

/// Reads a decompressed archive as data: owners, modes, devices and attributes are fields, and files go to `batch`.
///
/// A later member replaces an earlier one of the same name, a folder only by a folder. A member below something that is
/// not a folder is rejected, and so is one that is not a folder where earlier members lie below it, whether or not the
/// archive lists that folder.
pub fn read_tree(input: impl Read, archive: &str, budget: &Budget, batch: &mut Batch) -> Result<Tree, ArchiveError> {
    let mut entries = Entries::new(input, archive, budget);
    let mut tree = Tree::new();
    let mut inodes = 0;
    while let Some(member) = entries.next_member()? {
        let path = tree_path(&entries, &member, &member.path)?;
        let mut above = path.parent();
        while let Some(parent) = above {
            if let Some(entry) = tree.get(&parent).filter(|entry| !entry.is_dir()) {
                let how = match &entry.node {
                    Node::Symlink { target } => format!("it leads through `{parent}`, a link to `{target}`"),
                    _ => return Err(entries.refused(&member.path, format!("`{parent}` is not a folder"))),
                };
                return Err(MemberFailure::Refused(Refusal::Climbs(how)).of(&entries, &member));
            }
            above = parent.parent();
        }
        if path.is_root() && member.kind != MemberKind::Dir {
            return Err(entries.refused(&member.path, "the archive's root entry is not a folder"));
        }
        let entry = tree_entry(&mut entries, &member, &mut tree, &mut inodes, batch)?;
        let was_folder = || tree.get(&path).is_some_and(Entry::is_dir) || tree.has_below(&path);
        if !entry.is_dir() && was_folder() {
            return Err(entries.refused(&member.path, "it would replace a folder"));
        }
        tree.insert(path, entry);
    }
    tree.settle_links();
    Ok(tree)
}

fn tree_path<R: Read>(entries: &Entries<R>, member: &Member, path: &[u8]) -> Result<TreePath, ArchiveError> {
    let path = inside(path).map_err(|refusal| MemberFailure::Refused(refusal).of(entries, member))?;
    TreePath::from_bytes(path).map_err(|error| match error {
        BadPath::Climbs(_) => MemberFailure::Refused(Refusal::Climbs(error.to_string())).of(entries, member),
        BadPath::NotUtf8(_) | BadPath::Nul(_) => entries.refused(&member.path, error.to_string()),
    })
}

fn tree_entry<R: Read>(
    entries: &mut Entries<R>,
    member: &Member,
    tree: &mut Tree,
    inodes: &mut u32,
    batch: &mut Batch,
) -> Result<Entry, ArchiveError> {
    let (major, minor) = member.device;
    let node = match member.kind {
        MemberKind::File => {
            let (blob, size) = batch.add(&mut *entries).map_err(|error| match error {
                // The store's error names the file being written; content that did not decode is the archive's fault.
                StoreError::Io(PathError { source, .. }) if source.raw_os_error().is_none() => entries.reading(source),
                other => other.into(),
            })?;
            Node::File { blob, size }
        }
        MemberKind::HardLink => {
            let target = tree_path(entries, member, &member.link)?;
            return match tree.entries.get_mut(&target) {
                Some(entry) if !entry.is_dir() => {
                    entry.inode.get_or_insert_with(|| {
                        *inodes += 1;
                        *inodes
                    });
                    Ok(entry.clone())
                }
                _ => Err(entries.refused(&member.path, "a hard link to a name that does not precede it")),
            };
        }
        MemberKind::Dir => Node::Dir,
        MemberKind::Symlink => match String::from_utf8(member.link.clone()) {
            Ok(target) if !target.is_empty() && !target.contains('\0') => Node::Symlink { target },
            _ => return Err(entries.refused(&member.path, "its link target is empty or not UTF-8")),
        },
        MemberKind::Char => Node::Char { major, minor },
        MemberKind::Block => Node::Block { major, minor },
        MemberKind::Fifo => Node::Fifo,
    };
    // chown(2) takes the highest number to mean "unchanged".
    let narrow = |id: i64| match u32::try_from(id) {
        Ok(id) if id != u32::MAX => Ok(id),
        _ => Err(entries.refused(&member.path, format!("its owner {id} is not a valid ID on Linux"))),
    };
    let mode = if member.kind == MemberKind::Symlink { 0o777 } else { member.mode };
    let (uid, gid) = (narrow(member.uid)?, narrow(member.gid)?);
    Ok(Entry { node, mode, uid, gid, xattrs: member.xattrs.clone(), inode: None })
}
