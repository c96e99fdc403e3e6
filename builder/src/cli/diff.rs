//! `dbco diff`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::json;

use super::image::{LimitArgs, open};
use super::session::CliSession;
use super::{CommandError, CommandResult, usage};
use crate::compare::{CompareOptions, Comparison, Topic, folders, html, images};
use crate::printable::printable;
use crate::reader::ReaderError;

#[derive(Debug, Args)]
pub struct DiffArgs {
    /// An image (FILE or FILE//PATH), or a folder of images
    #[arg(value_name = "A")]
    before: OsString,
    /// The same for the other side
    #[arg(value_name = "B")]
    after: OsString,
    /// Also compare modification times
    #[arg(long)]
    times: bool,
    /// Also write the result as an HTML page, which replaces this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitArgs,
}

pub fn run(session: &CliSession<'_>, args: &DiffArgs) -> CommandResult {
    let limits = args.limits.limits();
    let options = CompareOptions { limits, times: args.times };
    let [a, b] = [&args.before, &args.after];
    let mut found = Comparison::default();
    let [before, after] = [a, b].map(|side| printable(side.as_encoded_bytes()).to_string());
    let failed = |fault| ReaderError { place: format!("{before}, {after}"), fault };
    match (Path::new(a).is_dir(), Path::new(b).is_dir()) {
        (true, true) => folders(&mut found, Path::new(a), Path::new(b), &options).map_err(failed)?,
        (false, false) => {
            let (old, new) = (open(a, &limits)?.into_image(&limits)?, open(b, &limits)?.into_image(&limits)?);
            images(&mut found, "", &old.image, &new.image, &options).map_err(failed)?;
        }
        (true, false) => {
            return Err(usage(anyhow!("{before} is a folder and {after} is not: name two images or two folders")));
        }
        (false, true) => {
            return Err(usage(anyhow!("{after} is a folder and {before} is not: name two images or two folders")));
        }
    }
    if let Some(path) = &args.html {
        let shown = crate::printable::path(path).to_string();
        std::fs::write(path, html(&found, &before, &after))
            .with_context(|| format!("can't write {shown}"))
            .map_err(usage)?;
    }
    report(session, &found);
    match found.differences.is_empty() {
        true => Ok(()),
        false => Err(CommandError::Reported),
    }
}

fn report(session: &CliSession<'_>, found: &Comparison) {
    for difference in &found.differences {
        let mut value = serde_json::to_value(difference).unwrap_or_default();
        value["event"] = json!("difference");
        session.printer.value(&value);
    }
    let value = json!({
        "event": "compared", "equal": found.differences.is_empty(), "differences": found.differences.len(),
        "notes": found.notes,
    });
    if session.printer.value(&value) {
        return;
    }
    for topic in Topic::ALL {
        let mut differences = found.differences.iter().filter(|difference| difference.topic == topic).peekable();
        if differences.peek().is_some() {
            session.printer.line(&format!("{}:", topic.title()));
        }
        for difference in differences {
            let place = if difference.place.is_empty() { String::new() } else { format!("{}//", difference.place) };
            let property =
                if difference.property.is_empty() { String::new() } else { format!(" {}", difference.property) };
            let text = match (&difference.before, &difference.after) {
                (None, Some(after)) => format!("  + {place}{}{property}: {after}", difference.subject),
                (Some(before), None) => format!("  - {place}{}{property}: {before}", difference.subject),
                (before, after) => {
                    let [before, after] = [before, after].map(|value| value.as_deref().unwrap_or_default());
                    format!("  ~ {place}{}{property}: {before} → {after}", difference.subject)
                }
            };
            session.printer.line(&text);
        }
    }
    found.notes.iter().for_each(|note| session.printer.note(note));
    let count = found.differences.len();
    let what = match count {
        0 => "no differences".to_owned(),
        _ => super::prose::count(count, "difference"),
    };
    session.printer.line(&what);
}
