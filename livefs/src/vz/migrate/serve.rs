//! The destination of a migration: `vzmigrate --serve`, started by the source over SSH. If the connection ends before the
//! source has said that the migration is complete, everything is undone: here, or by whoever comes next ([`undo_left`]).

use super::asked::{COPY, EXISTS, IN_USE, LOCKED, START, USAGE};
use super::sync;
use super::wire::{Reply, Request, VERSION, Wire};
use crate::durable;
use crate::net;
use crate::system::tree::unpack;
use crate::vz::cmd::create::{SCRIPTS, forget_retired, retire, settle};
use crate::vz::conf::{ConfFile, Config};
use crate::vz::context::Vz;
use crate::vz::exit::Error;
use crate::vz::handover::{self, Arrival, Claim, Handover, Token};
use crate::vz::layout::beside;
use crate::vz::lock::Lock;
use crate::vz::suspended::Operation;
use crate::vz::{disk, dump, names, process};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A failure: the exit code of `vzmigrate`, and why.
type Failure = (u8, String);

/// Answers the source until the connection ends. Gives the exit code.
pub fn serve(vz: &Vz, input: impl Read, output: impl Write + Send + 'static) -> u8 {
    let mut wire = Wire::new(input, output);
    wire.beat();
    let mut arriving = Arriving { vz, id: None, lock: None, made: None };
    while let Ok(Some(request)) = wire.receive() {
        let answer = arriving.answer(request, &mut wire);
        let reply = answer.unwrap_or_else(|(code, text)| Reply::No { code, text });
        if wire.send(&reply).is_err() {
            break;
        }
    }
    arriving.undo();
    0
}

/// The container that arrives.
struct Arriving<'a> {
    vz: &'a Vz,
    id: Option<u32>,
    /// As long as no `vzctl` has to work on it.
    lock: Option<Lock>,
    /// None: nothing has begun, or it is ours.
    made: Option<Made>,
}

/// What there is of it.
struct Made {
    file: ConfFile,
    arrival: Arrival,
    token: Token,
    /// So that nobody else undoes it.
    _claim: Claim,
    published: bool,
    /// Its processes exist and are frozen.
    restored: bool,
}

impl Made {
    /// The private area until it is published.
    fn unfinished(&self) -> PathBuf {
        unfinished(&self.arrival)
    }
}

fn unfinished(arrival: &Arrival) -> PathBuf {
    beside(&arrival.private, "creating")
}

fn copy(error: io::Error) -> Failure {
    (COPY, error.to_string())
}

fn failed(error: Error) -> Failure {
    (COPY, error.to_string())
}

