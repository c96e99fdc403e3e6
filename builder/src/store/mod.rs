//! Results on disk: blobs by content, trees by content, step results by the digest of the step's key.
//!
//! ```text
//! <store>/format                the version of this layout
//! <store>/revision              the revision of its content; an older one is upgraded (`upgrade`)
//! <store>/in-use                flock(2) by each process with the store open, exclusive for removals (`usage`)
//! <store>/blobs/ab/<sha256>     content, read-only; encoded trees are blobs too
//! <store>/checked/ab/<sha256>   the stat(2) data of a blob when its content was last checked; its own time is that of
//!                               the blob's last use
//! <store>/steps/ab/<key>.json   the result of a step, with its key in readable form and a digest of both; its time is
//!                               that of its last use
//! <store>/newest/<label>        digest of the newest key of the steps with a label, to report what changed
//! <store>/roots/<key>/          toolchain roots: trees laid out as folders
//! <store>/seals/<key>.files     the content of a toolchain root; <key>.stamps: that all of it was read (`roots`)
//! <store>/times/<label>         how long the last step with a label took (`times`)
//! <store>/libraries/<digest>/   the program's library, unpacked (`crate::library`); its time is that of its last use
//! <store>/recipes/<digest>      the path of a recipe that was built with this store (`seen`)
//! <store>/damaged/<kind>-<name> damaged objects (`damage`)
//! <store>/logs/<key>.log        the output of a step's commands
//! <store>/locks/<name>          flock(2) files; one builder of a step at a time
//! <store>/partial/<sha256>      partial downloads; each is flocked by its writer, any may be removed
//! <store>/tmp/<n>/              work folders; each is locked by its owner and removed after the owner has died
//! ```
//!
//! An object gets its final name by rename(2) after its data has reached the disk, so every object was once complete.
//! Killing a build at any point only loses the current work. Whether an object is still intact is checked when it is
//! read (`damage`). What is no longer needed is removed by [`Store::garbage`].

mod batch;
mod damage;
mod garbage;
mod listing;
pub mod parallel;
mod results;
mod roots;
mod seen;
mod stamp;
mod times;
mod upgrade;
mod usage;
mod verify;
mod work;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nix::unistd::AccessFlags;

use crate::digest::{Digest, Hasher};
use crate::input::{LIMIT, read_text};
use crate::path_error::{FromPathError as _, PathError};
use crate::tree::Tree;

pub use batch::Batch;
pub use damage::{BlobState, Damage, open_regular};
pub use garbage::{Garbage, KeptObjects, ObjectKind, Policy, Total};
pub use results::{Blob, EarlierResult, Key, Output, StepResult};
pub use roots::Depth;
pub use stamp::Stamp;
pub use times::StepTime;
pub use usage::{PRECISION, Sharing};
pub use verify::StoreContents;
pub use work::{FileLock, WorkDir};

/// The layout that this version reads and writes.
const FORMAT: &str = "1";

/// A store on disk. Cheap to clone; several processes may share one.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    found: Arc<Mutex<damage::DamageReport>>,
    sharing: Sharing,
    _in_use: Arc<Option<File>>,
}

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A system call failed on a path.
    #[error(transparent)]
    Io(#[from] PathError),
    /// The layout of another version.
    #[error("{} has store format {found}, this version of dbco reads {FORMAT}: choose another folder with --store, or remove it", path.display())]
    Format {
        /// The store's folder.
        path: PathBuf,
        /// Its version.
        found: String,
    },
    /// An object of the store that is damaged or missing.
    #[error("{0}")]
    Damaged(Box<Damage>),
    /// Content that is not what was expected.
    #[error("sha256 is {got} ({got_size} bytes), expected {want}")]
    Mismatch {
        /// The expected digest.
        want: Digest,
        /// The actual digest.
        got: Digest,
        /// Its length in bytes.
        got_size: u64,
    },
}

impl StoreError {
    /// Whether the disk is full (or the quota used up).
    pub fn is_disk_full(&self) -> bool {
        matches!(self, StoreError::Io(PathError { source, .. })
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}

/// The user's store: `$XDG_CACHE_HOME/dbco` or `~/.cache/dbco`; none if neither variable has an absolute path.
pub fn default_path() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    Some(base?.join("dbco"))
}

impl Store {
    /// Opens the store at `root` for a build, creating it if it does not exist, and removes what killed builds left.
    /// Waits for a process that removes objects from it.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        Self::open_as(root, Sharing::Builds, &|| {})
    }

