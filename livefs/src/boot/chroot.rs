//! `chroot-system`: starts a system inside the live system, with the console.
//!
//! Process 1 of the live system stays the same. The system gets its own namespaces for processes, mounts, names and
//! IPC, so that its init is process 1 there and its shutdown ends only the system; devices, network and the console are
//! the machine's.
//!
//! A process that waits for the console waits for the lock, which is held as long as the system runs.

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, chdir, dup2_stderr, dup2_stdin, dup2_stdout, execve, fork, pivot_root, setsid};

/// Locked while a system runs.
const LOCK: &str = "/system/run/chroot-system.lock";
/// The PID of the system's process 1 in the live system.
const PID: &str = "/system/run/chroot-system.pid";
const USAGE: &str = "usage: chroot-system start FOLDER INIT | wait | stop";

/// `chroot-system start FOLDER INIT`: starts a system and returns at once. `wait`: returns when it has ended. `stop`:
/// asks its init to power off, and waits.
pub fn chroot_system(arguments: Vec<OsString>) -> u8 {
    let words: Vec<&OsString> = arguments.iter().collect();
    let done = match &words[..] {
        [word, folder, init] if *word == "start" => start(Path::new(folder), Path::new(init)),
        [word] if *word == "wait" => wait(),
        [word] if *word == "stop" => stop(),
        _ => {
            eprintln!("{USAGE}");
            return 2;
        }
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("chroot-system: {error}");
            1
        }
    }
}

fn lock(how: FlockArg) -> io::Result<Flock<File>> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(LOCK)?;
    Flock::lock(file, how).map_err(|(_, error)| error.into())
}

fn wait() -> io::Result<()> {
    lock(FlockArg::LockShared).map(drop)
}

fn stop() -> io::Result<()> {
    let pid = match fs::read_to_string(PID) {
        Ok(text) => {
            text.trim().parse().map_err(|_| io::Error::other(format!("{PID} does not contain a process id")))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    // The signal that busybox's and sysvinit's init take as "power off".
    match kill(Pid::from_raw(pid), Signal::SIGUSR2) {
        Ok(()) | Err(nix::Error::ESRCH) => wait(),
        Err(error) => Err(error.into()),
    }
}

fn start(folder: &Path, init: &Path) -> io::Result<()> {
    let held = lock(FlockArg::LockExclusiveNonblock).map_err(|error| match error.raw_os_error() {
        Some(nix::libc::EWOULDBLOCK) => io::Error::other("another system is already running"),
        _ => error,
    })?;
    if let Err(why) = super::program::check(folder, init) {
        return Err(io::Error::other(format!("{} of {} {why}", init.display(), folder.display())));
    }
    // SAFETY: this program has one thread.
    match unsafe { fork() }? {
        // The child keeps the lock, as both share the open file description.
        ForkResult::Parent { .. } => std::mem::forget(held),
        ForkResult::Child => {
            let _ = setsid();
            supervise(folder, init);
            let _ = fs::remove_file(PID);
            drop(held);
            std::process::exit(0);
        }
    }
    Ok(())
}

/// Runs the system, again after each `reboot` in it, until it ends in another way.
fn supervise(folder: &Path, init: &Path) {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    loop {
        let ended = match run(folder, init) {
            // How reboot_pid_ns() of the kernel reports reboot(2) in a PID namespace.
            Ok(WaitStatus::Signaled(_, Signal::SIGHUP, _)) => {
                eprintln!("chroot-system: {name} starts again.");
                continue;
            }
            Ok(WaitStatus::Signaled(_, Signal::SIGINT, _)) => "was shut down".into(),
            Ok(WaitStatus::Signaled(_, signal, _)) => format!("was terminated by {signal}"),
            Ok(WaitStatus::Exited(_, code)) => format!("ended: its init exited with {code}"),
            Ok(other) => format!("ended for an unknown reason ({other:?})"),
            Err(error) => format!("cannot be started: {error}"),
        };
        eprintln!("chroot-system: {name} {ended}. The console is the live system's.");
        return;
    }
}

/// Starts it and waits for its end. A PID namespace applies to a process's children, and accepts no more of them once
/// its process 1 is dead; so the supervisor, which needs a new one each time, has an intermediate child.
fn run(folder: &Path, init: &Path) -> io::Result<WaitStatus> {
    // SAFETY: this program has one thread.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(pid, code) if code > 128 => {
                let signal = Signal::try_from(code - 128)?;
                Ok(WaitStatus::Signaled(pid, signal, false))
            }
            status => Ok(status),
        },
        ForkResult::Child => {
            let code = match between(folder, init) {
                Ok(code) => code,
                Err(error) => {
                    eprintln!("chroot-system: {error}");
                    127
                }
            };
            std::process::exit(code);
        }
    }
}

/// The intermediate child: creates the namespaces. Gives the exit code of the system's init, or 128 and its signal.
fn between(folder: &Path, init: &Path) -> io::Result<i32> {
    let spaces =
        CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
    unshare(spaces)?;
    // SAFETY: this program has one thread.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => {
            fs::write(PID, format!("{child}\n"))?;
            Ok(match waitpid(child, None)? {
                WaitStatus::Exited(_, code) => code,
                WaitStatus::Signaled(_, signal, _) => 128 + signal as i32,
                _ => 127,
            })
        }
        ForkResult::Child => {
            let error = enter(folder, init).unwrap_err();
            eprintln!("chroot-system: {error}");
            std::process::exit(127);
        }
    }
}

/// As process 1 of the system: makes the folder the root, with the machine's devices, and executes its init.
fn enter(folder: &Path, init: &Path) -> io::Result<Infallible> {
    let failed = |what: String| move |error: nix::Error| io::Error::other(format!("{what}: {error}"));
    let _ = setsid();
    let none = None::<&str>;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none).map_err(failed("cannot make the mounts private".into()))?;
    let bind = |from: &Path, to: &Path| {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
        mount(Some(from), to, none, flags, none).map_err(failed(format!("cannot bind-mount {}", to.display())))
    };
    bind(folder, folder)?;
    for name in ["dev", "proc", "sys"] {
        let place = folder.join(name);
        fs::create_dir_all(&place).map_err(|error| io::Error::other(format!("{}: {error}", place.display())))?;
    }
    bind(Path::new("/dev"), &folder.join("dev"))?;
    bind(Path::new("/sys"), &folder.join("sys"))?;
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), &folder.join("proc"), Some("proc"), quiet, none).map_err(failed("/proc".into()))?;
    chdir(folder)?;
    // Both at the same place: the old root is then mounted over the new one, from where it is unmounted
    // (pivot_root(2)).
    pivot_root(".", ".").map_err(failed(format!("cannot change the root to {}", folder.display())))?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")?;
    let console = nix::fcntl::open("/dev/console", OFlag::O_RDWR | OFlag::O_NOCTTY, Mode::empty())?;
    dup2_stdin(&console)?;
    dup2_stdout(&console)?;
    dup2_stderr(&console)?;
    if console.as_raw_fd() <= 2 {
        std::mem::forget(console);
    }
    let program = CString::new(init.as_os_str().as_bytes())?;
    let environment =
        [c"HOME=/", c"TERM=linux", c"PATH=/system/sbin:/system/bin:/sbin:/usr/sbin:/bin:/usr/bin", c"container=chroot"];
    execve(&program, &[&program], &environment).map_err(failed(format!("{}", init.display())))
}
