//! The only module that starts processes.
//!
//! A child has an empty standard input unless one is stated, and is killed when dbco dies: a [`Run::group`] with all
//! processes that it has started, the sandbox's processes by their own means. Its output is written to a log and passed
//! to a callback line by line. An error quotes the command and the end of its output.

mod leash;
mod terminal;

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::interrupt;
use leash::Leash;

pub use terminal::{SavedTerminal, restore_terminals};

/// A list of arguments from printable values.
macro_rules! argv {
    ($($word:expr),* $(,)?) => { vec![$($word.to_string()),*] };
}
pub(crate) use argv;

/// How many of the last lines an error quotes.
const TAIL: usize = 30;

/// Called with each line that a child prints.
pub type Watch<'a> = &'a (dyn Fn(&str) + Sync);

/// What is written to a child's standard input.
pub type Feed<'a> = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'a>;

/// A command to run until it exits.
pub struct Run<'a> {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
    log: Option<PathBuf>,
    watch: Option<Watch<'a>>,
    /// Where its standard output goes; without it, to the same place as its errors.
    stdout: Option<File>,
    feed: Option<Feed<'a>>,
    group: bool,
    idle: Option<Duration>,
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("can't start `{command}`")]
    Start {
        /// The command as it would be typed in a shell.
        command: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// It ended with another status than 0.
    #[error("`{command}` {status}")]
    Failed {
        /// The command as it would be typed in a shell.
        command: String,
        /// Exit status or signal.
        status: ExitStatus,
        /// The last lines of its output.
        tail: Vec<String>,
    },
    /// It was killed because it printed nothing for too long.
    #[error("`{command}` printed nothing for {} s and was terminated", idle.as_secs())]
    Idle {
        /// The command as it would be typed in a shell.
        command: String,
        /// The time limit.
        idle: Duration,
    },
    /// Reading its output, writing its log or feeding it failed.
    #[error("I/O error while running `{command}`")]
    Io {
        /// The command as it would be typed in a shell.
        command: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl<'a> Run<'a> {
    /// A command without arguments, with an empty environment.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            cwd: None,
            log: None,
            watch: None,
            stdout: None,
            feed: None,
            group: false,
            idle: None,
        }
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets a variable of its environment, which otherwise is empty.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sets its working folder; the default is that of this process.
    pub fn cwd(mut self, folder: &Path) -> Self {
        self.cwd = Some(folder.to_owned());
        self
    }

    /// Appends all that it prints to a file.
    pub fn log(mut self, path: &Path) -> Self {
        self.log = Some(path.to_owned());
        self
    }

    /// Passes each line that it prints to `watch`.
    pub fn watch(mut self, watch: Watch<'a>) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Writes `feed` to its standard input.
    pub fn feed(mut self, feed: Feed<'a>) -> Self {
        self.feed = Some(feed);
        self
    }

    /// Gives it a process group of its own, which is killed when it ends: for programs that start others and run
    /// outside the sandbox. The group is also killed when this process ends, in whatever way.
    pub fn group(mut self) -> Self {
        self.group = true;
        self
    }

    /// Kills it when it has printed nothing for that long.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// The command as it would be typed in a shell, without the credentials in its URLs.
    pub fn quoted(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.arguments);
        words.map(|word| quote(&crate::mask::text(&word.to_string_lossy()))).collect::<Vec<_>>().join(" ")
    }

    /// As [`Run::run`]; returns the bytes of its standard output.
    pub fn output(mut self) -> Result<Vec<u8>, ProcessError> {
        let command = self.quoted();
        let lost = |source| ProcessError::Io { command: command.clone(), source };
        let mut file = tempfile::tempfile().map_err(lost)?;
        self.stdout = Some(file.try_clone().map_err(lost)?);
        self.run()?;
        let mut bytes = Vec::new();
        file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map_err(lost)?;
        Ok(bytes)
    }

    /// Runs it; any result other than exit status 0 is an error.
    pub fn run(mut self) -> Result<(), ProcessError> {
        let command = self.quoted();
        let lost = |source| ProcessError::Io { command: command.clone(), source };
        interrupt::check().map_err(lost)?;
        let log = match &self.log {
            Some(path) => Some(File::options().create(true).append(true).open(path).map_err(lost)?),
            None => None,
        };
        let (mut child, output, leash) =
            self.spawn().map_err(|source| ProcessError::Start { command: command.clone(), source })?;
        let guard = if self.group { Registered::group(&child) } else { Registered::new(&child) };
        let input = child.stdin.take();
        let feed = self.feed.take();
        let sink = Mutex::new((log, VecDeque::with_capacity(TAIL)));
        let result = std::thread::scope(|scope| {
            let fed = feed
                .zip(input)
                .map(|(feed, mut input)| std::thread::Builder::new().spawn_scoped(scope, move || feed(&mut input)));
            let output = ProcessOutput { pipe: output, idle: self.idle };
            let read = if matches!(fed, Some(Err(_))) { Ok(()) } else { drain(output, &sink, self.watch) };
            if matches!(fed, Some(Err(_))) || read.is_err() {
                guard.kill();
            }
            let status = child.wait()?;
            let fed = fed.map_or(Ok(()), |thread| {
                thread?.join().unwrap_or_else(|_| Err(io::Error::other("the feeding thread panicked")))
            });
            read?;
            Ok((status, fed))
        });
        drop(guard);
        leash.into_iter().for_each(Leash::release);
        let (status, fed) = result.map_err(|error: io::Error| match self.idle {
            Some(idle) if error.kind() == io::ErrorKind::TimedOut => {
                ProcessError::Idle { command: command.clone(), idle }
            }
            _ => lost(error),
        })?;
        interrupt::check().map_err(lost)?;
        if !status.success() {
            let tail = sink.into_inner().unwrap_or_else(|e| e.into_inner()).1.into();
            return Err(ProcessError::Failed { command, status, tail });
        }
        fed.map_err(lost)
    }

    fn spawn(&self) -> io::Result<(Child, io::PipeReader, Option<Leash>)> {
        let (reader, writer) = io::pipe()?;
        let mut command = command(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(if self.feed.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(match &self.stdout {
                Some(file) => Stdio::from(file.try_clone()?),
                None => writer.try_clone()?.into(),
            })
            .stderr(writer);
        if let Some(folder) = &self.cwd {
            command.current_dir(folder);
        }
        if !self.group {
            return Ok((command.spawn()?, reader, None));
        }
        let (watched, leash) = io::pipe()?;
        leash::attach(command.process_group(0), watched.as_fd());
        Ok((command.spawn()?, reader, Some(Leash(leash))))
    }
}

/// The only call of [`Command::new`]; for children whose pipes the caller handles (QEMU's console).
#[allow(clippy::disallowed_methods)]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

type Sink = Mutex<(Option<File>, VecDeque<String>)>;

/// The output of a child; an error (`TimedOut`) when nothing arrives for too long.
struct ProcessOutput {
    pipe: io::PipeReader,
    idle: Option<Duration>,
}

impl Read for ProcessOutput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        if let Some(idle) = self.idle {
            let timeout = PollTimeout::try_from(idle).unwrap_or(PollTimeout::MAX);
            if poll(&mut [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)], timeout)? == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
        self.pipe.read(buffer)
    }
}

fn drain(output: ProcessOutput, sink: &Sink, watch: Option<Watch<'_>>) -> io::Result<()> {
    let mut reader = BufReader::new(output);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        let line = String::from_utf8_lossy(&bytes);
        // Of a line that is overwritten repeatedly, such as a progress display, only the final text counts.
        let line = crate::mask::text(line.trim_end().rsplit('\r').next().unwrap_or_default()).into_owned();
        if let Some(watch) = watch {
            watch(&line);
        }
        let mut sink = sink.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(log) = &mut sink.0 {
            log.write_all(&bytes)?;
        }
        if sink.1.len() == TAIL {
            sink.1.pop_front();
        }
        sink.1.push_back(line);
        bytes.clear();
    }
    Ok(())
}

