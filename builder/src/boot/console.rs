//! A machine's serial console: its output, and typing into it.
//!
//! Nothing here sleeps: every wait is for a text, with a deadline, and ends as soon as the machine exits.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::process::quote;
use crate::threads;

mod screen;

use screen::Screen;

/// Why the console did not show the expected text.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The text did not appear in time.
    #[error("the console did not show `{wanted}` in time")]
    Timeout {
        /// The expected text.
        wanted: String,
    },
    /// The machine exited first.
    #[error("the machine stopped before its console showed `{wanted}`")]
    Ended {
        /// The expected text.
        wanted: String,
    },
    /// The machine exited although it should have continued to run.
    #[error("the machine stopped")]
    Stopped,
    /// The kernel panicked.
    #[error("the kernel panicked: {line}")]
    Panic {
        /// The kernel's message.
        line: String,
    },
    /// The login was refused.
    #[error("the login was refused ({message})")]
    Refused {
        /// The machine's message.
        message: String,
    },
    /// Input could not be sent.
    #[error("can't type at the machine's console")]
    Send(#[source] io::Error),
}

/// How the kernel's last message starts (kernel/panic.c).
const PANIC: &str = "Kernel panic - not syncing";

/// What login programs print for a wrong name or password: those of busybox and shadow, and PAM.
const REFUSED: [&str; 3] = ["Login incorrect", "Authentication failure", "Permission denied"];

/// Text kept for [`Console::tail`]; the log has all of it.
const KEPT: usize = 64 << 10;

/// A serial console.
pub struct Console {
    shared: Arc<SharedConsole>,
    input: Box<dyn Write + Send>,
    reader: Option<JoinHandle<()>>,
    markers: u32,
}

/// Gives the last line of a console, also while other threads wait for a text.
#[derive(Clone)]
pub struct LastLine(Arc<SharedConsole>);

impl LastLine {
    /// The line; empty if there was no output yet.
    pub fn get(&self) -> String {
        let state = self.0.lock();
        state.text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default().to_owned()
    }
}

impl fmt::Debug for LastLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LastLine").field(&self.get()).finish()
    }
}

struct SharedConsole {
    state: Mutex<ConsoleState>,
    changed: Condvar,
}

#[derive(Default)]
struct ConsoleState {
    /// The output without control sequences; its oldest part is dropped over time.
    text: String,
    /// The end of the part that has been matched.
    matched: usize,
    ended: bool,
}

/// The result of a search in the output.
enum SearchResult {
    Text(String),
    Panic(String),
    Nothing,
}

impl ConsoleState {
    fn find(&mut self, wanted: &str) -> SearchResult {
        let rest = &self.text[self.matched..];
        let text = rest.find(wanted);
        let panic = rest.find(PANIC);
        match (text, panic) {
            (Some(at), panic) if panic.is_none_or(|panic| at <= panic) => {
                let before = rest[..at].to_owned();
                self.matched += at + wanted.len();
                self.forget();
                SearchResult::Text(before)
            }
            (_, Some(at)) => SearchResult::Panic(line_at(rest, at)),
            _ => SearchResult::Nothing,
        }
    }

    /// Limits the size of the matched text. Unmatched text stays: it may still be waited for.
    fn forget(&mut self) {
        if self.matched > 2 * KEPT {
            let mut cut = self.matched - KEPT;
            while !self.text.is_char_boundary(cut) {
                cut += 1;
            }
            self.text.drain(..cut);
            self.matched -= cut;
        }
    }
}

/// The rest of the line.
fn line_at(text: &str, at: usize) -> String {
    text[at..].lines().next().unwrap_or_default().to_owned()
}

impl SharedConsole {
    fn lock(&self) -> MutexGuard<'_, ConsoleState> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Console {
    /// A console with the output `output` and the input `input`. All output is also written to `log` as it arrives.
    pub fn new(
        output: impl Read + Send + 'static,
        input: impl Write + Send + 'static,
        log: Option<File>,
    ) -> io::Result<Self> {
        let shared = Arc::new(SharedConsole { state: Mutex::default(), changed: Condvar::new() });
        let reader = threads::spawn("console", {
            let shared = Arc::clone(&shared);
            move || read_all(output, log, &shared)
        })?;
        Ok(Self { shared, input: Box::new(input), reader: Some(reader), markers: 0 })
    }

