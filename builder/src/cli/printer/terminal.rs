//! A moving display on a terminal: a line for each running step or machine with the last line of its output, and bars
//! for downloads. No line is wider than the terminal, however narrow that is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{LastLineFn, ProgressView, because, numbered, warning};
use crate::build::BuildEvent;
use crate::interrupt;
use crate::printable::{printable, styled};
use crate::source::Meter;
use crate::threads;

/// How often the moving display is redrawn.
const TICK: Duration = Duration::from_millis(120);

pub struct Terminal {
    all: MultiProgress,
    color: bool,
    state: Arc<Mutex<TerminalState>>,
}

#[derive(Default)]
struct TerminalState {
    /// Running steps by their keys, machines by their tests' names.
    running: HashMap<String, RunningItem>,
    /// The number of started steps, and of all steps.
    begun: usize,
    steps: usize,
    batch: Option<DownloadBatch>,
}

struct RunningItem {
    bar: ProgressBar,
    /// Its description, in front of its last line.
    title: String,
    last_line: Option<LastLineFn>,
}

/// Downloads that were announced together.
struct DownloadBatch {
    bar: ProgressBar,
    files: usize,
    done: usize,
}

fn lock(state: &Mutex<TerminalState>) -> MutexGuard<'_, TerminalState> {
    state.lock().unwrap_or_else(|e| e.into_inner())
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

impl Terminal {
    pub fn new(color: bool) -> Self {
        let terminal = Self { all: MultiProgress::new(), color, state: Arc::default() };
        let state = Arc::downgrade(&terminal.state);
        // Without a further thread nothing is animated, but everything is still printed.
        let _ = threads::spawn("progress", move || {
            while let Some(state) = state.upgrade() {
                lock(&state).running.values().for_each(|running| {
                    if let Some(last_line) = &running.last_line {
                        running.show(&last_line(), color);
                    }
                    running.bar.tick();
                });
                drop(state);
                std::thread::park_timeout(TICK);
            }
        });
        terminal
    }

    fn begin(&self, key: &str, title: String, line: &str, last_line: Option<LastLineFn>) {
        // After a signal nothing new is shown.
        if interrupt::raised().is_some() {
            return;
        }
        let bar = self.all.add(ProgressBar::new_spinner().with_style(style("{spinner} {elapsed:>4} {wide_msg}")));
        let running = RunningItem { bar, title, last_line };
        running.show(line, self.color);
        if let Some(old) = lock(&self.state).running.insert(key.to_owned(), running) {
            self.remove(&old.bar);
        }
    }

    fn end(&self, key: &str) {
        let ended = lock(&self.state).running.remove(key);
        if let Some(ended) = ended {
            self.remove(&ended.bar);
        }
    }

    fn remove(&self, bar: &ProgressBar) {
        bar.finish_and_clear();
        self.all.remove(bar);
    }
}

impl RunningItem {
    fn show(&self, line: &str, color: bool) {
        let line: String = line.chars().take(200).collect();
        let (title, line) = (printable(&self.title), printable(&line));
        self.bar.set_message(match color {
            true => format!("{title}  \x1b[2m{line}\x1b[0m"),
            false => format!("{title}  {line}"),
        });
    }
}

impl ProgressView for Terminal {
    fn event(&self, event: &BuildEvent<'_>) {
        match event {
            BuildEvent::Planned { to_run, .. } => {
                let mut state = lock(&self.state);
                (state.begun, state.steps) = (0, *to_run);
            }
            BuildEvent::Started { step, changed } => {
                let number = {
                    let mut state = lock(&self.state);
                    state.begun += 1;
                    numbered(state.begun, state.steps)
                };
                self.begin(&step.digest.to_string(), number + &step.label, &because(changed), None);
            }
            BuildEvent::Waiting { step } => {
                self.begin(
                    &step.digest.to_string(),
                    step.label.clone(),
                    "waiting for another build that runs it",
                    None,
                );
            }
            BuildEvent::Line { step, line } => {
                if let Some(running) = lock(&self.state).running.get(&step.digest.to_string()) {
                    running.show(line, self.color);
                }
            }
            BuildEvent::Warning { step, text } => self.line(&warning(step, text)),
            BuildEvent::Finished { step, seconds } => {
                self.end(&step.digest.to_string());
                self.line(&format!("  {} {seconds:.1} s", step.label));
            }
            BuildEvent::Failed { step } => {
                self.end(&step.digest.to_string());
                self.line(&format!("  {} failed", step.label));
            }
        }
    }

