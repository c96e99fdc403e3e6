//! The keeper of a container: a process that is the parent of PID 1 as long as the container runs. It holds the
//! terminal of PID 1, logs its output, shows it to attached clients ([`super::console`]), and knows how PID 1 ended: by
//! itself, by `reboot` or by `halt` inside.
//!
//! It lets a container outlive the command that started it: neither the end of `vzctl start` nor the hangup of its
//! terminal affects it. The engine runs as its child and leaves PID 1 to it, as to the nearest "child subreaper"
//! (prctl(2)). The engine sends the terminal's other end over a socket ("console socket" of runc and crun).

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recv, recvmsg};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use super::bundle::{bundle, console_socket, number};
use super::checkpoint::Restore;
use super::detached::detach;
use super::error::io as failed;
use super::restored::{self, Created};
use super::start_space::StartSpace;
use super::{Result, freeze, limits};

/// How many bytes of the output are kept; the previous file (`.1`) has as many again.
const KEPT: u64 = 64 * 1024;

/// How a container's PID 1 ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// `reboot` inside.
    Reboot,
    /// `halt` or `poweroff` inside, or PID 1 ended by itself.
    Halt,
    /// It was killed, or crashed.
    Killed,
}

impl End {
    /// reboot(2) in a PID namespace kills PID 1: with SIGHUP for a restart, with SIGINT for halt and poweroff. From
    /// inside, these signals can't be sent to PID 1.
    fn of(status: WaitStatus) -> End {
        match status {
            WaitStatus::Signaled(_, Signal::SIGHUP, _) => End::Reboot,
            WaitStatus::Signaled(_, Signal::SIGINT, _) | WaitStatus::Exited(..) => End::Halt,
            _ => End::Killed,
        }
    }

    /// Its name on a command line.
    pub fn word(self) -> &'static str {
        match self {
            End::Reboot => "reboot",
            End::Halt => "halt",
            End::Killed => "killed",
        }
    }

    /// The end with this name.
    pub fn parse(word: &str) -> Option<End> {
        [End::Reboot, End::Halt, End::Killed].into_iter().find(|end| end.word() == word)
    }
}

/// What the keeper holds of a container, and what it does when it ends.
pub struct Kept<'a> {
    /// The console's output is appended to this file.
    pub log: &'a Path,
    /// Saved processes that take the place of PID 1.
    pub restore: Option<Restore>,
    /// Called in the keeper while the engine works.
    pub meanwhile: Box<dyn FnOnce() + 'a>,
    /// Called in the keeper when no process of the container is left, with PID 1's number on the host.
    pub ended: Box<dyn FnOnce(i32, End) + 'a>,
}

/// How the engine is run.
pub struct Engine {
    /// Its command.
    pub command: Command,
    /// The mount namespace that it is run in; none: the host's.
    pub space: Option<StartSpace>,
}

/// A container that is being created. If it is dropped before [`KeeperStart::go`], everything created so far is killed.
#[derive(Debug)]
pub struct KeeperStart {
    /// None: PID 1 runs, and nothing more will be received.
    keeper: Option<UnixStream>,
    pid: Pid,
    socket: PathBuf,
}

