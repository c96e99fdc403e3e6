//! Tar archives unpacked into a folder: nothing outside it changes.
#![no_main]

use std::fs;

use dbco::archive::Budget;
use dbco::archive::tar::unpack_to_dir;
use dbco::beneath::{Dir, Links};
use dbco_fuzz::{folder, told, within_memory};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (outside, inside) = (folder().join("outside"), folder().join("inside"));
    if !outside.exists() {
        fs::create_dir(&outside).expect("a new folder");
        fs::write(outside.join("kept"), "kept").expect("a new file");
    }
    fs::create_dir(&inside).expect("a new folder");
    let dir = Dir::open(&inside, Links::Within).expect("the new folder");
    if let Err(error) = within_memory(16, || unpack_to_dir(data, "a.tar", &Budget::default(), &dir)) {
        told(&error);
    }
    fs::remove_dir_all(&inside).expect("only what its owner can remove");
    assert_eq!(fs::read(outside.join("kept")).expect("the file outside"), b"kept");
    assert_eq!(fs::read_dir(&outside).expect("the folder outside").count(), 1);
    assert_eq!(fs::read_dir(folder()).expect("the folder").count(), 1);
});
