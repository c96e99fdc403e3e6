//! Power cuts while a command runs, at points spread over its changes to the machine's disks.
//!
//! The points are changes of the disks, not times: only what is on a disk survives a cut, so all moments between two
//! changes are equivalent; and a command's changes come in bursts, which points spread over time would miss.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::dialogue::{boot_and_log_in, run_steps};
use super::power::Loss;
use super::report::{PhaseTimer, Transcript};
use super::running::{MachineHost, RunningMachine};
use super::spec::{Boot, Cuts};
use super::{BootError, Forward};

/// The change before which the `index`th cut is made. The even cuts are spread evenly, each in the middle of an equal
/// share of all changes; the odd cuts are at the last changes, counted from the end, where a command commits what it
/// has prepared.
fn moment(index: u32, times: u32, changes: u64) -> u64 {
    let turn = u64::from(index / 2);
    if index % 2 == 1 {
        return changes.saturating_sub(1 + turn);
    }
    let parts = u64::from(times.div_ceil(2));
    (2 * turn + 1) * changes / (2 * parts)
}

/// The results so far.
struct Tally<'a> {
    cuts: &'a Cuts,
    /// How often each word was reported.
    counts: Vec<u32>,
    /// How many commands finished before their cut was due.
    ended: u32,
}

/// The cut that preceded a start.
struct PreviousCut {
    /// A description, for errors.
    text: String,
    /// Whether the command had finished.
    ended: bool,
    /// Whether it is counted: the first one, after the uninterrupted command, is not.
    counts: bool,
}

/// Runs all starts; gives a summary of the cuts' outcomes as a sentence. `limit` is for each start.
pub(super) fn run(
    host: &MachineHost<'_>,
    boot: &Boot,
    cuts: &Cuts,
    limit: Duration,
    timer: &mut PhaseTimer<'_>,
    transcript: &mut Transcript,
) -> Result<String, BootError> {
    let mut tally = Tally { cuts, counts: vec![0; cuts.words.len()], ended: 0 };
    let mut before: Option<PreviousCut> = None;
    let mut changes = 0;
    let started = Instant::now();
    // The uninterrupted command, the cuts, and a start that checks the last one.
    for index in 0..cuts.times + 2 {
        let text = before.as_ref().map(|before| before.text.clone());
        let named = |source| match text {
            Some(text) => BootError::Cut { cut: text, source: Box::new(source) },
            None => source,
        };
        let mut running = host.start(&boot.machine, true)?;
        let deadline = Instant::now() + limit;
        let arrived = tally.ready(boot, before.as_ref(), host.forward, &mut running, deadline, timer);
        let mut loss = Loss::All;
        let done = arrived.and_then(|()| {
            let Some(cut) = index.checked_sub(1) else {
                changes = in_full(cuts, &mut running, deadline)?;
                let text = "after the power was cut at the end of the command".into();
                return Ok(Some(PreviousCut { text, ended: true, counts: false }));
            };
            if cut == cuts.times {
                return Ok(None);
            }
            let change = moment(cut, cuts.times, changes);
            loss = Loss::of(cut);
            let ended = cut_before(cuts, change, &mut running, deadline)?;
            let text = format!("after cut {} of {}, before change {change} of {changes}, {loss}", cut + 1, cuts.times);
            Ok(Some(PreviousCut { text, ended, counts: true }))
        });
        running.end(loss, transcript)?;
        before = done.map_err(named)?;
    }
    Ok(tally.sentence(changes, started.elapsed()))
}

/// Runs the command to its end; gives the number of its changes.
fn in_full(cuts: &Cuts, running: &mut RunningMachine, deadline: Instant) -> Result<u64, BootError> {
    running.power.count();
    let (output, got) = running.console.run(&cuts.during, deadline)?;
    let command = cuts.during.clone();
    if got != 0 {
        return Err(BootError::Status { command, want: 0, got, output });
    }
    match running.power.changes() {
        0 => Err(BootError::NothingToCut { command }),
        changes => Ok(changes),
    }
}

