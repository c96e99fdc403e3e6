//! Runs a plan: what the store has is taken, the rest is made, independent steps side by side.

mod needed;
mod repair;
mod run;

use std::path::PathBuf;

use crate::step::{Step, StepError};

pub use needed::{needed_blobs, steps_to_run};
pub use repair::repair;
pub use run::{Built, build};

/// Told what happens; called from several threads.
pub trait Observer: Sync {
    /// Something happened.
    fn event(&self, event: &BuildEvent<'_>);
}

/// What happens in a build.
#[derive(Clone, Copy, Debug)]
pub enum BuildEvent<'a> {
    /// The plan was compared with the store.
    Planned {
        /// Steps whose results the store had and the build needs.
        cached: usize,
        /// Steps to run.
        to_run: usize,
    },
    /// A step begins.
    Started {
        /// The step.
        step: &'a Step,
        /// In which inputs it differs from the last step of that label, if there was one.
        changed: &'a [String],
    },
    /// A step's command printed a line.
    Line {
        /// The step.
        step: &'a Step,
        /// The line.
        line: &'a str,
    },
    /// Something that a step found and that fails nothing, such as a pattern that matches nothing.
    Warning {
        /// The step.
        step: &'a Step,
        /// What, and what to do; may have several lines.
        text: &'a str,
    },
    /// Another process is making the same step; this one waits for it.
    Waiting {
        /// The step.
        step: &'a Step,
    },
    /// A step is done.
    Finished {
        /// The step.
        step: &'a Step,
        /// How long it took.
        seconds: f64,
    },
    /// A step failed; the error follows.
    Failed {
        /// The step.
        step: &'a Step,
    },
}

/// Shows nothing.
pub struct SilentObserver;

impl Observer for SilentObserver {
    fn event(&self, _: &BuildEvent<'_>) {}
}

/// A build that failed: which step, and its log.
#[derive(Debug, thiserror::Error)]
#[error("{label} failed")]
pub struct BuildError {
    /// The step.
    pub label: String,
    /// All that its commands printed, if any ran.
    pub log: Option<PathBuf>,
    /// Why.
    #[source]
    pub source: Box<StepError>,
}
