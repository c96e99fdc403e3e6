//! The sandbox where neither namespaces nor mounts are allowed: each run gets a copy of the root, made of hard links.
//!
//! - Folders of the copy, and the files that it shares with the root, belong to an owner that no tool runs as. The tools
//!   have uid 0 but no capability, so they can write to neither: the root does not change. The modes are the root's, as tools
//!   copy them: cp(1) would have to change a read-only folder's mode, and without /proc the C library can't.
//! - Work folders are moved into the copy by rename(2) and moved back at the end.
//! - The copy is locked while in use. A copy whose owner was killed is removed by the next run.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, chroot};

use super::mounts::{DEVICE_LINKS, nodes, ordered};
use super::tool::{Outcome, become_plain, cannot_start, this_program, tool, wait_for, why};
use super::{Job, SKELETON, Spec, Stage};
use crate::beneath::{Dir, Links, remove_all};

/// Owner of a copy's folders, and of the files of a root that has been copied: "nobody", the kernel's `overflowuid`.
const NOBODY: u32 = 65534;

/// As init: makes the copy, runs the tool in it, kills the processes that the tool left running, and moves the work
/// folders back.
pub fn init(job: Job, signals: &SigSet) -> Outcome {
    let Some(spec) = job.spec else {
        return try_out().map(|()| 0);
    };
    prctl::set_child_subreaper(true).map_err(why("prctl"))?;
    let binds = ordered(&spec.binds)?;
    check_places(&spec.root, &binds)?;
    let copy = Copy::make(&spec)?;
    let mut moved = Moved { list: Vec::new() };
    let dir = Dir::open(&copy.path, Links::Never).map_err(why("can't open the copy of the root"))?;
    for (host, below, _) in binds {
        moved.bring(host, &dir, &below)?;
    }
    let inner = Spec { root: copy.path.clone(), ..spec.clone() };
    let job = Job { way: job.way, parent: std::process::id(), spec: Some(inner) };
    let child = this_program(&job, Stage::Enter).spawn().map_err(|error| cannot_start(&spec, error))?;
    let code = wait_for(child.id(), signals);
    end_all();
    moved.back()?;
    Ok(code?.unwrap_or(128 + Signal::SIGTERM as i32))
}

/// As the process that becomes the tool.
pub fn enter(job: Job) -> Outcome {
    use std::os::unix::process::CommandExt;
    let spec = job.spec.ok_or("the command is empty")?;
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(why("prctl"))?;
    chroot(&spec.root).map_err(why("chroot"))?;
    become_plain(&spec)?;
    let mut command = tool(&spec)?;
    // Init blocks these for itself.
    SigSet::all().thread_unblock().map_err(why("can't unblock signals"))?;
    Err(cannot_start(&spec, command.exec()))
}

fn try_out() -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(why("can't make a temporary folder"))?;
    let null = folder.path().join("null");
    mknod(&null, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(1, 3)).map_err(why("mknod of a device"))?;
    chroot("/").map_err(why("chroot"))?;
    super::sys::give_up_capabilities().map_err(why("can't give up capabilities"))
}

/// Moving a folder that does not belong to the build, such as `/usr`, could break the host.
fn check_places(root: &Path, binds: &[(PathBuf, PathBuf, bool)]) -> Result<(), String> {
    let root = root.canonicalize().map_err(why(format!("no toolchain root at {}", root.display())))?;
    let store = root.ancestors().nth(2).ok_or("the toolchain root is not in a store")?;
    match binds.iter().find(|(host, _, _)| !host.starts_with(store)) {
        Some((host, _, _)) => Err(format!(
            "without namespaces only folders of the store ({}) can be used; {} is outside it",
            store.display(),
            host.display()
        )),
        None => Ok(()),
    }
}

struct Copy {
    path: PathBuf,
    _lock: File,
}

impl Copy {
    fn make(spec: &Spec) -> Result<Self, String> {
        let root = spec.root.canonicalize().map_err(why(format!("no toolchain root at {}", spec.root.display())))?;
        let (Some(above), Some(name)) = (root.parent(), root.file_name().and_then(OsStr::to_str)) else {
            return Err(format!("{} is not a toolchain root", root.display()));
        };
        let prefix = format!(".{name}.run-");
        sweep(above, &prefix);
        let (path, lock) = loop {
            let path =
                tempfile::Builder::new().prefix(&prefix).tempdir_in(above).map_err(why("can't copy the root"))?.keep();
            let lock = File::open(&path).and_then(|lock| lock.lock().map(|()| lock));
            // Another run may have removed it between its creation and its locking: then there is none to open or lock.
            match lock {
                Ok(lock) if path.exists() => break (path, lock),
                Err(error) if path.exists() => return Err(why("can't lock the copy of the root")(error)),
                _ => {}
            }
        };
        let copy = Self { path, _lock: lock };
        crate::inherited::make_plain(&copy.path).map_err(why("can't set the mode of the copy of the root"))?;
        link_all(&root, &copy.path, true)?;
        protect(&copy.path, &root)?;
        for name in SKELETON.iter().filter(|name| !matches!(**name, "proc" | "sys")) {
            if !fs::symlink_metadata(copy.path.join(name)).is_ok_and(|metadata| metadata.is_dir()) {
                return Err(format!("/{name} is not a folder in the toolchain root {}", root.display()));
            }
            let folder = copy.path.join(name);
            std::os::unix::fs::lchown(&folder, Some(0), Some(0)).map_err(why("can't prepare the copy of the root"))?;
            set_mode(&folder, if *name == "tmp" { 0o1777 } else { 0o755 })?;
        }
        copy.devices(&spec.devices)?;
        Ok(copy)
    }

