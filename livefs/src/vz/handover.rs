//! Whose a container is, on the disks of both machines: at every moment of a migration exactly one of them will run it,
//! whichever loses its power.
//!
//! The destination keeps `CTID.TOKEN.arriving` beside the configurations from the first file that it receives. As long as that
//! is there, the container is the source's: what has arrived is undone when the connection or the machine ends. Renaming it to
//! `CTID.TOKEN.arrived`, when the source says that it is done, makes the container the destination's.
//!
//! The source keeps `CTID.moving` from before it says so until it has an answer and has removed what is left of the
//! container. As long as that is there the container is not started. If there was no answer, the destination is asked:
//! `CTID.TOKEN.arrived` stays there until the source knows (`vzmigrate --recover`).

use super::context::Vz;
use super::exit::{Error, Result};
use crate::durable::{self, sync_folder};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The name of a migration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token(String);

impl Token {
    /// One that no other migration has.
    ///
    /// # Errors
    /// The kernel has no random numbers.
    pub fn new() -> io::Result<Token> {
        let mut bytes = [0; 8];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Token(format!("{:016x}", u64::from_ne_bytes(bytes))))
    }

    /// Whether it can be a part of a file's name, as all of ours can.
    fn is_valid(&self) -> bool {
        self.0.len() == 16 && self.0.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

impl fmt::Display for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Where the container of a migration is, as the destination knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whereabouts {
    /// It is the destination's.
    Here,
    /// The destination still waits for the source, over a connection that the source has no longer.
    Undecided,
    /// It has not arrived.
    Elsewhere,
}

/// The source's record: where the container may be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// The destination.
    pub host: String,
    /// Options for ssh.
    pub ssh: Vec<String>,
    /// The name of the migration.
    pub token: Token,
    /// Whether what is left here is removed if it has arrived.
    pub remove: bool,
    /// Whether it is started here if it has not arrived.
    pub start: bool,
}

fn path(vz: &Vz, id: u32) -> PathBuf {
    vz.paths.conf().join(format!("{id}.moving"))
}

impl Handover {
    /// The record of a container, if there is one.
    ///
    /// # Errors
    /// It can't be read, or is not one.
    pub fn of(vz: &Vz, id: u32) -> Result<Option<Handover>> {
        let path = path(vz, id);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            text => {
                let read = text.and_then(|text| serde_json::from_slice(&text).map_err(io::Error::other));
                read.map(Some).map_err(|error| Error::file(&path, error))
            }
        }
    }

    /// Brings the record to the disk.
    ///
    /// # Errors
    /// The disk is full, or fails.
    pub fn write(&self, vz: &Vz, id: u32) -> Result<()> {
        let path = path(vz, id);
        let text = serde_json::to_vec(self).map_err(io::Error::other);
        text.and_then(|text| durable::replace(&path, &text, 0o600)).map_err(|error| Error::file(&path, error))
    }
}

/// Whether a container has such a record.
pub fn is_moving(vz: &Vz, id: u32) -> bool {
    path(vz, id).exists()
}

/// All containers that have one.
pub fn all_moving(vz: &Vz) -> Vec<u32> {
    named(vz, |name| name.strip_suffix(".moving")?.parse().ok())
}

/// Removes the record; a missing one is not an error.
///
/// # Errors
/// The disk fails.
pub fn settle(vz: &Vz, id: u32) -> Result<()> {
    remove(vz, &path(vz, id))
}

/// The states of the destination's file.
const ARRIVING: &str = "arriving";
const ARRIVED: &str = "arrived";

fn arrival(vz: &Vz, id: u32, token: &Token, state: &str) -> Result<PathBuf> {
    match token.is_valid() {
        true => Ok(vz.paths.conf().join(format!("{id}.{token}.{state}"))),
        false => Err(Error::Value(format!("{token} is no name of a migration"))),
    }
}

/// The destination's record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// The private area, once it has its final name.
    pub private: PathBuf,
    /// Whether the files stay if the migration fails.
    pub keep: bool,
}

/// The containers of which something has arrived, and the names of their migrations.
pub fn all_arriving(vz: &Vz) -> Vec<(u32, Token)> {
    named(vz, |name| {
        let (id, token) = name.strip_suffix(ARRIVING)?.strip_suffix('.')?.split_once('.')?;
        Some((id.parse().ok()?, Token(token.to_owned()))).filter(|(_, token)| token.is_valid())
    })
}

/// Whoever has this may make the arrival complete, or undo it.
pub struct Claim(#[expect(dead_code, reason = "it is held")] Flock<File>);

/// Claims an arrival; none if it belongs to a process that still runs, or is over.
///
/// # Errors
/// The record can't be read, or the token is invalid.
pub fn claim(vz: &Vz, id: u32, token: &Token) -> Result<Option<(Claim, Arrival)>> {
    let path = arrival(vz, id, token, ARRIVING)?;
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|error| Error::file(&path, error))?,
    };
    let Ok(locked) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else { return Ok(None) };
    // It may have been over before it was locked.
    match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => {
            let read = text.and_then(|text| serde_json::from_slice(&text).map_err(io::Error::other));
            read.map(|read| Some((Claim(locked), read))).map_err(|error| Error::file(&path, error))
        }
    }
}

