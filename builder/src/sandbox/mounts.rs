//! The file systems that a tool sees, made from mounts in a separate mount namespace.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::SFlag;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::pivot_root;

use super::tool::why;
use super::{Bind, SKELETON, Spec};
use crate::beneath::{self, BeneathError, Dir, Links, Refusal};

/// Nodes that every host has and that reveal nothing about it.
const DEVICES: &[&str] = &["full", "null", "random", "tty", "urandom", "zero"];

/// Links that programs expect in `/dev`.
pub const DEVICE_LINKS: &[(&str, &str)] = &[
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

const NONE: Option<&str> = None;

/// Tries the mounts that a sandbox consists of.
pub fn try_out() -> Result<(), String> {
    make_private()?;
    tmpfs(Path::new("/tmp"), "mode=0755")?;
    fs::create_dir("/tmp/root").map_err(why("can't make a folder on a fresh tmpfs"))?;
    bind(Path::new("/tmp"), Path::new("/tmp/root"))?;
    read_only(Path::new("/tmp/root"))?;
    nix::unistd::sethostname(super::HOST_NAME).map_err(why("sethostname"))
}

/// Makes `spec.root` the root of this process, with everything that `spec` requires in it.
pub fn enter(spec: &Spec) -> Result<(), String> {
    make_private()?;
    let root = spec.root.canonicalize().map_err(why(format!("no toolchain root at {}", spec.root.display())))?;
    let binds = ordered(&spec.binds)?;
    bind(&root, &root)?;
    read_only(&root)?;
    // The mount, not the folder below it.
    let dir = Dir::open(&root, Links::Never).map_err(why("can't open the toolchain root"))?;
    for name in SKELETON.iter().filter(|name| !matches!(**name, "proc" | "sys")) {
        tmpfs(&root.join(name), if *name == "tmp" { "mode=1777" } else { "mode=0755" })?;
    }
    devices(&dir, &spec.devices)?;
    proc(&root.join("proc"))?;
    for (host, below, writable) in binds {
        mount_point(&host, &dir, &below)?;
        let target = root.join(&below);
        bind(&host, &target)?;
        if !writable {
            read_only(&target)?;
        }
    }
    // pivot_root(2), "pivot_root(".", ".")": the old root is mounted on top of the new one and unmounted again, so that
    // it needs no folder of its own.
    std::env::set_current_dir(&root).map_err(why("can't enter the root"))?;
    pivot_root(".", ".").map_err(why("pivot_root"))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(why("can't detach the host's root"))?;
    std::env::set_current_dir("/").map_err(why("can't enter the root"))
}

/// Binds by their path inside, without its leading slash, parents first; paths on the host have their links resolved.
pub fn ordered(binds: &[Bind]) -> Result<Vec<(PathBuf, PathBuf, bool)>, String> {
    let mut list = Vec::with_capacity(binds.len());
    for bind in binds {
        let host = bind.host.canonicalize().map_err(why(format!("can't bind {}", bind.host.display())))?;
        let inside = crate::tree::TreePath::new(&bind.inside).map_err(|error| error.to_string())?;
        if inside.is_root() {
            return Err("the root itself can't be a bind".to_owned());
        }
        list.push((host, PathBuf::from(inside.as_str()), bind.writable));
    }
    list.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(list)
}

/// Mounts made here must not be visible outside, nor the other way round.
fn make_private() -> Result<(), String> {
    mount(NONE, "/", NONE, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NONE).map_err(why("can't make the mounts private"))
}

fn tmpfs(target: &Path, options: &str) -> Result<(), String> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some(options))
        .map_err(why(format!("can't mount a tmpfs at {}", target.display())))
}

