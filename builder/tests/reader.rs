//! The readers of images, on images that third-party tools made, and on damaged ones.

mod support;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use dbco::image::Compression;
use dbco::image::cpio::{Segment, write_cpio, write_initrd};
use dbco::image::squashfs::{Packing, Squashfs};
use dbco::image::tar::write_tar;
use dbco::platform::Platform;
use dbco::reader::{Entry, Fault, Filesystem, Format, Image, Kind, Limits, NameSource, Region};
use dbco::tree::{self, Node, Tree, TreePath};
use support::{EPOCH, HostTools, Memory, host, judge, path, sample, text};

/// [`sample`] with attributes, and a file of two names.
fn tree() -> (Tree, Memory) {
    let (mut tree, mut memory) = sample();
    tree.insert(TreePath::ROOT, tree::Entry::dir(0o755));
    let mut ping = memory.file("ping", 0o755);
    ping.xattrs.insert("security.capability".into(), b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec());
    tree.insert(path("system/bin/ping"), ping.clone());
    (tree, memory)
}

fn open(bytes: Vec<u8>) -> Image {
    Image::open(&Region::of_bytes(bytes), &Limits::USUAL).unwrap()
}

fn open_file(path: &Path) -> Image {
    open(std::fs::read(path).unwrap())
}

fn content(filesystem: &dyn Filesystem, entry: &Entry) -> Vec<u8> {
    let mut content = Vec::new();
    filesystem.open(entry).unwrap().reader().read_to_end(&mut content).unwrap();
    content
}

/// The image must hold exactly the tree.
#[track_caller]
fn holds(image: &Image, tree: &Tree, memory: &Memory, attributes: bool) {
    let filesystem = image.filesystem().unwrap();
    let found: BTreeMap<&[u8], &Entry> =
        filesystem.listing().tree().map(|entry| (entry.path.as_slice(), entry)).collect();
    for (path, wanted) in &tree.entries {
        let entry = found.get(path.as_str().as_bytes()).unwrap_or_else(|| panic!("{path} is missing"));
        let kind = match &wanted.node {
            Node::Dir => Kind::Dir,
            Node::File { blob, .. } => {
                assert!(content(filesystem, entry) == memory.0[blob], "{path}");
                assert_eq!(entry.size, memory.0[blob].len() as u64, "{path}");
                Kind::File
            }
            Node::Symlink { target } => Kind::Symlink(target.clone().into_bytes()),
            Node::Char { major, minor } => Kind::Char(Some((*major, *minor))),
            Node::Block { major, minor } => Kind::Block(Some((*major, *minor))),
            Node::Fifo => Kind::Fifo,
        };
        assert_eq!(entry.kind, kind, "{path}");
        let owner = (i64::from(wanted.uid), i64::from(wanted.gid), wanted.mode, Some(EPOCH as i64));
        assert_eq!((entry.uid, entry.gid, entry.mode, entry.mtime), owner, "{path}");
        let wanted: BTreeMap<Vec<u8>, Vec<u8>> =
            wanted.xattrs.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone())).collect();
        assert!(!attributes || entry.xattrs == wanted, "{path}: {:?}", entry.xattrs);
    }
    assert_eq!(found.len(), tree.entries.len());
}

#[test]
fn an_initrd_of_several_segments_is_read_to_its_end() {
    let (tree, memory) = tree();
    // The cpio format has no attributes.
    let mut plain = tree.clone();
    plain.entries.values_mut().for_each(|entry| entry.xattrs.clear());
    let mut early = Tree::new();
    early.insert(path("kernel/x86/microcode/GenuineIntel.bin"), plain.entries[&path("system/share/big")].clone());
    early.complete();
    let mut both = plain.clone();
    both.entries.extend(early.entries.clone());
    for compression in [Compression::Zstd, Compression::Xz, Compression::Gzip, Compression::Lz4, Compression::None] {
        let mut bytes = Vec::new();
        write_cpio(&early, &memory, EPOCH, &mut bytes).unwrap();
        // As bootloaders pad what they join.
        bytes.resize(bytes.len().next_multiple_of(512) + 512, 0);
        let start = bytes.len() as u64;
        write_initrd(&[Segment { tree: &plain, compression }], &memory, EPOCH, &mut bytes).unwrap();
        let image = open(bytes);
        holds(&image, &both, &memory, true);
        let Format::Initrd { segments, rest } = &image.format else { panic!("{:?}", image.format) };
        assert_eq!((segments[0].codec, rest), (None, &None));
        if compression != Compression::None {
            assert_eq!(segments[1].codec.unwrap().to_string(), compression.to_string());
            assert_eq!((segments.len(), segments[1].offset), (2, start));
        }
    }
}

