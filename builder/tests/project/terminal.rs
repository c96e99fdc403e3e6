//! dbco at a terminal: script(1)'s.

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use dbco::process::command;

use super::Project;

/// What a run at a terminal showed.
pub struct Shown {
    /// All that was written to the terminal.
    pub text: String,
    /// Whether dbco succeeded.
    pub succeeded: bool,
    /// How many of the keys were not typed, as their texts did not appear.
    pub untyped: usize,
}

impl Shown {
    /// What was shown; dbco has to have succeeded, and all keys to have been typed.
    #[track_caller]
    pub fn success(self) -> String {
        assert!(self.succeeded && self.untyped == 0, "{} keys not typed: {}", self.untyped, self.text);
        self.text
    }
}

/// Runs a command line, in which `$DBCO` is dbco, at a terminal of some columns and rows. When each text of `keys` appears,
/// in order, its keys are typed.
#[track_caller]
pub fn at_terminal(project: &Project, (columns, rows): (usize, usize), line: &str, keys: &[(&str, &str)]) -> Shown {
    let script = format!("stty cols {columns} rows {rows}; exec {line}");
    // Whatever the tests themselves were started to ignore, as with nohup(1): ^C must be a signal.
    let mut terminal = command("env");
    terminal
        .args(["--default-signal", "script", "-qec", &script, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut child = project.prepare(&mut terminal).env("TERM", "xterm").spawn().unwrap();
    let (mut output, mut input) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    let (sender, shown) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = output.read(&mut buffer) {
            sender.send(buffer[..count].to_vec()).unwrap();
        }
    });
    let (mut all, mut from, mut keys) = (Vec::new(), 0, keys.iter().peekable());
    loop {
        match shown.recv_timeout(Duration::from_secs(120)) {
            Ok(bytes) => all.extend(bytes),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                child.kill().unwrap();
                let text = String::from_utf8_lossy(&all);
                panic!("nothing more was shown for two minutes, waiting for {:?}: {text}", keys.peek());
            }
        }
        while let Some((wanted, typed)) = keys.peek()
            && let Some(at) = all[from..].windows(wanted.len()).position(|part| part == wanted.as_bytes())
        {
            from += at + wanted.len();
            input.write_all(typed.as_bytes()).unwrap();
            keys.next();
        }
    }
    drop(input);
    let succeeded = child.wait().unwrap().success();
    reader.join().unwrap();
    Shown { text: String::from_utf8_lossy(&all).into_owned(), succeeded, untyped: keys.count() }
}
