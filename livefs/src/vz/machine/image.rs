//! File systems in files: creating, checking, attaching to loop devices, resizing, freezing.
//!
//! Kernel: include/uapi/linux/loop.h, include/uapi/linux/fs.h, Documentation/filesystems/ext4/ioctl.rst, statvfs(3).

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket};

use crate::vz::exit::{Error, Result};
use crate::vz::process::command;

/// `struct loop_info64`.
#[repr(C)]
#[derive(Clone, Copy)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
#[derive(Clone, Copy)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// `struct fstrim_range`.
#[repr(C)]
struct Range {
    start: u64,
    length: u64,
    least: u64,
}

const READ_ONLY: u32 = 1;
/// The device is removed once it is neither open nor mounted.
const AUTOCLEAR: u32 = 4;
/// Past the page cache, which else would hold all twice, and in the name of whoever wrote it.
const DIRECT_IO: u32 = 16;

nix::ioctl_none_bad!(loop_get_free, 0x4c82);
nix::ioctl_none_bad!(loop_set_capacity, 0x4c07);
nix::ioctl_write_ptr_bad!(loop_configure, 0x4c0a, LoopConfig);
nix::ioctl_write_ptr!(ext4_resize, b'f', 16, u64);
nix::ioctl_readwrite!(freeze, b'X', 119, libc::c_int);
nix::ioctl_readwrite!(thaw, b'X', 120, libc::c_int);
nix::ioctl_readwrite!(trim_free, b'X', 121, Range);

/// Where the kernel reports events of block devices.
const BLOCKS: &str = "/sys/block";
/// How long a device may take to let go of its file, and how long it is waited for at a time: where nothing tells of devices.
const LETS_GO: Duration = Duration::from_secs(30);
const TURN: Duration = Duration::from_millis(200);

/// Checks that nobody writes to a file through a device: two writers would destroy its content.
fn idle(image: &Path) -> Result<()> {
    let own = image.canonicalize().map_err(|error| Error::file(image, error))?;
    match writer(Path::new(BLOCKS), &own) {
        Some(device) => {
            let text = format!("Failed to mount image: {} is in use by /dev/{device}: unmount it first", own.display());
            Err(Error::Image(152, text))
        }
        None => Ok(()),
    }
}

/// The loop device of a mounted root, and the file behind it. None if the root is on something else.
pub(super) fn shown(root: &Path) -> Option<(PathBuf, Vec<u8>)> {
    let about = std::fs::metadata(root).ok()?;
    let (major, minor) = (nix::sys::stat::major(about.dev()), nix::sys::stat::minor(about.dev()));
    let file = PathBuf::from(format!("/sys/dev/block/{major}:{minor}/loop/backing_file"));
    let image = std::fs::read(&file).ok()?;
    Some((file, image))
}

/// Waits until a device has let go of an image. After an unmount it is still mounted as long as a container's mounts, which were copied from
/// the host's, are put away; what is in its memory is not in the image before.
pub(super) fn let_go((file, image): (PathBuf, Vec<u8>)) -> Result<()> {
    let changes = socket(
        AddressFamily::Netlink,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::NetlinkKObjectUEvent,
    )?;
    bind(changes.as_raw_fd(), &NetlinkAddr::new(0, 1))?;
    let end = Instant::now() + LETS_GO;
    while std::fs::read(&file).is_ok_and(|now| now == image) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let image = String::from_utf8_lossy(&image).trim_end().to_owned();
            return Err(Error::Image(153, format!("Failed to umount image: {image} is still in use")));
        }
        let turn = PollTimeout::try_from(left.min(TURN)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(changes.as_fd(), PollFlags::POLLIN)], turn) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        // What the kernel tells does not matter, only that it does.
        let mut told = [0; 4096];
        while recv(changes.as_raw_fd(), &mut told, MsgFlags::MSG_DONTWAIT).is_ok() {}
    }
    Ok(())
}

/// The device through which a file can be written to.
fn writer(blocks: &Path, image: &Path) -> Option<String> {
    let entries = std::fs::read_dir(blocks).into_iter().flatten().flatten();
    let shows = |path: &Path| {
        let line = |name: &str| std::fs::read(path.join(name)).unwrap_or_default();
        line("loop/backing_file").strip_suffix(b"\n") == Some(image.as_os_str().as_encoded_bytes())
            && line("ro") == b"0\n"
    };
    entries.map(|entry| entry.path()).find(|path| shows(path))?.file_name()?.to_str().map(str::to_owned)
}