impl KeeperStart {
    /// The path of the network namespace that the keeper creates, valid while the engine works.
    pub fn network(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.pid).into()
    }

    /// Waits for that network namespace, and gives it; must be called before [`KeeperStart::run`], after which the keeper
    /// may leave it again.
    ///
    /// # Errors
    /// The kernel refused, or the keeper was killed.
    pub fn networked(&mut self) -> Result<OwnedFd> {
        let mut told = [0; 4];
        let heard = self.hear(&mut told).and_then(|()| match i32::from_ne_bytes(told) {
            0 => File::open(self.network()).map(OwnedFd::from),
            error => Err(io::Error::from_raw_os_error(error)),
        });
        heard.map_err(failed("make the network namespace", &self.network()))
    }

    /// Lets the keeper run the engine.
    pub fn run(&mut self) {
        self.say();
    }

    /// Waits until the engine has created the container, or has failed; must be called once. Gives the engine's exit
    /// status.
    ///
    /// # Errors
    /// The keeper was killed.
    pub fn made(&mut self) -> Result<ExitStatus> {
        let mut told = [0; 4];
        self.hear(&mut told).map_err(failed("read from the keeper at", &self.socket))?;
        Ok(ExitStatus::from_raw(i32::from_ne_bytes(told)))
    }

    /// Waits until the saved processes exist, after [`KeeperStart::made`]; they do not run before [`KeeperStart::go`].
    /// Gives whether CRIU has succeeded.
    ///
    /// # Errors
    /// The keeper failed or was killed.
    pub fn restored(&mut self) -> Result<bool> {
        self.say();
        let mut told = [0; 4];
        self.hear(&mut told).map_err(failed("restore the processes that wait at", &self.socket))?;
        Ok(i32::from_ne_bytes(told) == 0)
    }

    /// Permits PID 1 to run: at once, or as soon as the engine has created it.
    pub fn go(&mut self) {
        self.say();
    }

    fn say(&mut self) {
        // If the keeper is gone, the wait for its answer reports that.
        let _ = self.keeper.as_mut().map(|keeper| keeper.write_all(&[1]));
    }

    /// Waits until PID 1 runs, after [`KeeperStart::made`] and [`KeeperStart::go`].
    ///
    /// # Errors
    /// The container could not be started, or its keeper was killed.
    pub fn started(&mut self) -> Result<()> {
        self.hear(&mut [0]).map_err(failed("start the process that waits at", &self.socket))?;
        self.keeper = None;
        Ok(())
    }

    fn hear(&mut self, told: &mut [u8]) -> io::Result<()> {
        self.keeper.as_mut().ok_or(io::ErrorKind::NotConnected)?.read_exact(told)
    }
}

impl Drop for KeeperStart {
    fn drop(&mut self) {
        // Until the keeper has closed its socket: the container must not be removed while the engine is still working.
        if let Some(keeper) = &mut self.keeper {
            let _ = keeper.shutdown(std::net::Shutdown::Write);
            let _ = keeper.read_to_end(&mut Vec::new());
        }
    }
}

/// Creates a keeper, which runs the engine when told to ([`KeeperStart::run`]): the command creates the
/// container `id`. Its last options are added here: where the terminal is sent and where PID 1's number is written. The
/// sockets are in the bundle, which must exist. PID 1 waits for a byte from the engine's pipe `gate`. With `network`
/// the keeper meanwhile creates a network namespace, and is in it while the engine works.
///
/// If the keeper finds that its creator was killed meanwhile, it kills the container, too.
///
/// # Errors
/// The sockets, the log or the keeper can't be created.
pub fn begin(
    folder: &Path,
    id: u32,
    gate: &Path,
    Engine { mut command, space }: Engine,
    kept: Kept,
    network: bool,
) -> Result<KeeperStart> {
    let log = kept.log;
    let listen = |path: &Path| {
        let _ = fs::remove_file(path);
        UnixListener::bind(path).map_err(failed("listen on", path))
    };
    // They are removed with the bundle, whoever is still connected.
    let (socket, number) = (bundle(folder, id).join("terminal"), number(folder, id));
    let (runtime, viewers) = (listen(&socket)?, listen(&console_socket(folder, id))?);
    let written = append(log).map_err(failed("open", log))?;
    let (keeper, held) = UnixStream::pair().map_err(failed("make a pair of sockets for", &socket))?;
    command.arg("--console-socket").arg(&socket).arg("--pid-file").arg(&number).arg(id.to_string());
    // SAFETY: this program has one thread.
    match unsafe { fork() }.map_err(failed("fork for", &socket))? {
        ForkResult::Parent { child } => Ok(KeeperStart { keeper: Some(keeper), pid: child, socket }),
        ForkResult::Child => {
            drop(keeper);
            let mut used = vec![runtime.as_raw_fd(), viewers.as_raw_fd(), written.as_raw_fd(), held.as_raw_fd()];
            used.extend(space.iter().flat_map(StartSpace::descriptors));
            detach(&used);
            if let Some(space) = space {
                // SAFETY: it only makes system calls.
                unsafe { command.pre_exec(move || space.enter()) };
            }
            let mut own = None;
            let status = prepare(network, &held).and_then(|host| {
                let status = run(command, kept.meanwhile)?;
                if kept.restore.is_some() {
                    own = Some(File::open("/proc/self/ns/net")?);
                }
                host.map_or(Ok(()), |host| setns(host, CloneFlags::CLONE_NEWNET))?;
                Ok(status)
            });
            let made = status.and_then(|status| Ok((status, receive(&runtime, status.success())?)));
            drop(runtime);
            let init = fs::read_to_string(&number).and_then(|text| text.trim().parse().map_err(io::Error::other));
            match (made, init) {
                (Ok((status, Some(terminal))), Ok(init)) => {
                    let log = ConsoleLog { file: written, path: log.to_owned() };
                    let mut slave = release(&terminal);
                    let (mut init, mut terminal) = (Pid::from_raw(init), terminal);
                    let opened = match kept.restore.zip(own) {
                        None => open(gate, &held, status),
                        Some((restore, network)) => {
                            let (bundle, network) = (&*bundle(folder, id), network.into());
                            let made = Created { id, bundle, gate, init, network };
                            restored::replace(&restore, made, status, &held).and_then(|new| {
                                init = new.init;
                                (terminal, slave) = (new.terminal.master, Some(new.terminal.slave));
                                fs::write(&number, format!("{init}"))?;
                                (&held).write_all(&[0])
                            })
                        }
                    };
                    // The rest can be done after answering those who wait.
                    nix::sched::sched_yield().ok();
                    // A caller that gave up waits until nothing is left that could be taken for the next container with
                    // this number.
                    let waiting = match opened {
                        Ok(()) => {
                            drop(held);
                            None
                        }
                        Err(_) => {
                            let _ = freeze::kill_all(id);
                            Some(held)
                        }
                    };
                    // If even this fails, there is nobody left to tell.
                    let ended = keep(id, init, File::from(terminal), viewers, log);
                    drop(slave);
                    drop(waiting);
                    // A program started later must not ignore it as well. SAFETY: as above.
                    unsafe { nix::libc::signal(nix::libc::SIGHUP, nix::libc::SIG_DFL) };
                    if let Ok(end) = ended {
                        (kept.ended)(init.as_raw(), end);
                    }
                }
                // The engine failed, and has printed why.
                (Ok((status, None)), _) => drop(report(&held, status)),
                // The waiting process sees the end of the socket.
                _ => drop(held),
            }
            std::process::exit(0);
        }
    }
}

