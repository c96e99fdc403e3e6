//! Checkpoint and restore of a container's processes by CRIU (criu(8)): its command lines, and what a dump holds beside
//! CRIU's own images.
//!
//! Mounts of the container are found by CRIU itself (`mnt[]`). Three things are the host's, and are replaced at the
//! restore: the network namespace, the terminal behind `/dev/console`, and the cgroup, which CRIU leaves alone.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::error::io;
use super::{Error, Result, limits};

/// The program, of the component `criu`.
pub const PROGRAM: &str = "/system/sbin/criu";

/// The file of a dump's folder that makes it one: [`DumpNotes`] as JSON.
pub const NOTES: &str = "dump.json";

/// How large a file may be that a process has open and that has no name any more; it is copied into the dump.
const GHOSTS: &str = "64M";

/// The name under which CRIU finds the network namespace of a restored container.
const NETWORK: &str = "network";
/// The same for the mount of its `/dev/console`.
const CONSOLE: &str = "console";

/// What a restore has to know besides CRIU's images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpNotes {
    /// The version of this structure: 1.
    pub format: u32,
    /// The container's number (CTID).
    pub id: u32,
    /// The release of the kernel (uname(2)).
    pub kernel: String,
    /// CRIU's name of the terminal behind `/dev/console`: `tty[rdev:dev]`, both in hexadecimal digits.
    pub terminal: String,
}

impl DumpNotes {
    /// Reads the notes of a dump.
    ///
    /// # Errors
    /// The folder is not a complete dump, or one of another version.
    pub fn read(folder: &Path) -> Result<DumpNotes> {
        let path = folder.join(NOTES);
        let text = fs::read(&path).map_err(io("read", &path))?;
        let notes: DumpNotes = serde_json::from_slice(&text)
            .map_err(|error| Error::Invalid(format!("{} is not of a dump: {error}", path.display())))?;
        match notes.format {
            1 => Ok(notes),
            other => Err(Error::Invalid(format!("{}: expected format 1, found {other}", path.display()))),
        }
    }
}

/// Whether CRIU is part of this system.
pub fn available() -> bool {
    Path::new(PROGRAM).exists()
}

/// Options that dump and restore share.
fn options(command: &mut Command, folder: &Path, log: &Path) {
    command.arg("-D").arg(folder).arg("-o").arg(log);
    command.arg("--manage-cgroups=ignore");
    command.args(["--tcp-established", "--file-locks", "--ext-unix-sk", "--ghost-limit", GHOSTS]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
}

/// Saves the processes of a frozen container to `folder`, which exists and is empty. They stay frozen. `earlier` is the
/// last of the folders of [`pre_dump`], relative to `folder`; pages that have not changed since are not saved again.
///
/// # Errors
/// [`Error::Checkpoint`] with CRIU's reason; `log` has the rest.
pub fn dump(id: u32, pid: i32, folder: &Path, earlier: Option<&Path>, log: &Path) -> Result<()> {
    if let Some((other, name)) = foreign(id, pid)? {
        let message = format!("foreign process {other} ({name}) inside, such as one of `vzctl exec` or `vzctl enter`");
        return Err(Error::Checkpoint { action: "dump", id, message });
    }
    let notes = notes(id, pid)?;
    let network = namespace(pid)?;
    let mut command = crate::process::command(PROGRAM);
    command.args(["dump", "-t"]).arg(pid.to_string()).arg("--leave-running");
    command.arg("--freeze-cgroup").arg(limits::cgroup(id));
    options(&mut command, folder, log);
    // The caller holds it: CRIU would need iptables for it.
    command.args(["--network-lock", "skip"]);
    command.args(["--external", "mnt[]", "--external"]).arg(format!("mnt[/dev/console]:{CONSOLE}"));
    command.arg("--external").arg(&notes.terminal).arg("--external").arg(format!("net[{network}]:{NETWORK}"));
    if let Some(earlier) = earlier {
        command.args(["--track-mem", "--prev-images-dir"]).arg(earlier);
    }
    run(id, "dump", command, log)?;
    let path = folder.join(NOTES);
    let text = serde_json::to_vec(&notes).map_err(std::io::Error::from).map_err(io("make", &path))?;
    fs::write(&path, text).map_err(io("write", &path))
}

/// Saves the memory of a running container, for a later [`dump`] that saves only what has changed since.
///
/// # Errors
/// As [`dump`].
pub fn pre_dump(id: u32, pid: i32, folder: &Path, earlier: Option<&Path>, log: &Path) -> Result<()> {
    let mut command = crate::process::command(PROGRAM);
    command.args(["pre-dump", "--track-mem", "-t"]).arg(pid.to_string());
    options(&mut command, folder, log);
    if let Some(earlier) = earlier {
        command.arg("--prev-images-dir").arg(earlier);
    }
    run(id, "pre-dump", command, log)
}

fn run(id: u32, action: &'static str, mut command: Command, log: &Path) -> Result<()> {
    let _ = fs::remove_file(log);
    let status = command.status().map_err(io("run", Path::new(PROGRAM)))?;
    if !status.success() {
        let message = reason(log).unwrap_or_else(|| format!("ended with {status}"));
        return Err(Error::Checkpoint { action, id, message });
    }
    let _ = fs::remove_file(log);
    Ok(())
}

/// Where the processes of a dump are restored to.
#[derive(Debug, Clone)]
pub struct Restore {
    /// The dump.
    pub folder: PathBuf,
    /// The container's root, a mount.
    pub root: PathBuf,
    /// CRIU's messages.
    pub log: PathBuf,
    /// What the dump says.
    pub notes: DumpNotes,
}

/// What [`Restore::command`] passes on: open descriptors that the program inherits, and paths.
#[derive(Debug)]
pub(super) struct Inherited<'a> {
    /// The network namespace.
    pub network: i32,
    /// The container's end of the terminal.
    pub terminal: i32,
    /// Its path on the host.
    pub terminal_path: &'a Path,
    /// Run by CRIU at each of its stages.
    pub script: &'a Path,
    /// Where PID 1's number is written.
    pub number: &'a Path,
}