/// Attaches a file to a loop device. It stays attached as long as the returned descriptor is open, or the device
/// mounted.
pub(super) fn attach(image: &Path, read_only: bool) -> Result<(File, PathBuf)> {
    let failed = |what: &Path, error: std::io::Error| {
        Error::Mount(format!("Can't mount {}: {}: {error}", image.display(), what.display()))
    };
    if !read_only {
        idle(image)?;
    }
    let file = File::options().read(true).write(!read_only).open(image).map_err(|error| failed(image, error))?;
    let control = Path::new("/dev/loop-control");
    let opened = File::options().read(true).write(true).open(control).map_err(|error| failed(control, error))?;
    loop {
        // SAFETY: nothing but numbers goes in and out.
        let number = unsafe { loop_get_free(opened.as_raw_fd()) }.map_err(|error| failed(control, error.into()))?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = File::options().read(true).write(!read_only).open(&path).map_err(|error| failed(&path, error))?;
        // SAFETY: all fields are integers, for which zero is a value.
        let mut config: LoopConfig = unsafe { std::mem::zeroed() };
        config.fd = u32::try_from(file.as_raw_fd()).map_err(|_| Error::System("a bad descriptor".into()))?;
        config.info.flags = AUTOCLEAR | DIRECT_IO | if read_only { READ_ONLY } else { 0 };
        let name = image.as_os_str().as_encoded_bytes();
        let name = &name[name.len().saturating_sub(config.info.file_name.len() - 1)..];
        config.info.file_name[..name.len()].copy_from_slice(name);
        // SAFETY: the structure is the one that the call reads.
        match unsafe { loop_configure(device.as_raw_fd(), &config) } {
            // Another process has taken it in the meantime.
            Err(nix::Error::EBUSY) => {}
            Err(error) => return Err(failed(&path, error.into())),
            Ok(_) => return Ok((device, path)),
        }
    }
}

/// Creates a file that contains an empty ext4.
pub(super) fn format(image: &Path, bytes: u64, inodes: Option<u64>) -> Result<()> {
    let file = File::create_new(image).map_err(|error| Error::file(image, error))?;
    file.set_len(bytes).map_err(|error| Error::file(image, error))?;
    drop(file);
    // Of small ones, too, as of those that they grow into.
    let mut options: Vec<String> =
        ["-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "0"].map(Into::into).into();
    match inodes {
        Some(inodes) => options.extend(["-N".into(), inodes.to_string()]),
        None => options.extend(["-i".into(), "16384".into()]),
    }
    run("mke2fs", &options, image, &[], 0)
}

/// Checks whether an ext4 is intact.
pub(super) fn check(image: &Path) -> Result<()> {
    idle(image)?;
    run("e2fsck", &["-p".into()], image, &[], 1)
}

/// Grows a mounted one.
pub(super) fn grow(image: &Path, root: &Path, bytes: u64) -> Result<()> {
    let failed = |path: &Path, error: nix::Error| Error::system(path.display(), error.into());
    let file = File::options().write(true).open(image).map_err(|error| Error::file(image, error))?;
    let before = file.metadata().map_err(|error| Error::file(image, error))?.len();
    let top = File::open(root).map_err(|error| Error::file(root, error))?;
    let about = top.metadata().map_err(|error| Error::file(root, error))?;
    let device = PathBuf::from(format!("/dev/loop{}", nix::sys::stat::minor(about.dev())));
    let opened = File::open(&device).map_err(|error| Error::file(&device, error))?;
    if before < bytes {
        file.set_len(bytes).and_then(|()| file.sync_all()).map_err(|error| Error::file(image, error))?;
    }
    // SAFETY: nothing but a descriptor goes in.
    unsafe { loop_set_capacity(opened.as_raw_fd()) }.map_err(|error| failed(&device, error))?;
    let blocks = bytes / about.blksize();
    // SAFETY: the number is the one that the call reads.
    unsafe { ext4_resize(top.as_raw_fd(), &blocks) }.map_err(|error| failed(root, error))?;
    Ok(())
}

/// Shrinks one that is not in use.
pub(super) fn shrink(image: &Path, bytes: u64) -> Result<()> {
    run("e2fsck", &["-f".into(), "-p".into()], image, &[], 1)?;
    run("resize2fs", &[], image, &[format!("{}K", bytes / 1024)], 0)?;
    let file = File::options().write(true).open(image).map_err(|error| Error::file(image, error))?;
    file.set_len(bytes).and_then(|()| file.sync_all()).map_err(|error| Error::file(image, error))
}

/// Runs a closure while a file system is frozen. Signals are blocked meanwhile: one that ended this process would leave it frozen.
pub(super) fn hold(root: &Path, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    let top = File::open(root).map_err(|error| Error::file(root, error))?;
    let failed = |what: &str, error: nix::Error| Error::system(format!("{}: {what}", root.display()), error.into());
    let before = SigSet::all().thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)?;
    let mut none = 0;
    // SAFETY: the number is the one that the call may read.
    let frozen = unsafe { freeze(top.as_raw_fd(), &raw mut none) }.map_err(|error| failed("can't be held", error));
    let done = frozen.and_then(|_| {
        let done = work();
        // SAFETY: as above.
        let thawed = unsafe { thaw(top.as_raw_fd(), &raw mut none) }.map_err(|error| failed("can't go on", error));
        done.and(thawed.map(drop))
    });
    before.thread_set_mask()?;
    done
}

