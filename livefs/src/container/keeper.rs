//! The keeper of a container's console: a process that holds the terminal of PID 1 for as long as the container runs, writes
//! down what appears on it, and shows it to whoever attaches ([`attach`]).
//!
//! It is what lets a container outlive the command that started it: neither the end of `vzctl start` nor the hangup of its
//! terminal reaches it. The runtime sends the terminal's other end over a socket ("console socket" of runc and crun).

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::unistd::{ForkResult, fork, setsid};

use super::error::io as failed;
use super::{Result, limits};

/// How much of the output is kept, bytes; as much again in the file before (`.1`).
const KEPT: u64 = 64 * 1024;

/// A keeper that waits for the terminal. When this is dropped before the runtime has sent it, the keeper ends.
#[derive(Debug)]
pub struct Keeper {
    /// The socket that the runtime sends the terminal to.
    pub socket: PathBuf,
    held: UnixStream,
}

impl Keeper {
    /// To be called when the runtime has created the container: PID 1's terminal is then no session's. Without a controlling
    /// terminal of its own, PID 1 leaves that to the login on its console, as on a machine.
    ///
    /// # Errors
    /// The keeper ended.
    pub fn created(self) -> Result<()> {
        let Keeper { socket, mut held } = self;
        // The keeper's answer would come no earlier for being waited for, and the container's start takes the machine.
        held.write_all(b"c").map_err(failed("hand over", &socket))
    }
}

/// The socket that [`attach`] uses.
fn clients(folder: &Path, id: u32) -> PathBuf {
    folder.join(format!("{id}.console"))
}

/// Starts a keeper. `folder` holds its sockets; the output is appended to `log`. What the start wrote into the folder `settle`
/// the keeper brings to the disk, which nobody has to wait for.
///
/// # Errors
/// The sockets or the log can't be made.
pub fn start(folder: &Path, id: u32, log: &Path, settle: &Path) -> Result<Keeper> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    for needed in [Some(folder), log.parent()].into_iter().flatten() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(needed).map_err(failed("make", needed))?;
    }
    let listen = |path: &Path| {
        let _ = fs::remove_file(path);
        UnixListener::bind(path).map_err(failed("listen on", path))
    };
    let socket = folder.join(format!("{id}.pty"));
    let (runtime, viewers) = (listen(&socket)?, listen(&clients(folder, id))?);
    let written = OpenOptions::new().create(true).append(true).mode(0o600).open(log).map_err(failed("open", log))?;
    let (wait, held) = UnixStream::pair().map_err(failed("make a pair of sockets for", &socket))?;
    // SAFETY: this program has one thread.
    match unsafe { fork() }.map_err(failed("fork for", &socket))? {
        ForkResult::Parent { .. } => Ok(Keeper { socket, held }),
        ForkResult::Child => {
            drop(held);
            let _ = setsid();
            let _ = std::env::set_current_dir("/");
            // Whoever reads the output of `vzctl start` must see its end.
            if let Ok(null) = OpenOptions::new().read(true).write(true).open("/dev/null") {
                let _ = nix::unistd::dup2_stdin(&null);
                let _ = nix::unistd::dup2_stdout(&null);
                let _ = nix::unistd::dup2_stderr(&null);
            }
            leave_others(&[runtime.as_raw_fd(), viewers.as_raw_fd(), written.as_raw_fd(), wait.as_raw_fd()]);
            let terminal = receive(&runtime, &wait);
            drop(runtime);
            let _ = fs::remove_file(&socket);
            if let Ok(Some(terminal)) = terminal {
                let slave = release(&terminal, wait);
                settled(settle);
                let log = Log { file: written, path: log.to_owned() };
                // When even this fails, nobody is left to tell.
                let _ = keep(id, File::from(terminal), slave, viewers, log);
                let _ = fs::remove_file(clients(folder, id));
            }
            std::process::exit(0);
        }
    }
}