impl Arriving<'_> {
    fn answer<R: Read, W: Write>(&mut self, request: Request, wire: &mut Wire<R, W>) -> Result<Reply, Failure> {
        match request {
            Request::Hello { .. } => {
                let kernel = nix::sys::utsname::uname().map_err(|error| copy(error.into()))?;
                let kernel = kernel.release().to_string_lossy().into_owned();
                Ok(Reply::Hello { version: VERSION, kernel, criu: self.vz.node.can_checkpoint() })
            }
            Request::Check { id, name, addresses } => self.check(id, name.as_deref(), &addresses),
            Request::Begin { conf, scripts, keep, token } => self.begin(&conf, &scripts, keep, token),
            Request::List => sync::list(&self.made()?.unfinished()).map(Reply::Files).map_err(copy),
            Request::Remove(gone) => sync::remove(&self.made()?.unfinished(), &gone).map(|()| Reply::Yes).map_err(copy),
            Request::Files => {
                let into = self.made()?.unfinished();
                receive(wire, &into)
            }
            Request::Dump => {
                let into = self.vz.dump_place(self.id.unwrap_or_default());
                disk::make_folder(&into).map_err(failed)?;
                receive(wire, &into)
            }
            Request::Publish => self.publish(),
            Request::Restore => {
                let id = self.id.unwrap_or_default();
                let place = self.vz.dump_place(id).display().to_string();
                vzctl(&["restore".into(), id.to_string(), "--undump".into(), "--dumpfile".into(), place])?;
                self.made.as_mut().into_iter().for_each(|made| made.restored = true);
                Ok(Reply::Yes)
            }
            Request::Vzctl(words) => vzctl(&words).map(|()| Reply::Yes),
            Request::Done => self.done(),
            Request::Where { id, token } => {
                undo_left(self.vz, id, &token).map_err(failed)?;
                handover::whereabouts(self.vz, id, &token).map(Reply::Is).map_err(failed)
            }
            Request::Forget { id, token } => handover::forget(self.vz, id, &token).map(|()| Reply::Yes).map_err(failed),
        }
    }

    fn made(&self) -> Result<&Made, Failure> {
        self.made.as_ref().ok_or_else(|| (USAGE, "nothing has been begun".into()))
    }

    fn check(&mut self, id: u32, name: Option<&str>, addresses: &[std::net::IpAddr]) -> Result<Reply, Failure> {
        let lock = self.vz.lock(id, "").map_err(|error| (LOCKED, error.to_string()))?;
        let taken = name.is_some_and(|name| names::by_name(&self.vz.paths, name).is_some());
        if self.vz.paths.container_conf(id).exists() || taken {
            return Err((EXISTS, format!("CT #{id} already exists on destination node")));
        }
        // When that is found out, what is left of that container is removed: it must not be another one.
        if let Some(Handover { host, .. }) = Handover::of(self.vz, id).map_err(failed)? {
            let text = format!("a migration of CT #{id} from the destination to {host} was interrupted");
            return Err((LOCKED, format!("{text}: vzmigrate --recover={id} there")));
        }
        let used = net::in_use(addresses).map_err(|error| (IN_USE, error.to_string()))?;
        if let Some((address, user)) = used.first() {
            return Err((IN_USE, format!("IP address {address} already in use on destination node, by {user}")));
        }
        (self.id, self.lock) = (Some(id), Some(lock));
        Ok(Reply::Yes)
    }

    fn begin(&mut self, conf: &str, scripts: &[(String, String)], keep: bool, token: Token) -> Result<Reply, Failure> {
        let (vz, id) = (self.vz, self.id.ok_or_else(|| (USAGE, "nothing has been checked".into()))?);
        let file = ConfFile::parse(conf);
        let config = Config::layered([&vz.global, &file], id);
        let private = config.path("VE_PRIVATE").map_err(failed)?;
        let private = vz.paths.at(private);
        if private.exists() {
            return Err((EXISTS, format!("{} already exists on destination node", private.display())));
        }
        vz.ask(id, Operation::Create).map_err(failed)?;
        let arrival = Arrival { private, keep };
        disk::make_folder(&vz.paths.conf()).map_err(failed)?;
        let claim = handover::arrives(vz, id, &token, &arrival).map_err(failed)?;
        let made = Made { file, arrival, token, _claim: claim, published: false, restored: false };
        let unfinished = made.unfinished();
        self.made = Some(made);
        disk::make_folder(&unfinished).map_err(failed)?;
        for (ending, text) in scripts {
            if !SCRIPTS.contains(&ending.as_str()) {
                return Err((USAGE, format!("{id}.{ending} is no action script")));
            }
            let path = vz.paths.conf().join(format!("{id}.{ending}"));
            durable::replace(&path, text.as_bytes(), 0o755).map_err(copy)?;
        }
        Ok(Reply::Yes)
    }

    fn publish(&mut self) -> Result<Reply, Failure> {
        let (vz, id) = (self.vz, self.id.unwrap_or_default());
        let made = self.made.as_mut().ok_or_else(|| (USAGE, "nothing has been begun".into()))?;
        let name = made.file.get("NAME").filter(|name| names::valid(name)).map(str::to_owned);
        settle(vz, id, &made.file, &made.unfinished(), &made.arrival.private, name.as_deref()).map_err(failed)?;
        made.published = true;
        self.lock = None;
        Ok(Reply::Yes)
    }

    /// From here on it is ours.
    fn done(&mut self) -> Result<Reply, Failure> {
        let (vz, id) = (self.vz, self.id.unwrap_or_default());
        let made = self.made.as_ref().filter(|made| made.published);
        let made = made.ok_or_else(|| (USAGE, "nothing has been published".into()))?;
        handover::arrived(vz, id, &made.token).map_err(failed)?;
        let restored = made.restored;
        self.made = None;
        let resumed = if restored { vzctl(&["restore".into(), id.to_string(), "--resume".into()]) } else { Ok(()) };
        Ok(Reply::Arrived { wrong: resumed.err().map(|(_, text)| text) })
    }

    fn undo(&mut self) {
        if let Some((made, id)) = self.made.take().zip(self.id) {
            // The lock may have been left to a `vzctl`.
            let _ = undo(self.vz, id, &made.token, &made.arrival);
        }
        self.lock = None;
    }
}

fn vzctl(words: &[String]) -> Result<(), Failure> {
    let mut command = process::command("/proc/self/exe");
    let output = command.arg("vzctl").args(words).stderr(Stdio::piped()).output().map_err(copy)?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err((START, format!("vzctl {}: {text}", words.join(" "))))
}

