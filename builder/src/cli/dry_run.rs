//! `dbco build --dry-run`.

use serde_json::json;

use super::prose::{bytes, count};
use super::session::CliSession;
use super::{BuildArgs, CommandResult};
use crate::build::{ExpectedStep, Forecast};
use crate::recipe::OutputKind;
use crate::session::{DryRun, ExpectedDownloads, FileChange, OutputOptions};
use crate::store::{Sharing, StepTime};

/// The most names in a line of prose.
const MOST: usize = 6;

pub fn run(session: &CliSession<'_>, args: &BuildArgs, only: &[OutputKind], overwrite: bool) -> CommandResult {
    let recipe = session.recipe(&args.recipe)?;
    let store = session.store_as(Sharing::Reading)?;
    super::build::writable(&args.output)?;
    let options = args.options();
    let outputs = OutputOptions {
        folder: args.output.clone(),
        only: only.to_vec(),
        overwrite,
        release: None,
        options: options.clone(),
    };
    let run = session.dry_run(&recipe, &store, &outputs)?;
    session.report_damages(&store);
    let jobs = options.resources().jobs;
    if session.printer.value(&value(&run, jobs)) {
        return Ok(());
    }
    session.printer.line(text(&run, jobs).trim_end_matches('\n'));
    Ok(())
}

fn value(run: &DryRun, jobs: usize) -> serde_json::Value {
    let DryRun { planned, forecast, downloads, folder, files } = run;
    let step = |ExpectedStep { id, last }: &ExpectedStep| {
        let step = planned.plan.graph.step(*id);
        let last = last.as_ref();
        json!({
            "step": step.label, "kind": step.key.kind(), "name": step.name(), "key": step.digest,
            "seconds": last.map(|last| last.seconds), "jobs": last.and_then(|last| last.jobs),
            "processors": last.and_then(|last| last.processors),
        })
    };
    let files: Vec<_> =
        files.iter().map(|(name, change)| json!({"path": folder.join(name), "change": change.word()})).collect();
    json!({
        "event": "dry-run", "cached": forecast.cached, "steps": forecast.steps.iter().map(step).collect::<Vec<_>>(),
        "downloads": {"files": downloads.files.len(), "bytes": downloads.bytes(), "crates": downloads.crates.len()},
        "files": files,
        "estimate": {
            "seconds": forecast.seconds(), "heavy": forecast.heavy, "chain": forecast.chain,
            "unknown": forecast.unknown(), "jobs": jobs,
        },
    })
}

fn text(run: &DryRun, jobs: usize) -> String {
    let DryRun { planned, forecast, downloads, folder, files } = run;
    let mut text = match forecast.steps.len() {
        0 => "no step will run: the store has all results\n".to_owned(),
        number => format!("{} will run, {} from the store:\n", count(number, "step"), count(forecast.cached, "result")),
    };
    let label = |step: &ExpectedStep| planned.plan.graph.step(step.id).label.as_str();
    let width = forecast.steps.iter().map(|step| label(step).chars().count()).max().unwrap_or_default();
    for step in &forecast.steps {
        let key = planned.plan.graph.step(step.id).digest.short();
        text += &format!("  {:<width$}  {key}  {}\n", label(step), time(step.last.as_ref()));
    }
    text += &format!("downloads: {}\n", downloads_text(downloads));
    text += &format!("{}:\n", folder.display());
    let width = files.keys().map(|name| name.chars().count()).max().unwrap_or_default();
    for (name, change) in files {
        let word = match change {
            FileChange::Optional => "built, if the kernel has it",
            other => other.word(),
        };
        text += &format!("  {name:<width$}  {word}\n");
    }
    text + &estimate(forecast, downloads, jobs)
}

fn time(last: Option<&StepTime>) -> String {
    match last {
        None => "time unknown".to_owned(),
        Some(StepTime { seconds, jobs: None, .. }) => format!("last time {}", duration(*seconds)),
        Some(StepTime { seconds, jobs: Some(jobs), .. }) => {
            format!("last time {} with {}", duration(*seconds), count(*jobs, "job"))
        }
    }
}

fn downloads_text(downloads: &ExpectedDownloads) -> String {
    let ExpectedDownloads { files, crates } = downloads;
    let named = |names: Vec<&str>| {
        let more = if names.len() > MOST { format!(" and {} more", names.len() - MOST) } else { String::new() };
        format!("{}{more}", names[..names.len().min(MOST)].join(", "))
    };
    let mut parts = Vec::new();
    if !files.is_empty() {
        let names = named(files.iter().map(|(name, _)| name.as_str()).collect());
        parts.push(format!("{}, {} ({names})", count(files.len(), "file"), bytes(downloads.bytes())));
    }
    if !crates.is_empty() {
        let names = named(crates.iter().map(String::as_str).collect());
        parts.push(format!("{} of unknown size ({names})", count(crates.len(), "crate")));
    }
    if parts.is_empty() { "none".to_owned() } else { parts.join("; ") }
}

/// The estimate, with how it is computed.
fn estimate(forecast: &Forecast, downloads: &ExpectedDownloads, jobs: usize) -> String {
    if forecast.steps.is_empty() {
        return String::new();
    }
    let unknown = match forecast.unknown() {
        0 => String::new(),
        number => format!(", without {}", count(number, "step") + " of unknown time"),
    };
    let fetching = if *downloads == ExpectedDownloads::default() { "" } else { ", without downloads" };
    let Some(seconds) = forecast.seconds() else {
        return "time: unknown, as no step with the same name ran before\n".to_owned();
    };
    let about = if forecast.unknown() > 0 { "at least" } else { "about" };
    let mut text = format!("time: {about} {}{unknown}{fetching}\n", duration(seconds));
    text += &format!(
        "  by the last time of each step's name: the longer of all steps that use every processor, one after another ({}),\n  and \
         the longest chain of steps that need each other ({})\n",
        duration(forecast.heavy),
        duration(forecast.chain)
    );
    let differ =
        |step: &&ExpectedStep| step.last.as_ref().is_some_and(|last| last.jobs.is_some_and(|other| other != jobs));
    let others = forecast.steps.iter().filter(differ).count();
    if others > 0 {
        let verb = if others == 1 { "was" } else { "were" };
        text += &format!("  {others} of these times {verb} measured with another number of jobs than {jobs}\n");
    }
    text
}

/// A time in seconds, for people.
pub fn duration(seconds: f64) -> String {
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_to_what_an_estimate_is_worth() {
        let texts = [0.04, 9.94, 9.96, 59.6, 61.0, 3599.9, 7260.0].map(duration);
        assert_eq!(texts, ["0.0 s", "9.9 s", "10 s", "1 min 0 s", "1 min 1 s", "1 h 0 min", "2 h 1 min"]);
    }
}
