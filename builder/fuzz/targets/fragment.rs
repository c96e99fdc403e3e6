//! Fragments applied to a `.config`: their settings hold afterwards, and applying them again changes nothing.
#![no_main]

use dbco::kernel::{Config, Fragment, merge};
use dbco_fuzz::{files, told, within_memory};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 3] = ["base", "one", "two"];

fuzz_target!(|text: &str| {
    let files = files(text, NAMES[0], &NAMES);
    let mut fragments = Vec::new();
    for (name, text) in &files[1..] {
        match within_memory(16, || Fragment::parse(name, text)) {
            Ok(fragment) => fragments.push(fragment),
            Err(errors) => {
                assert!(!errors.is_empty());
                for error in errors {
                    assert!(told(&error).starts_with(&format!("{name}:{}", error.line)), "{error}");
                    assert_eq!(text.lines().nth(error.line - 1), Some(error.text.as_str()));
                }
            }
        }
    }
    let merged = within_memory(16, || merge(files[0].1, &fragments));
    let config = Config::parse(&merged);
    let mut wanted = std::collections::BTreeMap::new();
    for setting in fragments.iter().flat_map(|fragment| &fragment.settings) {
        wanted.insert(&setting.symbol, &setting.value);
    }
    for (symbol, value) in &wanted {
        assert!(config.holds(symbol, value), "{symbol}={value} in {merged:?}");
    }
    let before = Config::parse(files[0].1);
    for line in files[0].1.lines() {
        let symbol = line.trim_start_matches("# ").strip_prefix("CONFIG_").unwrap_or_default();
        let symbol = symbol.split(['=', ' ']).next().unwrap_or_default();
        if !wanted.contains_key(&symbol.to_owned()) {
            assert_eq!(config.get(symbol), before.get(symbol), "{symbol} in {merged:?}");
        }
    }
    // Line ends are normalized, one at a time where there are several.
    if !merged.contains('\r') {
        assert_eq!(merge(&merged, &fragments), merged);
    }
});
