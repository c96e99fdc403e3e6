//! Kernel modules: ELF, `.modinfo`, dependencies. The input is split at `=== NAME` into modules.
#![no_main]

use std::collections::HashMap;
use std::io;

use dbco::digest::Digest;
use dbco::kernel::modules::load_order;
use dbco::tree::{Entry, Tree, TreePath};
use dbco_fuzz::{told, within_memory};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 5] = ["a.ko", "b.ko", "c_generic.ko", "modules.builtin", "modules.builtin.modinfo"];

fuzz_target!(|data: &[u8]| {
    let mut tree = Tree::new();
    let mut blobs = HashMap::new();
    let mut rest = data;
    for (index, name) in NAMES.iter().enumerate() {
        let mark = [b'=', b'=', b'=', b' ', b'0' + index as u8];
        let end = rest.windows(mark.len()).position(|bytes| bytes == mark);
        let content = &rest[..end.unwrap_or(rest.len())];
        rest = end.map_or(&[], |end| &rest[end + mark.len()..]);
        let blob = Digest::of(content);
        blobs.insert(blob, content.to_vec());
        let path = TreePath::new(&format!("lib/modules/6.1.0/kernel/{name}"));
        let path = if name.ends_with(".ko") { path } else { TreePath::new(&format!("lib/modules/6.1.0/{name}")) };
        tree.insert(path.expect("a path"), Entry::file(blob, content.len() as u64, 0o644));
    }
    let read = |blob: &Digest| blobs.get(blob).cloned().ok_or_else(|| io::ErrorKind::NotFound.into());
    let wanted = ["a", "b"].map(str::to_owned);
    match within_memory(128, || load_order(&wanted, &tree, &read)) {
        Ok(order) => {
            let mut files = order.files.clone();
            files.sort();
            files.dedup();
            assert_eq!(files.len(), order.files.len(), "a module is loaded once");
        }
        Err(error) => drop(told(&error)),
    }
});
