//! squashfs and ext4, judged by their own checkers.

mod support;

use std::path::PathBuf;

use dbco::digest::Digest;
use dbco::executor::ExecutionError;
use dbco::image::ImageError;
use dbco::image::disk::Disk;
use dbco::image::squashfs::{Packing, Squashfs};
use dbco::platform::Platform;
use dbco::tree::{Entry, Node, Tree, TreePath};
use support::{EPOCH, HostTools, host, judge, path, sample, text};

const PLAIN: Squashfs = Squashfs { platform: Platform::BUILD, packing: Packing::Zstd, block: 128 << 10, epoch: EPOCH };

#[test]
fn unsquashfs_lists_every_kind_of_node() {
    let (mut tree, mut memory) = sample();
    let tools = HostTools::new();
    let error = PLAIN.execution(host(), tree.clone()).unwrap_err();
    assert!(matches!(&error, ImageError::CantHold { path, .. } if path.is_root()), "{error}");
    tree.insert(TreePath::ROOT, Entry::dir(0o711));
    let mut ping = memory.file("ping", 0o755);
    ping.xattrs.insert("security.capability".into(), b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec());
    tree.insert(path("system/bin/ping"), ping);
    let image = tools.make(PLAIN.execution(host(), tree).unwrap(), &memory).unwrap();
    let listing = judge("unsquashfs", &["-lln", "-UTC", text(&image)], None);
    let lines: Vec<String> =
        listing.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "drwx--x--x 0/0 51 2021-01-01 00:00 squashfs-root",
        "crw------- 0/0 5, 1 2021-01-01 00:00 squashfs-root/dev/console",
        "brw-rw---- 0/6 254, 0 2021-01-01 00:00 squashfs-root/dev/vda",
        "prw------- 0/0 0 2021-01-01 00:00 squashfs-root/dev/initctl",
        "-rwsr-xr-x 0/0 17 2021-01-01 00:00 squashfs-root/system/bin/su",
        "-rw------- 0/42 7 2021-01-01 00:00 squashfs-root/system/etc/shadow",
        "-rw-r--r-- 0/0 7 2021-01-01 00:00 squashfs-root/system/etc/copy of shadow",
        "-rw-r--r-- 0/0 4 2021-01-01 00:00 squashfs-root/system/etc/配置",
        "lrwxrwxrwx 0/0 3 2021-01-01 00:00 squashfs-root/system/sbin -> bin",
    ] {
        assert!(lines.iter().any(|other| other == line), "{line}\nis not in\n{listing}");
    }
    assert!(lines.iter().any(|l| l.starts_with("drwxr-x--- 1001/1001") && l.ends_with("usr/home/tc")), "{listing}");
    assert!(lines.iter().any(|l| l.starts_with("drwxrwxrwt 0/0") && l.ends_with("system/tmp")), "{listing}");
    assert_eq!(judge("unsquashfs", &["-cat", text(&image), "system/etc/shadow"], None), "root:!\n");
    assert!(judge("unsquashfs", &["-stat", text(&image)], None).contains("Xattrs are compressed"));
}

#[test]
fn a_squashfs_is_the_same_on_any_number_of_cores_and_with_each_compressor() {
    let (mut tree, memory) = sample();
    tree.insert(TreePath::ROOT, Entry::dir(0o755));
    for packing in [Packing::Zstd, Packing::Xz, Packing::Gzip, Packing::Lz4] {
        let digests = [0, 1].map(|core| {
            let mut tools = HostTools::new();
            // As on another machine.
            tools.before = if core == 0 { Vec::new() } else { ["taskset", "-c", "0"].map(str::to_owned).to_vec() };
            let squashfs = Squashfs { packing, ..PLAIN };
            let image = tools.make(squashfs.execution(host(), tree.clone()).unwrap(), &memory).unwrap();
            judge("unsquashfs", &["-stat", text(&image)], None);
            Digest::of_file(&image).unwrap()
        });
        assert_eq!(digests[0], digests[1], "{packing:?}");
    }
}

#[test]
fn a_file_that_changes_under_mksquashfs_is_named() {
    let (mut tree, mut memory) = sample();
    tree.insert(TreePath::ROOT, Entry::dir(0o755));
    let entry = memory.file("before", 0o644);
    let Node::File { blob, .. } = entry.node else { unreachable!() };
    tree.insert(path("system/etc/motd"), entry);
    memory.0.insert(blob, b"after!".to_vec());
    let error = HostTools::new().make(PLAIN.execution(host(), tree).unwrap(), &memory).unwrap_err();
    let ExecutionError::Content(error) = error else { panic!("{error}") };
    assert!(matches!(&error, ImageError::Changed { path: p, .. } if *p == path("system/etc/motd")), "{error}");
}