/// `word`, quoted for a POSIX shell.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:=@_".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Running children, for [`kill_all`]: the argument for kill(2), the negative number of a process group.
static RUNNING: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// Keeps a child in the list of processes that [`kill_all`] kills.
pub struct Registered(i32);

impl Registered {
    /// Registers a running child until the guard is dropped. If a signal arrived while it was started, it is killed at
    /// once.
    pub fn new(child: &Child) -> Arc<Self> {
        Self::register(child.id() as i32)
    }

    /// The same for a child that leads a process group, with all processes of the group.
    fn group(child: &Child) -> Arc<Self> {
        Self::register(-(child.id() as i32))
    }

    fn register(target: i32) -> Arc<Self> {
        RUNNING.lock().unwrap_or_else(|e| e.into_inner()).push(target);
        if interrupt::raised().is_some() {
            kill_all();
        }
        Arc::new(Self(target))
    }

    /// Kills it (SIGKILL).
    fn kill(&self) {
        end(self.0);
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        RUNNING.lock().unwrap_or_else(|e| e.into_inner()).retain(|&target| target != self.0);
    }
}

fn end(target: i32) {
    use nix::sys::signal::{Signal, kill};
    // A child that has exited in the meantime is no error.
    let _ = kill(nix::unistd::Pid::from_raw(target), Signal::SIGKILL);
}

