//! Fields such as `Depends`: what was read means the same when it is written and read again.
#![no_main]

use dbco::source::debian::offline::relations;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|field: &str| match relations(field) {
    Ok(groups) => {
        let written: Vec<String> = groups.iter().map(|group| group.join(" | ")).collect();
        assert_eq!(relations(&written.join(", ")).as_ref(), Ok(&groups));
    }
    Err(part) => assert!(field.contains(part)),
});