/// Opens a file for appending, in a folder that is created if necessary; neither is accessible to others.
fn append(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::DirBuilderExt;
    let open = || OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap_or(path))?;
            open()
        }
        done => done,
    }
}

/// Creates the requested network namespace, and waits until the engine is to run. Gives the keeper's previous one.
fn prepare(network: bool, mut held: &UnixStream) -> io::Result<Option<File>> {
    let host = if network { Some(File::open("/proc/self/ns/net")?) } else { None };
    if network {
        let made = unshare(CloneFlags::CLONE_NEWNET);
        held.write_all(&made.err().map_or(0, |error| error as i32).to_ne_bytes())?;
        made?;
    }
    held.read_exact(&mut [0])?;
    Ok(host)
}

/// Reports that the container is created, and lets its PID 1 run once that is requested, as `crun start` does.
fn open(gate: &Path, mut held: &UnixStream, made: ExitStatus) -> io::Result<()> {
    // Usually the request has arrived meanwhile: then one answer serves for both, as each answer wakes the waiting
    // process. Reading the request would, too. If that process is gone, the first answer fails.
    let asked = recv(held.as_raw_fd(), &mut [0], MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK) == Ok(1) && !gone(held);
    let mut answer = made.into_raw().to_ne_bytes().to_vec();
    if !asked {
        held.write_all(&std::mem::take(&mut answer))?;
        held.read_exact(&mut [0])?;
    }
    // Without waiting for a reader, which exists: PID 1.
    let mut pipe = OpenOptions::new().write(true).custom_flags(nix::libc::O_NONBLOCK).open(gate)?;
    fs::remove_file(gate)?;
    pipe.write_all(&[0])?;
    // It runs, whether or not anyone still waits for the answer.
    answer.push(0);
    let _ = held.write_all(&answer);
    Ok(())
}

/// Whether the other end is closed.
fn gone(held: &UnixStream) -> bool {
    let mut one = [PollFd::new(held.as_fd(), PollFlags::empty())];
    poll(&mut one, PollTimeout::ZERO).is_ok()
        && one[0].revents().is_some_and(|found| found.contains(PollFlags::POLLHUP))
}

fn report(mut held: &UnixStream, status: ExitStatus) -> io::Result<()> {
    held.write_all(&status.into_raw().to_ne_bytes())
}

/// Runs the engine, and something else meanwhile.
fn run(mut command: Command, meanwhile: impl FnOnce()) -> io::Result<ExitStatus> {
    let mut engine = command.spawn()?;
    meanwhile();
    engine.wait()
}

