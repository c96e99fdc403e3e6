//! The reader of tar archives compared with GNU tar: random folders, packed in each format, read as data.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use dbco::archive::Budget;
use dbco::archive::tar::read_tree;
use dbco::digest::Digest;
use dbco::process::command;
use dbco::store::Store;
use dbco::tree::Node;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % most as u64) as usize
    }

    /// A unique name; long and non-ASCII ones where the format supports them.
    fn name(&mut self, number: usize, plain: bool) -> String {
        let odd = ["é", "你好", "a b", "#", "\\", "'", "~", "=", "-x", "%41", "\u{7f}"];
        let long = [1, 5, 60, 99, 100, 101, 155, 200];
        match self.below(3) {
            0 if !plain => format!("{}{number}", odd[self.below(odd.len())]),
            1 if !plain => format!("{}{number}", "n".repeat(long[self.below(long.len())])),
            _ => format!("f{number}"),
        }
    }
}

fn fill(folder: &Path, random: &mut Random, plain: bool, depth: usize, number: &mut usize) {
    let mut files = Vec::new();
    for _ in 0..2 + random.below(6) {
        *number += 1;
        let path = folder.join(random.name(*number, plain));
        match random.below(6) {
            0 if depth > 0 => {
                fs::create_dir(&path).unwrap();
                fill(&path, random, plain, depth - 1, number);
                fs::set_permissions(&path, fs::Permissions::from_mode([0o700, 0o755, 0o1777, 0o2750][random.below(4)]))
                    .unwrap();
            }
            1 => symlink(random.name(*number, plain), &path).unwrap(),
            2 if !files.is_empty() => fs::hard_link(&files[random.below(files.len())], &path).unwrap(),
            3 => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap(),
            _ => {
                let size = [0, 1, 511, 512, 513, 5000][random.below(6)];
                fs::write(&path, vec![b'a' + random.below(26) as u8; size]).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode([0o644, 0o600, 0o4755, 0o444][random.below(4)]))
                    .unwrap();
                files.push(path);
            }
        }
    }
}

/// Each path below a folder, with its metadata from the file system.
fn seen(folder: &Path, top: &Path, all: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, metadata) = (entry.path(), entry.metadata().unwrap());
        let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
        let mode = metadata.mode() & 0o7777;
        let what = match metadata.file_type() {
            kind if kind.is_dir() => {
                seen(&path, top, all);
                format!("folder {mode:o}")
            }
            kind if kind.is_symlink() => format!("link {:?}", fs::read_link(&path).unwrap()),
            kind if kind.is_file() => format!("file {mode:o} {}", Digest::of(fs::read(&path).unwrap())),
            _ => format!("fifo {mode:o}"),
        };
        all.insert(name, what);
    }
}

#[test]
fn what_gnu_tar_packs_is_read_as_it_was() {
    for seed in 0..12 {
        for format in ["v7", "ustar", "gnu", "oldgnu", "pax"] {
            let folder = tempfile::tempdir().unwrap();
            let top = folder.path().join("top");
            fs::create_dir(&top).unwrap();
            // Those two support no names of more than 100 bytes, or 256.
            let plain = matches!(format, "v7" | "ustar");
            fill(&top, &mut Random(seed), plain, 3, &mut 0);
            if format == "v7" {
                // It has no type for a pipe.
                let output = command("find").arg(&top).args(["-type", "p", "-delete"]).output().unwrap();
                assert!(output.status.success());
            }
            let mut wanted = BTreeMap::new();
            seen(&top, &top, &mut wanted);
            let uid = if plain { "1000" } else { "3000000000" };
            let mut tar = command("tar");
            tar.args(["--format", format, "--sort=name", "--numeric-owner", "--owner", uid, "--group=0", "-C"]);
            let output = tar.arg(&top).args(["-cf", "-", "."]).output().unwrap();
            assert!(output.status.success(), "{format}: {}", String::from_utf8_lossy(&output.stderr));
            let mut batch = Store::open(&folder.path().join("store")).unwrap().batch().unwrap();
            let tree = read_tree(output.stdout.as_slice(), "x.tar", &Budget::USUAL, &mut batch);
            let tree = tree.unwrap_or_else(|error| panic!("{format} {seed}: {error}"));
            let mut read = BTreeMap::new();
            for (path, entry) in tree.entries.iter().filter(|(path, _)| !path.as_str().is_empty()) {
                assert_eq!((entry.uid, entry.gid), (uid.parse().unwrap(), 0), "{format} {seed} {path}");
                let mode = entry.mode;
                let what = match &entry.node {
                    Node::Dir => format!("folder {mode:o}"),
                    Node::Symlink { target } => {
                        format!("link {:?}", Path::new(std::ffi::OsStr::from_bytes(target.as_bytes())))
                    }
                    Node::File { blob, .. } => format!("file {mode:o} {blob}"),
                    Node::Fifo => format!("fifo {mode:o}"),
                    other => format!("{other:?}"),
                };
                read.insert(path.as_str().to_owned(), what);
            }
            assert_eq!(read, wanted, "{format} {seed}");
        }
    }
}
