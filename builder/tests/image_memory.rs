//! Archives are streamed: memory does not grow with their content. Alone in its process, whose peak it reads.

use dbco::digest::Digest;
use dbco::image::Contents;
use dbco::image::cpio::write_cpio;
use dbco::image::tar::write_tar;
use dbco::tree::{Entry, Tree, TreePath};

/// The reader generates the file's bytes on demand, so any growth is dbco's.
#[test]
fn a_large_file_streams() {
    struct Zeros(u64);
    impl Contents for Zeros {
        fn open_unchecked(&self, _: &Digest) -> std::io::Result<Box<dyn std::io::Read>> {
            Ok(Box::new(std::io::Read::take(std::io::repeat(0), self.0)))
        }
    }
    let size = 256 << 20;
    let (blob, _) = Digest::of_reader(std::io::Read::take(std::io::repeat(0), size)).unwrap();
    let mut tree = Tree::new();
    tree.insert(TreePath::new("zeros").unwrap(), Entry::file(blob, size, 0o644));
    tree.insert(TreePath::ROOT, Entry::dir(0o755));
    let before = peak();
    write_cpio(&tree, &Zeros(size), 0, std::io::sink()).unwrap();
    write_tar(&tree, &Zeros(size), 0, std::io::sink()).unwrap();
    let grown = peak() - before;
    assert!(grown < 64 << 10, "memory grew by {grown} KiB");
}

/// The process's peak resident memory in KiB (proc(5), VmHWM).
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
