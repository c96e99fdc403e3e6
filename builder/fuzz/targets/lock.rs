//! Locks: writing and reading again gives the same; an error has its line.
#![no_main]

use std::collections::BTreeSet;
use std::path::Path;

use dbco::lock::{Location, Lock, LockError};
use dbco_fuzz::{stays_inside, told, within_memory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let path = Path::new("r.lock");
    match within_memory(64, || Lock::parse(text, path)) {
        Ok(lock) => {
            for file in lock.entries().flat_map(|entry| &entry.files) {
                if let Location::Pool(path) = &file.at {
                    stays_inside(path);
                }
            }
            let again =
                Lock::parse(&lock.to_text(), path).unwrap_or_else(|error| panic!("{error}\n{}", lock.to_text()));
            assert_eq!(again.to_text(), lock.to_text());
            let requests: Vec<_> = lock.entries().map(|entry| entry.request.clone()).collect();
            let none = BTreeSet::new();
            for stale in lock.check(&requests, &none).iter().chain(&lock.check(&requests[..requests.len() / 2], &none))
            {
                told(stale);
            }
        }
        Err(error) => {
            let said = told(&error);
            assert!(said.contains("r.lock"), "{said}");
            if let LockError::Syntax { line, .. } = error {
                // YAML ends lines at a lone CR, too.
                let lines = text.split(['\r', '\n']).count();
                assert!(line <= lines as u64, "line {line} of {text:?}");
            }
        }
    }
});
