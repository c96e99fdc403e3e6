//! `Release` files.
#![no_main]

use dbco::source::Archive;
use dbco::source::debian::offline::index_path;
use dbco_fuzz::{told, within_memory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (suite, arch) = ("stable".to_owned(), "amd64".to_owned());
    let archive = Archive { suite, components: vec!["main".to_owned()], arch, keyring: None };
    let stem = "main/binary-amd64/Packages";
    match within_memory(16, || index_path(text, &archive, stem)) {
        // A component may be stated with a prefix, as `updates/main` of the security archive.
        Ok(Some(path)) => assert!(path.starts_with(stem) || path.contains(&format!("/{stem}")), "{path}"),
        Ok(None) => {}
        Err(error) => drop(told(&error)),
    }
});
