//! What the two ends of a migration say to each other, over the standard streams of one SSH connection: messages in JSON,
//! each after its length, and streams of bytes in pieces, of which an empty one is the end. Lengths are 32 bits, big
//! endian. The length 0xffffffff is a heartbeat and is followed by nothing: without traffic an end would not notice that
//! the other machine has lost its power, however soon that was started again.

use crate::vz::handover::{Token, Whereabouts};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The version of all of this. Both ends have to have the same.
pub const VERSION: u32 = 2;

/// The longest message, bytes: the list of a tree has about 150 for each file.
const LONGEST: u32 = 256 << 20;
/// The size of a piece, bytes.
const PIECE: usize = 64 << 10;
/// The length that is a heartbeat.
const BEAT: u32 = u32::MAX;
/// The time between two heartbeats.
const PAUSE: Duration = Duration::from_secs(5);

/// What the source asks for.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// First: what the destination is.
    Hello {
        /// [`VERSION`]
        version: u32,
    },
    /// Whether the container can come.
    Check {
        /// Its number.
        id: u32,
        /// Its name, if it has one.
        name: Option<String>,
        /// Its addresses.
        addresses: Vec<IpAddr>,
    },
    /// Begins to make the container, after [`Request::Check`].
    Begin {
        /// Its configuration.
        conf: String,
        /// Its action scripts: the part of the name after its number, and the text.
        scripts: Vec<(String, String)>,
        /// Whether the files stay if the migration fails.
        keep: bool,
        /// The name of this migration.
        token: Token,
    },
    /// What there is of its private area.
    List,
    /// Removes files of its private area.
    Remove(Vec<Name>),
    /// A tar follows, which is unpacked there.
    Files,
    /// A tar follows, which is a part of its dump.
    Dump,
    /// Gives the container its names: it exists from now on.
    Publish,
    /// Restores the container from its dump; it stays frozen.
    Restore,
    /// Runs `vzctl` with these words.
    Vzctl(Vec<String>),
    /// The container is the destination's from now on: nothing is undone when the connection ends. One that was restored
    /// continues.
    Done,
    /// Whether the container of a migration is the destination's, if the connection ended before the answer to
    /// [`Request::Done`].
    Where {
        /// Its number.
        id: u32,
        /// The name of the migration.
        token: Token,
    },
    /// Nobody will ask [`Request::Where`] any more.
    Forget {
        /// The number of the container.
        id: u32,
        /// The name of the migration.
        token: Token,
    },
}

/// What the destination answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// It is done.
    Yes,
    /// To [`Request::Hello`].
    Hello {
        /// [`VERSION`]
        version: u32,
        /// The kernel's release.
        kernel: String,
        /// Whether it has CRIU.
        criu: bool,
    },
    /// To [`Request::List`].
    Files(Vec<Entry>),
    /// To [`Request::Done`]: the container is the destination's.
    Arrived {
        /// Why it does not continue.
        wrong: Option<String>,
    },
    /// To [`Request::Where`].
    Is(Whereabouts),
    /// It failed.
    No {
        /// The exit code of `vzmigrate`.
        code: u8,
        /// Why.
        text: String,
    },
}

/// A path below the private area: each byte as the character with that number, since names need not be UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name(String);

impl Name {
    /// The name of a path.
    pub fn of(path: &Path) -> Name {
        Name(path.as_os_str().as_bytes().iter().map(|byte| char::from(*byte)).collect())
    }

    /// The path; no component may lead out of the folder that it is joined to.
    ///
    /// # Errors
    /// One does, or it is not a name that [`Name::of`] gives.
    pub fn path(&self) -> io::Result<PathBuf> {
        let bytes: Result<Vec<u8>, _> = self.0.chars().map(|one| u8::try_from(u32::from(one))).collect();
        let path = PathBuf::from(std::ffi::OsString::from_vec(bytes.map_err(io::Error::other)?));
        let inside = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        match inside && path.as_os_str() != OsStr::new("") {
            true => Ok(path),
            false => Err(io::Error::other(format!("{} is no path of a container", path.display()))),
        }
    }
}

/// A file of a private area, as far as two of them can differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path.
    pub name: Name,
    /// Its type and permissions (`st_mode`).
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its size in bytes, 0 for a folder.
    pub size: u64,
    /// When it was changed: seconds and nanoseconds; 0 for a folder.
    pub time: (i64, i64),
    /// How many names it has, 1 for a folder.
    pub names: u64,
}

/// One end of the connection.
pub struct Wire<R: Read, W: Write> {
    input: R,
    /// None: it was closed.
    output: Arc<Mutex<Option<W>>>,
    /// As long as this exists there are heartbeats.
    _alive: Option<mpsc::Sender<()>>,
}

impl<R: Read, W: Write + Send + 'static> Wire<R, W> {
    /// Sends a heartbeat now and then, as long as the connection is not closed.
    pub fn beat(&mut self) {
        let output = Arc::clone(&self.output);
        let (alive, ended) = mpsc::channel();
        std::thread::spawn(move || {
            while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                let Some(output) = &mut *lock(&output) else { return };
                // A failure is noticed by whoever reads.
                let _ = output.write_all(&BEAT.to_be_bytes()).and_then(|()| output.flush());
            }
        });
        self._alive = Some(alive);
    }
}

