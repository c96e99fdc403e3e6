//! Tested with third-party tools: each image is made by the usual program for it.

use super::*;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::process::command;

const UUID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

/// Runs a tool; these are in sbin, which may not be in a user's PATH.
fn run(tool: &str, args: &[&str]) {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let found = path.split(':').map(|folder| Path::new(folder).join(tool)).find(|program| program.exists());
    let program = found.unwrap_or_else(|| {
        panic!("{tool} is missing: install e2fsprogs, dosfstools, util-linux, squashfs-tools, xorriso")
    });
    let output = command(program).args(args).stdin(Stdio::null()).output().expect(tool);
    assert!(output.status.success(), "{tool} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn image(folder: &Path, mebibytes: u64) -> PathBuf {
    let path = folder.join("image");
    File::create(&path).and_then(|file| file.set_len(mebibytes << 20)).expect("an empty image");
    path
}

fn look(path: &Path) -> Option<Superblock> {
    probe(&mut File::open(path).expect("the image")).expect("reading")
}

fn make(mebibytes: u64, tool: &str, args: &[&str]) -> Superblock {
    let folder = tempfile::tempdir().expect("a folder");
    let path = image(folder.path(), mebibytes);
    run(tool, &[args, &[path.to_str().expect("UTF-8")]].concat());
    look(&path).expect("something known")
}

#[test]
fn mke2fs_makes_ext2_to_ext4() {
    for (kind, name) in [(ContentKind::Ext2, "ext2"), (ContentKind::Ext3, "ext3"), (ContentKind::Ext4, "ext4")] {
        let found = make(8, "mke2fs", &["-q", "-F", "-t", name, "-L", "dbcolinux", "-U", UUID]);
        assert_eq!((found.kind, found.label.as_deref(), found.uuid.as_deref()), (kind, Some("dbcolinux"), Some(UUID)));
        let ext = found.ext.expect("its state");
        assert_eq!((ext.clean, ext.errors, ext.journal), (true, false, kind != ContentKind::Ext2), "{name}");
        assert!(!ext.project_quota);
    }
    assert_eq!(make(8, "mke2fs", &["-q", "-F", "-t", "ext4"]).label, None);
    assert!(
        make(16, "mke2fs", &["-q", "-F", "-t", "ext4", "-O", "quota,project"]).ext.expect("its state").project_quota
    );
}

#[test]
fn a_dirty_ext4_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = image(folder.path(), 8);
    let name = path.to_str().expect("UTF-8");
    run("mke2fs", &["-q", "-F", "-t", "ext4", name]);
    for (request, clean, errors) in [
        ("ssv state 0", false, false),
        ("ssv state 3", false, true),
        ("ssv state 1", true, false),
        ("feature needs_recovery", false, false),
    ] {
        run("debugfs", &["-w", "-R", request, name]);
        let ext = look(&path).and_then(|found| found.ext).expect("its state");
        assert_eq!((ext.clean, ext.errors, ext.journal), (clean, errors, true), "{request}");
    }
}

#[test]
fn mkfs_vfat_makes_fat16_and_fat32() {
    for (size, bits) in [(16, "16"), (64, "32")] {
        let found = make(size, "mkfs.vfat", &["-F", bits, "-n", "STICK", "-i", "1234ABCD"]);
        assert_eq!(
            (found.kind, found.label.as_deref(), found.uuid.as_deref()),
            (ContentKind::Vfat, Some("STICK"), Some("1234-abcd"))
        );
        assert_eq!(make(size, "mkfs.vfat", &["-F", bits]).label, None);
    }
}

#[test]
fn mkswap_makes_swap() {
    let found = make(1, "mkswap", &["-q", "-L", "swap0", "-U", UUID]);
    assert_eq!(
        (found.kind, found.label.as_deref(), found.uuid.as_deref()),
        (ContentKind::Swap, Some("swap0"), Some(UUID))
    );
}

#[test]
fn mksquashfs_and_xorriso_make_images() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, squash, iso) = (folder.path().join("source"), folder.path().join("squash"), folder.path().join("iso"));
    std::fs::create_dir(&source).expect("a folder");
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    run("mksquashfs", &[&text(&source), &text(&squash), "-quiet", "-no-progress"]);
    let found = look(&squash).expect("squashfs");
    assert_eq!((found.kind, found.label, found.uuid), (ContentKind::Squashfs, None, None));
    let date = "2026110112304500";
    run(
        "xorriso",
        &[
            "-as",
            "mkisofs",
            "-quiet",
            "-V",
            "MEDIUM",
            &format!("--modification-date={date}"),
            "-o",
            &text(&iso),
            &text(&source),
        ],
    );
    let found = look(&iso).expect("ISO 9660");
    assert_eq!((found.kind, found.label.as_deref()), (ContentKind::Iso9660, Some("MEDIUM")));
    assert_eq!(found.uuid.as_deref(), Some("2026-11-01-12-30-45-00"));
}

#[test]
fn a_partition_table_an_empty_and_a_short_device_hold_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = image(folder.path(), 1);
    assert_eq!(look(&path), None);
    let mut table = vec![0; 1 << 20];
    table[510..512].copy_from_slice(&[0x55, 0xaa]);
    std::fs::write(&path, &table).expect("writing");
    assert_eq!(look(&path), None);
    for length in [0, 3, 512, 1500] {
        std::fs::write(&path, &table[..length]).expect("writing");
        assert_eq!(look(&path), None);
    }
}
