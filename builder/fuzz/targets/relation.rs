//! Fields such as `Depends`: writing and reading again gives the same meaning.
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