    fn line(&self, text: &str) {
        // Colours are ours: `Printer` has made foreign ones visible.
        let _ = self.all.println(styled(text).to_string());
    }

    fn batch(&self, files: usize, bytes: u64) {
        let template = "{spinner} {prefix} {binary_bytes:>10}/{binary_total_bytes} {wide_bar} {eta:>3} left";
        let bar = self.all.insert(0, ProgressBar::new(bytes).with_style(style(template)));
        bar.set_prefix(format!("0/{files}"));
        bar.tick();
        lock(&self.state).batch = Some(DownloadBatch { bar, files, done: 0 });
    }

    fn download(&self, name: &str, total: Option<u64>) -> Box<dyn Meter + '_> {
        let template = match total {
            Some(_) => "  {binary_bytes:>10}/{binary_total_bytes:<10} {binary_bytes_per_sec:>12}  {wide_msg}",
            None => "  {binary_bytes:>10} {binary_bytes_per_sec:>23}  {wide_msg}",
        };
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new);
        let bar = self.all.add(bar.with_style(style(template)));
        let name = printable(name).to_string();
        bar.set_message(name.clone());
        Box::new(Bar { bar, name, terminal: self })
    }

    fn machine(&self, name: &str, phase: &str, last_line: Option<LastLineFn>) {
        let mut state = lock(&self.state);
        match (state.running.get_mut(name), last_line) {
            (Some(running), None) => running.title = format!("{name}: {phase}"),
            (_, last_line) => {
                drop(state);
                self.begin(name, format!("{name}: {phase}"), "", last_line);
            }
        }
    }

    fn machine_ended(&self, name: &str) {
        self.end(name);
    }

    fn interrupted(&self) {
        self.finish();
        self.line("stopping (^C again to stop immediately)");
    }

    fn finish(&self) {
        let (running, batch) = {
            let mut state = lock(&self.state);
            (std::mem::take(&mut state.running), state.batch.take())
        };
        running.values().for_each(|running| self.remove(&running.bar));
        if let Some(batch) = batch {
            self.remove(&batch.bar);
        }
        let _ = self.all.clear();
    }
}

/// A download. Its bytes also count towards its batch.
struct Bar<'a> {
    bar: ProgressBar,
    name: String,
    terminal: &'a Terminal,
}

impl Meter for Bar<'_> {
    fn at(&self, bytes: u64) {
        let before = self.bar.position();
        self.bar.set_position(bytes);
        if let Some(batch) = &lock(&self.terminal.state).batch {
            batch.bar.set_position((batch.bar.position() + bytes).saturating_sub(before));
        }
    }

    fn remark(&self, text: &str) {
        self.bar.set_message(format!("{}  {}", self.name, printable(text)));
    }
}

impl Drop for Bar<'_> {
    fn drop(&mut self) {
        self.terminal.remove(&self.bar);
        let mut state = lock(&self.terminal.state);
        let Some(batch) = &mut state.batch else { return };
        batch.done += 1;
        batch.bar.set_prefix(format!("{}/{}", batch.done, batch.files));
        if batch.done >= batch.files {
            let ended = state.batch.take();
            drop(state);
            ended.iter().for_each(|batch| self.terminal.remove(&batch.bar));
        }
    }
}
