//! `Cargo.lock`: names and versions become file names.
#![no_main]

use dbco::source::CargoLock;
use dbco_fuzz::{project, told, within_memory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let path = project(&[("Cargo.lock", text)], &["Cargo.lock"]).join("Cargo.lock");
    match within_memory(64, || CargoLock::load(&path)) {
        Ok(lock) => {
            assert_eq!(lock.text, text.strip_prefix('\u{feff}').unwrap_or(text));
            for one in &lock.crates {
                let name = one.file_name();
                assert!(!name.contains('/') && !name.starts_with('.'), "{name:?}");
            }
        }
        Err(error) => assert!(told(&error).contains("Cargo.lock")),
    }
});
