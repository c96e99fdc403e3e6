//! The part of a migration after the first copy: until the container runs at the destination, a failure leaves it here.

use super::asked::{COPY, Failure, Options, Result, START, STOP, copy, with};
use super::destination::{Counted, Destination};
use super::wire::Request;
use crate::system::tree::pack;
use crate::vz::cmd::mount::umount_root;
use crate::vz::context::{Ct, Vz};
use crate::vz::{dump, process};
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
}

impl Moving<'_> {
    fn id(&self) -> String {
        self.ct.id.to_string()
    }

    /// Runs a command of `vzctl` here; the lock is ours.
    fn vzctl(&self, words: &[&str], code: u8) -> Result<()> {
        let mut command = process::command("/proc/self/exe");
        command.args(["vzctl", "--quiet", "--skiplock", words[0], &self.id()]).args(&words[1..]);
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure(code, format!("vzctl {}: {status}", words.join(" ")))),
            Err(error) => Err(Failure(code, format!("vzctl {}: {error}", words.join(" ")))),
        }
    }

    /// With a short stop.
    pub fn restarted(&self, destination: &mut Destination) -> Result<()> {
        self.vz.log.info("Stopping container");
        self.vzctl(&["stop"], STOP)?;
        let moved = destination.sync(self.private).and_then(|_| {
            destination.ask(&Request::Publish)?;
            self.vz.log.info("Starting container");
            destination.vzctl(&["start", &self.id()])?;
            destination.ask(&Request::Done)
        });
        if moved.is_err() {
            let _ = self.vzctl(&["start"], START);
        }
        moved.map(|_| ())
    }

    /// One that does not run, with its dump if it is suspended.
    pub fn stopped(&self, destination: &mut Destination, suspended: bool) -> Result<()> {
        if suspended {
            let dump = self.vz.dump_place(self.ct.id);
            destination.send(&Request::Dump, |out| pack_dump(&dump, &[PathBuf::new()], &|_| false, out))?;
        }
        destination.ask(&Request::Publish)?;
        destination.ask(&Request::Done).map(|_| ())
    }

    /// Without a stop: memory first, then what has changed.
    pub fn live(&self, destination: &mut Destination) -> Result<()> {
        let (vz, id) = (self.vz, self.ct.id);
        vz.log.info("Live migrating container...");
        let made = dump::begin(&vz.dump_folder(id).join(format!("tmp-dump.{id}"))).map_err(with(STOP))?;
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
        let mut gone = false;
        let moved = self.over(destination, made, last.as_deref(), &mut gone);
        match moved {
            Err(failure) if !gone => {
                vz.node.freeze(id, false).map_err(with(STOP))?;
                return Err(failure);
            }
            Err(Failure(code, text)) => {
                // Nobody knows whether it runs there; two of it would be worse than none.
                let text = format!(
                    "{text}\nError: it may run at the destination: if not, vzctl chkpnt {id} --resume continues it here"
                );
                return Err(Failure(code, text));
            }
            Ok(()) => {}
        }
        if self.options.times {
            vz.log.info(format_args!("Total suspended time: {:.2}", begun.elapsed().as_secs_f64()));
        }
        vz.node.kill(id).and_then(|()| vz.node.clean(id)).map_err(with(STOP))?;
        vz.mark(id, false).and_then(|()| umount_root(vz, self.ct)).map_err(with(STOP))
    }

    /// `gone` becomes true when the destination may have let it run.
    fn over(&self, destination: &mut Destination, made: &Path, last: Option<&Path>, gone: &mut bool) -> Result<()> {
        let id = self.id();
        self.vz.node.dump(self.ct.id, made, last).map_err(with(STOP))?;
        let rounds = |path: &Path| path.to_string_lossy().starts_with("round");
        destination.send(&Request::Dump, |out| pack_dump(made, &[PathBuf::new()], &rounds, out))?;
        destination.sync(self.private)?;
        destination.ask(&Request::Publish)?;
        destination.ask(&Request::Restore)?;
        *gone = true;
        destination.vzctl(&["restore", &id, "--resume"])?;
        destination.ask(&Request::Done).map(|_| ())
    }

    /// What is left here of a container that has moved.
    pub fn clean(&self) -> Result<()> {
        let vz = self.vz;
        if self.options.remove {
            return self.vzctl(&["destroy"], 0).or(Ok(()));
        }
        dump::discard(&vz.dump_place(self.ct.id)).and_then(|()| vz.node.unpark(self.ct.id)).map_err(with(COPY))?;
        let conf = vz.paths.container_conf(self.ct.id);
        fs::rename(&conf, conf.with_extension("conf.migrated")).map_err(copy)
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
