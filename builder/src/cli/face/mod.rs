//! The one place that prints: moving progress on a terminal, plain lines in a pipe, JSON events for machines.

mod json;
mod plain;
mod terminal;

use std::io::{IsTerminal, Write};

use crate::build::{Event, Observer};
use crate::output::Report;
use crate::source::{Meter, Progress};

use super::prose::bytes;

/// How progress is shown.
trait Show: Sync + Send {
    /// A step's or a build's event.
    fn event(&self, event: &Event<'_>);
    /// A line that stays, on standard error.
    fn line(&self, text: &str);
    /// Many downloads are to come.
    fn batch(&self, _files: usize, _bytes: u64) {}
    /// A download begins.
    fn download(&self, name: &str, total: Option<u64>) -> Box<dyn Meter + '_>;
    /// Nothing moves any more.
    fn finish(&self) {}
}

/// All that is said to whoever runs dbco.
pub struct Face {
    show: Box<dyn Show>,
    json: bool,
    color: bool,
}

impl Face {
    /// By the flags and by what the standard streams are.
    pub fn new(json: bool, color: clap::ColorChoice) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let color = match color {
            clap::ColorChoice::Always => true,
            clap::ColorChoice::Never => false,
            clap::ColorChoice::Auto => terminal && std::env::var_os("NO_COLOR").is_none(),
        };
        let show: Box<dyn Show> = match (json, terminal) {
            (true, _) => Box::new(json::Json),
            (false, true) => Box::new(terminal::Terminal::new()),
            (false, false) => Box::new(plain::Plain::default()),
        };
        Self { show, json, color }
    }

    /// Whether colours may be used.
    pub fn color(&self) -> bool {
        self.color
    }

    /// A remark.
    pub fn note(&self, text: &str) {
        if self.json {
            json::print(&serde_json::json!({"event": "note", "text": text}));
        } else {
            self.show.line(text);
        }
    }

    /// Text as it is, on standard error.
    pub fn text(&self, text: &str) {
        if self.json {
            json::print(&serde_json::json!({"event": "text", "text": text}));
        } else {
            self.show.line(text.trim_end());
        }
    }

    /// A line of a result, on standard output.
    pub fn line(&self, text: &str) {
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    /// Something failed.
    pub fn error(&self, text: &str) {
        if self.json {
            json::print(&serde_json::json!({"event": "error", "text": text}));
        } else if self.color {
            self.show.line(&format!("\x1b[1;31merror\x1b[0m: {text}"));
        } else {
            self.show.line(&format!("error: {text}"));
        }
    }

    /// An event as machines want it; whether it was printed, so that people need other words.
    pub fn value(&self, value: &serde_json::Value) -> bool {
        if self.json {
            json::print(value);
        }
        self.json
    }

    /// The table of a build's outputs.
    pub fn outputs(&self, report: &Report, ran: usize, seconds: f64) {
        if self.json {
            let file = |given: &crate::output::Given| serde_json::json!({"path": given.path, "size": given.size, "sha256": given.digest});
            let files: Vec<_> = report.files.iter().map(file).collect();
            json::print(&serde_json::json!({
                "event": "done", "files": files, "unchanged": report.unchanged, "steps": ran, "seconds": seconds,
            }));
            return;
        }
        let width =
            report.files.iter().map(|given| given.path.display().to_string().chars().count()).max().unwrap_or(0);
        for given in &report.files {
            self.line(&format!("{:<width$} {:>11}  {}", given.path.display(), bytes(given.size), given.digest.short()));
        }
        let what = match (ran, report.unchanged) {
            (0, true) => "nothing to do".to_owned(),
            (0, false) => "all steps were done already".to_owned(),
            (1, _) => "1 step".to_owned(),
            (count, _) => format!("{count} steps"),
        };
        self.line(&format!("{}: {what}, {seconds:.2} s", report.folder.display()));
    }

    /// Nothing moves any more.
    pub fn finish(&self) {
        self.show.finish();
    }
}

impl Observer for Face {
    fn event(&self, event: &Event<'_>) {
        self.show.event(event);
    }
}

impl Progress for Face {
    fn expect(&self, files: usize, bytes: u64) {
        self.show.batch(files, bytes);
    }

    fn start(&self, name: &str, total: Option<u64>) -> Box<dyn Meter + '_> {
        self.show.download(name, total)
    }
}

/// Why a step runs again, as a clause.
fn because(changed: &[String]) -> String {
    const MOST: usize = 3;
    match changed.len() {
        0 => String::new(),
        count if count <= MOST => format!(" (changed: {})", changed.join(", ")),
        count => format!(" (changed: {} and {} more)", changed[..MOST].join(", "), count - MOST),
    }
}
