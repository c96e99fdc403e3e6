//! Moving progress on a terminal: a line for each running step with the last line of its log, bars for downloads.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{Show, because};
use crate::build::Event;
use crate::digest::Digest;
use crate::source::Meter;

pub struct Terminal {
    all: MultiProgress,
    steps: Mutex<HashMap<Digest, ProgressBar>>,
}

impl Terminal {
    pub fn new() -> Self {
        Self { all: MultiProgress::new(), steps: Mutex::default() }
    }

    fn steps(&self) -> MutexGuard<'_, HashMap<Digest, ProgressBar>> {
        self.steps.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn begin(&self, key: Digest, label: &str, message: String) {
        let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed:>4}  {wide_msg:.dim}").ok();
        let bar = self.all.add(ProgressBar::new_spinner());
        if let Some(style) = style {
            bar.set_style(style);
        }
        bar.set_prefix(label.to_owned());
        bar.set_message(message);
        bar.enable_steady_tick(Duration::from_millis(120));
        if let Some(old) = self.steps().insert(key, bar) {
            old.finish_and_clear();
        }
    }

    fn end(&self, key: Digest, text: &str) {
        if let Some(bar) = self.steps().remove(&key) {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
        self.line(text);
    }
}

impl Show for Terminal {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Planned { .. } => {}
            Event::Started { step, changed } => self.begin(step.digest, &step.label, because(changed)),
            Event::Waiting { step } => {
                self.begin(step.digest, &step.label, "another build makes it, waiting".into());
            }
            Event::Line { step, line } => {
                if let Some(bar) = self.steps().get(&step.digest) {
                    let visible: String = line.chars().filter(|c| !c.is_control()).take(200).collect();
                    bar.set_message(visible);
                }
            }
            Event::Finished { step, seconds } => {
                self.end(step.digest, &format!("  {} {seconds:.1} s", step.label));
            }
            Event::Failed { step } => self.end(step.digest, &format!("  {} failed", step.label)),
        }
    }

    fn line(&self, text: &str) {
        let _ = self.all.println(text);
    }

    fn download(&self, name: &str, total: Option<u64>) -> Box<dyn Meter + '_> {
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::new_spinner(),
        };
        let template =
            "  {prefix:<40!} {wide_bar} {binary_bytes:>10}/{binary_total_bytes} {binary_bytes_per_sec:>12} {msg}";
        let bar = self.all.add(bar);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(name.to_owned());
        Box::new(Bar { bar, all: self.all.clone() })
    }

    fn finish(&self) {
        for (_, bar) in self.steps().drain() {
            bar.finish_and_clear();
        }
        let _ = self.all.clear();
    }
}

struct Bar {
    bar: ProgressBar,
    all: MultiProgress,
}

impl Meter for Bar {
    fn at(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    fn say(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.all.remove(&self.bar);
    }
}
