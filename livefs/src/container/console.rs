//! The client side of a container's console: shows what the keeper relays, and handles the escape keys.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::bundle::console_socket;
use super::error::io as failed;
use super::{Result, limits};

/// Esc; followed by `.` it detaches from a console, followed by `!` it kills what runs there.
const ESCAPE: u8 = 0x1b;

/// Kills the processes of a container whose terminal is its console: the login, and what was started there.
fn kill_there(id: u32) {
    let all = fs::read_to_string(limits::cgroup(id).join("cgroup.procs")).unwrap_or_default();
    for pid in all.lines().filter_map(|line| line.parse().ok()) {
        // A container that was restored has one of the host's.
        let console = fs::metadata(format!("/proc/{pid}/root/dev/console")).map(|about| about.rdev());
        let terminal = fs::read_to_string(format!("/proc/{pid}/stat")).ok().and_then(|stat| terminal_of(&stat));
        if terminal.is_some() && terminal == console.ok() {
            // A process that has ended meanwhile needs no killing.
            let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// A process's terminal, as stat(2) has it (proc_pid_stat(5), field 7).
fn terminal_of(stat: &str) -> Option<u64> {
    let number: u32 = stat.rsplit_once(')')?.1.split_whitespace().nth(4)?.parse().ok()?;
    Some(nix::sys::stat::makedev(u64::from(number >> 8 & 0xfff), u64::from(number & 0xff | number >> 12 & 0xfff00)))
}

/// Connects our standard streams to a container's console, until Esc `.` is typed, the input ends, or the container
/// ends.
///
/// # Errors
/// The container has no keeper.
pub fn attach(folder: &Path, id: u32) -> Result<()> {
    use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
    let path = console_socket(folder, id);
    let mut stream = UnixStream::connect(&path).map_err(failed("connect to", &path))?;
    let (input, mut output) = (io::stdin(), io::stdout());
    let before = tcgetattr(&input).ok();
    if let Some(before) = &before {
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&input, SetArg::TCSANOW, &raw).map_err(failed("set the terminal for", &path))?;
    }
    let done = relay(id, &mut stream, &mut output);
    if let Some(before) = &before {
        let _ = tcsetattr(&input, SetArg::TCSANOW, before);
    }
    done.map_err(failed("relay", &path))
}

fn relay(id: u32, stream: &mut UnixStream, output: &mut io::Stdout) -> io::Result<()> {
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
                    (true, b'!') => {
                        kill_there(id);
                        escaped = false;
                    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_by_the_kernels_text() {
        assert_eq!(terminal_of("9 (a) b) S 1 9 9 34816 9 4194560 0"), Some(nix::sys::stat::makedev(136, 0)));
        assert_eq!(
            terminal_of("9 (a) S 1 9 9 1083393 9 4194560 0"),
            Some(nix::sys::stat::makedev(136, 257 + (4 << 8) - 1024))
        );
        assert_eq!(terminal_of("9 (a) S 1 9 9 0 -1 4194560 0"), Some(0));
    }
}
