//! Members of one archive that meet at a place: what stands there in the end, in a tree as in a folder, and what is an error.

mod tars;

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use dbco::archive::tar::unpack_to_dir;
use dbco::digest::Digest;
use dbco::tree::{Node, Tree};
use tar::EntryType;
use tars::{Tar, USUAL, dir, tree_of};

/// Adds a member of that name.
type Add = fn(Tar, &str) -> Tar;

/// Every kind of member that is no folder. The hard link is one of `other`.
const NO_FOLDERS: [(&str, Add); 6] = [
    ("file", |tar, name| tar.file(name, "new")),
    ("link", |tar, name| tar.link(name, "other")),
    ("hard link", |tar, name| tar.hard(name, "other")),
    ("pipe", |tar, name| tar.add(EntryType::Fifo, name, "", 0o644, b"")),
    ("character device", |tar, name| tar.add(EntryType::Char, name, "", 0o644, b"")),
    ("block device", |tar, name| tar.add(EntryType::Block, name, "", 0o644, b"")),
];

fn other() -> Tar {
    Tar::default().file("other", "other")
}

/// `PATH KIND` for each entry, of files with the digest; folders that no member lists are not told.
fn of_tree(tree: &Tree) -> Vec<String> {
    let kind = |node: &Node| match node {
        Node::Dir => None,
        Node::File { blob, .. } => Some(blob.to_string()),
        Node::Symlink { target } => Some(format!("-> {target}")),
        _ => Some("pipe".to_owned()),
    };
    let shown = |(path, entry): (&_, &dbco::tree::Entry)| Some(format!("{path} {}", kind(&entry.node)?));
    tree.entries.iter().filter_map(shown).collect()
}

/// The same of a folder.
fn of_folder(folder: &Path) -> Vec<String> {
    fn list(at: &Path, top: &Path, all: &mut Vec<String>) {
        for entry in fs::read_dir(at).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let name = path.strip_prefix(top).unwrap().display();
            if kind.is_dir() {
                list(&path, top, all);
            } else if kind.is_symlink() {
                all.push(format!("/{name} -> {}", fs::read_link(&path).unwrap().display()));
            } else if kind.is_fifo() {
                all.push(format!("/{name} pipe"));
            } else {
                all.push(format!("/{name} {}", Digest::of(fs::read(&path).unwrap())));
            }
        }
    }
    let mut all = Vec::new();
    list(folder, folder, &mut all);
    all.sort();
    all
}

fn unpacked(archive: &[u8]) -> Result<Vec<String>, String> {
    let folder = tempfile::tempdir().unwrap();
    unpack_to_dir(archive, "x.tar", &USUAL, &dir(folder.path())).map_err(|error| error.to_string())?;
    Ok(of_folder(folder.path()))
}

fn read(archive: &[u8]) -> Result<Vec<String>, String> {
    tree_of(archive).map(|tree| of_tree(&tree)).map_err(|error| error.to_string())
}

/// Both refuse it, with a text about the entry; devices never come into a folder.
#[track_caller]
fn refused(what: &str, archive: Tar, entry: &str, (tree, folder): (&str, &str)) {
    let archive = archive.end();
    let said = read(&archive).expect_err(what);
    assert!(said.starts_with(&format!("x.tar: entry `{entry}`")) && said.contains(tree), "{what}: {said}");
    let said = unpacked(&archive).expect_err(what);
    let folder = if what.ends_with("device") { "a device node" } else { folder };
    assert!(said.starts_with("x.tar: entry `") && said.contains(folder), "{what}: {said}");
}