fn disk(tree: &Tree, memory: &support::Memory) -> (HostTools, PathBuf) {
    let tools = HostTools::new();
    let folder = path("system0");
    let none = Tree::new();
    let disk = Disk { folders: std::slice::from_ref(&folder), files: &none, size: None, label: "dbco", epoch: EPOCH };
    let image = tools.make(disk.execution(host(), tree).unwrap(), memory).unwrap();
    (tools, image)
}

#[test]
fn an_ext4_image_holds_owners_modes_devices_and_attributes() {
    let (mut tree, mut memory) = sample();
    let mut ping = memory.file("ping", 0o755);
    ping.xattrs.insert("user.note".into(), b"a value".to_vec());
    tree.insert(path("system/bin/ping"), ping);
    tree.insert(path("system/share/a \"quoted\" <2> name"), memory.file("odd", 0o640));
    tree.insert(path("system/share/rich"), Entry { uid: 3_000_000, ..Entry::symlink("x".repeat(200)) });
    tree.insert(path("dev/high"), Entry::of(Node::Block { major: 259, minor: 60_000 }, 0o600));
    let (_tools, image) = disk(&tree, &memory);
    judge("e2fsck", &["-f", "-n", text(&image)], None);
    let ask = |request: &str| judge("debugfs", &["-R", request, text(&image)], None);
    for (at, wanted) in [
        ("/", "Mode:  0755"),
        ("/system0", "Mode:  0711"),
        ("/system0", "User:     5   Group:     6"),
        ("/system0/dev/console", "Device major/minor number: 05:01"),
        ("/system0/dev/vda", "Device major/minor number: 254:00"),
        ("/system0/dev/high", "Device major/minor number: 259:60000"),
        ("/system0/dev/initctl", "Type: FIFO"),
        ("/system0/system/bin/su", "Mode:  04755"),
        ("/system0/system/etc/shadow", "Group:    42"),
        ("/system0/system/tmp", "Mode:  01777"),
        ("/system0/system/sbin", "Fast link dest: \"bin\""),
        ("/system0/system/share/rich", "User: 3000000"),
        ("/system0/usr/home/tc", "User:  1001   Group:  1001"),
    ] {
        let stat = ask(&format!("stat {at}"));
        assert!(stat.contains(wanted), "{at}: {wanted} is not in\n{stat}");
        for field in [" ctime: ", " atime: ", " mtime: "] {
            let line = stat.lines().find(|line| line.contains(field)).unwrap();
            assert!(line.contains("Fri Jan  1 00:00:00 2021"), "{at}: {line}");
        }
    }
    assert!(ask("cat /system0/system/etc/配置").contains("值"));
    assert!(ask("cat \"/system0/system/share/a \"\"quoted\"\" <2> name\"").contains("odd"));
    assert!(ask("ea_get /system0/system/bin/ping user.note").contains("a value"));
    assert!(ask("dump /system0/system/share/big /dev/stdout").contains("0123456789abcdef"));
}

#[test]
fn an_ext4_image_is_reproducible() {
    let (tree, memory) = sample();
    let (_first, one) = disk(&tree, &memory);
    let (_second, two) = disk(&tree, &memory);
    let [one, two] = [one, two].map(|image| Digest::of_file(&image).unwrap());
    assert_eq!(one, two);
}

#[test]
fn what_debugfs_refuses_is_an_error() {
    let (mut tree, _) = sample();
    // Longer than a directory entry of ext4 can be.
    tree.insert(path(&"n".repeat(256)), Entry::dir(0o755));
    let none = Tree::new();
    let disk = Disk { folders: &[TreePath::ROOT], files: &none, size: None, label: "dbco", epoch: EPOCH };
    assert!(matches!(disk.execution(host(), &tree), Err(ImageError::CantHold { .. })));

    let (tree, mut memory) = sample();
    let mut tree = tree;
    tree.insert(path("big"), memory.file(vec![1; 40 << 20], 0o644));
    let small = Disk { folders: &[TreePath::ROOT], files: &none, size: Some(8 << 20), label: "dbco", epoch: EPOCH };
    let made = HostTools::new().make(small.execution(host(), &tree).unwrap(), &memory);
    assert!(matches!(made, Err(ExecutionError::Command(_))), "{made:?}");
}