impl<R: Read, W: Write> Wire<R, W> {
    /// Speaks over these.
    pub fn new(input: R, output: W) -> Wire<R, W> {
        Wire { input, output: Arc::new(Mutex::new(Some(output))), _alive: None }
    }

    /// Ends the connection: the other end receives nothing more.
    pub fn close(&mut self) {
        *lock(&self.output) = None;
    }

    fn flush(&self) -> io::Result<()> {
        lock(&self.output).as_mut().map_or_else(closed, Write::flush)
    }

    /// Sends a message.
    pub fn send<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        self.put(&text)?;
        self.flush()
    }

    /// Receives a message; `None` at the end of the connection.
    pub fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let length = match length(&mut self.input) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            length => length?,
        };
        if length > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the other end says something else than vzmigrate"));
        }
        let mut text = Vec::new();
        (&mut self.input).take(length.into()).read_to_end(&mut text)?;
        if text.len() != length as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(serde_json::from_slice(&text)?))
    }

    /// Sends what `write` writes, as pieces. If it fails the stream ends there, and the connection can still be used.
    pub fn stream(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let mut pieces = io::BufWriter::with_capacity(PIECE, Pieces(self));
        let written = write(&mut pieces);
        pieces.flush()?;
        drop(pieces);
        self.put(&[])?;
        self.flush()?;
        written
    }

    /// What the other end streams.
    pub fn streamed(&mut self) -> Streamed<'_, R> {
        Streamed { input: &mut self.input, left: 0, ended: false }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        let mut output = lock(&self.output);
        let Some(output) = &mut *output else { return closed() };
        output.write_all(&length.to_be_bytes())?;
        output.write_all(bytes)
    }
}

fn closed() -> io::Result<()> {
    Err(io::ErrorKind::NotConnected.into())
}

/// Writing does not panic, so what is locked is whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The length of the next message or piece.
fn length(input: &mut impl Read) -> io::Result<u32> {
    loop {
        let mut length = [0; 4];
        input.read_exact(&mut length)?;
        match u32::from_be_bytes(length) {
            BEAT => {}
            length => return Ok(length),
        }
    }
}

struct Pieces<'a, R: Read, W: Write>(&'a mut Wire<R, W>);

impl<R: Read, W: Write> Write for Pieces<'_, R, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !bytes.is_empty() {
            self.0.put(bytes)?;
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A stream of pieces, up to its end.
pub struct Streamed<'a, R: Read> {
    input: &'a mut R,
    left: usize,
    ended: bool,
}

impl<R: Read> Streamed<'_, R> {
    /// Reads what is left, so that the next message can be received.
    pub fn finish(mut self) -> io::Result<()> {
        io::copy(&mut self, &mut io::sink()).map(|_| ())
    }
}

impl<R: Read> Read for Streamed<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !self.ended {
            self.left = length(self.input)? as usize;
            self.ended = self.left == 0;
        }
        let most = buffer.len().min(self.left);
        if most == 0 {
            return Ok(0);
        }
        let count = self.input.read(&mut buffer[..most])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_streams_arrive() {
        let mut sent = Vec::new();
        let mut wire = Wire::new(io::empty(), &mut sent);
        wire.send(&Request::Hello { version: VERSION }).unwrap();
        let text = vec![7; 200_000];
        lock(&wire.output).as_mut().unwrap().write_all(&BEAT.to_be_bytes()).unwrap();
        wire.stream(|out| out.write_all(&text)).unwrap();
        lock(&wire.output).as_mut().unwrap().write_all(&[BEAT.to_be_bytes(), BEAT.to_be_bytes()].concat()).unwrap();
        wire.send(&Request::Done).unwrap();
        drop(wire);
        let mut wire = Wire::new(sent.as_slice(), io::sink());
        assert!(matches!(wire.receive().unwrap(), Some(Request::Hello { version: VERSION })));
        let mut read = Vec::new();
        let mut stream = wire.streamed();
        stream.read_to_end(&mut read).unwrap();
        stream.finish().unwrap();
        assert_eq!(read, text);
        assert!(matches!(wire.receive().unwrap(), Some(Request::Done)));
        assert!(wire.receive::<Request>().unwrap().is_none());
        // A login's greeting.
        let mut wire = Wire::new(b"Welcome to".as_slice(), io::sink());
        assert!(wire.receive::<Reply>().unwrap_err().to_string().contains("something else than vzmigrate"));
        let mut wire = Wire::new(&[0, 0, 0, 9, b'{'][..], io::sink());
        assert!(wire.receive::<Reply>().is_err());
    }

    #[test]
    fn names_stay_in_their_folder() {
        let odd = Path::new(OsStr::from_bytes(b"a/\xff\xe4\n"));
        assert_eq!(Name::of(odd).path().unwrap(), odd);
        for bad in ["", "/etc", "../a", "a/../b", "\u{400}"] {
            assert!(Name(bad.to_owned()).path().is_err(), "{bad}");
        }
    }
}