    /// As [`Store::open`]; `waiting` is called once if it has to wait for other processes. A signal ends the wait with
    /// an error.
    pub fn open_as(root: &Path, sharing: Sharing, waiting: &dyn Fn()) -> Result<Self, StoreError> {
        if sharing == Sharing::Reading {
            return Self::open_for_reading(root, waiting);
        }
        let made = crate::inherited::for_user(|| fs::create_dir_all(root));
        made.map_err(|error| match error.kind() {
            // An existing file that is not a folder.
            io::ErrorKind::AlreadyExists => nix::errno::Errno::ENOTDIR.into(),
            _ => error,
        })
        .map_err(StoreError::io("make", root))?;
        for folder in ["blobs", "steps", "roots", "seals", "logs", "locks", "partial", "tmp"] {
            let path = root.join(folder);
            fs::create_dir_all(&path).map_err(StoreError::io("make", &path))?;
            // Otherwise its content would count as missing.
            let usable = AccessFlags::R_OK | AccessFlags::X_OK;
            nix::unistd::access(&path, usable).map_err(|error| StoreError::io("read", &path)(error.into()))?;
        }
        let root = root.canonicalize().map_err(StoreError::io("open", root))?;
        let in_use = Arc::new(usage::take(&root, sharing, waiting)?);
        let store = Self { root, found: Arc::default(), sharing, _in_use: in_use };
        store.check_format()?;
        store.upgrade()?;
        work::sweep(&store.root.join("tmp"));
        Ok(store)
    }

    fn open_for_reading(root: &Path, waiting: &dyn Fn()) -> Result<Self, StoreError> {
        let whole = match root.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => std::path::absolute(root),
            other => other,
        };
        let root = whole.map_err(StoreError::io("open", root))?;
        let in_use = Arc::new(usage::take(&root, Sharing::Reading, waiting)?);
        let store = Self { root, found: Arc::default(), sharing: Sharing::Reading, _in_use: in_use };
        store.check_format()?;
        Ok(store)
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let path = self.root.join("format");
        match read_text(&path, LIMIT) {
            Ok(found) if found.trim() == FORMAT => Ok(()),
            Ok(found) => Err(StoreError::Format { path: self.root.clone(), found: found.trim().to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.sharing == Sharing::Reading => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write_atomically(&path, format!("{FORMAT}\n").as_bytes())
            }
            Err(error) => Err(StoreError::io("read", &path)(error)),
        }
    }

    /// The store's folder.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The path of a blob, if the store has it.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        sharded(&self.root.join("blobs"), &digest.to_string())
    }

    /// Whether the store has a file for a blob; its content is checked when it is read.
    pub fn has_blob(&self, digest: &Digest) -> bool {
        match fs::symlink_metadata(self.blob_path(digest)) {
            Ok(metadata) => metadata.is_file(),
            // It may exist: reading it will report the error.
            Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
        }
    }

    /// A writer for a new blob, which is invisible before [`BlobWriter::commit`].
    pub fn blob_writer(&self) -> Result<BlobWriter, StoreError> {
        let work = self.work_dir()?;
        let path = work.path().join("blob");
        let file = File::create(&path).map_err(StoreError::io("write", &path))?;
        Ok(BlobWriter {
            store: self.clone(),
            out: Hasher::new(BufWriter::with_capacity(1 << 17, file)),
            path,
            _work: work,
        })
    }

    /// Copies a file into the store; gives its digest and length in bytes.
    pub fn add_file(&self, path: &Path) -> Result<(Digest, u64), StoreError> {
        let mut file = File::open(path).map_err(StoreError::io("open", path))?;
        let mut writer = self.blob_writer()?;
        crate::digest::copy(&mut file, &mut writer).map_err(StoreError::io("copy", path))?;
        writer.commit()
    }

    /// Stores bytes as a blob; gives their digest.
    pub fn add_bytes(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        if !self.has_blob(&digest) || self.check_blob(&digest)? != BlobState::Sound(bytes.len() as u64) {
            let mut writer = self.blob_writer()?;
            writer.write_all(bytes).map_err(StoreError::io("write", &self.root))?;
            writer.commit()?;
        }
        Ok(digest)
    }

    /// Turns a complete file on the store's file system, whose digest was computed while writing, into a blob.
    pub fn adopt(&self, path: &Path, digest: &Digest) -> Result<(), StoreError> {
        File::open(path).and_then(|file| file.sync_data()).map_err(StoreError::io("flush", path))?;
        publish(path, &self.blob_path(digest))
    }

    /// The path of the partial download of that content.
    pub fn partial_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("partial").join(digest.to_string())
    }

    /// Many small blobs at once: a single flush to disk for all.
    pub fn batch(&self) -> Result<Batch, StoreError> {
        Batch::new(self)
    }

    /// Stores a tree's encoding as a blob; gives its digest. The files' content is not touched.
    pub fn add_tree(&self, tree: &Tree) -> Result<Digest, StoreError> {
        let mut writer = self.blob_writer()?;
        tree.encode(&mut writer).map_err(StoreError::io("write", &self.root))?;
        Ok(writer.commit()?.0)
    }

    /// Reads a tree that [`Store::add_tree`] stored.
    pub fn tree(&self, digest: &Digest) -> Result<Tree, StoreError> {
        let path = self.blob_path(digest);
        let mut bytes = Vec::new();
        self.open_blob(digest)?.read_to_end(&mut bytes).map_err(StoreError::io("read", &path))?;
        Tree::decode(bytes.as_slice()).map_err(StoreError::io("decode", &path))
    }

    /// The path of a step's log.
    pub fn log_path(&self, key: &Digest) -> PathBuf {
        self.root.join("logs").join(format!("{key}.log"))
    }

    /// The path of the complete root that a step lays out.
    pub fn root_path(&self, key: &Digest) -> PathBuf {
        self.root.join("roots").join(key.to_string())
    }

    /// A work folder on the store's file system; it is removed when dropped, or after its owner has died.
    pub fn work_dir(&self) -> Result<WorkDir, StoreError> {
        work::make(&self.root.join("tmp"))
    }

    /// Takes the lock of that name unless another process holds it.
    pub fn try_lock(&self, name: &str) -> Result<Option<FileLock>, StoreError> {
        FileLock::try_take(&self.root.join("locks").join(name))
    }

    /// Waits for the lock of that name, which is respected by all processes that share the store.
    pub fn lock(&self, name: &str) -> Result<FileLock, StoreError> {
        FileLock::take(&self.root.join("locks").join(name))
    }
}