/// The terminal that the engine has sent, which it has done by now if it succeeded.
fn receive(runtime: &UnixListener, sent: bool) -> io::Result<Option<OwnedFd>> {
    if !sent {
        return Ok(None);
    }
    runtime.set_nonblocking(true)?;
    let (stream, _) = runtime.accept()?;
    let mut text = [0; 256];
    let mut parts = [IoSliceMut::new(&mut text)];
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = part {
            // SAFETY: the kernel has just created these descriptors for us.
            return Ok(fds.first().map(|fd| unsafe { OwnedFd::from_raw_fd(*fd) }));
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// Takes the terminal of a created container from the session of PID 1, which then leaves it to the login on its
/// console, as on a machine. Gives the container's end: while one is open here, the terminal does not report a hangup
/// when the container has closed all of its own.
fn release(terminal: &OwnedFd) -> Option<OwnedFd> {
    use nix::libc;
    // SAFETY: ioctls without memory; the descriptor that the first one returns is ours. Signals are set before any
    // thread.
    unsafe {
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
        let slave = libc::ioctl(terminal.as_raw_fd(), libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY);
        if slave < 0 {
            return None;
        }
        // The host's root may take a terminal from another session (1), and then give it up.
        libc::ioctl(slave, libc::TIOCSCTTY, 1);
        libc::ioctl(slave, libc::TIOCNOTTY);
        Some(OwnedFd::from_raw_fd(slave))
    }
}

/// The log of a console's output.
struct ConsoleLog {
    file: File,
    path: PathBuf,
}

impl ConsoleLog {
    fn write(&mut self, bytes: &[u8]) {
        let _ = self.file.write_all(bytes);
        if self.file.metadata().is_ok_and(|about| about.len() > KEPT) {
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            let _ = fs::rename(&self.path, old);
            if let Ok(file) = append(&self.path) {
                self.file = file;
            }
        }
    }
}

/// Relays until no process of the container is left. Gives how PID 1 ended.
fn keep(id: u32, init: Pid, mut terminal: File, viewers: UnixListener, mut log: ConsoleLog) -> io::Result<End> {
    let process = crate::process::watch(init.as_raw())?;
    let mut end = None;
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
        // Once it is reaped, its descriptor would always be ready.
        all.extend(end.is_none().then(|| PollFd::new(process.as_fd(), PollFlags::POLLIN)));
        let own = all.len();
        all.extend(shown.iter().map(|stream| PollFd::new(stream.as_fd(), PollFlags::POLLIN)));
        // After the end, the terminal's remaining output is logged.
        match poll(&mut all, if ended && end.is_some() { PollTimeout::ZERO } else { PollTimeout::NONE }) {
            Err(nix::Error::EINTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let ready: Vec<PollFlags> = all.iter().map(|one| one.revents().unwrap_or(PollFlags::empty())).collect();
        if ready[0].contains(PollFlags::POLLIN) {
            let count = terminal.read(&mut buffer).unwrap_or(0);
            log.write(&buffer[..count]);
            // A client that does not read is disconnected, so that it can't hold up the container.
            shown.retain_mut(|stream| stream.write_all(&buffer[..count]).is_ok());
            if count > 0 {
                continue;
            }
        }
        if own > 3 && !ready[3].is_empty() {
            end = Some(End::of(waitpid(init, None)?));
        }
        if let (true, Some(end)) = (ended, end) {
            return Ok(end);
        }
        if !ready[2].is_empty() {
            ended = limits::events(id).is_none_or(|events| !events.populated);
            // Read through the polled descriptor: the kernel reports changes since then.
            let mut text = [0; 256];
            use std::os::unix::fs::FileExt;
            ended |= events.read_at(&mut text, 0).is_err();
        }
        let mut gone = Vec::new();
        for (place, stream) in
            shown.iter_mut().enumerate().filter(|(place, _)| ready.get(own + place).is_some_and(|f| !f.is_empty()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_an_init_ends() {
        let pid = Pid::from_raw(7);
        assert_eq!(End::of(WaitStatus::Signaled(pid, Signal::SIGHUP, false)), End::Reboot);
        assert_eq!(End::of(WaitStatus::Signaled(pid, Signal::SIGINT, false)), End::Halt);
        assert_eq!(End::of(WaitStatus::Exited(pid, 1)), End::Halt);
        assert_eq!(End::of(WaitStatus::Signaled(pid, Signal::SIGKILL, false)), End::Killed);
        assert!([End::Reboot, End::Halt, End::Killed].iter().all(|end| End::parse(end.word()) == Some(*end)));
    }
}
