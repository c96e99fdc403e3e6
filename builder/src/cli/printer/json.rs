//! Events as JSON lines on standard output.

use serde_json::{Value, json};

use super::ProgressView;
use crate::build::BuildEvent;
use crate::source::Meter;

pub struct Json;

/// Prints one event.
pub fn print(value: &Value) {
    super::print(&crate::printable::json(&value.to_string()));
}

impl ProgressView for Json {
    fn event(&self, event: &BuildEvent<'_>) {
        print(&match event {
            BuildEvent::Planned { cached, to_run } => json!({"event": "planned", "cached": cached, "to-run": to_run}),
            BuildEvent::Started { step, changed } => {
                json!({"event": "started", "step": step.label, "key": step.digest, "changed": changed})
            }
            BuildEvent::Waiting { step } => json!({"event": "waiting", "step": step.label}),
            BuildEvent::Line { step, line } => json!({"event": "line", "step": step.label, "line": line}),
            BuildEvent::Warning { step, text } => json!({"event": "warning", "step": step.label, "text": text}),
            BuildEvent::Finished { step, seconds } => {
                json!({"event": "finished", "step": step.label, "key": step.digest, "seconds": seconds})
            }
            BuildEvent::Failed { step } => json!({"event": "failed", "step": step.label}),
        });
    }

    fn line(&self, text: &str) {
        print(&json!({"event": "note", "text": text}));
    }

    fn download(&self, name: &str, total: Option<u64>) -> Box<dyn Meter + '_> {
        print(&json!({"event": "fetching", "name": name, "size": total}));
        Box::new(DownloadEnd { name: name.to_owned() })
    }
}

/// Reports when a download has ended.
struct DownloadEnd {
    name: String,
}

impl Meter for DownloadEnd {
    fn at(&self, _bytes: u64) {}

    fn remark(&self, text: &str) {
        print(&json!({"event": "note", "name": self.name, "text": text}));
    }
}

impl Drop for DownloadEnd {
    fn drop(&mut self) {
        print(&json!({"event": "fetched", "name": self.name}));
    }
}
