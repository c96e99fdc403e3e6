//! cpio, tar and their compression, validated by the usual tools.

mod support;

use std::io::Write;

use dbco::digest::Digest;
use dbco::image::cpio::{Segment, write_cpio, write_initrd};
use dbco::image::tar::write_tar;
use dbco::image::{Compression, ImageError};
use dbco::tree::{Entry, Node, Tree};
use support::{EPOCH, Memory, judge, path, sample, text};

fn cpio(tree: &Tree, memory: &Memory) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    write_cpio(tree, memory, EPOCH, &mut bytes)?;
    Ok(bytes)
}

fn save(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[test]
fn gnu_cpio_lists_every_kind_of_node() {
    let (tree, memory) = sample();
    let file = save(&cpio(&tree, &memory).unwrap());
    let listing = judge("cpio", &["-t", "-v", "-n", "--quiet"], Some(file.path()));
    let lines: Vec<String> =
        listing.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(lines[0], "drwx--x--x 2 5 6 0 Jan 1 2021 .");
    for line in [
        "crw------- 1 0 0 5, 1 Jan 1 2021 dev/console",
        "brw-rw---- 1 0 6 254, 0 Jan 1 2021 dev/vda",
        "prw------- 1 0 0 0 Jan 1 2021 dev/initctl",
        "-rwsr-xr-x 1 0 0 17 Jan 1 2021 system/bin/su",
        "-rw------- 1 0 42 7 Jan 1 2021 system/etc/shadow",
        "lrwxrwxrwx 1 0 0 3 Jan 1 2021 system/sbin -> bin",
        "drwxrwxrwt 2 0 0 0 Jan 1 2021 system/tmp",
        "drwxr-x--- 2 1001 1001 0 Jan 1 2021 usr/home/tc",
    ] {
        assert!(lines.iter().any(|other| other == line), "{line}\nis not in\n{listing}");
    }
    assert_eq!(lines.len(), tree.entries.len());
}

/// Leaks found in other builders: inode numbers of the host, link counts of folders, the root folder's time.
#[test]
fn headers_hold_nothing_of_the_host() {
    let (tree, memory) = sample();
    let bytes = cpio(&tree, &memory).unwrap();
    let mut rest = bytes.as_slice();
    for (index, (path, entry)) in tree.entries.iter().enumerate() {
        let reader = cpio::newc::Reader::new(rest).unwrap();
        let header = reader.entry().clone();
        assert_eq!(header.name(), if path.is_root() { "." } else { path.as_str() });
        assert_eq!(header.ino() as usize, index + 1);
        assert_eq!(header.nlink(), if entry.is_dir() { 2 } else { 1 });
        assert_eq!(header.mtime() as u64, EPOCH);
        assert_eq!((header.dev_major(), header.dev_minor()), (0, 0));
        rest = reader.finish().unwrap();
    }
    assert!(cpio::newc::Reader::new(rest).unwrap().entry().is_trailer());
}

#[test]
fn what_newc_or_the_kernel_cannot_take_is_an_error_with_the_path() {
    let mut memory = Memory::default();
    let mut with_xattr = memory.file("x", 0o755);
    with_xattr.xattrs.insert("security.capability".into(), vec![1]);
    let cases: [(&str, Entry, &str); 5] = [
        ("big/image", Entry::file(Digest::of(""), 4 << 30, 0o644), "4294967296 bytes"),
        ("bin/ping", with_xattr, "security.capability"),
        (&"d".repeat(4096), Entry::dir(0o755), "its path has 4096 bytes"),
        ("TRAILER!!!", memory.file("x", 0o644), "end of an archive"),
        ("link", Entry::symlink(""), "0 bytes"),
    ];
    for (at, entry, reason) in cases {
        let mut tree = Tree::new();
        tree.insert(path(at), entry);
        tree.complete();
        let error = cpio(&tree, &memory).unwrap_err();
        assert!(matches!(&error, ImageError::CantHold { path: p, .. } if *p == path(at)), "{at}: {error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
    let mut largest = Tree::new();
    largest.insert(path("big"), Entry::file(Digest::of(""), (4 << 30) - 1, 0o644));
    assert!(matches!(cpio(&largest, &memory), Err(ImageError::Content { .. })), "4 GiB - 1 fits into the header");
}

#[test]
fn an_entry_without_its_folder_is_an_error() {
    let mut memory = Memory::default();
    let mut tree = Tree::new();
    tree.insert(path("a/b"), memory.file("x", 0o644));
    assert!(matches!(cpio(&tree, &memory), Err(ImageError::NoParent { .. })));
    tree.insert(path("a"), Entry::symlink("c"));
    assert!(matches!(cpio(&tree, &memory), Err(ImageError::NoParent { .. })));
    tree.insert(path("a"), Entry::dir(0o755));
    assert!(cpio(&tree, &memory).is_ok(), "the root may be absent");
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error_that_names_it() {
    for now in ["longer than before", "other!", "x"] {
        let (mut tree, mut memory) = sample();
        let entry = memory.file("before", 0o644);
        let Node::File { blob, .. } = entry.node else { unreachable!() };
        tree.insert(path("system/etc/motd"), entry);
        memory.0.insert(blob, now.as_bytes().to_vec());
        let mut bytes = Vec::new();
        for result in [write_tar(&tree, &memory, EPOCH, &mut bytes), cpio(&tree, &memory).map(drop)] {
            let error = result.unwrap_err();
            assert!(matches!(&error, ImageError::Changed { path: p, .. } if *p == path("system/etc/motd")), "{error}");
        }
    }
}

#[test]
fn each_compression_is_read_back_by_its_own_tool() {
    let (mut tree, mut memory) = sample();
    // More than one block of LZ4, and not trivially compressible.
    let noise: Vec<u8> = (0u32..2_500_000).flat_map(|n| (n.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect();
    tree.insert(path("system/share/noise"), memory.file(&noise[..9 << 20], 0o644));
    let plain = cpio(&tree, &memory).unwrap();
    for (compression, tool) in [
        (Compression::Zstd, "zstd"),
        (Compression::Xz, "xz"),
        (Compression::Gzip, "gzip"),
        (Compression::Lz4, "lz4"),
        (Compression::None, "cat"),
    ] {
        let mut bytes = Vec::new();
        write_initrd(&[Segment { tree: &tree, compression }], &memory, EPOCH, &mut bytes).unwrap();
        assert!(bytes.len() <= plain.len(), "{tool}: {} of {}", bytes.len(), plain.len());
        let file = save(&bytes);
        let out = tempfile::NamedTempFile::new().unwrap();
        let script =
            format!("{tool} {} < {} > {}", if tool == "cat" { "" } else { "-dc" }, text(file.path()), text(out.path()));
        judge("sh", &["-c", &script], None);
        assert!(std::fs::read(out.path()).unwrap() == plain, "{tool}");
        let mut again = Vec::new();
        write_initrd(&[Segment { tree: &tree, compression }], &memory, EPOCH, &mut again).unwrap();
        assert!(again == bytes, "{tool}");
    }
}

/// What lib/decompress_*.c accepts, read from the formats' own headers.
#[test]
fn frames_are_what_the_kernel_takes() {
    let (mut tree, mut memory) = sample();
    tree.insert(path("zeros"), memory.file(vec![0; 20 << 20], 0o644));
    let pack = |compression| {
        let mut bytes = Vec::new();
        write_initrd(&[Segment { tree: &tree, compression }], &memory, EPOCH, &mut bytes).unwrap();
        bytes
    };
    // RFC 1952: magic, deflate, no flags (no name), no time, best, system unknown.
    assert_eq!(pack(Compression::Gzip)[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
    assert_eq!(pack(Compression::Lz4)[..4], 0x184C_2102u32.to_le_bytes());
    // xz-file-format 2.1.1: stream flags 00 01 is CRC32.
    assert_eq!(pack(Compression::Xz)[6..8], [0, 1]);
    // RFC 8878 3.1.1.1.2: exponent and mantissa of the window.
    let zstd = pack(Compression::Zstd);
    assert_eq!(zstd[..4], [0x28, 0xb5, 0x2f, 0xfd]);
    assert_eq!(zstd[4] & 0x20, 0, "not a single segment, so a window follows");
    let window = |byte: u8| (1u64 << (10 + (byte >> 3))) * (8 + u64::from(byte & 7)) / 8;
    assert!(window(zstd[5]) <= 8 << 20, "{}", window(zstd[5]));
}

#[test]
fn early_segments_come_first_and_lsinitramfs_reads_through_all() {
    let mut memory = Memory::default();
    let mut early = Tree::new();
    early.insert(path("kernel/x86/microcode/GenuineIntel.bin"), memory.file("microcode", 0o644));
    early.complete();
    let (main, contents) = sample();
    memory.0.extend(contents.0);
    // Not Compression::None: lsinitramfs takes all uncompressed archives for early ones and then misses the main one.
    for compression in [Compression::Zstd, Compression::Xz, Compression::Gzip, Compression::Lz4] {
        let mut bytes = Vec::new();
        let segments = [Segment { tree: &early, compression: Compression::None }, Segment { tree: &main, compression }];
        write_initrd(&segments, &memory, EPOCH, &mut bytes).unwrap();
        assert_eq!(&bytes[..6], b"070701", "the kernel looks for microcode in an uncompressed archive at the start");
        let file = save(&bytes);
        let listing = judge("lsinitramfs", &[text(file.path())], None);
        for name in ["kernel/x86/microcode/GenuineIntel.bin", "system/etc/配置", "dev/console"] {
            assert!(listing.lines().any(|line| line == name), "{compression}: {name} is not in\n{listing}");
        }
    }
}

#[test]
fn gnu_tar_reads_the_stream_back() {
    let (mut tree, mut memory) = sample();
    let long = format!("{}/{}", "folder-with-a-long-name".repeat(7), "n".repeat(120));
    tree.insert(path(&long), memory.file("long", 0o644));
    tree.insert(path("long-link"), Entry::symlink(long.clone()));
    tree.insert(path("rich"), Entry { uid: 3_000_000, ..memory.file("rich", 0o644) });
    let mut ping = memory.file("ping", 0o755);
    ping.xattrs.insert("security.capability".into(), b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec());
    tree.insert(path("ping"), ping);
    tree.complete();
    let mut bytes = Vec::new();
    write_tar(&tree, &memory, EPOCH, &mut bytes).unwrap();
    let file = save(&bytes);
    let listing = judge("tar", &["-tvv", "--numeric-owner", "--xattrs-include=*", "-f", text(file.path())], None);
    let lines: Vec<String> =
        listing.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for line in [
        "drwx--x--x 5/6 0 2021-01-01 00:00 ./".to_owned(),
        "crw------- 0/0 5,1 2021-01-01 00:00 ./dev/console".to_owned(),
        "brw-rw---- 0/6 254,0 2021-01-01 00:00 ./dev/vda".to_owned(),
        "prw------- 0/0 0 2021-01-01 00:00 ./dev/initctl".to_owned(),
        "-rwsr-xr-x 0/0 17 2021-01-01 00:00 ./system/bin/su".to_owned(),
        "-rw-r--r-- 3000000/0 4 2021-01-01 00:00 ./rich".to_owned(),
        format!("-rw-r--r-- 0/0 4 2021-01-01 00:00 ./{long}"),
        format!("lrwxrwxrwx 0/0 0 2021-01-01 00:00 ./long-link -> {long}"),
        "x: 20 security.capability".to_owned(),
    ] {
        assert!(lines.contains(&line), "{line}\nis not in\n{listing}");
    }
    assert!(listing.contains("./system/etc/配置") || listing.contains(r"./system/etc/\351"), "{listing}");
}

#[test]
fn a_device_number_that_tar_cannot_hold_is_an_error() {
    let mut tree = Tree::new();
    tree.insert(path("big"), Entry::of(Node::Char { major: 1, minor: 0o10000000 }, 0o600));
    let error = write_tar(&tree, &Memory::default(), EPOCH, std::io::sink()).unwrap_err();
    assert!(matches!(error, ImageError::CantHold { .. }), "{error}");
}
