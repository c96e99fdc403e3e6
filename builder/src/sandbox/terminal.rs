//! A command at a terminal of its own: a pseudoterminal, whose other side is copied from and to the user's terminal.
//!
//! So the command can do nothing to the user's terminal but write to it, its keys (^C, ^Z) mean what its shell makes of
//! them, and job control works although the command is in another session and PID namespace.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, ExitStatus};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use signal_hook::consts::SIGWINCH;
use signal_hook::low_level;

use super::sys;
use crate::process::{Registered, SavedTerminal};

/// The most bytes that were typed and not read yet; more are left to the terminal.
const MOST_TYPED: usize = 64 * 1024;

/// Runs a command at this process's controlling terminal until it exits.
///
/// # Errors
/// There is no controlling terminal, or a system call failed.
pub fn run(mut command: Command) -> io::Result<ExitStatus> {
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let saved = SavedTerminal::take(terminal.try_clone()?);
    let size = sys::window_size(&terminal)?;
    let pty = openpty(&size, saved.settings())?;
    for end in [&pty.master, &pty.slave] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    let end = || pty.slave.try_clone();
    command.stdin(end()?).stdout(end()?).stderr(end()?);
    let mut child = command.spawn()?;
    let _guard = Registered::new(&child);
    // The other side ends when nobody has this one open.
    drop((command, pty.slave));
    saved.make_raw()?;
    let copied = copy(&terminal, File::from(pty.master));
    drop(saved);
    let status = child.wait()?;
    copied.map(|()| status)
}

/// Copies both ways until the other side is closed, or the terminal is gone. The command is then sent SIGHUP, as `master`
/// is closed.
fn copy(mut terminal: &File, mut master: File) -> io::Result<()> {
    let (mut resized, signal) = io::pipe()?;
    let signal = low_level::pipe::register(SIGWINCH, OwnedFd::from(signal))?;
    let flags = OFlag::from_bits_retain(fcntl(&master, FcntlArg::F_GETFL)?);
    fcntl(&master, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    let mut typed: Vec<u8> = Vec::new();
    let mut buffer = [0; 16 * 1024];
    let ended = loop {
        let output = if typed.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
        let input = if typed.len() < MOST_TYPED { PollFlags::POLLIN } else { PollFlags::empty() };
        let mut polled = [
            PollFd::new(master.as_fd(), PollFlags::POLLIN | output),
            PollFd::new(resized.as_fd(), PollFlags::POLLIN),
            PollFd::new(terminal.as_fd(), input),
        ];
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => break Err(error.into()),
        }
        let ready = polled.map(|polled| polled.revents().unwrap_or(PollFlags::empty()));
        if !ready[0].is_empty() {
            match master.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(count) => {
                    if let Err(error) = terminal.write_all(&buffer[..count]) {
                        break Err(error);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The other side is closed.
                Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => break Ok(()),
                Err(error) => break Err(error),
            }
        }
        if ready[0].contains(PollFlags::POLLOUT) && !typed.is_empty() {
            match master.write(&typed) {
                Ok(count) => drop(typed.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => break Err(error),
            }
        }
        if !ready[1].is_empty() {
            let _ = resized.read(&mut buffer);
            if let Ok(size) = sys::window_size(terminal) {
                let _ = sys::set_window_size(&master, &size);
            }
        }
        // These are reported whether or not they are requested.
        if ready[2].intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL) {
            break Ok(());
        }
        if ready[2].contains(PollFlags::POLLIN) {
            match terminal.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(count) => typed.extend(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        }
    };
    low_level::unregister(signal);
    ended
}