/// Writes one blob: a temporary file that gets its name when it is complete.
pub struct BlobWriter {
    store: Store,
    out: Hasher<BufWriter<File>>,
    path: PathBuf,
    _work: WorkDir,
}

impl BlobWriter {
    /// Flushes to disk and gives the blob its name; returns its digest and length in bytes.
    pub fn commit(self) -> Result<(Digest, u64), StoreError> {
        let Self { store, out, path, _work } = self;
        let (digest, size, out) = out.into_parts();
        out.into_inner()
            .map_err(|error| error.into_error())
            .and_then(|file| file.sync_data())
            .map_err(StoreError::io("write", &path))?;
        publish(&path, &store.blob_path(&digest))?;
        Ok((digest, size))
    }

    /// As [`BlobWriter::commit`], but only if the content has the digest `want`; otherwise nothing is stored.
    pub fn commit_as(self, want: &Digest) -> Result<u64, StoreError> {
        let Self { store, out, path, _work } = self;
        let (got, size, out) = out.into_parts();
        if got != *want {
            return Err(StoreError::Mismatch { want: *want, got, got_size: size });
        }
        out.into_inner()
            .map_err(|error| error.into_error())
            .and_then(|file| file.sync_data())
            .map_err(StoreError::io("write", &path))?;
        publish(&path, &store.blob_path(&got))?;
        Ok(size)
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Moves a complete, flushed file to its final name, read-only. An existing one has the same content.
fn publish(from: &Path, to: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(from, fs::Permissions::from_mode(0o444)).map_err(StoreError::io("close", from))?;
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(StoreError::io("make", parent))?;
    }
    match fs::rename(from, to) {
        // A folder there is damage: it is moved out of the way.
        Err(error) if matches!(error.kind(), io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory) => {
            let aside = from.with_extension("aside");
            fs::rename(to, &aside).and_then(|()| fs::rename(from, to)).map_err(StoreError::io("write", to))
        }
        done => done.map_err(StoreError::io("write", to)),
    }
}

/// `base/ab/abcd…`: no folder grows beyond what every file system handles well.
fn sharded(base: &Path, name: &str) -> PathBuf {
    base.join(&name[..2]).join(name)
}

/// Writes a small file atomically: temporary name in the same folder, flush, rename.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".dbco-").permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let make = || builder.tempfile_in(folder);
    let mut temporary = crate::inherited::for_user(make).map_err(StoreError::io("write", path))?;
    let _left = crate::interrupt::Temporary::new(temporary.path());
    temporary.write_all(bytes).and_then(|()| temporary.as_file().sync_data()).map_err(StoreError::io("write", path))?;
    temporary.persist(path).map_err(|error| StoreError::io("write", path)(error.error))?;
    Ok(())
}

/// Opens a lock file, creating it if missing.
fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)
}
