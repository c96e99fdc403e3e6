//! Compressed streams: detected by their first bytes, read to their end, in limited memory; and as a whole, as patches
//! are read.
#![no_main]

use std::io::{Read, copy, sink};

use dbco::archive::{Budget, decompress_with};
use dbco::kernel::patch;
use dbco_fuzz::{told, within_memory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    within_memory(64, || match decompress_with(data, "a", 1, &Budget::default()) {
        // Its reader limits anything longer.
        Ok(stream) => drop(copy(&mut stream.take(16 << 20), &mut sink())),
        Err(error) => drop(told(&error)),
    });
    match within_memory(256, || patch::plain("p", data.to_vec(), &Budget::default())) {
        Ok(_) => {}
        Err(error) => drop(told(&error)),
    }
});
