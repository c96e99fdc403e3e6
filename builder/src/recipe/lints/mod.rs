//! Rules about what is legal and probably a mistake, one file each: `dbco check` warns of it, and a build does not.

mod login_accounts;
mod overridden_settings;
mod repeated_fragments;
mod silent_tests;
mod unstarted_scripts;
mod unused_parameters;
mod unused_ports;

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
pub const LINTS: &[Lint] = &[
    login_accounts::LINT,
    overridden_settings::LINT,
    repeated_fragments::LINT,
    silent_tests::LINT,
    unstarted_scripts::LINT,
    unused_parameters::LINT,
    unused_ports::LINT,
];

/// Applies every rule; the findings are sorted by location.
pub fn lint(recipe: &Recipe) -> Vec<Finding> {
    let sink: FindingSink = RefCell::new(Findings::default());
    for lint in LINTS {
        (lint.run)(recipe, &sink);
    }
    sink.take().sorted()
}