/// Discards unused blocks.
pub(super) fn trim(root: &Path) -> Result<()> {
    let top = File::open(root).map_err(|error| Error::file(root, error))?;
    // Removed blocks become free when their transaction is on the disk.
    nix::unistd::syncfs(&top).map_err(|error| Error::file(root, error.into()))?;
    let mut all = Range { start: 0, length: u64::MAX, least: 0 };
    // SAFETY: the structure is the one that the call reads and writes.
    unsafe { trim_free(top.as_raw_fd(), &raw mut all) }.map_err(|error| Error::file(root, error.into()))?;
    Ok(())
}

/// Blocks of 1024 bytes and inodes in use.
pub(super) fn used(root: &Path) -> Result<(u64, u64)> {
    let about = nix::sys::statvfs::statvfs(root).map_err(|error| Error::file(root, error.into()))?;
    let blocks = about.blocks().saturating_sub(about.blocks_free()).saturating_mul(about.fragment_size()) / 1024;
    Ok((blocks, about.files().saturating_sub(about.files_free())))
}

/// Runs one of ext4's programs. `most` is the highest exit code that is not a failure.
fn run(program: &str, options: &[String], image: &Path, after: &[String], most: i32) -> Result<()> {
    let mut call = command(program);
    call.args(options).arg::<&OsStr>(image.as_ref()).args(after);
    let done = call.output().map_err(|error| Error::system(program, error))?;
    if done.status.code().is_some_and(|code| code <= most) {
        return Ok(());
    }
    let said = [done.stderr, done.stdout].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let full = lines.iter().any(|line| line.contains("No space left on device"));
    let text = format!("{program} {}: {}", image.display(), lines.join("; "));
    Err(if full { Error::DiskFull(text) } else { Error::System(text) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_structures() {
        assert_eq!((size_of::<LoopInfo>(), size_of::<LoopConfig>(), size_of::<Range>()), (232, 304, 24));
    }

    #[test]
    fn who_writes_to_a_file_is_found() {
        let folder = tempfile::tempdir().unwrap();
        for (name, file, ro) in [("loop0", "/a", "1"), ("loop1", "/b", "0"), ("loop2", "/c (deleted)", "0")] {
            std::fs::create_dir_all(folder.path().join(name).join("loop")).unwrap();
            std::fs::write(folder.path().join(name).join("loop/backing_file"), format!("{file}\n")).unwrap();
            std::fs::write(folder.path().join(name).join("ro"), format!("{ro}\n")).unwrap();
        }
        std::fs::create_dir(folder.path().join("vda")).unwrap();
        let find = |file: &str| writer(folder.path(), Path::new(file));
        assert_eq!((find("/a"), find("/b").as_deref(), find("/c")), (None, Some("loop1"), None));
        idle(folder.path()).unwrap();
        // By now the device has another file, or none.
        let file = folder.path().join("loop1/loop/backing_file");
        let_go((file.clone(), b"/other\n".to_vec())).unwrap();
        let_go((folder.path().join("loop9"), b"/b\n".to_vec())).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| let_go((file.clone(), b"/b\n".to_vec())));
            std::fs::remove_file(&file).unwrap();
            waiter.join().unwrap().unwrap();
        });
    }

    #[test]
    fn what_a_program_says_is_the_error() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        std::fs::write(&image, "no file system").unwrap();
        let error = run("cmp", &[], &image, &["/dev/null".into()], 0).unwrap_err();
        assert!(error.to_string().starts_with(&format!("cmp {}: ", image.display())), "{error}");
        run("cmp", &[], &image, &["/dev/null".into()], 1).unwrap();
        assert_eq!(run("no-such-program", &[], &image, &[], 0).unwrap_err().code(), 3);
        let (blocks, inodes) = used(Path::new("/")).unwrap();
        assert!(blocks > 0 && inodes > 0);
    }
}