#[test]
fn only_a_folder_stands_where_earlier_members_lie_below() {
    let below: [fn(Tar) -> Tar; 6] = [
        |tar| tar.file("a/b/c", ""),
        |tar| tar.dir("a/b/c"),
        |tar| tar.link("a/b/c", "d"),
        |tar| tar.dir("a").dir("a/b").file("a/b/c", ""),
        |tar| tar.file("a/b/c/d/e", "").file("a/b/c/d/f", ""),
        // Names between it and what it holds.
        |tar| tar.file("a/b-", "").file("a/b.x", "").file("a/b/c", "").file("a/b0", ""),
    ];
    let replaces = "would replace a folder";
    for (what, add) in NO_FOLDERS {
        for below in below {
            for name in ["a/b", "./a//b", "a"] {
                refused(what, add(below(other()), name), name, (replaces, replaces));
            }
        }
    }
    refused("hard link", Tar::default().file("a/b", "").hard("a", "a/b"), "a", (replaces, replaces));
}

#[test]
fn names_that_only_begin_alike_do_not_meet() {
    for (what, add) in &NO_FOLDERS[..4] {
        for name in ["a/b", "a/bc", "a/b0", "aa"] {
            let beside = other().file("a/b-/x", "").file("a/b./x", "").file("a/b00/x", "").dir("a/bb").dir("aaa/aa");
            let archive = add(beside, name).end();
            let all = read(&archive).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(all, unpacked(&archive).unwrap(), "{what}");
            assert!(all.iter().any(|line| line.starts_with(&format!("/{name} "))), "{what}: {all:?}");
        }
    }
}

#[test]
fn nothing_lies_below_what_is_no_folder() {
    for (what, add) in NO_FOLDERS {
        for child in ["a/b/c", "a/b/c/d", "a/b/c/"] {
            let archive = add(other().dir("a"), "a/b").file(child.trim_end_matches('/'), "");
            let archive = if child.ends_with('/') { add(other().dir("a"), "a/b").dir(child) } else { archive };
            let texts = match what {
                // To nothing, as it is told from `a`.
                "link" => ("leads through `/a/b`, a link to `other`", "which does not exist"),
                _ => ("`/a/b` is not a folder", "`a/b` is not a folder"),
            };
            refused(what, archive, child, texts);
        }
    }
}

#[test]
fn of_two_members_of_one_name_the_last_counts() {
    let (old, new) = (Digest::of("old"), Digest::of("new"));
    let is_new = |kind: &str| match kind {
        "file" => new.to_string(),
        "link" => "-> other".to_owned(),
        "hard link" => Digest::of("other").to_string(),
        _ => "pipe".to_owned(),
    };
    for (first, add_first) in &NO_FOLDERS[..4] {
        for (second, add) in &NO_FOLDERS[..4] {
            let archive = add(add_first(other(), "a/b"), "./a/b").end();
            let expected = [format!("/a/b {}", is_new(second)), format!("/other {}", Digest::of("other"))];
            assert_eq!(read(&archive).unwrap(), expected, "{first}, {second}");
            assert_eq!(unpacked(&archive).unwrap(), expected, "{first}, {second}");
        }
        // A folder takes the place of anything, and things come into it.
        let archive = add_first(other(), "a/b").dir("a/b").file("a/b/c", "new").end();
        let expected = [format!("/a/b/c {new}"), format!("/other {}", Digest::of("other"))];
        assert_eq!(read(&archive).unwrap(), expected, "{first}");
        assert_eq!(unpacked(&archive).unwrap(), expected, "{first}");
    }
    // Another name of the first one keeps what that was.
    let archive = Tar::default().file("a", "old").hard("b", "a").file("a", "new").end();
    let expected = [format!("/a {new}"), format!("/b {old}")];
    assert_eq!((read(&archive).unwrap(), unpacked(&archive).unwrap()), (expected.to_vec(), expected.to_vec()));
}

/// As by GNU tar a folder without content gives way; dpkg, for whose packages trees are read, replaces no folder.
#[test]
fn an_empty_folder_gives_way_in_a_folder_alone() {
    for (what, add) in &NO_FOLDERS[..4] {
        let archive = add(other().dir("a/b"), "a/b").end();
        let said = read(&archive).expect_err(what);
        assert!(said.contains("would replace a folder"), "{what}: {said}");
        assert!(unpacked(&archive).unwrap()[0].starts_with("/a/b "), "{what}");
    }
}
