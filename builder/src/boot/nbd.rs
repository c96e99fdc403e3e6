//! A disk served to QEMU over a socket: the server side of NBD, as far as QEMU's client uses it
//! (NetworkBlockDevice/nbd, `doc/proto.md`: fixed newstyle handshake, simple replies).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::power::{CachedDisk, Loss, Power};
use crate::threads;

const NBD_MAGIC: u64 = 0x4e42_444d_4147_4943;
const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const REPLY_MAGIC: u32 = 0x6744_6698;

/// Handshake: fixed newstyle, no zeroes after NBD_OPT_EXPORT_NAME.
const HANDSHAKE: u16 = 1 | 2;
/// Transmission flags: flags are valid, flush is supported.
const TRANSMISSION: u16 = 1 | 4;

const OPT_EXPORT_NAME: u32 = 1;
const OPT_ABORT: u32 = 2;
const OPT_INFO: u32 = 6;
const OPT_GO: u32 = 7;
const REP_ACK: u32 = 1;
const REP_INFO: u32 = 3;
const REP_ERR_UNSUP: u32 = (1 << 31) + 1;

const CMD_READ: u16 = 0;
const CMD_WRITE: u16 = 1;
const CMD_DISC: u16 = 2;
const CMD_FLUSH: u16 = 3;
const EIO: u32 = 5;
const EINVAL: u32 = 22;

/// The maximum length of a request: QEMU sends up to 32 MiB.
const MOST: u32 = 64 << 20;

/// A disk that is served to one QEMU process.
pub struct ServedDisk {
    disk: Arc<CachedDisk>,
    socket: PathBuf,
    server: Option<JoinHandle<()>>,
}

impl ServedDisk {
    /// Serves a file of whole blocks, open for reading and writing, at a socket, which is created anew.
    ///
    /// # Errors
    /// Errors of the file and the socket.
    pub fn start(image: File, socket: &Path, power: Arc<Power>) -> io::Result<Self> {
        let disk = Arc::new(CachedDisk::new(image, power)?);
        let _ = std::fs::remove_file(socket);
        let listener = UnixListener::bind(socket)?;
        let server = threads::spawn("disk", {
            let disk = Arc::clone(&disk);
            move || {
                // QEMU may be killed in the middle of a request: that ends the connection, and is not an error.
                let _ = listener.accept().and_then(|(stream, _)| serve_connection(stream, &disk));
            }
        })?;
        Ok(Self { disk, socket: socket.to_owned(), server: Some(server) })
    }

    /// Stops serving, once QEMU has exited, and writes what the given loss leaves.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn lose(mut self, loss: Loss) -> io::Result<()> {
        self.finish();
        self.disk.lose(loss)
    }

    fn finish(&mut self) {
        if let Some(server) = self.server.take() {
            // If QEMU never connected, the server is still waiting for it; an empty connection ends that.
            drop(UnixStream::connect(&self.socket));
            // A panic has ended it, too.
            let _ = server.join();
        }
    }
}

impl Drop for ServedDisk {
    fn drop(&mut self) {
        self.finish();
    }
}

fn u16_of(stream: &mut impl Read) -> io::Result<u16> {
    let mut bytes = [0; 2];
    stream.read_exact(&mut bytes)?;
    Ok(u16::from_be_bytes(bytes))
}

fn u32_of(stream: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

fn u64_of(stream: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    stream.read_exact(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes))
}

fn expected(is: bool, what: &str) -> io::Result<()> {
    if is { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidData, format!("NBD: {what}"))) }
}

fn serve_connection(mut stream: UnixStream, disk: &CachedDisk) -> io::Result<()> {
    if greet(&mut stream, disk)? { serve(stream, disk) } else { Ok(()) }
}

/// The handshake. False: the client has disconnected.
fn greet(stream: &mut UnixStream, disk: &CachedDisk) -> io::Result<bool> {
    let mut hello = [NBD_MAGIC.to_be_bytes(), OPTION_MAGIC.to_be_bytes()].concat();
    hello.extend(HANDSHAKE.to_be_bytes());
    stream.write_all(&hello)?;
    let client = u32_of(stream)?;
    let export = [&disk.size().to_be_bytes()[..], &TRANSMISSION.to_be_bytes()].concat();
    loop {
        expected(u64_of(stream)? == OPTION_MAGIC, "no option where one was expected")?;
        let (option, length) = (u32_of(stream)?, u32_of(stream)?);
        expected(length <= 1 << 16, "an option that is too long")?;
        // The export's name does not matter: there is only one.
        io::copy(&mut stream.take(length.into()), &mut io::sink())?;
        let mut reply = |kind: u32, data: &[u8]| {
            let mut bytes = OPTION_REPLY_MAGIC.to_be_bytes().to_vec();
            for number in [option, kind, data.len() as u32] {
                bytes.extend(number.to_be_bytes());
            }
            bytes.extend(data);
            stream.write_all(&bytes)
        };
        match option {
            OPT_EXPORT_NAME => {
                let zeroes = if client & 2 == 0 { 124 } else { 0 };
                stream.write_all(&[&export[..], &vec![0; zeroes]].concat())?;
                return Ok(true);
            }
            OPT_ABORT => {
                reply(REP_ACK, &[])?;
                return Ok(false);
            }
            OPT_INFO | OPT_GO => {
                // NBD_INFO_EXPORT is 0.
                reply(REP_INFO, &[&[0, 0], &export[..]].concat())?;
                reply(REP_ACK, &[])?;
                if option == OPT_GO {
                    return Ok(true);
                }
            }
            _ => reply(REP_ERR_UNSUP, &[])?,
        }
    }
}

