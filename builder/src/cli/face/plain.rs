//! Plain lines, for pipes and logs.

use std::io::Write;

use super::{Show, because};
use crate::build::Event;
use crate::source::Meter;

#[derive(Default)]
pub struct Plain;

impl Show for Plain {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Started { step, changed } => self.line(&format!("{}{}", step.label, because(changed))),
            Event::Waiting { step } => self.line(&format!("{}: another build makes it, waiting", step.label)),
            Event::Finished { step, seconds } => self.line(&format!("{}: done in {seconds:.1} s", step.label)),
            Event::Failed { step } => self.line(&format!("{}: failed", step.label)),
            Event::Planned { .. } | Event::Line { .. } => {}
        }
    }

    fn line(&self, text: &str) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    fn download(&self, name: &str, _total: Option<u64>) -> Box<dyn Meter + '_> {
        self.line(&format!("fetching {name}"));
        Box::new(Remarks { name: name.to_owned() })
    }
}

/// Prints what a download remarks.
struct Remarks {
    name: String,
}

impl Meter for Remarks {
    fn at(&self, _bytes: u64) {}

    fn say(&self, text: &str) {
        Plain.line(&format!("{}: {text}", self.name));
    }
}
