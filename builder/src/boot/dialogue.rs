//! The dialogue of a boot test with a machine.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::report::PhaseTimer;
use super::spec::{Boot, BootEnd, TestStep};
use super::{BootError, Console, ConsoleError, Forward};
use crate::image::grub::Menu;

/// The beginning of GRUB's menu.
const MENU: &str = "GNU GRUB";

/// How long to wait for a port's answer before asking again.
const PATIENCE: Duration = Duration::from_secs(2);

/// The maximum number of bytes read from an answer.
const ANSWER: u64 = 1 << 20;

/// A free port of 127.0.0.1. Another process may take it before QEMU does, and QEMU then reports that.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Runs through one start of a machine, from GRUB's menu to the end of its steps.
pub(super) fn run_boot(
    boot: &Boot,
    forward: &[Forward],
    console: &mut Console,
    deadline: Instant,
    timer: &mut PhaseTimer<'_>,
) -> Result<(), BootError> {
    boot_and_log_in(boot, console, deadline, timer)?;
    if !boot.run.is_empty() {
        timer.phase("commands");
    }
    run_steps(&boot.run, forward, console, deadline)
}

/// Ends a start of a machine, unless that is a power cut.
pub(super) fn end_boot(
    end: &BootEnd,
    console: &mut Console,
    deadline: Instant,
    timer: &mut PhaseTimer<'_>,
) -> Result<(), BootError> {
    match end {
        BootEnd::Cut | BootEnd::Cuts(_) => return Ok(()),
        BootEnd::After(_) | BootEnd::Itself => timer.phase("end"),
    }
    if let BootEnd::After(command) = end {
        console.send(&format!("{command}\n"))?;
    }
    Ok(console.ended(deadline)?)
}

/// From GRUB's menu to the login's shell.
pub(super) fn boot_and_log_in(
    boot: &Boot,
    console: &mut Console,
    deadline: Instant,
    timer: &mut PhaseTimer<'_>,
) -> Result<(), BootError> {
    if let Some(index) = boot.menu {
        timer.phase("menu");
        let key = Menu::hotkey(index).ok_or(BootError::NoHotkey(index))?;
        console.expect(MENU, deadline)?;
        console.send(&key.to_string())?;
    }
    timer.phase("boot");
    console.expect(&boot.expect, deadline)?;
    if let Some(login) = &boot.login {
        timer.phase("login");
        if !boot.expect.trim_end().ends_with("login:") {
            console.expect("login:", deadline)?;
        }
        console.send(&format!("{}\n", login.user))?;
        if let Some(password) = &login.password {
            console.expect("assword:", deadline)?;
            console.send(&format!("{password}\n"))?;
        }
        console.shell(deadline).map_err(|error| match error {
            ConsoleError::Refused { message } => {
                let needs_password = login.password.is_none() && console.has_password_prompt();
                BootError::Login { user: login.user.clone(), message, needs_password }
            }
            other => other.into(),
        })?;
    }
    Ok(())
}

/// Executes steps in order.
pub(super) fn run_steps(
    steps: &[TestStep],
    forward: &[Forward],
    console: &mut Console,
    deadline: Instant,
) -> Result<(), BootError> {
    steps.iter().try_for_each(|step| run_step(step, forward, console, deadline))
}

fn run_step(step: &TestStep, forward: &[Forward], console: &mut Console, deadline: Instant) -> Result<(), BootError> {
    match step {
        TestStep::Command { command, expect, status } => {
            let (output, got) = console.run(command, deadline)?;
            let command = command.clone();
            if got != *status {
                return Err(BootError::Status { command, want: *status, got, output });
            }
            if let Some(want) = expect.as_ref().filter(|want| !output.contains(want.as_str())) {
                return Err(BootError::Output { command, want: want.clone(), output });
            }
            Ok(())
        }
        TestStep::Type { keys, expect } => {
            console.send(keys)?;
            if let Some(want) = expect {
                console.expect(want, deadline)?;
            }
            Ok(())
        }
        TestStep::Tcp { port, send, expect } => {
            // The recipe's checks guarantee that the port is forwarded.
            let host = forward.iter().find(|forward| forward.guest == *port).map_or(0, |forward| forward.host);
            query_until(host, send, expect, console, deadline).map_err(|last| BootError::Answer {
                port: *port,
                want: expect.clone(),
                last,
            })
        }
    }
}

/// Queries a port until its answer contains `want`; otherwise gives the last answer. QEMU always accepts connections,
/// and closes them if nothing listens in the machine: between two attempts there is a pause, which ends early if the
/// machine exits.
fn query_until(port: u16, send: &str, want: &str, console: &Console, deadline: Instant) -> Result<(), String> {
    let mut pause = Duration::from_millis(50);
    loop {
        let last = match query(port, send, want) {
            Ok(answer) if answer.contains(want) => return Ok(()),
            Ok(answer) => answer,
            Err(error) => error.to_string(),
        };
        if Instant::now() >= deadline
            || console.ends_within(pause.min(deadline.saturating_duration_since(Instant::now())))
        {
            return Err(last);
        }
        pause = (pause * 2).min(PATIENCE);
    }
}

/// Sends, and reads until the answer contains `want`, ends, or nothing arrives for a while.
fn query(port: u16, send: &str, want: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(send.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while (answer.len() as u64) < ANSWER && !String::from_utf8_lossy(&answer).contains(want) {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => break,
            Err(error) if answer.is_empty() => return Err(error),
            Err(_) => break,
        }
    }
    // The other end may have closed already.
    let _ = stream.shutdown(Shutdown::Both);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn a_port_is_asked_until_its_answer_is_right() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            // No answer, a wrong answer, the right one.
            drop(listener.accept().unwrap());
            for answer in ["not yet", "now it works"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 2];
                stream.read_exact(&mut asked).unwrap();
                assert_eq!(&asked, b"hi");
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let (reader, _writer) = io::pipe().unwrap();
        let console = Console::new(reader, io::sink(), None).unwrap();
        query_until(port, "hi", "works", &console, Instant::now() + Duration::from_secs(20)).unwrap();
        server.join().unwrap();
        let last = query_until(port, "hi", "works", &console, Instant::now() + Duration::from_millis(20)).unwrap_err();
        assert!(last.contains("refused"), "{last}");
    }
}