/// Handles requests until the client leaves, or the power is off: a disk without power does not answer.
fn serve(mut stream: UnixStream, disk: &CachedDisk) -> io::Result<()> {
    let mut data = Vec::new();
    loop {
        expected(u32_of(&mut stream)? == REQUEST_MAGIC, "no request where one was expected")?;
        let (_flags, kind) = (u16_of(&mut stream)?, u16_of(&mut stream)?);
        let (handle, offset, length) = (u64_of(&mut stream)?, u64_of(&mut stream)?, u32_of(&mut stream)?);
        expected(length <= MOST, "a request that is too large")?;
        let done = match kind {
            CMD_READ => {
                data.resize(length as usize, 0);
                disk.read(offset, &mut data).map(|()| true)
            }
            CMD_WRITE => {
                data.resize(length as usize, 0);
                stream.read_exact(&mut data)?;
                disk.write(offset, &data)
            }
            CMD_DISC => return Ok(()),
            CMD_FLUSH => disk.flush(),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        };
        let error = match done {
            Ok(true) => 0,
            // The connection stays open: QEMU, which is about to be killed, would otherwise report an error to the
            // machine.
            Ok(false) => return io::copy(&mut stream, &mut io::sink()).map(drop),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => EINVAL,
            Err(_) => EIO,
        };
        let mut reply = [REPLY_MAGIC.to_be_bytes(), error.to_be_bytes()].concat();
        reply.extend(handle.to_be_bytes());
        if kind == CMD_READ && error == 0 {
            reply.extend(&data);
        }
        stream.write_all(&reply)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tested with QEMU's own client, through its monitor's command `qemu-io`.
    fn qemu(socket: &Path, commands: &[&str]) -> std::process::Child {
        let mut command = crate::process::command(crate::platform::Platform::BUILD.names().qemu.program);
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-S", "-monitor", "stdio", "-drive"]);
        command.arg(format!("if=none,id=d,format=raw,cache=writeback,file=nbd+unix:///?socket={}", socket.display()));
        command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().expect("this test needs qemu-system-x86");
        let text: String = commands.iter().map(|text| format!("qemu-io d \"{text}\"\n")).collect();
        child.stdin.take().unwrap().write_all(format!("{text}quit\n").as_bytes()).unwrap();
        child
    }

    fn open(image: &Path) -> File {
        File::options().read(true).write(true).open(image).unwrap()
    }

    #[test]
    fn qemu_writes_flushes_and_reads() {
        let folder = tempfile::tempdir().unwrap();
        let (image, socket) = (folder.path().join("disk"), folder.path().join("socket"));
        std::fs::write(&image, vec![0; 1 << 20]).unwrap();
        let power: Arc<Power> = Arc::default();
        let served = ServedDisk::start(open(&image), &socket, Arc::clone(&power)).unwrap();
        let child = qemu(&socket, &["write -P 7 1024 9000", "flush", "read -P 7 1024 9000", "write -z 0 512"]);
        let output = String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned();
        assert_eq!(output.matches("wrote").count(), 2, "{output}");
        assert!(output.contains("read 9000/9000") && !output.contains("failed"), "{output}");
        served.lose(Loss::All).unwrap();
        let bytes = std::fs::read(&image).unwrap();
        assert_eq!((bytes[1023], bytes[1024], bytes[10_023], bytes[10_024]), (0, 7, 7, 0));
        assert!(power.changes() >= 3);
    }

    /// The client waits for an answer that does not come, as QEMU does until it is killed.
    #[test]
    fn the_power_goes_in_the_middle() {
        let folder = tempfile::tempdir().unwrap();
        let (image, socket) = (folder.path().join("disk"), folder.path().join("socket"));
        std::fs::write(&image, vec![0; 1 << 20]).unwrap();
        let power: Arc<Power> = Arc::default();
        let served = ServedDisk::start(open(&image), &socket, Arc::clone(&power)).unwrap();
        let (sender, cut) = std::sync::mpsc::channel();
        power.cut_before(1, move || sender.send(()).unwrap());
        let mut child = qemu(&socket, &["write -P 7 0 4096", "write -P 8 0 4096", "write -P 8 8192 4096"]);
        cut.recv_timeout(std::time::Duration::from_secs(20)).unwrap();
        assert!(power.is_off());
        child.kill().unwrap();
        child.wait().unwrap();
        served.lose(Loss::Nothing).unwrap();
        let bytes = std::fs::read(&image).unwrap();
        assert_eq!((bytes[0], bytes[8192]), (7, 0));
    }

    #[test]
    fn a_server_without_a_client_stops() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("disk");
        std::fs::write(&image, [0; 4096]).unwrap();
        drop(ServedDisk::start(open(&image), &folder.path().join("socket"), Arc::default()).unwrap());
    }
}
