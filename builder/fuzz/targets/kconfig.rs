//! The Kconfig language, why a setting did not take effect, and which would.
#![no_main]

use dbco::beneath::{Dir, Links};
use dbco::kernel::kconfig::predict::Base;
use dbco::kernel::kconfig::{SourceFiles, ToolchainFacts};
use dbco::kernel::verdict::{Prospect, foresee};
use dbco::kernel::{Fragment, check};
use dbco::platform::Platform;
use dbco_fuzz::{files, project, told, within_memory};
use libfuzzer_sys::fuzz_target;

const FILES: [&str; 3] = ["Kconfig", "a/Kconfig", "b/Kconfig"];
const NAMES: [&str; 5] = ["Kconfig", "a/Kconfig", "b/Kconfig", "fragment", ".config"];

fuzz_target!(|text: &str| {
    let files = files(text, NAMES[0], &NAMES);
    let text = |name: &str| files.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| *text);
    let fragment = Fragment::parse("fragment", text("fragment")).ok().filter(|one| !one.settings.is_empty());
    // Without a setting to explain, nothing would be read.
    let fragment = fragment.or_else(|| Fragment::parse("fragment", "CONFIG_A=y\nCONFIG_B=m\nCONFIG_C=7\n").ok());
    let root = SourceFiles::from(&Dir::open(project(&files, &FILES), Links::Within).expect("the folder"));
    let fragments = [fragment.expect("a fragment without mistakes")];
    for mismatch in within_memory(64, || check(&fragments, text(".config"), &root, Platform::X86_64)) {
        let said = told(&mismatch);
        assert!(said.starts_with(&format!("fragment:{}: CONFIG_{}", mismatch.line, mismatch.symbol)), "{said}");
    }
    let facts = ToolchainFacts { gcc: Some(120_200), binutils: None, missing: vec!["rustc"] };
    for base in [Base::Text(text(".config")), Base::Target("allnoconfig")] {
        let prospect = Prospect { source: &root, platform: Platform::X86_64, facts: &facts, base, make: &[] };
        let Ok(verdict) = within_memory(64, || foresee(&fragments, &prospect)) else { continue };
        assert!(verdict.lost.len() + verdict.uncertain.len() <= verdict.settings, "{verdict:?}");
        verdict.lost.iter().for_each(|lost| drop(told(&lost.mismatch)));
    }
});
