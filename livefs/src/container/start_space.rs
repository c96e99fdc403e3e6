//! The mount namespace in which the engine is started.
//!
//! The engine starts by copying the mount namespace that it is in, and ends by discarding all of the copy but the
//! container's root. On the host the root of every running container is a mount, so with many containers this takes
//! longer than the rest of a start. Therefore the engine is started in a namespace that has only the mounts that it needs
//! itself, to which the container's root is attached. That namespace is made once, at the first start beside many
//! containers, and kept by a mount of its file (`namespaces(7)`, "bind mounting").
//!
//! It keeps no file system busy that could be unmounted otherwise: what it has is below the system's own root.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::statfs::{FsType, fstatfs};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};

use crate::mount_table;

/// `include/uapi/linux/magic.h`.
const NSFS: FsType = FsType(0x6e73_6673);
/// `include/uapi/linux/mount.h`, `include/uapi/linux/fcntl.h`.
const OPEN_TREE_CLONE: libc::c_uint = 1;
const AT_RECURSIVE: libc::c_uint = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;

/// Where the engine is to be started: the namespace, and the mounts of a container's root.
#[derive(Debug)]
pub struct StartSpace {
    namespace: File,
    root: OwnedFd,
    target: CString,
}

impl StartSpace {
    /// The namespace kept in `folder`, made if it is missing, for an engine that needs what is at these paths, and for the
    /// container whose root is mounted at `root`. That will be attached to `target`, a folder below `folder`.
    ///
    /// # Errors
    /// The kernel or the propagation of the host's mounts does not allow it. The engine can be started as usual.
    pub fn of(folder: &Path, needed: &[&Path], root: &Path, target: &Path) -> io::Result<Self> {
        let namespace = kept(folder, needed)?;
        let target = CString::new(target.as_os_str().as_bytes())?;
        Ok(Self { namespace, root: tree(root)?, target })
    }

    /// What has to stay open until [`StartSpace::enter`].
    pub fn descriptors(&self) -> [RawFd; 2] {
        [self.namespace.as_raw_fd(), self.root.as_raw_fd()]
    }

    /// Makes the calling process enter a copy of the namespace with the root attached. Its working folder becomes `/`.
    ///
    /// # Errors
    /// Errors of the kernel.
    pub fn enter(&self) -> io::Result<()> {
        setns(&self.namespace, CloneFlags::CLONE_NEWNS)?;
        unshare(CloneFlags::CLONE_NEWNS)?;
        // SAFETY: the call only reads its arguments; the texts are C strings.
        let moved = unsafe {
            libc::syscall(
                libc::SYS_move_mount,
                self.root.as_raw_fd(),
                c"".as_ptr(),
                libc::AT_FDCWD,
                self.target.as_ptr(),
                MOVE_MOUNT_F_EMPTY_PATH,
            )
        };
        nix::Error::result(moved).map(drop).map_err(io::Error::from)
    }
}

/// A copy of the mounts at a path and below, which exists as long as its descriptor.
fn tree(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let flags = OPEN_TREE_CLONE | AT_RECURSIVE | libc::O_CLOEXEC as libc::c_uint;
    // SAFETY: as above.
    let made = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    let made = nix::Error::result(made)?;
    // SAFETY: the kernel has just made it for us; descriptors are small numbers.
    Ok(unsafe { OwnedFd::from_raw_fd(made as i32) })
}

fn kept(folder: &Path, needed: &[&Path]) -> io::Result<File> {
    let file = folder.join("mounts");
    let existing =
        || File::open(&file).ok().filter(|file| fstatfs(file).is_ok_and(|stat| stat.filesystem_type() == NSFS));
    if let Some(file) = existing() {
        return Ok(file);
    }
    // Of several first starts one makes it.
    let lock = File::options().create(true).truncate(false).write(true).open(folder.join("mounts.lock"))?;
    let _lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error)?;
    if let Some(file) = existing() {
        return Ok(file);
    }
    File::create(&file)?;
    make(&file, &[needed, &[folder]].concat())?;
    File::open(&file)
}