fn named<T>(vz: &Vz, of: impl Fn(&str) -> Option<T>) -> Vec<T> {
    let entries = fs::read_dir(vz.paths.conf()).into_iter().flatten().flatten();
    entries.filter_map(|entry| of(entry.file_name().to_str()?)).collect()
}

/// The destination begins to receive a container.
///
/// # Errors
/// The disk is full, or fails; or the token is invalid.
pub fn arrives(vz: &Vz, id: u32, token: &Token, about: &Arrival) -> Result<Claim> {
    let path = arrival(vz, id, token, ARRIVING)?;
    let text = serde_json::to_vec(about).map_err(io::Error::other);
    let written = text.and_then(|text| durable::replace(&path, &text, 0o600));
    written.map_err(|error| Error::file(&path, error))?;
    let claimed = claim(vz, id, token)?;
    claimed.map(|(claim, _)| claim).ok_or_else(|| Error::System(format!("{} belongs to another", path.display())))
}

/// The container is the destination's.
///
/// # Errors
/// The disk fails; it is still the source's.
pub fn arrived(vz: &Vz, id: u32, token: &Token) -> Result<()> {
    let path = arrival(vz, id, token, ARRIVING)?;
    let to = arrival(vz, id, token, ARRIVED)?;
    fs::rename(&path, &to).map_err(|error| Error::file(&path, error))?;
    sync_folder(&vz.paths.conf()).map_err(|error| {
        // Not on the disk, so it must not count.
        let _ = fs::rename(&to, &path);
        Error::file(&to, error)
    })
}

/// What has arrived is undone.
///
/// # Errors
/// The disk fails.
pub fn undone(vz: &Vz, id: u32, token: &Token) -> Result<()> {
    remove(vz, &arrival(vz, id, token, ARRIVING)?)
}

/// The source knows that it has arrived.
///
/// # Errors
/// The disk fails.
pub fn forget(vz: &Vz, id: u32, token: &Token) -> Result<()> {
    remove(vz, &arrival(vz, id, token, ARRIVED)?)
}

/// Where the container of a migration is.
///
/// # Errors
/// The token is invalid.
pub fn whereabouts(vz: &Vz, id: u32, token: &Token) -> Result<Whereabouts> {
    Ok(match arrival(vz, id, token, ARRIVED)?.exists() {
        true => Whereabouts::Here,
        false if arrival(vz, id, token, ARRIVING)?.exists() => Whereabouts::Undecided,
        // It may have become the destination's between the two.
        false if arrival(vz, id, token, ARRIVED)?.exists() => Whereabouts::Here,
        false => Whereabouts::Elsewhere,
    })
}

fn remove(vz: &Vz, path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.and_then(|()| sync_folder(&vz.paths.conf())).map_err(|error| Error::file(path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vz::cmd::tests::World;

    #[test]
    fn an_arrival_has_three_states() {
        let world = World::new();
        let vz = world.vz();
        let (token, other) = (Token::new().unwrap(), Token::new().unwrap());
        let place = || whereabouts(&vz, 101, &token).unwrap();
        assert_eq!(place(), Whereabouts::Elsewhere);
        let arrival = Arrival { private: "/vz/private/101".into(), keep: true };
        let held = arrives(&vz, 101, &token, &arrival).unwrap();
        assert_eq!(place(), Whereabouts::Undecided);
        assert!(claim(&vz, 101, &token).unwrap().is_none(), "somebody has it");
        drop(held);
        assert_eq!(claim(&vz, 101, &token).unwrap().unwrap().1, arrival);
        assert!(claim(&vz, 101, &other).unwrap().is_none());
        assert_eq!(all_arriving(&vz), [(101, token.clone())]);
        assert_eq!(whereabouts(&vz, 101, &other).unwrap(), Whereabouts::Elsewhere);
        assert_eq!(whereabouts(&vz, 102, &token).unwrap(), Whereabouts::Elsewhere);
        arrived(&vz, 101, &token).unwrap();
        assert_eq!(place(), Whereabouts::Here);
        assert_eq!(all_arriving(&vz), []);
        forget(&vz, 101, &token).unwrap();
        forget(&vz, 101, &token).unwrap();
        assert_eq!(place(), Whereabouts::Elsewhere);
        assert!(arrived(&vz, 101, &token).is_err(), "it was undone");
        for text in ["", "../../../../etc", "0123456789abcde/"] {
            assert!(arrives(&vz, 101, &Token(text.into()), &Arrival::default()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_record_is_read_back() {
        let world = World::new();
        let vz = world.vz();
        assert_eq!(Handover::of(&vz, 101).unwrap(), None);
        let handover = Handover { host: "other".into(), ssh: vec!["-p".into(), "22".into()], ..Handover::default() };
        handover.write(&vz, 101).unwrap();
        assert_eq!(Handover::of(&vz, 101).unwrap(), Some(handover));
        assert_eq!((all_moving(&vz), is_moving(&vz, 101), is_moving(&vz, 102)), (vec![101], true, false));
        settle(&vz, 101).unwrap();
        assert!(all_moving(&vz).is_empty());
    }
}
