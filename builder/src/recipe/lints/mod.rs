//! Rules about what is legal and probably a mistake, one file each: `dbco check` warns of it, and a build does not.

mod repeated_fragments;
mod silent_tests;
mod unused_parameters;

use std::cell::RefCell;

use super::decode::FindingSink;
use super::load::Recipe;
use super::text::{Finding, Findings};

/// One rule.
pub struct Lint {
    /// The id of its findings.
    pub id: &'static str,
    /// The rule, in a line.
    pub rule: &'static str,
    run: fn(&Recipe, &FindingSink),
}

/// All rules.
pub const LINTS: &[Lint] = &[repeated_fragments::LINT, silent_tests::LINT, unused_parameters::LINT];

/// Applies every rule; the findings are sorted by location.
pub fn lint(recipe: &Recipe) -> Vec<Finding> {
    let sink: FindingSink = RefCell::new(Findings::default());
    for lint in LINTS {
        (lint.run)(recipe, &sink);
    }
    sink.take().sorted()
}
