//! `dbco repro`.

use std::num::NonZero;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::args::ChoiceArgs;
use super::prose::count;
use super::session::CliSession;
use super::{CommandError, CommandResult, default_recipe, positive, usage};
use crate::recipe::OutputKind;
use crate::repro::{
    self, BUILDS, Programs, Report, ReproError, ReproObserver, ReproOptions, Variations, html, repro, text,
};
use crate::session::Options;
use crate::store::write_atomically;

#[derive(Debug, Args)]
pub struct ReproArgs {
    /// The image recipes, of one project; their builds share the two stores [default: as for `dbco build`]
    #[arg(value_name = "RECIPE")]
    recipes: Vec<PathBuf>,
    #[command(flatten)]
    choice: ChoiceArgs,
    /// The lock file [default: the nearest dbco.lock in the recipe's folder or above it]
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// Compare only this output; may be repeated
    #[arg(long, value_name = "OUTPUT", value_parser = OutputKind::parse)]
    only: Vec<OutputKind>,
    /// What differs between the builds: names, separated by commas, or -NAME for all but some [default: all]
    ///
    /// folder, user, umask, time, time-zone, locale, host-name, environment, jobs, listing-order, file-times, personality,
    /// sandbox, file-system
    #[arg(long, value_name = "LIST", default_value = "all", allow_hyphen_values = true, hide_default_value = true)]
    vary: Variations,
    /// Also write the report as a page, HTML in one file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Keep both builds, and print where they are
    #[arg(long)]
    keep: bool,
    /// Fail if the lock does not match the recipe, instead of updating it
    #[arg(long)]
    locked: bool,
    /// Use no network: everything has to be fetched already (implies --locked)
    #[arg(long)]
    offline: bool,
    /// Processes that the first build may run in parallel; the second may run one more [default: the number of processors]
    #[arg(short, long, value_name = "N", value_parser = positive)]
    jobs: Option<NonZero<usize>>,
}

/// Prints the progress of both builds.
struct Observer<'a>(&'a CliSession<'a>);

impl ReproObserver for Observer<'_> {
    fn event(&self, build: usize, event: &Value) {
        let printer = self.0.printer;
        let which = BUILDS[build];
        if printer.value(&json!({"event": "repro-build", "build": which, "of": event})) {
            return;
        }
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        match text("event") {
            "planned" => {
                let steps = usize::try_from(event["to-run"].as_u64().unwrap_or(0)).unwrap_or(0);
                printer.note(&format!("{which} build: {}", count(steps, "step")));
            }
            "finished" => {
                let seconds = event["seconds"].as_f64().unwrap_or(0.0);
                printer.note(&format!("{which} build: {}: done in {seconds:.1} s", text("step")));
            }
            _ => {}
        }
    }

    fn note(&self, text: &str) {
        self.0.printer.note(text);
    }
}

pub fn run(session: &CliSession<'_>, args: &ReproArgs) -> CommandResult {
    let wanted = ReproOptions {
        recipes: if args.recipes.is_empty() { vec![default_recipe()] } else { args.recipes.clone() },
        settings: args.choice.settings().map_err(usage)?,
        only: args.only.clone(),
        options: Options {
            lock: args.lock.clone(),
            locked: args.locked,
            offline: args.offline,
            jobs: args.jobs.map_or(0, NonZero::get),
            sandbox: None,
        },
        vary: args.vary.clone(),
        keep: args.keep,
    };
    let reports = repro(session, &wanted, &Programs::default(), &Observer(session)).map_err(|error| match error {
        ReproError::Recipe(error) => usage(error),
        ReproError::Session(error) => CommandError::from(error),
        other => CommandError::from(other),
    })?;
    if let Some(path) = &args.html {
        write_atomically(path, html(&reports).as_bytes())?;
    }
    for report in &reports {
        let value = serde_json::to_value(report)?;
        if !session.printer.value(&json!({"event": "repro", "identical": report.is_identical(), "report": value})) {
            text(report).lines().for_each(|line| session.printer.line(line));
        }
    }
    if reports.iter().all(Report::is_identical) { Ok(()) } else { Err(CommandError::Reported) }
}

/// The exit status of the process that makes a build's surroundings, if this is one; otherwise `None`.
pub fn stage() -> Option<std::process::ExitCode> {
    let code = repro::entry()?.unwrap_or_else(|why| {
        eprintln!("{}{why}", repro::MARK);
        repro::SETUP_FAILED
    });
    Some(std::process::ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
