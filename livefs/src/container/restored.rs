//! The keeper's part of a restore. The engine has created the container as at a start: its cgroup with limits and device
//! rules, its terminal, and its notes, by which other commands find it. Its PID 1, which has not run yet, is killed, and
//! CRIU puts the saved processes in its place.
//!
//! CRIU calls a script when all processes exist and none has run. The script waits until the caller has recorded that the
//! container runs: until then the dump is what counts, and the processes can still be discarded.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{OpenptyResult, openpty};
use nix::sched::CloneFlags;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, mkfifo};

use super::checkpoint::{Inherited, Restore};
use super::limits;

/// What the keeper has of a container that the engine has created.
pub(super) struct Created<'a> {
    /// Its number.
    pub id: u32,
    /// The folder for pipes and the script.
    pub bundle: &'a Path,
    /// The engine's pipe at which PID 1 waits.
    pub gate: &'a Path,
    /// PID 1.
    pub init: Pid,
    /// Its network namespace.
    pub network: OwnedFd,
}

/// What has taken its place.
pub(super) struct Restored {
    /// PID 1.
    pub init: Pid,
    /// The keeper's end of its terminal, and the container's.
    pub terminal: OpenptyResult,
}

/// Tells the caller how the engine ended, waits for permission, and replaces PID 1 by the saved processes: the caller is
/// told CRIU's status (0: they exist), and permits them to run.
///
/// Their terminal is one of the host's: the one that the engine has made is in the devpts of the container that is gone.
///
/// # Errors
/// CRIU failed, or the caller gave up; nothing runs.
pub(super) fn replace(
    restore: &Restore,
    made: Created,
    engine: ExitStatus,
    mut held: &UnixStream,
) -> io::Result<Restored> {
    held.write_all(&engine.into_raw().to_ne_bytes())?;
    held.read_exact(&mut [0])?;
    kill(made.init, Signal::SIGKILL)?;
    waitpid(made.init, None)?;
    fs::remove_file(made.gate)?;
    let (restored, permitted) = (made.bundle.join("restored"), made.bundle.join("permitted"));
    for path in [&restored, &permitted] {
        mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?;
    }
    let script = write_script(made.bundle, &restored, &permitted)?;
    let number = made.bundle.join("restored.pid");
    // Opened for both, so that neither end waits for the other.
    let mut reports = OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).open(&restored)?;
    let mut permits = OpenOptions::new().read(true).write(true).open(&permitted)?;
    let terminal = openpty(None, None)?;
    let mut criu = start(restore, &made, &terminal, &script, &number)?;
    let existing = await_report(&mut reports, &mut criu)?;
    let status = existing.map_or(0, |status| status.into_raw().max(1));
    held.write_all(&status.to_ne_bytes())?;
    if let Some(status) = existing {
        return Err(io::Error::other(format!("criu restore ended with {status}")));
    }
    let answer = held.read_exact(&mut [0]);
    permits.write_all(if answer.is_ok() { b"yes\n" } else { b"no\n" })?;
    let ended = criu.wait()?;
    answer?;
    if !ended.success() {
        return Err(io::Error::other(format!("criu restore ended with {ended}")));
    }
    let pid = fs::read_to_string(&number)?.trim().parse().map_err(io::Error::other)?;
    // Only warnings are in the log.
    for path in [&restored, &permitted, &script, &number, &restore.log] {
        let _ = fs::remove_file(path);
    }
    Ok(Restored { init: Pid::from_raw(pid), terminal })
}

/// The script that CRIU calls, by the stage's name in its environment (criu(8), `--action-script`).
fn write_script(bundle: &Path, restored: &Path, permitted: &Path) -> io::Result<PathBuf> {
    let path = bundle.join("stage");
    let text = format!(
        "#!/system/bin/sh\n[ \"$CRTOOLS_SCRIPT_ACTION\" = post-restore ] || exit 0\n\
        echo >'{}'\nread -r answer <'{}'\n[ \"$answer\" = yes ]\n",
        restored.display(),
        permitted.display()
    );
    OpenOptions::new().write(true).create_new(true).mode(0o700).open(&path)?.write_all(text.as_bytes())?;
    Ok(path)
}

/// Starts CRIU in the container's cgroup and in a cgroup namespace of which that is the root, as it was for the saved
/// processes.
fn start(
    restore: &Restore,
    made: &Created,
    terminal: &OpenptyResult,
    script: &Path,
    number: &Path,
) -> io::Result<Child> {
    // Both are inherited by CRIU alone: they are closed when this returns.
    let (network, slave) = (inheritable(made.network.as_fd())?, inheritable(terminal.slave.as_fd())?);
    let given = Inherited {
        network: network.as_raw_fd(),
        terminal: slave.as_raw_fd(),
        terminal_path: &nix::unistd::ttyname(&terminal.slave)?,
        script,
        number,
    };
    let mut command = restore.command(&given);
    let processes = File::options().write(true).open(limits::cgroup(made.id).join("cgroup.procs"))?;
    // SAFETY: only system calls, and no memory is allocated: `0` stands for the calling process.
    unsafe {
        command.pre_exec(move || {
            (&processes).write_all(b"0")?;
            nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP)?;
            Ok(())
        });
    }
    command.spawn()
}

/// A copy of a descriptor that programs inherit.
fn inheritable(fd: BorrowedFd) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: dup(2) gives a descriptor of our own, which is not closed by execve(2).
    unsafe { Ok(OwnedFd::from_raw_fd(nix::Error::result(nix::libc::dup(fd.as_raw_fd()))?)) }
}

/// Waits until the script reports that all processes exist (`None`), or CRIU has ended (its status).
fn await_report(reports: &mut File, criu: &mut Child) -> io::Result<Option<ExitStatus>> {
    let process = crate::process::watch(i32::try_from(criu.id()).map_err(io::Error::other)?)?;
    loop {
        let mut both =
            [PollFd::new(reports.as_fd(), PollFlags::POLLIN), PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        match poll(&mut both, PollTimeout::NONE) {
            Err(nix::Error::EINTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        if both[0].any().unwrap_or(false) {
            let _ = reports.read(&mut [0; 16]);
            return Ok(None);
        }
        if both[1].any().unwrap_or(false) {
            return criu.wait().map(Some);
        }
    }
}