/// A bind of the single mount at `host`. If other file systems are mounted below it, the kernel, in a user namespace,
/// requires that they are included: what they cover must stay covered (mount_namespaces(7), "Restrictions").
fn bind(host: &Path, target: &Path) -> Result<(), String> {
    let bind = |flags| mount(Some(host), target, NONE, MsFlags::MS_BIND | flags, NONE);
    match bind(MsFlags::empty()) {
        Err(Errno::EINVAL) => bind(MsFlags::MS_REC),
        other => other,
    }
    .map_err(why(format!("can't bind {} to {}", host.display(), target.display())))
}

/// Makes the mount at `target` read-only. The flags that the file system was mounted with have to be repeated: in a
/// user namespace they are locked.
fn read_only(target: &Path) -> Result<(), String> {
    let failed = || format!("can't make {} read-only", target.display());
    let has = statvfs(target).map_err(why(failed()))?.flags();
    let mut flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    for (had, flag) in [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ] {
        if has.contains(had) {
            flags |= flag;
        }
    }
    mount(NONE, target, NONE, flags, NONE).map_err(why(failed()))
}

/// The harmless nodes that this host has, and `more`; each once.
pub fn nodes(more: &[PathBuf]) -> BTreeSet<PathBuf> {
    let basic = DEVICES.iter().map(|name| Path::new("/dev").join(name)).filter(|path| path.exists());
    basic.chain(more.iter().cloned()).collect()
}

fn devices(root: &Dir, more: &[PathBuf]) -> Result<(), String> {
    let dev = root.host_path().join("dev");
    let make = |error: io::Error| why(format!("can't fill {}", dev.display()))(error);
    for node in nodes(more) {
        let below = node.strip_prefix("/dev").map_err(|_| format!("{} is not below /dev", node.display()))?;
        mount_point(&node, root, &Path::new("dev").join(below))?;
        bind(&node, &dev.join(below))?;
    }
    for (name, text) in DEVICE_LINKS {
        symlink(text, dev.join(name)).map_err(make)?;
    }
    let shm = dev.join("shm");
    fs::create_dir(&shm).map_err(make)?;
    fs::set_permissions(&shm, fs::Permissions::from_mode(0o1777)).map_err(make)
}

/// A `/proc` of the new pid namespace. Container engines cover parts of theirs, and then the kernel allows no new one
/// (`mount_too_revealing`); in that case the engine's own is used, including the covers.
fn proc(target: &Path) -> Result<(), String> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    match mount(Some("proc"), target, Some("proc"), flags, NONE) {
        Err(Errno::EPERM) => mount(Some("/proc"), target, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE),
        other => other,
    }
    .map_err(why("can't mount /proc"))?;
    // If dbco itself runs as root, access to these is decided by the uid, not by capabilities.
    for knobs in ["bus", "fs", "irq", "sys", "sysrq-trigger"].map(|name| target.join(name)) {
        if knobs.exists() {
            bind(&knobs, &knobs)?;
            read_only(&knobs)?;
        }
    }
    Ok(())
}

/// Creates the mount point for `host` if it does not exist. A bind may lie inside another one, which archives and tools
/// have filled: a link on the way is an error. As no tool runs yet, none can be created before the mount.
fn mount_point(host: &Path, root: &Dir, below: &Path) -> Result<(), String> {
    let failed = |error: BeneathError| {
        let read_only =
            matches!(&error.refusal, Refusal::Io(error) if error.raw_os_error() == Some(Errno::EROFS as i32));
        let hint = match read_only {
            true => format!(": the root has no such path; use one below /{}", SKELETON.join(", /")),
            false => String::new(),
        };
        format!("can't make the mount point /{}: {}{hint}", below.display(), error.refusal)
    };
    if host.is_dir() {
        return root.make_dir(below).map(drop).map_err(failed);
    }
    match root.stat(below).map_err(failed)?.map(|stat| beneath::kind(&stat)) {
        None => root.create(below).map(drop).map_err(failed),
        Some(SFlag::S_IFLNK) => Err(format!("can't make the mount point /{}: it is a symbolic link", below.display())),
        Some(_) => Ok(()),
    }
}
