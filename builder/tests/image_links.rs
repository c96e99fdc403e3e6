//! Hard links, and files of only zeros: what each format makes of them, read back by other tools.

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use dbco::archive::Budget;
use dbco::archive::tar::read_tree;
use dbco::image::cpio::{Segment, write_cpio, write_initrd};
use dbco::image::disk::Disk;
use dbco::image::squashfs::{Packing, Squashfs};
use dbco::image::tar::write_tar;
use dbco::image::{Compression, ImageError};
use dbco::platform::Platform;
use dbco::store::Store;
use dbco::tree::{Entry, Tree, TreePath};
use support::{EPOCH, HostTools, Memory, host, judge, path, text};

const SIZE: usize = 1 << 20;

/// A file of 1 MiB that does not compress under ten names in two folders, an empty file under two, and 3 MiB of zeros.
fn linked() -> (Tree, Memory) {
    let mut memory = Memory::default();
    let mut tree = Tree::new();
    let mut state = 1u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        // A linear congruential generator (Knuth's MMIX).
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .take(SIZE)
    .collect();
    let shared = Entry { inode: Some(1), uid: 7, ..memory.file(&noise, 0o4755) };
    for number in 0..10 {
        tree.insert(path(&format!("{}/name{number}", if number < 5 { "bin" } else { "sbin" })), shared.clone());
    }
    for name in ["etc/empty", "etc/void"] {
        tree.insert(path(name), Entry { inode: Some(2), ..memory.file("", 0o600) });
    }
    // With the same content, but a separate file.
    tree.insert(path("bin/other"), Entry { inode: None, ..shared });
    tree.insert(path("zeros"), memory.file(vec![0; 3 << 20], 0o644));
    tree.complete();
    tree.settle_links();
    (tree, memory)
}

fn inode(folder: &Path, name: &str) -> (u64, u64, u64) {
    let metadata = fs::symlink_metadata(folder.join(name)).unwrap();
    (metadata.ino(), metadata.nlink(), metadata.size())
}

fn links_are_right(folder: &Path) {
    let (first, links, size) = inode(folder, "bin/name0");
    assert_eq!((links, size), (10, SIZE as u64));
    for name in ["bin/name4", "sbin/name5", "sbin/name9"] {
        assert_eq!(inode(folder, name), (first, 10, SIZE as u64), "{name}");
    }
    let other = inode(folder, "bin/other");
    assert!(other.0 != first && other.1 == 1 && other.2 == SIZE as u64);
    assert_eq!(inode(folder, "etc/empty").0, inode(folder, "etc/void").0);
    assert_eq!(inode(folder, "etc/void").1, 2);
}

#[test]
fn gnu_cpio_finds_the_names_of_one_file() {
    let (mut tree, memory) = linked();
    // Without root no owner can be given away, and setuid is dropped.
    tree.entries.values_mut().for_each(|entry| entry.uid = 0);
    let mut bytes = Vec::new();
    write_cpio(&tree, &memory, EPOCH, &mut bytes).unwrap();
    assert!(bytes.len() < 5_300_000, "two files of 1 MiB and the zeros: {}", bytes.len());
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("archive"), &bytes).unwrap();
    let script = format!("cd {} && cpio -idm --quiet --no-preserve-owner < archive", text(folder.path()));
    judge("sh", &["-c", &script], None);
    links_are_right(folder.path());
    // Link counts are per segment, and inode numbers continue.
    let mut twice = Vec::new();
    let segment = Segment { tree: &tree, compression: Compression::None };
    write_initrd(&[segment, segment], &memory, EPOCH, &mut twice).unwrap();
    assert_eq!(twice.len(), 2 * bytes.len());
}

#[test]
fn ten_names_cost_what_one_costs() {
    let (mut tree, memory) = linked();
    tree.entries.remove(&path("bin/other"));
    tree.settle_links();
    let mut cpio = Vec::new();
    write_cpio(&tree, &memory, EPOCH, &mut cpio).unwrap();
    assert!(cpio.len() <= 4_200_000, "{}", cpio.len());
    let mut out = Compression::Gzip.writer(Vec::new()).unwrap();
    write_tar(&tree, &memory, EPOCH, &mut out).unwrap();
    let packed = out.finish().unwrap();
    assert!(packed.len() <= 1_100_000, "{}", packed.len());
}

