//! Plain lines, for pipes and logs.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::{ProgressView, because, bytes, numbered, warning};
use crate::build::BuildEvent;
use crate::cli::prose::count;
use crate::printable;
use crate::source::Meter;

#[derive(Default)]
pub struct Plain {
    /// Whether several downloads were announced together: then they don't get a line each.
    announced: AtomicBool,
    /// The number of started steps, and of all steps.
    steps: Mutex<(usize, usize)>,
}

impl Plain {
    fn steps(&self) -> MutexGuard<'_, (usize, usize)> {
        self.steps.lock().unwrap_or_else(|e| e.into_inner())
    }
}

fn print(text: &str) {
    // Colours are set by dbco: `Printer` has escaped those in foreign text.
    let _ = writeln!(std::io::stderr(), "{}", printable::styled(text));
}

impl ProgressView for Plain {
    fn event(&self, event: &BuildEvent<'_>) {
        match event {
            BuildEvent::Planned { to_run, .. } => *self.steps() = (0, *to_run),
            BuildEvent::Started { step, changed } => {
                let number = {
                    let mut steps = self.steps();
                    steps.0 += 1;
                    numbered(steps.0, steps.1)
                };
                print(&format!("{number}{}{}", step.label, because(changed)));
            }
            BuildEvent::Waiting { step } => print(&format!("{}: waiting for another build that runs it", step.label)),
            BuildEvent::Warning { step, text } => print(&warning(step, text)),
            BuildEvent::Finished { step, seconds } => print(&format!("{}: done in {seconds:.1} s", step.label)),
            BuildEvent::Failed { step } => print(&format!("{}: failed", step.label)),
            BuildEvent::Line { .. } => {}
        }
    }

    fn line(&self, text: &str) {
        print(text);
    }

    fn batch(&self, files: usize, size: u64) {
        self.announced.store(true, Ordering::Relaxed);
        print(&format!("fetching {}, {}", count(files, "file"), bytes(size)));
    }

    fn download(&self, name: &str, _total: Option<u64>) -> Box<dyn Meter + '_> {
        if !self.announced.load(Ordering::Relaxed) {
            print(&format!("fetching {name}"));
        }
        Box::new(Remarks { name: name.to_owned(), last: Mutex::default() })
    }
}

/// Prints the remarks of a download, each once.
struct Remarks {
    name: String,
    last: Mutex<String>,
}

impl Meter for Remarks {
    fn at(&self, _bytes: u64) {}

    fn remark(&self, text: &str) {
        let mut last = self.last.lock().unwrap_or_else(|e| e.into_inner());
        if *last != text {
            print(&format!("{}: {text}", self.name));
            *last = text.to_owned();
        }
    }
}
