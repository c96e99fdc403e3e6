//! A folder that paths are looked up in without ever leaving it, whatever links it holds.
//!
//! The walk is done here, one component at a time, and not by openat2(2): that call is missing on kernels before 5.6 and
//! forbidden by the seccomp profiles of older container engines. Nothing else writes to the folder meanwhile, so that
//! there is no race to lose.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::rc::Rc;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};

/// What happens to symbolic links on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Followed as long as they stay inside; an absolute one, or one with too many `..`, is an error.
    Within,
    /// Followed as a chroot(2) would: `/` is the folder itself, and `..` at its top stays there.
    InRoot,
    /// Every link is an error.
    Never,
}

/// Why a path could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It would leave the folder; how.
    #[error("{0}")]
    Climbs(String),
    /// Something on the way is not a folder.
    #[error("`{0}` is not a folder")]
    NotAFolder(String),
    /// A system call failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

/// As many links as the kernel follows in one path (`MAXSYMLINKS`).
const MOST_LINKS: usize = 40;

/// A folder on disk to unpack into.
pub struct Dir {
    top: Rc<OwnedFd>,
    links: Links,
    /// The folder that was asked for last: members of one folder stand side by side in archives.
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
}

const FOLDER: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

impl Dir {
    /// Opens `path`, a folder that exists.
    pub fn open(path: &Path, links: Links) -> io::Result<Self> {
        let top = nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok(Self { top: Rc::new(top), links, last: None })
    }

    /// The folder itself.
    pub fn top(&self) -> BorrowedFd<'_> {
        self.top.as_fd()
    }

    /// Whether something stands at `path` when every link, the last one too, is followed.
    pub fn exists(&self, path: &[u8]) -> Result<bool, Refusal> {
        match self.walk(path, false) {
            Ok(_) => Ok(true),
            Err(Refusal::NotAFolder(_)) => Ok(false),
            Err(Refusal::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The folder at `path`; with `make`, missing ones are made on the way, mode 755.
    pub fn folder(&mut self, path: &[u8], make: bool) -> Result<Rc<OwnedFd>, Refusal> {
        if let Some((_, folder)) = self.last.as_ref().filter(|(last, _)| last == path) {
            return Ok(Rc::clone(folder));
        }
        let (folder, is_folder) = self.walk(path, make)?;
        if !is_folder {
            return Err(Refusal::NotAFolder(super::lossy(path)));
        }
        self.last = Some((path.to_owned(), Rc::clone(&folder)));
        Ok(folder)
    }

    /// The folder that holds `path`, made if missing, and the last component; `None` for the top itself.
    pub fn parent<'p>(&mut self, path: &'p [u8]) -> Result<Option<(Rc<OwnedFd>, &'p OsStr)>, Refusal> {
        let path = trim(path);
        let (parent, name) = match path.iter().rposition(|&b| b == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&[][..], path),
        };
        if name.is_empty() || name == b"." {
            return Ok(None);
        }
        Ok(Some((self.folder(parent, true)?, OsStr::from_bytes(name))))
    }

    /// Forgets what is known about folders, after one of them may have been replaced.
    pub fn forget(&mut self) {
        self.last = None;
    }

    fn walk(&self, path: &[u8], make: bool) -> Result<(Rc<OwnedFd>, bool), Refusal> {
        let split = |path: &[u8]| path.split(|&b| b == b'/').map(<[u8]>::to_vec).collect::<VecDeque<_>>();
        let mut parts = split(path);
        let mut at: Vec<Rc<OwnedFd>> = vec![Rc::clone(&self.top)];
        let (mut links, mut leaf) = (0, None);
        while let Some(part) = parts.pop_front() {
            if part.is_empty() || part == b"." {
                continue;
            }
            if leaf.is_some() {
                return Err(Refusal::NotAFolder(super::lossy(path)));
            }
            if part == b".." {
                match at.len() {
                    1 if self.links == Links::InRoot => {}
                    1 => return Err(Refusal::Climbs("`..` goes above the folder it is unpacked to".into())),
                    _ => drop(at.pop()),
                }
                continue;
            }
            let here = &at[at.len() - 1];
            let name = OsStr::from_bytes(&part);
            let next = match openat(here, name, FOLDER, Mode::empty()) {
                Err(Errno::ENOENT) if make => {
                    match mkdirat(here, name, Mode::from_bits_truncate(0o755)) {
                        Ok(()) | Err(Errno::EEXIST) => {}
                        Err(error) => return Err(error.into()),
                    }
                    openat(here, name, FOLDER, Mode::empty())?
                }
                other => other?,
            };
            match file_type(&next)? {
                SFlag::S_IFDIR => at.push(Rc::new(next)),
                SFlag::S_IFLNK => {
                    let target = readlinkat(here, name)?.into_vec();
                    links += 1;
                    self.check_link(&part, &target, links)?;
                    if target.starts_with(b"/") {
                        at.truncate(1);
                    }
                    let rest = std::mem::replace(&mut parts, split(&target));
                    parts.extend(rest);
                }
                _ => leaf = Some(Rc::new(next)),
            }
        }
        match leaf {
            Some(leaf) => Ok((leaf, false)),
            None => Ok((Rc::clone(&at[at.len() - 1]), true)),
        }
    }

    fn check_link(&self, link: &[u8], target: &[u8], count: usize) -> Result<(), Refusal> {
        let shown = format!("`{}`, a link to `{}`", super::lossy(link), super::lossy(target));
        let how = match self.links {
            Links::Never => format!("it goes through {shown}"),
            _ if count > MOST_LINKS => format!("its links go in circles at {shown}"),
            Links::Within if target.starts_with(b"/") => format!("it goes through {shown}"),
            _ => return Ok(()),
        };
        Err(Refusal::Climbs(how))
    }
}

/// Without slashes, and `./`, around it.
pub fn trim(mut path: &[u8]) -> &[u8] {
    loop {
        path = match path {
            [b'/', rest @ ..] | [b'.', b'/', rest @ ..] | [rest @ .., b'/'] => rest,
            _ => return path,
        };
    }
}

/// The type bits of what a handle stands for.
pub fn file_type(handle: &OwnedFd) -> nix::Result<SFlag> {
    Ok(SFlag::from_bits_truncate(fstat(handle)?.st_mode) & SFlag::S_IFMT)
}
