//! Path lookup relative to a folder's handle.
//!
//! openat2(2) does it in one call, and no other process can insert a link in the meantime. It is missing on kernels
//! before 5.6 and forbidden by the seccomp profiles of older container engines: there the path is walked here, one
//! component at a time. The walk also reports which link was at fault, which the kernel does not.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, mkdirat};

use super::{Dir, Links, READ, Refusal, check_regular, kind, open_regular_at};
use crate::printable::printable;

/// As many links as the kernel follows in one path (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

const HANDLE: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);

/// The result of a path lookup.
struct LookupResult {
    handle: Arc<OwnedFd>,
    stat: FileStat,
    /// The folder that contains it and its name there; `None` for a folder, or if the kernel did the lookup.
    leaf: Option<(Arc<OwnedFd>, Vec<u8>)>,
}

impl LookupResult {
    fn folder(self, path: &[u8]) -> Result<Arc<OwnedFd>, Refusal> {
        match kind(&self.stat) {
            SFlag::S_IFDIR => Ok(self.handle),
            _ => Err(Refusal::NotAFolder(printable(path).to_string())),
        }
    }
}

impl Dir {
    /// A handle (`O_PATH`) to whatever is at `path`, and its type.
    pub fn look_up(&self, path: &[u8]) -> Result<(Arc<OwnedFd>, FileStat), Refusal> {
        self.find(path, false).map(|found| (found.handle, found.stat))
    }

    /// The folder at `path`; with `make`, missing folders are created on the way, with mode 755.
    pub fn folder(&self, path: &[u8], make: bool) -> Result<Arc<OwnedFd>, Refusal> {
        self.find(path, make)?.folder(path)
    }

