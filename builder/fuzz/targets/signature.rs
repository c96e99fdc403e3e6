//! Signatures of archives, in place and detached. Nothing generated here is signed by Debian.
#![no_main]

use dbco::source::debian::offline::{signed_apart, signed_text};
use dbco_fuzz::{told, within_memory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    within_memory(64, || {
        if data.starts_with(b"-----BEGIN PGP SIGNED") {
            told(&signed_text(data).expect_err("not signed"));
        } else {
            told(&signed_apart(b"text", data).expect_err("not signed"));
        }
    });
});
