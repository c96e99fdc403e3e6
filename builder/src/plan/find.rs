//! Finding a step by what a user calls it.

use super::Plan;
use crate::similar;
use crate::step::{Step, StepId};

/// A digest's first digits name a step from this number of them.
const FEWEST_DIGITS: usize = 4;

/// Why a name does not stand for one step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindStepError {
    /// No step has the name.
    #[error("there is no step `{}`{}", .name.escape_debug(), .hint)]
    Unknown {
        /// The name.
        name: String,
        /// A similar name, or all of them; begins with a semicolon.
        hint: String,
    },
    /// Several steps have the name.
    #[error("there are several steps `{}`; give the key of one instead: {}", .name.escape_debug(), .steps.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// The steps, with their short keys.
        steps: Vec<String>,
    },
}

impl Plan {
    /// The step that a name stands for, among those that the targets need: its label (`component busybox`), its label
    /// without the kind (`busybox`), or the first digits of its key.
    pub fn find_step(&self, name: &str) -> Result<StepId, FindStepError> {
        let needed: Vec<StepId> = self.needed_for(self.targets()).into_iter().collect();
        let steps = || needed.iter().map(|id| (*id, self.graph.step(*id)));
        let by_key = |step: &Step| {
            let digits = name.len() >= FEWEST_DIGITS && name.chars().all(|c| c.is_ascii_hexdigit());
            digits && step.digest.to_string().starts_with(&name.to_ascii_lowercase())
        };
        type Test<'a> = &'a dyn Fn(&Step) -> bool;
        let tests: [Test<'_>; 3] = [&|step| step.label == name, &|step| step.name() == name, &by_key];
        for test in tests {
            let found: Vec<(StepId, &Step)> = steps().filter(|(_, step)| test(step)).collect();
            match &found[..] {
                [] => {}
                [(only, _)] => return Ok(*only),
                several => {
                    let list = |(_, step): &(StepId, &Step)| format!("{} ({})", step.digest.short(), step.label);
                    let steps = several.iter().map(list).collect();
                    return Err(FindStepError::Ambiguous { name: name.to_owned(), steps });
                }
            }
        }
        let names = || steps().flat_map(|(_, step)| [step.label.as_str(), step.name()]);
        let hint = match similar::nearest(name, names()) {
            Some(near) => format!("; {}", similar::did_you_mean(near)),
            None => {
                let mut labels: Vec<&str> = steps().map(|(_, step)| step.label.as_str()).collect();
                labels.sort_unstable();
                labels.dedup();
                format!("; there are: {}", labels.join(", "))
            }
        };
        Err(FindStepError::Unknown { name: name.to_owned(), hint })
    }
}