#[test]
fn gnu_tar_and_our_own_reader_find_the_names_of_one_file() {
    let (mut tree, memory) = linked();
    // Longer than a header's field.
    let long = format!("{}/{}", "long".repeat(40), "name".repeat(30));
    let shared = tree.get(&path("bin/name0")).unwrap().clone();
    tree.insert(path(&long), shared.clone());
    tree.insert(path(&format!("{long}2")), Entry { inode: Some(9), ..memory_file(&tree, "zeros") });
    tree.insert(path(&format!("{long}3")), Entry { inode: Some(9), ..memory_file(&tree, "zeros") });
    tree.complete();
    tree.settle_links();
    let mut bytes = Vec::new();
    write_tar(&tree, &memory, EPOCH, &mut bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("archive"), &bytes).unwrap();
    let script = format!("cd {} && tar --no-same-owner -xf archive", text(folder.path()));
    judge("sh", &["-c", &script], None);
    assert_eq!(inode(folder.path(), &long), (inode(folder.path(), "bin/name0").0, 11, SIZE as u64));
    assert_eq!(inode(folder.path(), &format!("{long}2")).0, inode(folder.path(), &format!("{long}3")).0);

    let store = Store::open(&folder.path().join("store")).unwrap();
    let mut batch = store.batch().unwrap();
    let mut read = read_tree(bytes.as_slice(), "archive", &Budget::default(), &mut batch).unwrap();
    assert_eq!(read.entries.remove(&TreePath::ROOT), Some(Entry::dir(0o755)));
    tree.entries.remove(&TreePath::ROOT);
    assert_eq!(read, tree);
}

fn memory_file(tree: &Tree, name: &str) -> Entry {
    tree.get(&path(name)).unwrap().clone()
}

#[test]
fn squashfs_keeps_the_names_of_one_file() {
    let (mut tree, memory) = linked();
    tree.entries.values_mut().for_each(|entry| entry.uid = 0);
    let tools = HostTools::new();
    let squashfs = Squashfs { platform: Platform::BUILD, packing: Packing::Gzip, block: 128 << 10, epoch: EPOCH };
    let packed = tools.make(squashfs.execution(host(), tree).unwrap(), &memory).unwrap();
    let out = tools.folder.path().join("out");
    judge("unsquashfs", &["-q", "-n", "-d", text(&out), text(&packed)], None);
    links_are_right(&out);
}

#[test]
fn ext4_keeps_the_names_of_one_file_and_no_blocks_of_zeros() {
    let (tree, memory) = linked();
    let tools = HostTools::new();
    let none = Tree::new();
    let folders = [path("system0"), path("system1")];
    let disk = Disk { folders: &folders, files: &none, size: None, label: "dbco", epoch: EPOCH };
    let image = tools.make(disk.execution(host(), &tree).unwrap(), &memory).unwrap();
    // e2fsck counts the names that it finds.
    judge("e2fsck", &["-f", "-n", text(&image)], None);
    let ask = |request: &str| judge("debugfs", &["-R", request, text(&image)], None);
    let stat = |name: &str| {
        let stat = ask(&format!("stat {name}"));
        let number = |key: &str| -> u64 {
            let rest = &stat[stat.find(key).unwrap_or_else(|| panic!("{key} in {stat}")) + key.len()..];
            rest.split_whitespace().next().unwrap().parse().unwrap()
        };
        (number("Inode: "), number("Links: "), number("Blockcount: "))
    };
    let first = stat("/system0/bin/name0");
    assert_eq!(first.1, 10);
    assert_eq!(stat("/system0/sbin/name9"), first);
    assert_ne!(stat("/system1/sbin/name9").0, first.0, "another system's");
    assert_eq!(stat("/system1/sbin/name9").1, 10);
    assert_eq!(stat("/system0/bin/other").1, 1);
    assert_eq!(stat("/system0/zeros").2, 0, "a hole");
}

#[test]
fn names_and_link_texts_that_linux_would_drop_are_refused() {
    let longest = "n".repeat(255);
    let cpio = |tree: &Tree, memory: &Memory| write_cpio(tree, memory, EPOCH, std::io::sink());
    let with = |at: &str, entry: Entry| {
        let mut tree = Tree::new();
        tree.insert(path(at), entry);
        tree.complete();
        tree
    };
    let memory = Memory::default();
    let squashfs = |tree: &Tree| {
        let squashfs = Squashfs { platform: Platform::BUILD, packing: Packing::Gzip, block: 128 << 10, epoch: EPOCH };
        squashfs.execution(host(), tree.clone()).map(drop)
    };
    let refused = |result: Result<(), ImageError>, at: &str| {
        let error = result.unwrap_err();
        assert!(matches!(&error, ImageError::CantHold { path: p, .. } if *p == path(at)), "{error}");
    };
    cpio(&with(&longest, Entry::dir(0o755)), &memory).unwrap();
    cpio(&with("link", Entry::symlink("t".repeat(4095))), &memory).unwrap();
    squashfs(&with(&"n".repeat(256), Entry::dir(0o755))).unwrap();
    for (at, entry) in [
        (format!("{longest}n"), Entry::dir(0o755)),
        (format!("a/{longest}n"), Entry::symlink("x")),
        ("link".to_owned(), Entry::symlink("t".repeat(4096))),
        ("link".to_owned(), Entry::symlink("")),
        ([longest.as_str(); 17].join("/"), Entry::dir(0o755)),
    ] {
        let tree = with(&at, entry);
        refused(cpio(&tree, &memory), &at);
    }
    refused(squashfs(&with(&"n".repeat(257), Entry::dir(0o755))), &"n".repeat(257));
    refused(squashfs(&with("link", Entry::symlink("t".repeat(4096)))), "link");
}
