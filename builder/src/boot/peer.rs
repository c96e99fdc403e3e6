//! The second machine of a test: it runs beside the starts of the first one.

use std::path::Path;
use std::time::Instant;

use super::BootError;
use super::dialogue::{end_boot, run_boot};
use super::link::Link;
use super::machine::LINK_SOCKET;
use super::power::Loss;
use super::report::{PhaseTimer, TestEvent, Transcript};
use super::running::{MachineHost, RunningMachine};
use super::spec::{Boot, BootEnd};
use crate::path_error::FromPathError as _;

/// The link between the machines of two folders.
pub(super) fn link(folders: [&Path; 2]) -> Result<Link, BootError> {
    let sockets = folders.map(|folder| folder.join(LINK_SOCKET));
    Link::start([&sockets[0], &sockets[1]]).map_err(BootError::io("serve a link at", &sockets[1]))
}

/// Starts the peer, calls `rest` when the peer has executed its steps, and ends it, whatever the result. `limit` gives
/// the deadline of what begins now.
pub(super) fn beside(
    host: &MachineHost<'_>,
    name: &str,
    boot: &Boot,
    limit: &dyn Fn() -> Instant,
    timer: &mut PhaseTimer<'_>,
    transcript: &mut Transcript,
    rest: impl FnOnce(&mut PhaseTimer<'_>, &mut Transcript) -> Result<(), BootError>,
) -> Result<(), BootError> {
    timer.hold("peer");
    let mut running = host.start(&boot.machine, false).map_err(of_peer)?;
    (timer.watch)(TestEvent::Started { name, last_line: &running.console.last_line() });
    let up = run_boot(boot, &[], &mut running.console, limit(), timer);
    timer.release();
    let result = match up {
        Err(error) => Err(of_peer(running.explain(error))),
        Ok(()) => {
            timer.phase("start");
            match rest(timer, transcript) {
                Err(error) => Err(without_peer(boot, &mut running, error)),
                Ok(()) => finish(boot, &mut running, limit(), timer).map_err(of_peer),
            }
        }
    };
    let mut own = Transcript::default();
    let ended = running.end(Loss::All, &mut own).map_err(of_peer);
    transcript.peer = own.tail;
    result.and(ended)
}

fn of_peer(error: BootError) -> BootError {
    BootError::Peer(Box::new(error))
}

/// Of a failure of the test's own machine the end of the peer may be the cause.
fn without_peer(boot: &Boot, running: &mut RunningMachine, error: BootError) -> BootError {
    match running.runs() {
        Err(peer) if boot.end != BootEnd::Itself => BootError::WithoutPeer { peer, source: Box::new(error) },
        _ => error,
    }
}

/// The peer's own part of the end of the test.
fn finish(
    boot: &Boot,
    running: &mut RunningMachine,
    deadline: Instant,
    timer: &mut PhaseTimer<'_>,
) -> Result<(), BootError> {
    if boot.end != BootEnd::Itself {
        running.runs()?;
    }
    end_boot(&boot.end, &mut running.console, deadline, timer)
}