    /// Waits until `wanted` appears after the last match; gives the text before it.
    pub fn expect(&mut self, wanted: &str, deadline: Instant) -> Result<String, ConsoleError> {
        let mut state = self.shared.lock();
        loop {
            match state.find(wanted) {
                SearchResult::Text(before) => return Ok(before),
                SearchResult::Panic(line) => return Err(ConsoleError::Panic { line }),
                SearchResult::Nothing if state.ended => return Err(ConsoleError::Ended { wanted: wanted.to_owned() }),
                SearchResult::Nothing => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ConsoleError::Timeout { wanted: wanted.to_owned() });
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(|e| e.into_inner()).0;
        }
    }

    /// Waits until the output has ended.
    pub fn ended(&mut self, deadline: Instant) -> Result<(), ConsoleError> {
        let left = deadline.saturating_duration_since(Instant::now());
        if self.ends_within(left) {
            return Ok(());
        }
        Err(ConsoleError::Timeout { wanted: "the machine's end".to_owned() })
    }

    /// Waits until the output has ended, at most for the given time; gives whether it has.
    pub fn ends_within(&self, time: Duration) -> bool {
        let state = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(state, time, |state| !state.ended);
        waited.unwrap_or_else(|e| e.into_inner()).0.ended
    }

    /// Whether the machine still runs: its output has not ended, and has shown no panic since the last match.
    pub fn runs(&self) -> Result<(), ConsoleError> {
        let state = self.shared.lock();
        let rest = &state.text[state.matched..];
        match rest.find(PANIC) {
            Some(at) => Err(ConsoleError::Panic { line: line_at(rest, at) }),
            None if state.ended => Err(ConsoleError::Stopped),
            None => Ok(()),
        }
    }

    /// Types keys.
    pub fn send(&mut self, keys: &str) -> Result<(), ConsoleError> {
        self.input.write_all(keys.as_bytes()).and_then(|()| self.input.flush()).map_err(ConsoleError::Send)
    }

    /// The last lines shown.
    pub fn tail(&self, lines: usize) -> Vec<String> {
        let state = self.shared.lock();
        let mut tail: Vec<String> =
            state.text.lines().rev().filter(|line| !line.trim().is_empty()).take(lines).map(str::to_owned).collect();
        tail.reverse();
        tail
    }

    /// A handle that gives the last line shown, for progress display.
    pub fn last_line(&self) -> LastLine {
        LastLine(Arc::clone(&self.shared))
    }