    fn devices(&self, more: &[PathBuf]) -> Result<(), String> {
        let dev = self.path.join("dev");
        for node in nodes(more) {
            let failed = |what: &str| format!("can't {what} {} in a copy of the root", node.display());
            let below = node.strip_prefix("/dev").map_err(|_| format!("{} is not below /dev", node.display()))?;
            let meta = fs::metadata(&node).map_err(why(failed("find")))?;
            let kind = if meta.file_type().is_block_device() { SFlag::S_IFBLK } else { SFlag::S_IFCHR };
            let target = dev.join(below);
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent).map_err(why(failed("make")))?;
            }
            mknod(&target, kind, Mode::from_bits_truncate(0o666), meta.rdev()).map_err(why(failed("make")))?;
            set_mode(&target, 0o666)?;
        }
        // On a file system mounted with `nodev` the nodes exist but can't be opened.
        File::open(dev.join("null")).map_err(why(format!("the device nodes in {} don't work", dev.display())))?;
        for (name, text) in DEVICE_LINKS {
            symlink(text, dev.join(name)).map_err(why("can't fill /dev"))?;
        }
        let shm = dev.join("shm");
        fs::create_dir(&shm).map_err(why("can't fill /dev"))?;
        set_mode(&shm, 0o1777)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = remove_all(&self.path);
    }
}

/// Removes copies that no process has locked.
fn sweep(above: &Path, prefix: &str) {
    for entry in fs::read_dir(above).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(prefix) {
            continue;
        }
        let Ok(lock) = File::open(entry.path()) else { continue };
        if lock.try_lock().is_ok() {
            let _ = remove_all(&entry.path());
        }
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), String> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(why(format!("can't set the mode of {}", path.display())))
}

/// Gives a folder of the copy the mode that it has in the root, and an owner that no tool runs as.
fn protect(folder: &Path, original: &Path) -> Result<(), String> {
    let failed = format!("can't protect {}", folder.display());
    let mode = fs::symlink_metadata(original).map_err(why(&failed))?.mode();
    std::os::unix::fs::lchown(folder, Some(NOBODY), Some(NOBODY)).map_err(why(&failed))?;
    // Nobody else may write there, whatever the root's umask was.
    set_mode(folder, mode & 0o755 | 0o555)
}

/// Copies folders and links, and makes hard links of files.
fn link_all(from: &Path, to: &Path, top: bool) -> Result<(), String> {
    for entry in fs::read_dir(from).map_err(why(format!("can't read {}", from.display())))? {
        let entry = entry.map_err(why(format!("can't read {}", from.display())))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let failed = format!("can't copy {} to {}", source.display(), target.display());
        let kind = entry.file_type().map_err(why(&failed))?;
        if kind.is_dir() {
            fs::create_dir(&target).map_err(why(&failed))?;
            let skeleton = top && SKELETON.iter().any(|name| entry.file_name() == *name);
            if !skeleton {
                link_all(&source, &target, false)?;
            }
            protect(&target, &source)?;
        } else if kind.is_symlink() {
            let text = fs::read_link(&source).map_err(why(&failed))?;
            symlink(text, &target).map_err(why(&failed))?;
        } else {
            // Files are owned by root only until the first copy is made: afterwards nothing is left to do.
            if entry.metadata().map_err(why(&failed))?.uid() != NOBODY {
                std::os::unix::fs::lchown(&source, Some(NOBODY), Some(NOBODY)).map_err(why(&failed))?;
            }
            fs::hard_link(&source, &target).map_err(why(&failed))?;
        }
    }
    Ok(())
}

/// Work folders that are currently inside the copy, with their original path and their identity.
struct Moved {
    list: Vec<(PathBuf, PathBuf, Identity)>,
}

/// Device and inode.
type Identity = (u64, u64);

fn identity(path: &Path) -> io::Result<Identity> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

impl Moved {
    /// A bind may lie inside another one, which archives and tools have filled: a link on the way is an error. As no
    /// tool runs yet, none can be created before the move.
    fn bring(&mut self, host: PathBuf, copy: &Dir, below: &Path) -> Result<(), String> {
        let failed = format!("can't move {} into the copy of the root", host.display());
        if let Some(parent) = below.parent() {
            copy.make_dir(parent).map_err(|error| format!("{failed}: {error}: {}", error.refusal))?;
        }
        let inside = copy.host_path().join(below);
        let identity = identity(&host).map_err(why(&failed))?;
        // An empty folder in its place is replaced, a non-empty one is an error.
        fs::rename(&host, &inside).map_err(why(failed))?;
        self.list.push((host, inside, identity));
        Ok(())
    }

    fn back(&mut self) -> Result<(), String> {
        while let Some((host, inside, was)) = self.list.pop() {
            let failed = format!("can't move {} back", host.display());
            // The tool has the uid that owns the copy's folders: it can put a link there, and the next run would follow
            // it.
            if identity(&inside).map_err(why(&failed))? != was {
                return Err(format!("{failed}: the tool has replaced it"));
            }
            fs::rename(&inside, &host).map_err(why(failed))?;
        }
        Ok(())
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        while let Some((host, inside, was)) = self.list.pop() {
            if identity(&inside).is_ok_and(|identity| identity == was) {
                let _ = fs::rename(inside, host);
            }
        }
    }
}

/// Kills all descendants: orphans become children of this process, so killing children until there are none finds every
/// one.
fn end_all() {
    loop {
        for pid in children() {
            let _ = kill(pid, Signal::SIGKILL);
        }
        // There is no child left to wait for: ECHILD.
        if waitpid(None, None).is_err() {
            return;
        }
    }
}

fn children() -> Vec<Pid> {
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| {
        // proc_pid_stat(5): the name in parentheses may contain any character; state and parent follow it.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)) == Some(own.as_str())
    };
    pids.filter(is_child).map(Pid::from_raw).collect()
}
