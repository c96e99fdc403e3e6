//! `vzmigrate --recover`: a migration whose end is not known, as this machine or the connection ended in that moment. The
//! destination knows whether the container has arrived.

use super::asked::{CONNECT, COPY, Failure, LOCKED, MISSING, Options, Result, START, with};
use super::destination::Destination;
use super::own::{leave, vzctl};
use super::wire::{Reply, Request, VERSION};
use crate::vz::context::Vz;
use crate::vz::handover::{self, Handover, Whereabouts};
use std::time::{Duration, Instant};

/// How long the destination is tried: it may have to start first, or to notice that the connection has ended.
const LONGEST: Duration = Duration::from_secs(180);
/// The time between two attempts.
const PAUSE: Duration = Duration::from_secs(2);

/// Completes the migration of a container, or takes the container back.
pub(super) fn recover(vz: &Vz, id: u32) -> Result<()> {
    let _lock = vz.lock(id, "").map_err(with(LOCKED))?;
    let record = Handover::of(vz, id).map_err(with(MISSING))?;
    let record = record.ok_or_else(|| Failure(MISSING, format!("no migration of CT #{id} was interrupted")))?;
    let (mut destination, place) = ask(vz, id, &record)?;
    if place == Whereabouts::Here {
        vz.log.info(format_args!("CT {id} is at {}", record.host));
        leave(vz, &vz.container(id).map_err(with(MISSING))?, record.remove)?;
        destination.forget(id, &record.token);
        return Ok(());
    }
    vz.log.info(format_args!("CT {id} has not arrived at {}", record.host));
    handover::settle(vz, id).map_err(with(COPY))?;
    if vz.node.is_running(id).map_err(with(START))? {
        return vz.node.freeze(id, false).map_err(with(START));
    }
    if record.start { vzctl(id, &["start"], START) } else { Ok(()) }
}

/// Asks the destination until it knows.
pub(super) fn ask(vz: &Vz, id: u32, record: &Handover) -> Result<(Destination, Whereabouts)> {
    let options = Options { host: record.host.clone(), ssh: record.ssh.clone(), ..Options::default() };
    let end = Instant::now() + LONGEST;
    loop {
        let why = match once(id, record, &options) {
            Ok((_, Whereabouts::Undecided)) => "the destination still waits for an end of the connection".to_owned(),
            Ok(known) => return Ok(known),
            Err(Failure(_, why)) => why,
        };
        if Instant::now() > end {
            let text = format!(
                "{why}\nError: CT {id} is here or at {}, which is not known: vzmigrate --recover={id} asks there",
                record.host
            );
            return Err(Failure(CONNECT, text));
        }
        vz.log.say(1, format_args!("{why}; once more"));
        #[expect(clippy::disallowed_methods, reason = "another machine does not report when it has started")]
        std::thread::sleep(PAUSE);
    }
}

fn once(id: u32, record: &Handover, options: &Options) -> Result<(Destination, Whereabouts)> {
    let mut destination = Destination::connect(options)?;
    destination.ask(&Request::Hello { version: VERSION })?;
    match destination.ask(&Request::Where { id, token: record.token.clone() })? {
        Reply::Is(place) => Ok((destination, place)),
        _ => Err(Failure(CONNECT, "the destination has answered something else".into())),
    }
}
