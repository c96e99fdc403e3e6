//! Runs a plan: results in the store are used, the others are made, with independent steps in parallel.

mod forecast;
mod needed;
mod repair;
mod run;

use std::path::PathBuf;

use crate::step::{Step, StepError};

pub use forecast::{ExpectedStep, Forecast};
pub use needed::{StepState, needed_blobs, step_states, steps_to_run};
pub use repair::repair;
pub use run::{Built, build, origins};

/// Receives events; called from several threads.
pub trait Observer: Sync {
    /// Called for each event.
    fn event(&self, event: &BuildEvent<'_>);
}

/// An event of a build.
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
        /// The inputs that differ from the last step with that label, if there was one.
        changed: &'a [String],
    },
    /// A step's command printed a line.
    Line {
        /// The step.
        step: &'a Step,
        /// The line.
        line: &'a str,
    },
    /// A finding that does not fail the step, such as a pattern that matches nothing.
    Warning {
        /// The step.
        step: &'a Step,
        /// The finding and what to do; may have several lines.
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

/// Ignores all events.
pub struct SilentObserver;

impl Observer for SilentObserver {
    fn event(&self, _: &BuildEvent<'_>) {}
}

/// A failed build: the step, and its log.
#[derive(Debug, thiserror::Error)]
#[error("{label} failed")]
pub struct BuildError {
    /// The step.
    pub label: String,
    /// The output of its commands, if any ran.
    pub log: Option<PathBuf>,
    /// The cause.
    #[source]
    pub source: Box<StepError>,
}
