//! The destination as the source sees it: a program over SSH that answers requests.

use super::asked::{CONNECT, COPY, Failure, Options, Result, copy};
use super::sync;
use super::wire::{Reply, Request, Wire};
use crate::vz::handover::Token;
use crate::vz::process;
use std::io;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

/// The other machine.
pub(super) struct Destination {
    wire: Wire<ChildStdout, ChildStdin>,
    ssh: Child,
}

impl Destination {
    /// Starts the program there.
    pub fn connect(options: &Options) -> Result<Destination> {
        let mut command = process::command("ssh");
        command.args(&options.ssh).arg(format!("root@{}", options.host)).arg("vzmigrate --serve");
        let failed = |error: io::Error| Failure(CONNECT, format!("Can't run ssh: {error}"));
        let mut ssh = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let pipes = ssh.stdin.take().zip(ssh.stdout.take());
        let (input, output) = pipes.ok_or_else(|| Failure(CONNECT, "ssh has no pipes".into()))?;
        let mut wire = Wire::new(output, input);
        wire.beat();
        Ok(Destination { wire, ssh })
    }

    /// Asks for something, and waits for the answer.
    pub fn ask(&mut self, request: &Request) -> Result<Reply> {
        let sent = self.wire.send(request);
        let reply = sent.and_then(|()| self.wire.receive());
        match reply.map_err(|error| Failure(CONNECT, format!("the connection to the destination: {error}")))? {
            None => Err(Failure(CONNECT, "the destination has ended the connection".into())),
            Some(Reply::No { code, text }) => Err(Failure(code, text)),
            Some(reply) => Ok(reply),
        }
    }

    /// Streams a tar after a request.
    pub fn send(&mut self, request: &Request, write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> Result<()> {
        let written = self.wire.send(request).and_then(|()| self.wire.stream(write));
        let reply = self.wire.receive().map_err(copy)?;
        written.map_err(copy)?;
        match reply {
            Some(Reply::No { code, text }) => Err(Failure(code, text)),
            Some(_) => Ok(()),
            None => Err(Failure(COPY, "the destination has ended the connection".into())),
        }
    }

    /// Brings the private area there to the state of the one here. Gives how many bytes that took.
    pub fn sync(&mut self, private: &Path) -> Result<u64> {
        let Reply::Files(there) = self.ask(&Request::List)? else {
            return Err(Failure(COPY, "the destination has not listed its files".into()));
        };
        let difference = sync::difference(&sync::list(private).map_err(copy)?, &there);
        if !difference.gone.is_empty() {
            self.ask(&Request::Remove(difference.gone))?;
        }
        let mut sent = 0;
        self.send(&Request::Files, |out| {
            let mut out = Counted { out, count: 0 };
            let done = sync::send(private, &difference.changed, &mut out);
            sent = out.count;
            done
        })?;
        Ok(sent)
    }

    /// Runs `vzctl` there.
    pub fn vzctl(&mut self, words: &[&str]) -> Result<()> {
        self.ask(&Request::Vzctl(words.iter().map(|word| (*word).to_owned()).collect())).map(|_| ())
    }
}

impl Destination {
    /// Tells it that nobody will ask whether the container of a migration has arrived. If that fails, a small file stays
    /// there.
    pub fn forget(&mut self, id: u32, token: &Token) {
        let _ = self.ask(&Request::Forget { id, token: token.clone() });
    }

    /// Ends the connection. It undoes what it has done if it was not told otherwise; that is awaited, so that the container
    /// can go on here, or another attempt follow.
    pub fn end(&mut self) {
        self.wire.close();
        let _ = self.ssh.wait();
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        self.end();
    }
}

/// Counts what is written.
pub(super) struct Counted<'a> {
    pub out: &'a mut dyn io::Write,
    pub count: u64,
}

impl io::Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.count += count as u64;
        Ok(count)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