/// Runs the command until the power is cut; gives whether it had finished before.
fn cut_before(cuts: &Cuts, change: u64, running: &mut RunningMachine, deadline: Instant) -> Result<bool, BootError> {
    running.power.cut_before(change, running.killer());
    match running.console.run(&cuts.during, deadline) {
        // The command may have finished, and the power was cut at a later change of something else: its result has to
        // be there all the same.
        Ok((_, 0)) => Ok(true),
        _ if running.power.is_off() => Ok(false),
        Err(error) => Err(error.into()),
        Ok((output, got)) => Err(BootError::Status { command: cuts.during.clone(), want: 0, got, output }),
    }
}

impl Tally<'_> {
    /// From a start to where the next cut may happen: booted, the previous cut checked, the next one prepared.
    fn ready(
        &mut self,
        boot: &Boot,
        before: Option<&PreviousCut>,
        forward: &[Forward],
        running: &mut RunningMachine,
        deadline: Instant,
        timer: &mut PhaseTimer<'_>,
    ) -> Result<(), BootError> {
        boot_and_log_in(boot, &mut running.console, deadline, timer)?;
        if let Some(before) = before {
            let command = &self.cuts.outcome;
            let (output, got) = running.console.run(command, deadline)?;
            if got != 0 {
                return Err(BootError::Status { command: command.clone(), want: 0, got, output });
            }
            let word = self.word(before, &output)?;
            if before.counts {
                self.counts[word] += 1;
                self.ended += u32::from(before.ended);
            }
        }
        run_steps(&boot.run, forward, &mut running.console, deadline)
    }

    /// The index of the outcome's word.
    fn word(&self, before: &PreviousCut, output: &str) -> Result<usize, BootError> {
        let got = output.split_whitespace().last().unwrap_or_default();
        let last = self.cuts.words.len().saturating_sub(1);
        let possible = if before.ended { last..last + 1 } else { 0..last + 1 };
        let want = &self.cuts.words[possible.clone()];
        match want.iter().position(|word| word == got) {
            Some(at) => Ok(possible.start + at),
            None => {
                Err(BootError::Outcome { command: self.cuts.outcome.clone(), want: want.to_vec(), got: got.to_owned() })
            }
        }
    }

    fn sentence(&self, changes: u64, time: Duration) -> String {
        let mut text = format!("{} cuts over {changes} changes of the disks in {} s:", self.cuts.times, time.as_secs());
        for (index, (word, count)) in self.cuts.words.iter().zip(&self.counts).enumerate() {
            let comma = if index > 0 { "," } else { "" };
            // Writing to a string can't fail.
            let _ = write!(text, "{comma} {count} {word}");
        }
        if self.ended > 0 {
            let _ = write!(text, " ({} finished before the cut)", self.ended);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_spread_and_the_last_changes_have_theirs() {
        let all: Vec<u64> = (0..8).map(|index| moment(index, 8, 40)).collect();
        assert_eq!(all, [5, 39, 15, 38, 25, 37, 35, 36]);
        // Fewer changes than cuts: each change is used, none after the last.
        let all: Vec<u64> = (0..6).map(|index| moment(index, 6, 2)).collect();
        assert_eq!(all, [0, 1, 1, 0, 1, 0]);
        assert_eq!((moment(0, 1, 40), moment(0, 1, 1)), (20, 0));
    }

    #[test]
    fn an_outcome_is_one_of_the_words_and_the_last_for_what_had_ended() {
        let words = ["old", "incomplete", "new"].map(str::to_owned).to_vec();
        let cuts = Cuts { during: "x".into(), times: 20, outcome: "y".into(), words };
        let mut tally = Tally { cuts: &cuts, counts: vec![0; 3], ended: 0 };
        let before = |ended| PreviousCut { text: String::new(), ended, counts: true };
        assert_eq!(tally.word(&before(false), "said\nincomplete\n").unwrap(), 1);
        assert_eq!(tally.word(&before(true), "new").unwrap(), 2);
        let wrong = tally.word(&before(true), "old").unwrap_err().to_string();
        assert_eq!(wrong, "`y` reports `old` as the outcome of the cut, expected new");
        assert!(tally.word(&before(false), "").unwrap_err().to_string().ends_with("expected old or incomplete or new"));
        tally.counts = vec![3, 10, 7];
        tally.ended = 1;
        let text = tally.sentence(80, Duration::from_secs(90));
        assert_eq!(
            text,
            "20 cuts over 80 changes of the disks in 90 s: 3 old, 10 incomplete, 7 new (1 finished before the cut)"
        );
    }
}