    /// The folder that contains `path`, created if missing with `make`, and the last component; `None` for the top
    /// itself.
    pub fn parent<'p>(&self, path: &'p [u8], make: bool) -> Result<Option<(Arc<OwnedFd>, &'p OsStr)>, Refusal> {
        let Some((parent, name)) = split_last(path)? else { return Ok(None) };
        Ok(Some((self.folder(parent, make)?, name)))
    }

    /// Opens a regular file for reading. Anything else is not opened at all.
    pub(super) fn open_regular(&self, path: &[u8]) -> Result<File, Refusal> {
        let found = self.find(path, false)?;
        check_regular(&found.stat)?;
        if let Some((folder, name)) = &found.leaf {
            return open_regular_at(folder, OsStr::from_bytes(name), READ);
        }
        // `O_NOFOLLOW` would refuse a final link that may be followed; its target was checked.
        let flags = if self.links == Links::Never { READ } else { READ.difference(OFlag::O_NOFOLLOW) };
        let Some(file) = self.by_kernel(path, flags)? else { return Err(Errno::EAGAIN.into()) };
        check_regular(&fstat(&file)?)?;
        Ok(file.into())
    }

    fn find(&self, path: &[u8], make: bool) -> Result<LookupResult, Refusal> {
        match self.by_kernel(path, HANDLE) {
            Ok(None) => self.walk(path, make, &mut FollowedLinks::unbounded()),
            Ok(Some(handle)) => Ok(LookupResult { stat: fstat(&handle)?, handle: Arc::new(handle), leaf: None }),
            Err(Errno::ENOENT) if make => self.walk(path, true, &mut FollowedLinks::unbounded()),
            // The walk gives a better error message, but never decides.
            Err(error) => Err(self.walk(path, false, &mut FollowedLinks::unbounded()).err().unwrap_or(error.into())),
        }
    }

    /// `None` if the kernel can't look it up, or not at the moment.
    fn by_kernel(&self, path: &[u8], flags: OFlag) -> nix::Result<Option<OwnedFd>> {
        if !self.kernel {
            return Ok(None);
        }
        let links = match self.links {
            Links::Within => ResolveFlag::RESOLVE_BENEATH,
            Links::InRoot => ResolveFlag::RESOLVE_IN_ROOT,
            Links::Never => ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS,
        };
        let how = OpenHow::new().flags(flags).resolve(links | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let path = match trim(path) {
            b"" => b".",
            path => path,
        };
        match openat2(&self.top, path, how) {
            Ok(handle) => Ok(Some(handle)),
            // No such call; forbidden by a seccomp profile; something was renamed elsewhere; the path is too long for
            // it.
            Err(Errno::ENOSYS | Errno::EPERM | Errno::EAGAIN | Errno::ENAMETOOLONG) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn walk(&self, path: &[u8], make: bool, followed: &mut FollowedLinks) -> Result<LookupResult, Refusal> {
        let split = |path: &[u8]| path.split(|&b| b == b'/').map(<[u8]>::to_vec).collect::<VecDeque<_>>();
        let mut parts = split(path);
        let mut at: Vec<Arc<OwnedFd>> = vec![Arc::clone(&self.top)];
        let (mut links, mut link, mut leaf) = (0, None, None);
        // Parts of the path itself that are left; others come from links' texts.
        let mut own = parts.len();
        let mut taken = 0;
        while let Some(part) = parts.pop_front() {
            taken += usize::from(leaf.is_none());
            let of_link = parts.len() >= own;
            own = own.min(parts.len());
            if part.is_empty() || part == b"." {
                continue;
            }
            if leaf.is_some() {
                // Without links on the way it is told which part of the path it is.
                let upto: Vec<_> = path.split(|&b| b == b'/').take(taken).collect();
                let upto = if link.is_none() { upto.join(&b'/') } else { path.to_owned() };
                return Err(Refusal::NotAFolder(printable(&upto).to_string()));
            }
            if part == b".." {
                match at.len() {
                    1 if self.links == Links::InRoot => {}
                    1 => return Err(Refusal::Climbs(climbs(link.as_deref()))),
                    _ => drop(at.pop()),
                }
                continue;
            }
            let here = &at[at.len() - 1];
            let name = OsStr::from_bytes(&part);
            let next = match openat(here, name, HANDLE | OFlag::O_NOFOLLOW, Mode::empty()) {
                // As by tar(1), nothing is made where a link of an archive leads to nothing.
                Err(Errno::ENOENT) if make && !(of_link && self.links == Links::Within) => {
                    match mkdirat(here, name, Mode::from_bits_truncate(0o755)) {
                        Ok(()) | Err(Errno::EEXIST) => {}
                        Err(error) => return Err(error.into()),
                    }
                    openat(here, name, HANDLE | OFlag::O_NOFOLLOW, Mode::empty())?
                }
                Err(Errno::ENOENT) if link.is_some() => return Err(Refusal::Dangling(link.unwrap_or_default())),
                other => other?,
            };
            let stat = fstat(&next)?;
            match kind(&stat) {
                SFlag::S_IFDIR => at.push(Arc::new(next)),
                SFlag::S_IFLNK => {
                    let target = readlinkat(here, name)?.into_vec();
                    links += 1;
                    let shown = format!("`{}`, a link to `{}`", printable(&part), printable(&target));
                    self.check_link(&shown, &target, links)?;
                    followed.link(&target)?;
                    link = Some(shown);
                    if target.starts_with(b"/") {
                        at.truncate(1);
                    }
                    let rest = std::mem::replace(&mut parts, split(&target));
                    parts.extend(rest);
                }
                _ => leaf = Some((Arc::new(next), stat, part)),
            }
        }
        let here = Arc::clone(&at[at.len() - 1]);
        match leaf {
            Some((handle, stat, name)) => Ok(LookupResult { handle, stat, leaf: Some((here, name)) }),
            None => Ok(LookupResult { stat: fstat(&here)?, handle: here, leaf: None }),
        }
    }

    fn check_link(&self, shown: &str, target: &[u8], count: usize) -> Result<(), Refusal> {
        let how = match self.links {
            Links::Never => format!("it leads through {shown}"),
            _ if count > MOST_LINKS => format!("its links form a loop at {shown}"),
            Links::Within if target.starts_with(b"/") => format!("it leads through {shown}"),
            _ => return Ok(()),
        };
        Err(Refusal::Climbs(how))
    }
}

/// How much following links costs: the components of their targets, each of which is looked up. Forty links with the
/// longest targets have 80,000.
struct FollowedLinks {
    parts: u64,
    most: u64,
}

impl FollowedLinks {
    /// For single paths, for which the kernel has the same bounds.
    fn unbounded() -> Self {
        Self { parts: 0, most: u64::MAX }
    }

    fn link(&mut self, text: &[u8]) -> Result<(), Refusal> {
        self.parts += text.split(|&b| b == b'/').count() as u64;
        if self.parts > self.most { Err(Refusal::Links(self.most)) } else { Ok(()) }
    }
}

/// Creates folders and remembers the last one, since members of one folder are adjacent in archives. Only for exclusive
/// use of a [`Dir`].
pub struct Folders {
    dir: Dir,
    followed: FollowedLinks,
    last: Option<(Vec<u8>, Arc<OwnedFd>)>,
}

impl Folders {
    /// Folders below `dir`.
    pub fn of(dir: Dir) -> Self {
        Self { dir, followed: FollowedLinks::unbounded(), last: None }
    }

    /// The same, with a limit on the total number of components in the targets of followed links.
    pub fn following_at_most(self, parts: u64) -> Self {
        Self { followed: FollowedLinks { parts: 0, most: parts }, ..self }
    }

    /// As [`Dir::folder`].
    pub fn folder(&mut self, path: &[u8], make: bool) -> Result<Arc<OwnedFd>, Refusal> {
        if let Some((_, folder)) = self.last.as_ref().filter(|(last, _)| last == path) {
            return Ok(Arc::clone(folder));
        }
        // Paths through links are walked here, which counts the components.
        let plain = self.dir.following(Links::Never).by_kernel(path, HANDLE.union(OFlag::O_DIRECTORY));
        let folder = match plain {
            Ok(Some(folder)) => Arc::new(folder),
            _ => self.dir.walk(path, make, &mut self.followed)?.folder(path)?,
        };
        self.last = Some((path.to_owned(), Arc::clone(&folder)));
        Ok(folder)
    }

    /// As [`Dir::parent`]; missing folders are created.
    pub fn parent<'p>(&mut self, path: &'p [u8]) -> Result<Option<(Arc<OwnedFd>, &'p OsStr)>, Refusal> {
        let Some((parent, name)) = split_last(path)? else { return Ok(None) };
        Ok(Some((self.folder(parent, true)?, name)))
    }

    /// Forgets the last folder, after one on the way to it may have been replaced.
    pub fn forget(&mut self) {
        self.last = None;
    }
}

/// The path before the last component, and the last component; `None` for the top itself.
fn split_last(path: &[u8]) -> Result<Option<(&[u8], &OsStr)>, Refusal> {
    let path = trim(path);
    let (parent, name) = match path.iter().rposition(|&b| b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[][..], path),
    };
    match name {
        b"" | b"." => Ok(None),
        b".." => Err(Refusal::Climbs("its last component is `..`".into())),
        name => Ok(Some((parent, OsStr::from_bytes(name)))),
    }
}

fn climbs(link: Option<&str>) -> String {
    match link {
        Some(link) => format!("it leads through {link}, which is above the folder"),
        None => "`..` leads above the folder".to_owned(),
    }
}

/// Without leading and trailing slashes and `./`.
pub fn trim(mut path: &[u8]) -> &[u8] {
    loop {
        path = match path {
            [b'/', rest @ ..] | [b'.', b'/', rest @ ..] | [rest @ .., b'/'] => rest,
            _ => return path,
        };
    }
}