#[test]
fn a_squashfs_is_read_with_each_compressor() {
    let (tree, memory) = tree();
    let tools = HostTools::new();
    for packing in [Packing::Zstd, Packing::Xz, Packing::Gzip, Packing::Lz4] {
        let squashfs = Squashfs { platform: Platform::BUILD, packing, block: 128 << 10, epoch: EPOCH };
        let image = tools.make(squashfs.execution(host(), tree.clone()).unwrap(), &memory).unwrap();
        holds(&open_file(&image), &tree, &memory, true);
    }
}

#[test]
fn a_tar_archive_is_read_whatever_its_compression() {
    let (tree, memory) = tree();
    let mut bytes = Vec::new();
    write_tar(&tree, &memory, EPOCH, &mut bytes).unwrap();
    holds(&open(bytes.clone()), &tree, &memory, true);
    let image = open(zstd::encode_all(&bytes[..], 1).unwrap());
    assert_eq!((image.format.word(), image.codec.unwrap().to_string().as_str()), ("tar", "zstd"));
    holds(&image, &tree, &memory, true);
}

/// Files as other tools can lay them out without root: of this user, with times of today.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let script = "cd \"$1\"; mkdir -p usr/bin empty 'a b'; seq 1 30000 > usr/big; printf x > usr/bin/one; : > none; ln usr/bin/one two
        ln -s ../usr/big 'a b/link'; printf ü > 'a b/ä name that is longer than the eight characters of old.text'; mkfifo pipe; chmod 4755 two; seq 1 9 > 'a b/short.txt'";
    judge("sh", &["-ec", script, "sh", text(folder.path())], None);
    folder
}

/// The image must hold what the folder does: paths, types, permissions, content, hard links.
#[track_caller]
fn holds_folder(image: &Image, folder: &Path, posix: bool, extra: &[&str]) {
    let filesystem = image.filesystem().unwrap();
    let kinds = if posix { "" } else { "-type d -o -type f" };
    let find =
        format!("cd \"$1\"; find . -mindepth 1 \\( {} \\) -printf '%y %m %P\\n'", if posix { "-true" } else { kinds });
    let mut wanted: Vec<String> =
        judge("sh", &["-ec", &find, "sh", text(folder)], None).lines().map(str::to_owned).collect();
    wanted.sort();
    let mut tree: Vec<&Entry> = filesystem.listing().tree().collect();
    tree.retain(|entry| !entry.path.is_empty() && !extra.iter().any(|extra| entry.path == extra.as_bytes()));
    let mut found: Vec<String> = tree
        .iter()
        .map(|entry| {
            let letter = if entry.kind.letter() == '-' { 'f' } else { entry.kind.letter() };
            format!("{letter} {:o} {}", entry.mode, String::from_utf8_lossy(&entry.path))
        })
        .collect();
    found.sort();
    if posix {
        assert_eq!(found, wanted);
    } else {
        let names = |lines: &[String]| {
            lines.iter().map(|line| line.splitn(3, ' ').nth(2).unwrap().to_owned()).collect::<Vec<_>>()
        };
        let (mut found, mut wanted) = (names(&found), names(&wanted));
        found.sort();
        wanted.sort();
        assert_eq!(found, wanted);
    }
    for entry in tree {
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        match &entry.kind {
            Kind::File => assert!(content(filesystem, entry) == std::fs::read(folder.join(&path)).unwrap(), "{path}"),
            Kind::Symlink(target) => assert_eq!(target, b"../usr/big"),
            _ => {}
        }
    }
}

fn inode(image: &Image, path: &str) -> Option<u64> {
    image.listing().unwrap().get(path.as_bytes()).unwrap().inode
}

