//! The one place that prints: moving progress on a terminal, plain lines in a pipe, JSON events for machines.

mod annotations;
mod json;
mod plain;
mod terminal;

use std::io::{IsTerminal, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::build::{BuildEvent, Observer};
use crate::output::WriteReport;
use crate::printable;
use crate::session::bytes;
use crate::source::{Meter, NoProgress, Progress};
use crate::step::Step;

pub use annotations::{Annotation, AnnotationFormat, AnnotationLevel};

/// A way to display progress.
trait ProgressView: Sync + Send {
    /// An event of a step or a build.
    fn event(&self, event: &BuildEvent<'_>);
    /// A permanent line, on standard error.
    fn line(&self, text: &str);
    /// Several downloads are about to start.
    fn batch(&self, _files: usize, _bytes: u64) {}
    /// Work on the given number of bytes starts; it ends when the meter is dropped.
    fn work(&self, _name: &str, _total: u64) -> Box<dyn Meter + '_> {
        Box::new(NoProgress)
    }
    /// A download starts.
    fn download(&self, name: &str, total: Option<u64>) -> Box<dyn Meter + '_>;
    /// The machine of a test is in a phase; with `last_line` it has just been started.
    fn machine(&self, _name: &str, _phase: &str, _last_line: Option<LastLineFn>) {}
    /// A test has ended.
    fn machine_ended(&self, _name: &str) {}
    /// A signal arrived: everything is about to end.
    fn interrupted(&self) {}
    /// Ends the moving display.
    fn finish(&self) {}
}

/// Gives the last line of a machine's console.
pub type LastLineFn = std::sync::Arc<dyn Fn() -> String + Send + Sync>;

/// All output to the user.
pub struct Printer {
    show: Box<dyn ProgressView>,
    json: bool,
    color: bool,
    annotations: annotations::Annotations,
    /// Whether this target was never built before.
    new: AtomicBool,
}

impl Printer {
    /// Determined by the flags and the type of the standard streams.
    pub fn new(json: bool, color: clap::ColorChoice, annotations: Option<AnnotationFormat>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let color = match color {
            clap::ColorChoice::Always => true,
            clap::ColorChoice::Never => false,
            clap::ColorChoice::Auto => terminal && std::env::var_os("NO_COLOR").is_none(),
        };
        let show: Box<dyn ProgressView> = match (json, terminal) {
            (true, _) => Box::new(json::Json),
            (false, true) => Box::new(terminal::Terminal::new(color)),
            (false, false) => Box::new(plain::Plain::default()),
        };
        let annotations = annotations::Annotations::new(annotations);
        Self { show, json, color, annotations, new: AtomicBool::new(false) }
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
            self.show.line(&printable::lines(text).to_string());
        }
    }

    /// Multi-line text on standard error, which may contain colours if these are enabled.
    pub fn text(&self, text: &str) {
        if self.json {
            json::print(&serde_json::json!({"event": "text", "text": text}));
        } else {
            let text = text.trim_end();
            let text = if self.color { printable::styled(text) } else { printable::lines(text) };
            self.show.line(&text.to_string());
        }
    }

    /// A line of a result, on standard output.
    pub fn line(&self, text: &str) {
        if self.json {
            json::print(&serde_json::json!({"event": "line", "text": text}));
        } else {
            print(&printable::lines(text).to_string());
        }
    }

    /// Copies bytes to standard output as they are. A closed reader (`| head`) ends it without an error.
    ///
    /// # Errors
    /// The source could not be read; that standard output can't be written is reported at the end.
    pub fn raw(&self, from: &mut dyn Read) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        let mut buffer = vec![0; 128 * 1024];
        loop {
            let count = from.read(&mut buffer)?;
            match out.write_all(&buffer[..count]).and_then(|()| out.flush()) {
                Ok(()) if count > 0 => {}
                Ok(()) => return Ok(()),
                Err(error) => {
                    if error.kind() != std::io::ErrorKind::BrokenPipe {
                        LOST.store(true, Ordering::Relaxed);
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Also reports something on a line of a file, if annotations are wanted.
    pub fn annotate(&self, annotation: &Annotation<'_>) {
        if let Some(line) = self.annotations.add(annotation) {
            print(&printable::lines(&line).to_string());
        }
    }

    /// Writes the report of annotations, if there is one.
    pub fn write_annotations(&self) -> Result<(), crate::store::StoreError> {
        self.annotations.finish()
    }

    /// Something failed.
    pub fn error(&self, text: &str) {
        if let Some(line) = self.annotations.add_error(text) {
            print(&printable::lines(&line).to_string());
        }
        if self.json {
            json::print(&serde_json::json!({"event": "error", "text": text}));
            return;
        }
        let text = printable::lines(text);
        if self.color {
            self.show.line(&format!("\x1b[1;31merror\x1b[0m: {text}"));
        } else {
            self.show.line(&format!("error: {text}"));
        }
    }

    /// A JSON event; gives whether it was printed, so that otherwise text is printed.
    pub fn value(&self, value: &serde_json::Value) -> bool {
        if self.json {
            json::print(value);
        }
        self.json
    }

    /// The table of a build's outputs.
    pub fn outputs(&self, report: &WriteReport, ran: usize, seconds: f64) {
        if self.json {
            let file = |given: &crate::output::WrittenFile| serde_json::json!({"path": given.path, "size": given.size, "sha256": given.digest, "before": given.before});
            let files: Vec<_> = report.files.iter().map(file).collect();
            json::print(&serde_json::json!({
                "event": "done", "files": files, "unchanged": report.unchanged, "kept": report.kept, "steps": ran,
                "seconds": seconds,
            }));
            return;
        }
        let width =
            report.files.iter().map(|given| given.path.display().to_string().chars().count()).max().unwrap_or(0);
        for given in &report.files {
            let growth = given.before.map_or(String::new(), |before| growth(before, given.size));
            let (path, size, digest) = (given.path.display(), bytes(given.size), given.digest.short());
            self.line(&format!("{path:<width$} {size:>11}  {digest}{growth}"));
        }
        if let Some(kept) = &report.kept {
            self.note(&format!("the edited outputs are kept in {}", kept.display()));
        }
        let what = match (ran, report.unchanged) {
            (0, true) => "nothing to do".to_owned(),
            (0, false) => "all steps are up to date".to_owned(),
            (1, _) => "1 step".to_owned(),
            (count, _) => format!("{count} steps"),
        };
        self.line(&format!("{}: {what}, {seconds:.2} s", report.folder.display()));
    }

    /// Work on the given number of bytes starts, shown only in the moving display; it ends when the meter is dropped.
    pub fn work(&self, name: &str, total: u64) -> Box<dyn Meter + '_> {
        self.show.work(name, total)
    }

    /// Whether everything for standard output could be written.
    pub fn could_print(&self) -> bool {
        !LOST.load(Ordering::Relaxed)
    }

    /// The machine of a test is in a phase; with `last_line` it has just been started.
    pub fn machine(&self, name: &str, phase: &str, last_line: Option<LastLineFn>) {
        self.show.machine(name, phase, last_line);
    }

    /// A test has ended.
    pub fn machine_ended(&self, name: &str) {
        self.show.machine_ended(name);
    }

    /// A signal arrived: everything is about to end.
    pub fn interrupted(&self) {
        self.show.interrupted();
    }

    /// From now on changes are not reported: the user has no earlier build to compare with.
    pub fn is_new(&self) {
        self.new.store(true, Ordering::Relaxed);
    }

    /// Ends the moving display.
    pub fn finish(&self) {
        self.show.finish();
    }
}

impl Observer for Printer {
    fn event(&self, event: &BuildEvent<'_>) {
        match event {
            BuildEvent::Started { step, .. } if self.new.load(Ordering::Relaxed) => {
                self.show.event(&BuildEvent::Started { step, changed: &[] });
            }
            other => self.show.event(other),
        }
    }
}

impl Progress for Printer {
    fn expect(&self, files: usize, bytes: u64) {
        self.show.batch(files, bytes);
    }

    fn warn(&self, text: &str) {
        self.note(&format!("warning: {text}"));
    }

    fn start(&self, name: &str, total: Option<u64>) -> Box<dyn Meter + '_> {
        self.show.download(name, total)
    }
}

/// Whether writing to standard output has failed.
static LOST: AtomicBool = AtomicBool::new(false);

/// A line on standard output. A closed reader (`| head`) is not an error.
fn print(line: &str) {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => LOST.store(true, Ordering::Relaxed),
        _ => {}
    }
}

/// A step's warning, for people.
fn warning(step: &Step, text: &str) -> String {
    printable::lines(&format!("warning: {}: {text}", step.label)).to_string()
}

/// A step's position in the build, before its label.
fn numbered(number: usize, all: usize) -> String {
    if all > 1 { format!("[{number}/{all}] ") } else { String::new() }
}

/// Why a step runs again, as a clause.
fn because(changed: &[String]) -> String {
    const MOST: usize = 3;
    // The first row of every key: the kind of step and the revision of its code.
    let named = |row: &String| if row == "kind" { "dbco itself".to_owned() } else { row.clone() };
    let changed: Vec<String> = changed.iter().map(named).collect();
    match changed.len() {
        0 => String::new(),
        count if count <= MOST => format!(" (changed: {})", changed.join(", ")),
        count => format!(" (changed: {} and {} more)", changed[..MOST].join(", "), count - MOST),
    }
}

/// How much a file has grown or shrunk, with two spaces before; nothing if it has the same size.
fn growth(before: u64, now: u64) -> String {
    match before.cmp(&now) {
        std::cmp::Ordering::Less => format!("  +{}", bytes(now - before)),
        std::cmp::Ordering::Greater => format!("  −{}", bytes(before - now)),
        std::cmp::Ordering::Equal => String::new(),
    }
}