/// Leaves nothing of a container that did not arrive, unless its files are to be kept for another attempt.
fn undo(vz: &Vz, id: u32, token: &Token, arrival: &Arrival) -> crate::vz::exit::Result<()> {
    let published = vz.paths.container_conf(id).exists();
    if published {
        for words in [["restore", "--kill"].as_slice(), &["stop", "--fast"], &["umount"]] {
            let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            words.insert(1, id.to_string());
            // Whoever undoes may have the lock. Each fails if there is nothing to do.
            words.insert(0, "--skiplock".into());
            let _ = vzctl(&words);
        }
    }
    dump::remove(&vz.dump_place(id))?;
    retire(vz, id)?;
    disk::clear(&vz.paths.conf().join(format!(".{id}.conf.creating")))?;
    // `retire` keeps them for the case that the container was destroyed by mistake.
    forget_retired(vz, id);
    let unfinished = unfinished(arrival);
    if arrival.private.exists() {
        fs::rename(&arrival.private, &unfinished).map_err(|error| Error::file(&arrival.private, error))?;
    }
    if !arrival.keep {
        disk::clear(&unfinished)?;
    }
    handover::undone(vz, id, token)
}

/// Undoes an arrival whose process has ended, if there is one. Gives whether there was.
///
/// # Errors
/// The disk fails.
pub fn undo_left(vz: &Vz, id: u32, token: &Token) -> crate::vz::exit::Result<bool> {
    match handover::claim(vz, id, token)? {
        Some((_claim, arrival)) => undo(vz, id, token, &arrival).map(|()| true),
        None => Ok(false),
    }
}

/// Unpacks what the source streams.
fn receive<R: Read, W: Write>(wire: &mut Wire<R, W>, into: &Path) -> Result<Reply, Failure> {
    let mut stream = wire.streamed();
    let unpacked = unpack(&mut stream, into);
    stream.finish().map_err(copy)?;
    unpacked.map(|()| Reply::Yes).map_err(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vz::cmd::tests::World;

    #[test]
    fn a_container_arrives_without_another_ones_dump() {
        let world = World::new();
        let old = world.at("vz/dump/Dump.101");
        fs::create_dir_all(&old).unwrap();
        fs::write(old.join("dump.json"), "{}").unwrap();
        let vz = world.vz();
        let mut arriving = Arriving { vz: &vz, id: None, lock: None, made: None };
        // What is left of one that may have gone elsewhere will be removed.
        Handover::default().write(&vz, 101).unwrap();
        assert_eq!(arriving.check(101, None, &[]).unwrap_err().0, LOCKED);
        handover::settle(&vz, 101).unwrap();
        arriving.check(101, None, &[]).unwrap();
        // Nothing is lost if it can't arrive.
        fs::create_dir_all(world.at("vz/private/101")).unwrap();
        let token = Token::new().unwrap();
        assert_eq!(arriving.begin("", &[], false, token.clone()).unwrap_err().0, EXISTS);
        assert!(old.exists());
        fs::remove_dir(world.at("vz/private/101")).unwrap();
        arriving.begin("", &[], false, token.clone()).unwrap();
        assert!(!old.exists());
        assert_eq!(arriving.done().unwrap_err().0, USAGE, "it is not there yet");
        // The machine ends here; what there is belongs to nobody.
        let file = ConfFile::parse("VE_PRIVATE=/vz/private/101\nVE_ROOT=/vz/root/101\nONBOOT=yes\n");
        settle(&vz, 101, &file, &world.at("vz/private/101.creating"), &world.at("vz/private/101"), None).unwrap();
        assert!(!undo_left(&vz, 101, &token).unwrap(), "its process has it");
        assert!(crate::vz::service::to_start(&vz).is_empty(), "it is the source's");
        arriving.made = None;
        let said = crate::vz::recovery::sweep(&vz).unwrap();
        assert!(said.is_empty(), "its lock is held: {said:?}");
        arriving.lock = None;
        let said = crate::vz::recovery::sweep(&vz).unwrap();
        assert_eq!(said, ["CT 101: migration to this machine was interrupted; it is where it was"]);
        assert!(!world.at("vz/private/101").exists() && !vz.paths.container_conf(101).exists());
        // Another attempt arrives, and stays.
        let mut arriving = Arriving { vz: &vz, id: Some(101), lock: None, made: None };
        arriving.begin("VE_PRIVATE=/vz/private/101\nVE_ROOT=/vz/root/101\n", &[], false, token.clone()).unwrap();
        arriving.publish().unwrap();
        assert!(matches!(arriving.done(), Ok(Reply::Arrived { wrong: None })));
        arriving.undo();
        assert!(crate::vz::recovery::sweep(&vz).unwrap().is_empty());
        let conf = vz.paths.container_conf(101);
        fs::write(&conf, fs::read_to_string(&conf).unwrap() + "ONBOOT=yes\n").unwrap();
        assert_eq!(crate::vz::service::to_start(&vz), [101]);
        assert!(world.at("vz/private/101").exists());
        assert_eq!(handover::whereabouts(&vz, 101, &token).unwrap(), handover::Whereabouts::Here);
        assert_eq!(handover::all_arriving(&vz), []);
    }
}