impl Restore {
    /// CRIU's command, which ends when the processes run. It has to be run in the container's cgroup.
    pub(super) fn command(&self, given: &Inherited) -> Command {
        let _ = fs::remove_file(&self.log);
        let mut command = crate::process::command(PROGRAM);
        command.args(["restore", "--restore-detached", "--root"]).arg(&self.root);
        options(&mut command, &self.folder, &self.log);
        command.args(["--external", "mnt[]", "--external"]);
        command.arg(format!("mnt[{CONSOLE}]:{}", given.terminal_path.display()));
        command.arg("--inherit-fd").arg(format!("fd[{}]:{NETWORK}", given.network));
        command.arg("--inherit-fd").arg(format!("fd[{}]:{}", given.terminal, self.notes.terminal));
        command.arg("--pidfile").arg(given.number).arg("--action-script").arg(given.script);
        command
    }
}

fn notes(id: u32, pid: i32) -> Result<DumpNotes> {
    let console = PathBuf::from(format!("/proc/{pid}/root/dev/console"));
    let about = fs::metadata(&console).map_err(io("read", &console))?;
    let kernel = nix::sys::utsname::uname().map_err(io("read", Path::new("uname")))?;
    let kernel = kernel.release().to_string_lossy().into_owned();
    Ok(DumpNotes { format: 1, id, kernel, terminal: format!("tty[{:x}:{:x}]", about.rdev(), about.dev()) })
}

/// The inode of a process's network namespace.
fn namespace(pid: i32) -> Result<u64> {
    let path = PathBuf::from(format!("/proc/{pid}/ns/net"));
    fs::metadata(&path).map(|about| about.ino()).map_err(io("read", &path))
}

/// A process in a container's cgroup that does not descend from its PID 1, with its name: it was started from outside,
/// and would not be saved.
fn foreign(id: u32, init: i32) -> Result<Option<(i32, String)>> {
    for pid in limits::processes(&limits::cgroup(id))? {
        let mut above = pid;
        while above != init && above > 1 {
            above = parent(above).unwrap_or(0);
        }
        if above != init {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            return Ok(Some((pid, name.trim().to_owned())));
        }
    }
    Ok(None)
}

/// A process's parent (proc_pid_stat(5), field 4).
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Errors that CRIU goes on from, when it looks what it and the kernel can do.
const HARMLESS: [&str; 2] = ["rlimit: Can't setup RLIMIT_NOFILE", "tun: Unable to create tun"];

/// Why CRIU failed: the first error in its log that is not harmless, as those after it are its consequences.
pub(super) fn reason(log: &Path) -> Option<String> {
    let lines = BufReader::new(File::open(log).ok()?).lines().map_while(|line| line.ok());
    let harmless = |text: &String| HARMLESS.iter().any(|known| text.starts_with(known));
    lines.into_iter().filter_map(|line| told(&line)).find(|text| !harmless(text))
}

/// The text of an error's line: `(00.004321)  1: Error (criu/sk-unix.c:123): unix: …`.
fn told(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("Error (")?;
    let (_, text) = rest.split_once("): ")?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_is_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let text = "(00.001) Warn  (criu/kerndat.c:1): nothing\n\
            Error (criu/util.c:1533): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted\n\
            (00.004321)     12: Error (criu/sk-netlink.c:77): netlink: The socket has data to read\n\
            (00.005) Error (criu/cr-dump.c:2111): Dumping FAILED.\n";
        fs::write(&log, text).unwrap();
        assert_eq!(reason(&log).as_deref(), Some("netlink: The socket has data to read"));
        assert_eq!(reason(&folder.path().join("none")), None);
    }

    #[test]
    fn notes_make_a_folder_a_dump() {
        let folder = tempfile::tempdir().unwrap();
        assert!(DumpNotes::read(folder.path()).is_err());
        let notes = DumpNotes { format: 1, id: 101, kernel: "6.1.0".into(), terminal: "tty[8800:18]".into() };
        let write = |notes: &DumpNotes| fs::write(folder.path().join(NOTES), serde_json::to_vec(notes).unwrap());
        write(&notes).unwrap();
        assert_eq!(DumpNotes::read(folder.path()).unwrap(), notes);
        write(&DumpNotes { format: 2, ..notes }).unwrap();
        assert!(DumpNotes::read(folder.path()).unwrap_err().to_string().contains("expected format 1, found 2"));
    }

    #[test]
    fn processes_that_a_test_started_are_its_children() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(parent(own), Some(nix::unistd::getppid().as_raw()));
    }
}
