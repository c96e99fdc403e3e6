//! Patches, and patch(1)'s messages about them: no name leaves the source, each line exists.
#![no_main]

use std::collections::BTreeMap;

use dbco::archive::Budget;
use dbco::kernel::patch::{PatchError, apply, failures, inspect};
use dbco_fuzz::{stays_inside, told, within_memory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // The part after NUL bytes is taken as the output of patch(1).
    let (data, output) = match data.windows(2).position(|two| two == [0, 0]) {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (data, &b"Hunk #1 FAILED at 1."[..]),
    };
    let lines = String::from_utf8_lossy(data).lines().count();
    let tell = |error: &PatchError| {
        assert!(told(error).starts_with("p"));
        assert!(error.at.is_none_or(|at| at <= lines + 1), "{error} of {lines} lines");
    };
    match within_memory(64, || inspect("p", data, &Budget::default())) {
        Ok(files) => {
            assert!(!files.is_empty());
            for file in &files {
                assert!(!file.name().is_empty() && file.line >= 1);
                [&file.old, &file.new].into_iter().flatten().for_each(|name| stays_inside(name));
                assert!(file.hunks.is_sorted() && file.hunks.last().is_none_or(|at| *at <= lines));
            }
            assert!(files.is_sorted_by_key(|file| file.line));
            let mut applied = BTreeMap::from([("a".to_owned(), "one\ntwo\n".to_owned())]);
            if let Err(error) = apply("p", data, &mut applied, &|_| true, &Budget::default()) {
                tell(&error);
            }
            applied.keys().for_each(|name| stays_inside(name));
            let errors = failures("p", &files, &String::from_utf8_lossy(output));
            assert!(!errors.is_empty());
            errors.iter().for_each(tell);
        }
        Err(error) => tell(&error),
    }
});
