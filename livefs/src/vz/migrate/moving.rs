//! The part of a migration after the first copy: until the container is the destination's, a failure leaves it here.

use super::asked::{CONNECT, COPY, Failure, Options, Result, START, STOP, copy, with};
use super::destination::{Counted, Destination};
use super::own::vzctl;
use super::recover;
use super::wire::{Reply, Request};
use crate::system::tree::pack;
use crate::vz::context::{Ct, Vz};
use crate::vz::dump;
use crate::vz::handover::{self, Handover, Token, Whereabouts};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How often memory is copied while the container runs.
const ROUNDS: u32 = 4;
/// Less than that is not worth another round, bytes.
const LITTLE: u64 = 1 << 20;

/// A container of which a first copy has been made.
pub(super) struct Moving<'a> {
    pub vz: &'a Vz,
    pub ct: &'a Ct,
    pub private: &'a Path,
    pub options: &'a Options,
    pub token: &'a Token,
}

impl Moving<'_> {
    fn id(&self) -> String {
        self.ct.id.to_string()
    }

    /// With a short stop.
    pub fn restarted(&self, destination: &mut Destination) -> Result<()> {
        self.vz.log.info("Stopping container");
        vzctl(self.ct.id, &["stop"], STOP)?;
        // If the power goes before it is the destination's, it starts here again.
        self.vz.mark_at_once(self.ct.id).map_err(with(STOP))?;
        let moved = destination.sync(self.private).and_then(|_| {
            destination.ask(&Request::Publish)?;
            self.vz.log.info("Starting container");
            destination.vzctl(&["start", &self.id()])?;
            self.hand_over(destination, true)
        });
        if moved.is_err() && !handover::is_moving(self.vz, self.ct.id) {
            let _ = vzctl(self.ct.id, &["start"], START);
        }
        moved
    }

    /// Makes it the destination's. If that fails it is ours, or it is not known and [`handover::is_moving`]. `start`:
    /// whether it is started here if it has not arrived and this machine has ended meanwhile.
    fn hand_over(&self, destination: &mut Destination, start: bool) -> Result<()> {
        let (vz, id, options) = (self.vz, self.ct.id, self.options);
        let record = Handover {
            host: options.host.clone(),
            ssh: options.ssh.clone(),
            token: self.token.clone(),
            remove: options.remove,
            start,
        };
        if let Err(error) = record.write(vz, id) {
            destination.end();
            return Err(with(COPY)(error));
        }
        let failure = match destination.ask(&Request::Done) {
            Ok(Reply::Arrived { wrong }) => {
                if let Some(wrong) = wrong {
                    vz.log.error(format_args!("Error: it is at the destination, where it does not continue: {wrong}"));
                }
                return Ok(());
            }
            Ok(_) => Failure(CONNECT, "the destination has answered something else".into()),
            Err(failure) => failure,
        };
        if failure.0 == CONNECT {
            vz.log.error(format_args!("Error: {}", failure.1));
            let (again, place) = recover::ask(vz, id, &record)?;
            *destination = again;
            match place {
                Whereabouts::Here => return Ok(()),
                _ => vz.log.error("It has not arrived"),
            }
        }
        // It may run there until that is undone.
        destination.end();
        handover::settle(vz, id).map_err(with(COPY))?;
        Err(failure)
    }

    /// One that does not run, with its dump if it is suspended.
    pub fn stopped(&self, destination: &mut Destination, suspended: bool) -> Result<()> {
        if suspended {
            let dump = self.vz.dump_place(self.ct.id);
            destination.send(&Request::Dump, |out| pack_dump(&dump, &[PathBuf::new()], &|_| false, out))?;
        }
        destination.ask(&Request::Publish)?;
        self.hand_over(destination, false)
    }

    /// Without a stop: memory first, then what has changed.
    pub fn live(&self, destination: &mut Destination) -> Result<()> {
        let (vz, id) = (self.vz, self.ct.id);
        vz.log.info("Live migrating container...");
        let made = dump::begin(&vz.moving_dump(id)).map_err(with(STOP))?;
        let moved = self.rounds(destination, &made).and_then(|last| self.frozen(destination, &made, last));
        let _ = dump::remove(&made);
        moved
    }

    /// Copies the memory while the container runs, until little is left or it changes as fast as it is copied. Gives the
    /// last round's folder, below the dump.
    fn rounds(&self, destination: &mut Destination, made: &Path) -> Result<Option<PathBuf>> {
        let mut last: Option<(PathBuf, u64)> = None;
        for round in 1..=ROUNDS {
            let name = PathBuf::from(format!("round{round}"));
            let folder = made.join(&name);
            fs::create_dir(&folder).map_err(copy)?;
            let earlier = last.as_ref().map(|(name, _)| Path::new("..").join(name));
            if let Err(error) = self.vz.node.pre_dump(self.ct.id, &folder, earlier.as_deref()) {
                // All of it is copied while the container is frozen, which takes longer.
                self.vz.log.info(format_args!("Memory can't be copied while the container runs: {error}"));
                dump::remove(&folder).map_err(with(COPY))?;
                break;
            }
            let mut size = 0;
            destination.send(&Request::Dump, |out| {
                let mut out = Counted { out, count: 0 };
                let done = pack_dump(made, std::slice::from_ref(&name), &|_| false, &mut out);
                size = out.count;
                done
            })?;
            self.vz.log.say(1, format_args!("   Memory, round {round}: {} KiB", size >> 10));
            let before = last.as_ref().map(|(_, size)| *size);
            last = Some((name, size));
            if size < LITTLE || before.is_some_and(|before| size > before / 2) {
                break;
            }
        }
        Ok(last.map(|(name, _)| name))
    }

    /// The part in which the container does not run.
    fn frozen(&self, destination: &mut Destination, made: &Path, last: Option<PathBuf>) -> Result<()> {
        let (vz, id) = (self.vz, self.ct.id);
        let begun = Instant::now();
        vz.node.freeze(id, true).map_err(with(STOP))?;
        let copied = self.over(destination, made, last.as_deref());
        if let Err(failure) = copied.and_then(|()| self.hand_over(destination, true)) {
            // Two of it would be worse than none.
            if !handover::is_moving(vz, id) {
                vz.node.freeze(id, false).map_err(with(STOP))?;
            }
            return Err(failure);
        }
        if self.options.times {
            vz.log.info(format_args!("Total suspended time: {:.2}", begun.elapsed().as_secs_f64()));
        }
        Ok(())
    }

    /// Brings all of it to the destination, where it is frozen, too.
    fn over(&self, destination: &mut Destination, made: &Path, last: Option<&Path>) -> Result<()> {
        self.vz.node.dump(self.ct.id, made, last).map_err(with(STOP))?;
        let rounds = |path: &Path| path.to_string_lossy().starts_with("round");
        destination.send(&Request::Dump, |out| pack_dump(made, &[PathBuf::new()], &rounds, out))?;
        destination.sync(self.private)?;
        destination.ask(&Request::Publish)?;
        destination.ask(&Request::Restore).map(|_| ())
    }
}

/// Packs a dump, or the parts of it that are named.
fn pack_dump(
    folder: &Path,
    names: &[PathBuf],
    left_out: &dyn Fn(&Path) -> bool,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    pack(folder, names, left_out, out).map(|_| ())
}