/// Closes all but the standard streams and our own: locks of the one who started us, ends of others' pipes.
fn leave_others(own: &[i32]) {
    let mut kept: Vec<u32> = own.iter().filter_map(|fd| u32::try_from(*fd).ok()).collect();
    kept.sort_unstable();
    let mut from = 3;
    for fd in kept.into_iter().chain([u32::MAX]) {
        if from < fd {
            // SAFETY: nothing in this process uses these from here on.
            unsafe { nix::libc::syscall(nix::libc::SYS_close_range, from, fd - 1, 0) };
        }
        from = fd.saturating_add(1);
    }
}

/// Brings a folder to the disk, without taking the machine from the container, which starts just now.
fn settled(folder: &Path) {
    use nix::libc::{PRIO_PROCESS, setpriority};
    // SAFETY: calls without memory, about this process.
    unsafe { setpriority(PRIO_PROCESS, 0, 19) };
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    // SAFETY: as above.
    unsafe { setpriority(PRIO_PROCESS, 0, 0) };
}

/// Waits for the terminal. None: the one who started us gave up.
fn receive(runtime: &UnixListener, wait: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut both = [PollFd::new(runtime.as_fd(), PollFlags::POLLIN), PollFd::new(wait.as_fd(), PollFlags::POLLIN)];
    while let Err(nix::Error::EINTR) = poll(&mut both, PollTimeout::NONE) {}
    if !both[0].any().unwrap_or(false) {
        return Ok(None);
    }
    let (stream, _) = runtime.accept()?;
    let mut text = [0; 256];
    let mut parts = [IoSliceMut::new(&mut text)];
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = part {
            // SAFETY: the kernel has just made these descriptors for us.
            return Ok(fds.first().map(|fd| unsafe { OwnedFd::from_raw_fd(*fd) }));
        }
    }
    Ok(None)
}

/// Waits until the container is created, and takes its terminal from the session of PID 1. Gives the container's end: as long
/// as one is open here, the terminal reports no hangup when the container has closed all of its own.
fn release(terminal: &OwnedFd, mut wait: UnixStream) -> Option<OwnedFd> {
    use nix::libc;
    let created = wait.read(&mut [0]).is_ok_and(|count| count == 1);
    // SAFETY: ioctls without memory; the descriptor that the first gives is ours. Signals are set before any thread.
    unsafe {
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
        let slave = libc::ioctl(terminal.as_raw_fd(), libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY);
        if slave < 0 {
            return None;
        }
        if created {
            // The host's root may take a terminal from another session (1), and then leave it.
            libc::ioctl(slave, libc::TIOCSCTTY, 1);
            libc::ioctl(slave, libc::TIOCNOTTY);
        }
        Some(OwnedFd::from_raw_fd(slave))
    }
}

/// What appeared on a console.
struct Log {
    file: File,
    path: PathBuf,
}

impl Log {
    fn write(&mut self, bytes: &[u8]) {
        let _ = self.file.write_all(bytes);
        if self.file.metadata().is_ok_and(|about| about.len() > KEPT) {
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            let _ = fs::rename(&self.path, old);
            if let Ok(file) = OpenOptions::new().create(true).append(true).open(&self.path) {
                self.file = file;
            }
        }
    }
}