#[test]
fn file_systems_of_other_tools_are_read() {
    let folder = folder();
    let out = tempfile::tempdir().unwrap();
    let file = |name: &str| out.path().join(name);
    let from = text(folder.path());

    for (name, options) in [
        ("plain", ""),
        ("lz4", "-zlz4"),
        ("lz4hc", "-zlz4hc,12 -C65536 -Efragments"),
        ("old", "-Elegacy-compress -zlz4"),
    ] {
        let image = file(name);
        let script = format!("mkfs.erofs --quiet {options} \"$1\" \"$2\" >&2");
        judge("sh", &["-ec", &script, "sh", text(&image), from], None);
        let image = open_file(&image);
        assert_eq!(image.format, Format::Erofs);
        holds_folder(&image, folder.path(), true, &[]);
        assert!(inode(&image, "two").is_some() && inode(&image, "two") == inode(&image, "usr/bin/one"));
    }

    let image = file("ext4");
    judge("mke2fs", &["-q", "-t", "ext4", "-L", "name", "-d", from, text(&image), "16M"], None);
    let image = open_file(&image);
    assert_eq!(image.format, Format::Ext { label: "name".into() });
    holds_folder(&image, folder.path(), true, &["lost+found"]);

    for (bits, size) in [("12", "8M"), ("16", "32M"), ("32", "64M")] {
        let image = file(&format!("fat{bits}"));
        let script = "truncate -s \"$4\" \"$1\"; mkfs.fat -F \"$3\" -n NAME -i 12345678 \"$1\" >&2; cd \"$2\"; mcopy -i \"$1\" -s 'a b' empty none two usr ::";
        judge("sh", &["-ec", script, "sh", text(&image), from, bits, size], None);
        let image = open_file(&image);
        let Format::Fat { variant, label, serial } = &image.format else { panic!("{:?}", image.format) };
        assert_eq!((*variant, label.as_str(), *serial), (&*format!("FAT{bits}"), "NAME", 0x1234_5678));
        // Of links mcopy copies what they point to.
        holds_folder(&image, folder.path(), false, &["a b/link"]);
    }

    let rock = "xorriso -no_rc -report_about FATAL -hardlinks on -volid NAME -outdev \"$1\" -map \"$2\" / >&2";
    let image = file("rock");
    judge("sh", &["-ec", rock, "sh", text(&image), from], None);
    let image = open_file(&image);
    let Format::Iso(info) = &image.format else { panic!("{:?}", image.format) };
    assert_eq!((info.label.as_str(), info.names, &info.table), ("NAME", NameSource::RockRidge, &None));
    holds_folder(&image, folder.path(), true, &[]);
    assert!(inode(&image, "two").is_some() && inode(&image, "two") == inode(&image, "usr/bin/one"));

    let joliet = "cp -rL \"$2/usr\" \"$1.d\"; xorriso -as mkisofs -quiet -J --norock -o \"$1\" \"$1.d\" >&2";
    let image = file("joliet");
    judge("sh", &["-ec", joliet, "sh", text(&image), from], None);
    assert!(open_file(&image).listing().unwrap().get(b"bin/one").is_some());
}

#[test]
fn a_disk_with_partitions_is_a_container() {
    let out = tempfile::tempdir().unwrap();
    let (disk, fat) = (out.path().join("disk"), out.path().join("fat"));
    let script = "truncate -s 40M \"$1\"; printf 'label: gpt\\nstart=2048, size=16384, type=uefi, name=esp\\nstart=20480, type=linux\\n' | sfdisk -q \"$1\"
        truncate -s 8M \"$2\"; mkfs.fat \"$2\" >&2; dd if=\"$2\" of=\"$1\" bs=512 seek=2048 conv=notrunc status=none";
    judge("sh", &["-ec", script, "sh", text(&disk), text(&fat)], None);
    let image = open_file(&disk);
    let Format::Disk(table) = &image.format else { panic!("{:?}", image.format) };
    let rows: Vec<_> =
        table.partitions.iter().map(|part| (part.number, part.start, part.size, part.kind_name)).collect();
    assert_eq!(rows[0], (1, 2048 * 512, 16384 * 512, "EFI system"));
    assert_eq!((rows[1].0, rows[1].3, table.faults.len(), table.kind), (2, "Linux", 0, "GPT"));
    let filesystem = image.filesystem().unwrap();
    let first = filesystem.open(filesystem.listing().get(b"1").unwrap()).unwrap().region(&Limits::USUAL).unwrap();
    assert_eq!(Image::open(&first, &Limits::USUAL).unwrap().format.word(), "fat");

    let script = "truncate -s 40M \"$1\"; printf 'label: dos\\nlabel-id: 0x1234\\nsize=8M, type=c, bootable\\nsize=20M, type=5\\n5 : size=4M\\n6 : size=4M\\n' | sfdisk -q \"$1\"";
    let disk = out.path().join("mbr");
    judge("sh", &["-ec", script, "sh", text(&disk)], None);
    let Format::Disk(table) = open_file(&disk).format else { panic!("no table") };
    let rows: Vec<_> = table.partitions.iter().map(|part| (part.number, part.size >> 20, part.active)).collect();
    assert_eq!(rows, [(1, 8, true), (2, 20, false), (5, 4, false), (6, 4, false)]);
    assert_eq!((table.kind, table.id.as_str()), ("MBR", "00001234"));
}

