//! The one place that starts processes.
//!
//! A child gets no standard input unless one is stated, dies with us, and its output goes to a log and to whoever
//! watches its last line. Failure quotes the command and the end of what it printed.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

/// How many of the last lines an error carries.
const TAIL: usize = 30;

/// Called with each line that a child prints.
pub type Watch<'a> = &'a (dyn Fn(&str) + Sync);

/// What is fed to a child's standard input.
pub type Feed<'a> = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'a>;

/// A command to run to its end.
pub struct Run<'a> {
    program: OsString,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
    log: Option<PathBuf>,
    watch: Option<Watch<'a>>,
    feed: Option<Feed<'a>>,
}

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("can't start `{command}`")]
    Start {
        /// The command as a shell would take it.
        command: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// It ended with another status than 0.
    #[error("`{command}` {status}")]
    Failed {
        /// The command as a shell would take it.
        command: String,
        /// Exit status or signal.
        status: ExitStatus,
        /// The last lines of its output.
        tail: Vec<String>,
    },
    /// Reading its output, writing its log or feeding it failed.
    #[error("lost touch with `{command}`")]
    Io {
        /// The command as a shell would take it.
        command: String,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
}

impl<'a> Run<'a> {
    /// A command without arguments, in an empty environment.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            cwd: None,
            log: None,
            watch: None,
            feed: None,
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

    /// Starts it in a folder; otherwise it starts in ours.
    pub fn cwd(mut self, folder: &Path) -> Self {
        self.cwd = Some(folder.to_owned());
        self
    }

    /// Appends all it prints to a file.
    pub fn log(mut self, path: &Path) -> Self {
        self.log = Some(path.to_owned());
        self
    }

    /// Shows each line it prints to `watch`.
    pub fn watch(mut self, watch: Watch<'a>) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Feeds its standard input.
    pub fn feed(mut self, feed: Feed<'a>) -> Self {
        self.feed = Some(feed);
        self
    }

    /// The command as a shell would take it.
    pub fn quoted(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.arguments);
        words.map(|word| quote(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
    }

    /// Runs it; any other end than exit status 0 is an error.
    pub fn run(mut self) -> Result<(), ProcessError> {
        let command = self.quoted();
        let lost = |source| ProcessError::Io { command: command.clone(), source };
        let log = match &self.log {
            Some(path) => Some(File::options().create(true).append(true).open(path).map_err(lost)?),
            None => None,
        };
        let (mut child, output) =
            self.spawn().map_err(|source| ProcessError::Start { command: command.clone(), source })?;
        let guard = Registered::new(&child);
        let input = child.stdin.take();
        let feed = self.feed.take();
        let sink = Mutex::new((log, VecDeque::with_capacity(TAIL)));
        let result = std::thread::scope(|scope| {
            let fed = scope.spawn(move || match (feed, input) {
                (Some(feed), Some(mut input)) => feed(&mut input),
                _ => Ok(()),
            });
            let read = drain(output, &sink, self.watch);
            let status = child.wait()?;
            let fed = fed.join().unwrap_or_else(|_| Err(io::Error::other("the feeding thread panicked")));
            read?;
            Ok((status, fed))
        });
        drop(guard);
        let (status, fed) = result.map_err(lost)?;
        if !status.success() {
            let tail = sink.into_inner().unwrap_or_else(|e| e.into_inner()).1.into();
            return Err(ProcessError::Failed { command, status, tail });
        }
        fed.map_err(lost)
    }

    fn spawn(&self) -> io::Result<(Child, io::PipeReader)> {
        let (reader, writer) = io::pipe()?;
        let mut command = command(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(if self.feed.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(writer.try_clone()?)
            .stderr(writer);
        if let Some(folder) = &self.cwd {
            command.current_dir(folder);
        }
        let child = command.spawn()?;
        Ok((child, reader))
    }
}

/// The one call of [`Command::new`]; for children whose pipes the caller handles himself (QEMU's console).
#[allow(clippy::disallowed_methods)]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

type Sink = Mutex<(Option<File>, VecDeque<String>)>;

fn drain(output: io::PipeReader, sink: &Sink, watch: Option<Watch<'_>>) -> io::Result<()> {
    let mut reader = BufReader::new(output);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
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

/// `word` as a POSIX shell would have to read it.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "%+,-./:=@_".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Process ids of running children, for [`kill_all`].
static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Keeps a child in the list of those that [`kill_all`] ends.
pub struct Registered(u32);

impl Registered {
    /// Registers a running child until the guard is dropped.
    pub fn new(child: &Child) -> Arc<Self> {
        RUNNING.lock().unwrap_or_else(|e| e.into_inner()).push(child.id());
        Arc::new(Self(child.id()))
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        RUNNING.lock().unwrap_or_else(|e| e.into_inner()).retain(|&pid| pid != self.0);
    }
}

/// Ends every running child (SIGKILL), for ^C: the sandbox's init dies with all it started.
pub fn kill_all() {
    use nix::sys::signal::{Signal, kill};
    for &pid in RUNNING.lock().unwrap_or_else(|e| e.into_inner()).iter() {
        // A child that ended in between is no error.
        let _ = kill(nix::unistd::Pid::from_raw(pid as i32), Signal::SIGKILL);
    }
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
    fn a_feed_reaches_standard_input() {
        let seen = Mutex::new(Vec::new());
        let watch = |line: &str| seen.lock().unwrap().push(line.to_owned());
        Run::new("/bin/cat").feed(Box::new(|out| out.write_all(b"x\ny\n"))).watch(&watch).run().unwrap();
        assert_eq!(*seen.lock().unwrap(), ["x", "y"]);
    }
}
