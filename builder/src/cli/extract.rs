//! Files of an image, written to a new folder: through [`beneath::Dir`], so that no name or link leads out of it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context as _, anyhow};

use super::{CommandError, usage};
use crate::beneath::{Dir, Links};
use crate::reader::{Entry, Kind, Opened, is_below};

/// What was written.
#[derive(Debug, Default)]
pub struct Extracted {
    pub files: usize,
    pub bytes: u64,
    /// Paths that can't be written without root, or not safely, and why.
    pub left_out: Vec<(Vec<u8>, String)>,
}

/// Writes what is at the address to `output`, which must not exist or be empty. Owners are not set, nor are extended
/// attributes; set-user-ID and set-group-ID bits are left out, as the files belong to another user. More than `most`
/// bytes in total are an error.
pub fn extract(opened: &Opened, output: &Path, most: u64) -> Result<Extracted, CommandError> {
    let listing = opened.image.listing().ok_or_else(|| {
        anyhow!(
            "{}: it is {}, which contains no files that dbco can read",
            opened.place(),
            opened.image.format.describe()
        )
    })?;
    let base = match opened.path.is_empty() {
        true => Vec::new(),
        false => match opened.entry() {
            Ok(entry) => entry.path.clone(),
            Err(_) if listing.has_below(&opened.path) => opened.path.clone(),
            Err(error) => return Err(error.into()),
        },
    };
    let shown = output.display().to_string();
    // Only a folder that is empty: nothing of the user's is ever overwritten.
    match std::fs::create_dir(output) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mut items = std::fs::read_dir(output).with_context(|| format!("can't read {shown}")).map_err(usage)?;
            if items.next().is_some() {
                return Err(usage(anyhow!("{shown} is not empty: name a new folder")));
            }
        }
        Err(error) => return Err(usage(anyhow::Error::from(error).context(format!("can't create {shown}")))),
    }
    let dir = Dir::open(output, Links::Never).with_context(|| format!("can't open {shown}"))?;
    let mut writer = Writer { opened, dir, done: Extracted::default(), links: HashMap::new(), left: most };
    let mut folders = Vec::new();
    // If an archive has a path several times the last entry counts.
    let entries = listing
        .entries()
        .iter()
        .filter(|entry| listing.get(&entry.path).is_some_and(|last| std::ptr::eq(*entry, last)));
    for entry in entries {
        let inside = if entry.path == base {
            match (entry.is_dir(), entry.path.is_empty()) {
                (true, _) => continue,
                (false, _) => entry.name().to_vec(),
            }
        } else if is_below(&entry.path, &base) {
            let skip = if base.is_empty() { 0 } else { base.len() + 1 };
            entry.path[skip..].to_vec()
        } else {
            continue;
        };
        let path = Path::new(OsStr::from_bytes(&inside));
        if let Err(error) = writer.write(entry, path) {
            match error {
                Failure::Refused(why) => writer.done.left_out.push((inside.clone(), why)),
                Failure::Fatal(error) => return Err(error),
            }
        } else if entry.is_dir() {
            folders.push((inside, entry.mode, entry.mtime));
        }
    }
    // A folder's mode may forbid writing, and its time changes with each entry.
    for (inside, mode, mtime) in folders.into_iter().rev() {
        let path = Path::new(OsStr::from_bytes(&inside));
        writer.finish_dir(path, mode, mtime)?;
    }
    Ok(writer.done)
}

struct Writer<'a> {
    opened: &'a Opened,
    dir: Dir,
    done: Extracted,
    /// The first name of each file with several.
    links: HashMap<(usize, u64), Vec<u8>>,
    left: u64,
}

enum Failure {
    /// This entry can't be written.
    Refused(String),
    Fatal(CommandError),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Fatal(CommandError::Failed(error.into()))
    }
}

impl Writer<'_> {
    fn write(&mut self, entry: &Entry, path: &Path) -> Result<(), Failure> {
        let refused = |error: crate::beneath::BeneathError| Failure::Refused(super::prose::chain(&error.into()));
        if entry.path.split(|&byte| byte == b'/').any(|part| part == b"..") {
            return Err(Failure::Refused("its path contains `..`".into()));
        }
        let exists = self.dir.stat(path).map_err(refused)?;
        if exists.is_some() && !entry.is_dir() {
            return Err(Failure::Refused("another entry has its place".into()));
        }
        match &entry.kind {
            Kind::Dir => drop(self.dir.make_dir(path).map_err(refused)?),
            Kind::Symlink(target) => {
                self.dir.symlink(OsStr::from_bytes(target), path).map_err(refused)?;
                self.done.files += 1;
            }
            Kind::File => {
                if let Some(first) = entry.inode.and_then(|inode| self.links.get(&(entry.segment, inode))) {
                    self.dir.hard_link(Path::new(OsStr::from_bytes(first)), path).map_err(refused)?;
                    self.done.files += 1;
                    return Ok(());
                }
                let mut file = self.dir.create(path).map_err(refused)?;
                let content = self.opened.content(entry)?.reader();
                let copied = io::copy(&mut content.take(self.left.saturating_add(1)), &mut file);
                let copied = copied.map_err(|error| self.opened.reading(entry, error))?;
                self.left = self.left.checked_sub(copied).ok_or_else(|| {
                    anyhow!(
                        "{}: its files have more bytes than allowed; raise the limit with --max-unpacked",
                        self.opened.place()
                    )
                })?;
                file.set_permissions(std::fs::Permissions::from_mode(entry.mode & 0o777))?;
                if let Some(time) = entry.mtime {
                    self.dir.set_time(path, time).map_err(refused)?;
                }
                if let Some(inode) = entry.inode {
                    self.links.insert((entry.segment, inode), path.as_os_str().as_bytes().to_vec());
                }
                (self.done.files, self.done.bytes) = (self.done.files + 1, self.done.bytes + copied);
            }
            Kind::Char(_) | Kind::Block(_) => return Err(Failure::Refused("a device needs root".into())),
            Kind::Fifo | Kind::Socket => return Err(Failure::Refused(format!("it is {}", entry.kind.name()))),
        }
        Ok(())
    }

    fn finish_dir(&self, path: &Path, mode: u32, mtime: Option<i64>) -> Result<(), CommandError> {
        let dir = self.dir.dir(path)?;
        // The owner keeps access, so that the folder can be read and removed.
        let mode = nix::sys::stat::Mode::from_bits_truncate(mode & 0o777 | 0o700);
        // The handle was opened without access to its content, so its mode is set by the path of the handle.
        let handle = nix::fcntl::openat(
            dir.top(),
            ".",
            nix::fcntl::OFlag::O_RDONLY | nix::fcntl::OFlag::O_DIRECTORY,
            nix::sys::stat::Mode::empty(),
        )?;
        nix::sys::stat::fchmod(&handle, mode)?;
        if let Some(time) = mtime {
            self.dir.set_time(path, time)?;
        }
        Ok(())
    }
}