/// Kills every running child (SIGKILL), for ^C: the sandbox's init dies with all processes that it started.
pub fn kill_all() {
    RUNNING.lock().unwrap_or_else(|e| e.into_inner()).iter().for_each(|&target| end(target));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_quotes_the_command_and_the_end_of_its_output() {
        let error = Run::new("/bin/sh").args(["-c", "echo one; echo two >&2; exit 3"]).run().unwrap_err();
        let ProcessError::Failed { command, tail, status } = error else { panic!("{error}") };
        assert_eq!(command, "/bin/sh -c 'echo one; echo two >&2; exit 3'");
        assert_eq!(tail, ["one", "two"]);
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn a_silent_child_is_ended_with_all_that_it_started() {
        // The grandchild has the pipe open, and would otherwise delay the end of the run for as long as it lives.
        for script in
            ["sleep 600", "sleep 600 & sleep 600", "echo x; sleep 600 & wait", "(sleep 600 &); exec sleep 600"]
        {
            let idle = Duration::from_millis(200);
            let begin = std::time::Instant::now();
            let run = Run::new("/bin/sh").args(["-c", script]).env("PATH", "/usr/bin:/bin").group().idle(idle);
            let error = run.run().unwrap_err();
            assert!(matches!(error, ProcessError::Idle { .. }), "{script}: {error}");
            assert!(begin.elapsed() < Duration::from_secs(60), "{script}");
        }
        let talks = "for i in 1 2 3 4 5 6 7 8; do printf 'x%s\\r' $i; sleep 0.5; done";
        let run = Run::new("/bin/sh").args(["-c", talks]).env("PATH", "/usr/bin:/bin").group();
        run.idle(Duration::from_secs(3)).run().unwrap();
    }

    #[test]
    fn what_a_group_leaves_in_the_background_stays() {
        let script = "sleep 600 >/dev/null 2>&1 & echo $!";
        for _ in 0..3 {
            let run = Run::new("/bin/sh").args(["-c", script]).env("PATH", "/usr/bin:/bin").group();
            let seen = Mutex::new(Vec::new());
            run.watch(&|line: &str| seen.lock().unwrap().push(line.to_owned())).run().unwrap();
            let background: i32 = seen.into_inner().unwrap()[0].parse().unwrap();
            let group = nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(background))).unwrap();
            assert_ne!(group, nix::unistd::getpgrp());
            // It still exists and can be killed.
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(background), nix::sys::signal::Signal::SIGKILL).unwrap();
        }
    }

    #[test]
    fn a_feed_reaches_standard_input() {
        let seen = Mutex::new(Vec::new());
        let watch = |line: &str| seen.lock().unwrap().push(line.to_owned());
        Run::new("/bin/cat").feed(Box::new(|out| out.write_all(b"x\ny\n"))).watch(&watch).run().unwrap();
        assert_eq!(*seen.lock().unwrap(), ["x", "y"]);
    }
}
