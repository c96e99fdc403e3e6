//! Rules that a recipe has to keep beyond its shape, one file each.

mod boot_entries;
mod component_needs;
mod kernel_config;
mod paths;
mod patterns;
mod test_entries;
mod users;

use std::collections::BTreeMap;

use super::component::Component;
use super::decode::Sink;
use super::image::Image;

/// What a check looks at.
pub struct Subject<'a> {
    /// The recipe.
    pub image: &'a Image,
    /// The components that could be read.
    pub components: &'a BTreeMap<String, Component>,
}

/// One rule.
pub struct Check {
    /// The id that its findings carry.
    pub id: &'static str,
    /// What it demands, in a line.
    pub rule: &'static str,
    run: fn(&Subject<'_>, &Sink),
}

/// All rules.
pub const CHECKS: &[Check] = &[
    boot_entries::CHECK,
    component_needs::CHECK,
    kernel_config::CHECK,
    paths::CHECK,
    patterns::CHECK,
    test_entries::CHECK,
    users::CHECK,
];

/// Runs every check.
pub(super) fn run(image: &Image, components: &BTreeMap<String, Component>, sink: &Sink) {
    let subject = Subject { image, components };
    for check in CHECKS {
        (check.run)(&subject, sink);
    }
}
