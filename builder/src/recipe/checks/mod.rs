//! Rules for a recipe beyond its structure, one file each.

mod boot_entries;
mod budgets;
mod component_needs;
mod diversions;
mod kernel_config;
mod kernel_image;
mod layouts;
mod limits;
mod network;
mod overlay_modes;
mod overlays;
mod paths;
mod patterns;
mod platform;
mod programs;
mod services;
mod system_keys;
mod test_entries;
mod users;

use std::collections::BTreeMap;

use super::component::Component;
use super::decode::FindingSink;
use super::image::Image;
use super::text::RecipeFiles;

/// The input of a check.
pub struct CheckInput<'a> {
    /// The recipe.
    pub image: &'a Image,
    /// The components that could be read.
    pub components: &'a BTreeMap<String, Component>,
    /// The files that these were read from.
    pub files: &'a RecipeFiles,
}

impl CheckInput<'_> {
    /// Every tree in the recipe; each rule about a root filesystem applies to all of them.
    pub fn contents(&self) -> impl Iterator<Item = &super::rootfs::Rootfs> {
        self.image.contents()
    }
}

/// One rule.
pub struct Check {
    /// The id of its findings.
    pub id: &'static str,
    /// The rule, in a line.
    pub rule: &'static str,
    run: fn(&CheckInput<'_>, &FindingSink),
}

/// All rules.
pub const CHECKS: &[Check] = &[
    boot_entries::CHECK,
    budgets::CHECK,
    component_needs::CHECK,
    diversions::CHECK,
    kernel_config::CHECK,
    kernel_image::CHECK,
    layouts::CHECK,
    limits::CHECK,
    network::CHECK,
    overlay_modes::CHECK,
    overlays::CHECK,
    paths::CHECK,
    patterns::CHECK,
    platform::CHECK,
    programs::CHECK,
    services::CHECK,
    system_keys::CHECK,
    test_entries::CHECK,
    users::CHECK,
];

/// Runs every check.
pub(super) fn run(image: &Image, components: &BTreeMap<String, Component>, files: &RecipeFiles, sink: &FindingSink) {
    let subject = CheckInput { image, components, files };
    for check in CHECKS {
        (check.run)(&subject, sink);
    }
}
