//! Compressed streams: by what they start with, to their end, in bounded memory; and whole, as patches are read.
#![no_main]

use std::io::{Read, copy, sink};

use dbco::archive::{Budget, decompress_with};
use dbco::kernel::patch;
use dbco_fuzz::{told, within_memory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    within_memory(64, || match decompress_with(data, "a", 1, &Budget::default()) {
        // What is longer is its reader's to bound.
        Ok(stream) => drop(copy(&mut stream.take(16 << 20), &mut sink())),
        Err(error) => drop(told(&error)),
    });
    match within_memory(256, || patch::plain("p", data.to_vec(), &Budget::default())) {
        Ok(_) => {}
        Err(error) => drop(told(&error)),
    }
});
