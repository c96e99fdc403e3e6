//! The host's apt configuration in both formats, and the user's own configuration.
#![no_main]

use dbco::source::Mirrors;
use dbco_fuzz::{files, project, told, within_memory};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 4] =
    ["etc/apt/sources.list", "etc/apt/sources.list.d/a.list", "etc/apt/sources.list.d/a.sources", "config.yaml"];

fuzz_target!(|text: &str| {
    let root = project(&files(text, NAMES[0], &NAMES), &NAMES);
    match within_memory(64, || Mirrors::discover(&[], Some(&root.join("config.yaml")), root)) {
        Ok(mirrors) => drop(format!("{mirrors:?}")),
        Err(error) => drop(told(&error)),
    }
});
