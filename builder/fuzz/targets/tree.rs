//! Encoded trees: writing and reading again gives the same.
#![no_main]

use dbco::tree::{Tree, TreePath};
use dbco_fuzz::{stays_inside, told, within_memory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(path) = TreePath::from_bytes(data) {
        stays_inside(path.as_str());
        assert_eq!(TreePath::new(path.as_str()).as_ref(), Ok(&path));
        assert_eq!(TreePath::new(&path.to_string()).as_ref(), Ok(&path));
    }
    match within_memory(64, || Tree::decode(data)) {
        Ok(tree) => {
            let mut encoded = Vec::new();
            tree.encode(&mut encoded).expect("memory takes everything");
            assert_eq!(Tree::decode(&encoded[..]).expect("what was encoded"), tree);
        }
        Err(error) => drop(told(&error)),
    }
});