    /// Waits until the output has ended, as it does once QEMU was killed, so that the log is complete.
    pub fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            // If the reader panicked, the output has ended, too.
            let _ = reader.join();
        }
    }

    /// Waits for a shell that reads commands. A shell that is still starting may lose what is typed, or the beginning
    /// of it: the command is sent again, and has no open construct, such as a quote, if its beginning is lost.
    pub fn shell(&mut self, deadline: Instant) -> Result<(), ConsoleError> {
        let mut patience = Duration::from_millis(500);
        loop {
            self.markers += 1;
            let marker = self.markers;
            // The echo of the typed command does not contain the sum.
            self.send(&format!(" echo dbco-ready-$(({marker}+0)).\n"))?;
            match self.expect(&format!("dbco-ready-{marker}."), deadline.min(Instant::now() + patience)) {
                Ok(_) => return Ok(()),
                Err(ConsoleError::Timeout { .. }) if self.refusal().is_some() => {
                    return Err(ConsoleError::Refused { message: self.refusal().unwrap_or_default().to_owned() });
                }
                Err(ConsoleError::Timeout { .. }) if Instant::now() < deadline => {
                    patience = (patience * 2).min(Duration::from_secs(4));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The message of a refused login, since the last match, if it is followed by the next login prompt.
    fn refusal(&self) -> Option<&'static str> {
        let state = self.shared.lock();
        let text = &state.text[state.matched..];
        REFUSED.into_iter().find(|message| text.rsplit_once(message).is_some_and(|(_, after)| after.contains("ogin:")))
    }

    /// Whether the machine has asked for a password since the last match.
    pub fn has_password_prompt(&self) -> bool {
        let state = self.shared.lock();
        state.text[state.matched..].contains("assword:")
    }

    /// Runs a command in the shell; gives its output and its exit status.
    ///
    /// The markers around the output are assembled by `printf`, so that the echo of the typed command does not contain
    /// them. The last one is printed twice, as a kernel message may split one.
    pub fn run(&mut self, command: &str, deadline: Instant) -> Result<(String, u32), ConsoleError> {
        let (begin, end) = (self.marker(), self.marker());
        let finish = format!("printf '\\n%s%s:%d.' dbco- {end} $s dbco- {end} $s");
        self.send(&format!(" printf '%s%s.' dbco- {begin}; eval {}; s=$?; {finish}\n", quote(command)))?;
        self.expect(&format!("dbco-{begin}."), deadline)?;
        let output = self.expect(&format!("dbco-{end}:"), deadline)?;
        let status = self.expect(".", deadline)?;
        let text = output.strip_suffix('\n').unwrap_or(&output).to_owned();
        // If it is not a number it was split by a message: 255, as if the shell had failed.
        Ok((text, status.parse().unwrap_or(255)))
    }

    fn marker(&mut self) -> String {
        self.markers += 1;
        format!("m{}", self.markers)
    }
}

fn read_all(mut output: impl Read, mut log: Option<File>, shared: &SharedConsole) {
    let mut screen = Screen::default();
    let mut buffer = [0; 16 << 10];
    loop {
        let count = match output.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // A pseudo-terminal gives EIO at its end.
            Err(_) => break,
        };
        if let Some(file) = &mut log
            && file.write_all(&buffer[..count]).is_err()
        {
            // The log is informational; the console continues without it.
            log = None;
        }
        screen.show(&buffer[..count], &mut shared.lock().text);
        shared.changed.notify_all();
    }
    shared.lock().ended = true;
    shared.changed.notify_all();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    /// A shell of the host at the other end, without a terminal, so without echo.
    fn shell() -> (std::process::Child, Console) {
        use std::process::Stdio;
        let mut command = crate::process::command("/bin/sh");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let console = Console::new(child.stdout.take().unwrap(), child.stdin.take().unwrap(), None).unwrap();
        (child, console)
    }

    #[test]
    fn commands_give_output_and_status() {
        let (mut child, mut console) = shell();
        console.shell(soon()).unwrap();
        assert_eq!(console.run("echo one; echo 'two three'", soon()).unwrap(), ("one\ntwo three\n".into(), 0));
        assert_eq!(console.run("printf x; (exit 7)", soon()).unwrap(), ("x".into(), 7));
        assert_eq!(console.run("false", soon()).unwrap(), (String::new(), 1));
        assert!(matches!(console.run("exit 3", soon()), Err(ConsoleError::Ended { .. })));
        child.wait().unwrap();
    }

    #[test]
    fn what_does_not_come_is_an_error_at_the_deadline() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut console = Console::new(reader, io::sink(), None).unwrap();
        writer.write_all(b"booting\n").unwrap();
        console.expect("booting", soon()).unwrap();
        let error = console.expect("login:", Instant::now() + Duration::from_millis(20)).unwrap_err();
        assert!(matches!(error, ConsoleError::Timeout { .. }), "{error}");
        writer.write_all(b"Kernel panic - not syncing: no init\nlogin:").unwrap();
        let error = console.expect("login:", soon()).unwrap_err();
        assert_eq!(error.to_string(), "the kernel panicked: Kernel panic - not syncing: no init");
        drop(writer);
        assert!(matches!(console.expect("x", soon()), Err(ConsoleError::Panic { .. })));
    }

    #[test]
    fn text_is_matched_once_and_in_order() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut console = Console::new(reader, io::sink(), None).unwrap();
        writer.write_all("a\r\n\u{1b}[1;31m系统\u{1b}[0m b a".as_bytes()).unwrap();
        drop(writer);
        assert_eq!(console.expect("系统", soon()).unwrap(), "a\n");
        assert_eq!(console.expect("a", soon()).unwrap(), " b ");
        assert!(matches!(console.expect("a", soon()), Err(ConsoleError::Ended { .. })));
        assert_eq!(console.tail(1), ["系统 b a"]);
    }
}
