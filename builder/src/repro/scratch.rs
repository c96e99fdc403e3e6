//! The folders of the two builds.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{FsType, Statfs, statfs};
use nix::sys::statvfs::{FsFlags, statvfs};

use super::ReproError;
use crate::interrupt::Temporary;
use crate::path_error::FromPathError as _;
use crate::store::{Store, WorkDir};

/// A file system in memory, which most distributions mount.
const MEMORY: &str = "/dev/shm";

/// The start of the names of folders there.
const PREFIX: &str = "dbco-repro-";

/// The file in such a folder that its owner has locked.
const LOCK: &str = "lock";

/// The folders of the builds; they are removed when this is dropped.
pub struct Scratch {
    /// That of the first build.
    pub first: PathBuf,
    /// Where the second may be instead of beside it, if the user of that can't enter the store's.
    beside: PathBuf,
    keep: bool,
    _work: Option<WorkDir>,
    others: Vec<Folder>,
}

/// A folder outside of a store.
struct Folder {
    _folder: tempfile::TempDir,
    _lock: File,
    _temporary: Temporary,
}

impl Scratch {
    /// In the user's store, which removes the folders even after this process was killed; if they are to be kept, in
    /// the folder for temporary files.
    pub fn new(store: &Store, keep: bool) -> Result<Self, ReproError> {
        let (work, top) = if keep {
            let temporary = std::env::temp_dir();
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&temporary);
            (None, folder.map_err(ReproError::io("make a folder in", &temporary))?.keep())
        } else {
            let work = store.work_dir()?;
            let path = work.path().to_owned();
            (Some(work), path)
        };
        let (first, beside) = (top.join("1"), top.join("second"));
        for folder in [&first, &beside] {
            fs::create_dir(folder).map_err(ReproError::io("make", folder))?;
        }
        Ok(Self { first, beside, keep, _work: work, others: Vec::new() })
    }

    /// The folder beside that of the first build.
    pub fn beside(&self) -> PathBuf {
        self.beside.clone()
    }

    /// A folder among the temporary files.
    pub fn temporary(&mut self) -> Result<PathBuf, ReproError> {
        self.other(&std::env::temp_dir())
    }

    /// A folder in memory with room for `need` bytes; otherwise why there is none.
    pub fn memory(&mut self, need: u64) -> Result<PathBuf, String> {
        let top = Path::new(MEMORY);
        let flags = statvfs(top).map_err(|error| format!("{MEMORY}: {error}"))?.flags();
        if flags.contains(FsFlags::ST_NOEXEC) {
            return Err(format!("{MEMORY} is mounted `noexec`"));
        }
        if fs::metadata(top).map(|metadata| metadata.dev()).ok() == fs::metadata(&self.first).map(|m| m.dev()).ok() {
            return Err(format!("the store is on {MEMORY} itself"));
        }
        let found = statfs(top).map_err(|error| format!("{MEMORY}: {error}"))?;
        let free = free(&found).min(available_memory());
        if free < need {
            let mib = |bytes: u64| bytes >> 20;
            return Err(format!("{MEMORY} has room for {} MiB, and {} are needed", mib(free), mib(need)));
        }
        sweep(top);
        self.other(top).map_err(|error| error.to_string())
    }

    fn other(&mut self, top: &Path) -> Result<PathBuf, ReproError> {
        let mut folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir_in(top)
            .map_err(ReproError::io("make a folder in", top))?;
        let path = folder.path().join(LOCK);
        let lock = File::create(&path).map_err(ReproError::io("make", &path))?;
        lock.lock().map_err(ReproError::io("lock", &path))?;
        folder.disable_cleanup(self.keep);
        let inside = folder.path().join("second");
        fs::create_dir(&inside).map_err(ReproError::io("make", &inside))?;
        let temporary = Temporary::new(folder.path());
        self.others.push(Folder { _folder: folder, _lock: lock, _temporary: temporary });
        Ok(inside)
    }

    /// Removes the folders outside of the store but the last one.
    pub fn only_last(&mut self) {
        let last = self.others.pop();
        self.others.clear();
        self.others.extend(last);
    }
}

/// Removes this user's folders whose owners were killed.
fn sweep(top: &Path) {
    for entry in fs::read_dir(top).into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry
                .metadata()
                .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == nix::unistd::getuid().as_raw());
        if ours && File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn free(found: &Statfs) -> u64 {
    found.blocks_available().saturating_mul(u64::try_from(found.block_size()).unwrap_or(0))
}

/// The bytes of memory that could be used without swapping: `MemAvailable` of proc_meminfo(5).
fn available_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) << 10
}

/// The bytes of all files below a folder.
pub fn size_of(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() { size_of(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(sum)
}

/// The name of the file system of a folder.
pub fn file_system(folder: &Path) -> String {
    const NAMES: [(FsType, &str); 7] = [
        (nix::sys::statfs::EXT4_SUPER_MAGIC, "ext4"),
        (nix::sys::statfs::TMPFS_MAGIC, "tmpfs"),
        (nix::sys::statfs::OVERLAYFS_SUPER_MAGIC, "overlay"),
        (nix::sys::statfs::XFS_SUPER_MAGIC, "xfs"),
        (nix::sys::statfs::BTRFS_SUPER_MAGIC, "btrfs"),
        (nix::sys::statfs::NFS_SUPER_MAGIC, "nfs"),
        (nix::sys::statfs::F2FS_SUPER_MAGIC, "f2fs"),
    ];
    match statfs(folder) {
        Ok(found) => {
            let kind = found.filesystem_type();
            let name = NAMES.iter().find(|(known, _)| *known == kind).map(|(_, name)| (*name).to_owned());
            name.unwrap_or_else(|| format!("type {:#x}", kind.0))
        }
        Err(error) => error.to_string(),
    }
}

/// The names of files in the order in which a new folder of a file system lists them.
pub fn listing_order(folder: &Path) -> io::Result<Vec<String>> {
    let probe = tempfile::tempdir_in(folder)?;
    for number in 0..16 {
        File::create(probe.path().join(format!("file-{number}")))?;
    }
    fs::read_dir(probe.path())?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}