/// Reads everything of an image: all that may fail has to fail by an error.
fn read_all(bytes: Vec<u8>) -> Result<u64, Fault> {
    let limits = Limits { unpacked: 64 << 20, entries: 10_000, names: 4 << 20, memory: 64 << 20, ..Limits::USUAL };
    let image = Image::open(&Region::of_bytes(bytes), &limits)?;
    let mut total = 0;
    if let Some(filesystem) = image.filesystem() {
        for entry in filesystem.listing().entries().iter().filter(|entry| entry.is_file()) {
            let content = filesystem.open(entry)?.reader();
            total += std::io::copy(&mut content.take(1 << 20), &mut std::io::sink())?;
        }
    }
    Ok(total)
}

/// Damages each image in many places, most of them in its structures; in how many, `MUTATIONS` says.
#[test]
fn damaged_images_are_errors_and_nothing_else() {
    let folder = folder();
    let out = tempfile::tempdir().unwrap();
    let from = text(folder.path());
    std::fs::write(folder.path().join("usr/big"), [7; 20_000]).unwrap();
    let script = "cd \"$2\"; find . | cpio -o -H newc --quiet > \"$1/cpio\"; gzip -k \"$1/cpio\"; lz4 -q -l \"$1/cpio\" \"$1/lz4\"
        tar -cf \"$1/tar\" .; mkfs.erofs --quiet -zlz4 \"$1/erofs\" . >&2; mksquashfs . \"$1/squashfs\" -quiet -no-progress -comp gzip >&2
        xorriso -no_rc -report_about FATAL -outdev \"$1/iso\" -map . / >&2; mke2fs -q -t ext4 -d . \"$1/ext4\" 2M
        truncate -s 2M \"$1/fat\"; mkfs.fat \"$1/fat\" >&2; mcopy -i \"$1/fat\" -s usr none two ::";
    judge("sh", &["-ec", script, "sh", text(out.path()), from], None);
    let mutations = std::env::var("MUTATIONS").map_or(60, |text| text.parse().unwrap());
    let (mut errors, mut tried) = (0, 0);
    for name in ["cpio", "cpio.gz", "lz4", "tar", "erofs", "squashfs", "iso", "ext4", "fat"] {
        let good = std::fs::read(out.path().join(name)).unwrap();
        assert!(read_all(good.clone()).unwrap() > 20_000, "{name}");
        let interesting: Vec<usize> = (0..good.len()).filter(|&at| good[at] != 0).collect();
        let step = (interesting.len() / mutations).max(1);
        for (number, &at) in interesting.iter().step_by(step).enumerate() {
            let mut bad = good.clone();
            bad[at] = [0xff, 0, 0x80, 1][number % 4] ^ if number % 8 < 4 { 0 } else { bad[at] };
            tried += 1;
            errors += usize::from(read_all(bad).is_err());
        }
        for parts in 1..12 {
            let cut = good[..good.len() * parts / 12].to_vec();
            // A file system's unused end may be missing.
            drop(read_all(cut));
        }
    }
    assert!(tried > 400 && errors * 5 > tried, "{errors} errors of {tried}");
}
