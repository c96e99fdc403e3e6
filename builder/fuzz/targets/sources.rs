//! `Sources` indexes: the first line names package, version and file.
#![no_main]

use dbco::lock::Location;
use dbco::source::Archive;
use dbco::source::debian::offline::{compare_versions, source_file};
use dbco_fuzz::{stays_inside, within_memory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (wanted, index) = text.split_once('\n').unwrap_or(("", text));
    let mut words = wanted.split_whitespace();
    let mut word = || words.next().unwrap_or_default();
    let (suite, arch) = ("stable".to_owned(), "amd64".to_owned());
    let archive = Archive { suite, components: vec!["main".to_owned()], arch, keyring: None };
    let (package, version, file) = (word(), word(), word());
    match within_memory(64, || source_file(index.as_bytes(), &archive, package, version, file)) {
        Ok(found) => {
            let Location::Pool(path) = &found.at else { panic!("{found:?} is not of an archive") };
            stays_inside(path);
            // The version may be one of several (`newest`, `1.*`), and the file's name a pattern that matches one name.
            assert!(file.contains('*') || found.name == file, "{} for {file}", found.name);
            let exact = version != "newest" && !version.contains('*');
            let same = |found: &str| compare_versions(found, version).is_eq();
            assert!(!exact || found.version.as_deref().is_some_and(same), "{:?} for {version}", found.version);
        }
        Err(message) => assert!(!message.is_empty()),
    }
});