/// Relays until no process of the container is left.
fn keep(id: u32, mut terminal: File, _slave: Option<OwnedFd>, viewers: UnixListener, mut log: Log) -> io::Result<()> {
    let events = File::open(limits::cgroup(id).join("cgroup.events"))?;
    let mut shown: Vec<UnixStream> = Vec::new();
    let mut buffer = [0; 4096];
    let mut ended = false;
    loop {
        let mut all = vec![
            PollFd::new(terminal.as_fd(), PollFlags::POLLIN),
            PollFd::new(viewers.as_fd(), PollFlags::POLLIN),
            PollFd::new(events.as_fd(), PollFlags::POLLPRI),
        ];
        all.extend(shown.iter().map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLIN)));
        // After the end, what is still in the terminal is written down.
        match poll(&mut all, if ended { PollTimeout::ZERO } else { PollTimeout::NONE }) {
            Err(nix::Error::EINTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let ready: Vec<PollFlags> = all.iter().map(|one| one.revents().unwrap_or(PollFlags::empty())).collect();
        if ready[0].contains(PollFlags::POLLIN) {
            let count = terminal.read(&mut buffer).unwrap_or(0);
            log.write(&buffer[..count]);
            // One that does not read is let go, so that it can't hold up the container.
            shown.retain_mut(|stream| stream.write_all(&buffer[..count]).is_ok());
            if count > 0 {
                continue;
            }
        }
        if ended {
            return Ok(());
        }
        if !ready[2].is_empty() {
            ended = limits::events(id, "populated") != Some(1);
            // Read by the descriptor that is polled: the kernel tells of changes since then.
            let mut text = [0; 256];
            use std::os::unix::fs::FileExt;
            ended |= events.read_at(&mut text, 0).is_err();
        }
        let mut gone = Vec::new();
        for (place, stream) in
            shown.iter_mut().enumerate().filter(|(place, _)| ready.get(3 + place).is_some_and(|f| !f.is_empty()))
        {
            match stream.read(&mut buffer) {
                Ok(count) if count > 0 => drop(terminal.write_all(&buffer[..count])),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                _ => gone.push(place),
            }
        }
        gone.iter().rev().for_each(|place| drop(shown.remove(*place)));
        if ready[1].contains(PollFlags::POLLIN) {
            if let Ok((stream, _)) = viewers.accept() {
                if stream.set_nonblocking(true).is_ok() {
                    shown.push(stream);
                }
            }
        }
    }
}

/// Esc, which leaves a console when `.` follows.
const ESCAPE: u8 = 0x1b;

/// Joins our standard streams to a container's console, until Esc `.` is typed, the input ends, or the container does.
///
/// # Errors
/// The container has no keeper.
pub fn attach(folder: &Path, id: u32) -> Result<()> {
    use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
    let path = clients(folder, id);
    let mut stream = UnixStream::connect(&path).map_err(failed("connect to", &path))?;
    let (input, mut output) = (io::stdin(), io::stdout());
    let before = tcgetattr(&input).ok();
    if let Some(before) = &before {
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&input, SetArg::TCSANOW, &raw).map_err(failed("set the terminal for", &path))?;
    }
    let done = relay(&mut stream, &mut output);
    if let Some(before) = &before {
        let _ = tcsetattr(&input, SetArg::TCSANOW, before);
    }
    done.map_err(failed("relay", &path))
}

fn relay(stream: &mut UnixStream, output: &mut io::Stdout) -> io::Result<()> {
    let input = io::stdin();
    let mut buffer = [0; 4096];
    let mut escaped = false;
    loop {
        let mut both = [PollFd::new(stream.as_fd(), PollFlags::POLLIN), PollFd::new(input.as_fd(), PollFlags::POLLIN)];
        match poll(&mut both, PollTimeout::NONE) {
            Err(nix::Error::EINTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let (shown, typed) = (both[0].any().unwrap_or(false), both[1].any().unwrap_or(false));
        if shown {
            let count = stream.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            output.write_all(&buffer[..count])?;
            output.flush()?;
        }
        if typed {
            let count = nix::unistd::read(input.as_fd(), &mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            let mut sent = Vec::new();
            for byte in &buffer[..count] {
                match (escaped, *byte) {
                    (true, b'.') => return stream.write_all(&sent),
                    (false, ESCAPE) => escaped = true,
                    (was, byte) => {
                        sent.extend(was.then_some(ESCAPE));
                        sent.push(byte);
                        escaped = false;
                    }
                }
            }
            stream.write_all(&sent)?;
        }
    }
}