/// Makes a namespace with the mounts at and above these paths, and mounts its file.
fn make(file: &Path, needed: &[&Path]) -> io::Result<()> {
    let (mut ours, mut theirs) = UnixStream::pair()?;
    // SAFETY: this program has one thread.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => {
            drop(theirs);
            let made = ours.read_exact(&mut [0]).and_then(|()| {
                let namespace = PathBuf::from(format!("/proc/{child}/ns/mnt"));
                Ok(mount(Some(&namespace), file, None::<&str>, MsFlags::MS_BIND, None::<&str>)?)
            });
            drop(ours);
            waitpid(child, None)?;
            made
        }
        ForkResult::Child => {
            drop(ours);
            if reduce(needed).and_then(|()| theirs.write_all(&[0])).is_ok() {
                // Until the other end is closed.
                let _ = theirs.read(&mut [0]);
            }
            std::process::exit(0);
        }
    }
}

/// Enters a new namespace, in which only the mounts at and above these paths are left.
fn reduce(needed: &[&Path]) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    for point in mount_table::points()?.iter().rev().filter(|point| !needed.iter().any(|path| path.starts_with(point)))
    {
        // One that is below another that is gone already.
        let _ = umount2(point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::Pid;
    use std::fs;

    /// In a user namespace of its own, so without privileges; a child process, as the test's has several threads.
    fn alone(work: impl FnOnce() -> io::Result<()>) {
        // SAFETY: the child only makes system calls and allocates, which the C library allows after a fork.
        match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => {
                let ended = waitpid(child, None).unwrap();
                assert_eq!(ended, nix::sys::wait::WaitStatus::Exited(child, 0));
            }
            ForkResult::Child => {
                // Linux 6.18 numbers namespaces by processor, and mounts the file of one only in namespaces with a lower
                // number. Where it refuses, a container is started on the host.
                let mut one = nix::sched::CpuSet::new();
                let here = nix::sched::sched_getcpu().unwrap();
                one.set(here).and_then(|()| nix::sched::sched_setaffinity(Pid::this(), &one)).unwrap();
                let (user, group) = (nix::unistd::getuid(), nix::unistd::getgid());
                let maps = [
                    ("setgroups", "deny".to_owned()),
                    ("uid_map", format!("0 {user} 1")),
                    ("gid_map", format!("0 {group} 1")),
                ];
                let done = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).map_err(io::Error::from);
                let map = |(name, text)| fs::write(Path::new("/proc/self").join(name), text);
                let done = done.and_then(|()| maps.into_iter().try_for_each(map)).and_then(|()| work());
                if let Err(error) = &done {
                    // Not by a macro, whose output would be that of the parent's test.
                    let _ = writeln!(io::stderr(), "{error}");
                }
                // SAFETY: ends this process, without what the test's would do.
                unsafe { libc::_exit(i32::from(done.is_err())) };
            }
        }
    }

    fn in_memory(path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)?;
        Ok(mount(Some("none"), path, Some("tmpfs"), MsFlags::empty(), None::<&str>)?)
    }

    #[test]
    fn it_has_the_containers_root_and_none_of_the_others() {
        let place = tempfile::tempdir().unwrap();
        let [run, one, two, target] =
            ["run", "roots/one", "roots/two", "run/bundle/root"].map(|name| place.path().join(name));
        alone(|| {
            mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
            in_memory(&run)?;
            in_memory(&two)?;
            fs::create_dir_all(&target)?;
            let wrong = |what: &str| io::Error::other(what.to_owned());
            for number in ["1", "2"] {
                in_memory(&one)?;
                fs::write(one.join("number"), number)?;
                in_memory(&one.join("below"))?;
                fs::write(one.join("below/number"), number)?;
                let space = StartSpace::of(&run, &[], &one, &target)?;
                // SAFETY: as above.
                if let ForkResult::Parent { child } = unsafe { fork() }? {
                    let ended = waitpid(child, None)?;
                    if ended != nix::sys::wait::WaitStatus::Exited(child, 0) {
                        return Err(wrong("the child failed"));
                    }
                    umount2(&one, MntFlags::MNT_DETACH)?;
                    continue;
                }
                space.enter()?;
                if let Some(point) =
                    mount_table::points()?.iter().find(|point| point.starts_with(place.path().join("roots")))
                {
                    return Err(wrong(&point.display().to_string()));
                }
                for file in ["number", "below/number"] {
                    if fs::read_to_string(target.join(file))? != number {
                        return Err(wrong(file));
                    }
                }
                return Ok(());
            }
            // Nothing was attached in the kept namespace or here.
            if target.join("number").exists() { Err(wrong("it is attached here")) } else { Ok(()) }
        });
    }
}
