//! Debian packages: ar, the compressors, and the tar archives inside.
#![no_main]

use std::io::{copy, sink};

use dbco::archive::{Budget, Entries, deb};
use dbco_fuzz::{told, within_memory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    within_memory(32, || {
        if let Err(error) = deb::control(data, "a.deb", &Budget::default()) {
            told(&error);
        }
        let mut entries = match deb::data(data, "a.deb", 1, &Budget::default()) {
            Ok(stream) => Entries::new(stream, "a.deb", &Budget::default()),
            Err(error) => return drop(told(&error)),
        };
        loop {
            match entries.next_member() {
                Ok(Some(_)) => drop(copy(&mut entries, &mut sink())),
                Ok(None) => break,
                Err(error) => return drop(told(&error)),
            }
        }
    });
});
