//! Trees written as cpio and tar archives: other readers find in them what the tree holds.
#![no_main]

use std::collections::HashMap;
use std::io::{self, Cursor, Read};

use dbco::archive::{Budget, Entries, MemberKind};
use dbco::digest::Digest;
use dbco::image::cpio::write_cpio;
use dbco::image::tar::write_tar;
use dbco::image::{Contents, ImageError};
use dbco::tree::{Entry, Node, Tree, TreePath};
use dbco_fuzz::{told, within_memory};
use libfuzzer_sys::fuzz_target;

struct Memory(HashMap<Digest, Vec<u8>>);

impl Contents for Memory {
    fn open_unchecked(&self, blob: &Digest) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(Cursor::new(self.0.get(blob).ok_or(io::ErrorKind::NotFound)?.clone())))
    }
}

fuzz_target!(|data: &[u8]| {
    let (tree, memory) = tree(data);
    within_memory(48, || {
        let mut archive = Vec::new();
        match write_cpio(&tree, &memory, 1, &mut archive) {
            Ok(()) => in_cpio(&tree, &memory, &archive),
            Err(error) => drop(told(&error)),
        }
        let mut archive = Vec::new();
        match write_tar(&tree, &memory, 1, &mut archive) {
            Ok(()) => in_tar(&tree, &memory, &archive),
            Err(ImageError::Epoch { .. }) => panic!("1970 is no such time"),
            Err(error) => drop(told(&error)),
        }
    });
});

/// A tree described by a few bytes for each entry: type, mode, owner, name, content.
fn tree(data: &[u8]) -> (Tree, Memory) {
    let (mut tree, mut memory) = (Tree::new(), Memory(HashMap::new()));
    let mut rest = data;
    let mut take = |count: usize| {
        let (taken, left) = rest.split_at(count.min(rest.len()));
        rest = left;
        taken
    };
    while let &[kind, mode, more, uid, gid, name, content] = take(7) {
        // A large owner does not fit into every header.
        let owner = |id: u8| u32::from(id) << (id % 5 * 6);
        let long = |text: &[u8], length: u8| String::from_utf8_lossy(text).repeat(1 + usize::from(length % 32));
        let path = TreePath::new(&long(take(usize::from(name % 16)), name / 8));
        let bytes = take(usize::from(content % 16));
        let Ok(path) = path else { continue };
        let (major, minor) = (owner(content), owner(name));
        let node = match kind % 6 {
            0 => Node::Dir,
            1 => {
                let bytes = bytes.repeat(usize::from(content));
                let blob = Digest::of(&bytes);
                let size = bytes.len() as u64;
                memory.0.insert(blob, bytes);
                Node::File { blob, size }
            }
            2 => Node::Symlink { target: long(bytes, content / 8).replace('\0', "") },
            3 => Node::Char { major, minor },
            4 => Node::Block { major, minor },
            _ => Node::Fifo,
        };
        let mode = if kind % 6 == 2 { 0o777 } else { u32::from(mode) << 4 | u32::from(more & 15) };
        let mut entry = Entry { uid: owner(uid), gid: owner(gid), ..Entry::of(node, mode) };
        if more & 16 != 0 {
            entry.xattrs.insert("user.a".to_owned(), bytes.to_vec());
        }
        if !path.is_root() || entry.is_dir() {
            tree.insert(path, entry);
        }
    }
    if !data.len().is_multiple_of(4) {
        tree.complete();
    }
    (tree, memory)
}

/// The tree's entries, its root first.
fn entries(tree: &Tree) -> impl Iterator<Item = (&TreePath, &Entry)> {
    tree.entries.iter().filter(|(path, _)| !path.is_root())
}

fn in_cpio(tree: &Tree, memory: &Memory, mut archive: &[u8]) {
    let mut next = || {
        let mut member = cpio::newc::Reader::new(archive).expect("an entry");
        let mut content = Vec::new();
        member.read_to_end(&mut content).expect("its content");
        let entry = member.entry();
        let (major, minor) = (entry.rdev_major(), entry.rdev_minor());
        let found = (entry.name().to_owned(), entry.mode(), entry.uid(), entry.gid(), (major, minor), content);
        archive = member.finish().expect("what follows");
        found
    };
    assert_eq!(next().0, ".");
    for (path, entry) in entries(tree) {
        let (kind, content, device) = match &entry.node {
            Node::Dir => (0o4, Vec::new(), (0, 0)),
            Node::File { blob, .. } => (0o10, memory.0[blob].clone(), (0, 0)),
            Node::Symlink { target } => (0o12, target.clone().into_bytes(), (0, 0)),
            Node::Char { major, minor } => (0o2, Vec::new(), (*major, *minor)),
            Node::Block { major, minor } => (0o6, Vec::new(), (*major, *minor)),
            Node::Fifo => (0o1, Vec::new(), (0, 0)),
        };
        let wanted = (path.as_str().to_owned(), kind << 12 | entry.mode, entry.uid, entry.gid, device, content);
        assert_eq!(next(), wanted);
    }
    assert_eq!(next().0, "TRAILER!!!");
}

fn in_tar(tree: &Tree, memory: &Memory, archive: &[u8]) {
    let mut found = Entries::new(archive, "a.tar", &Budget::default());
    let mut next = || {
        let member = found.next_member().unwrap_or_else(|error| panic!("{error}"))?;
        let mut content = Vec::new();
        found.read_to_end(&mut content).expect("its content");
        Some((member, content))
    };
    assert_eq!(next().expect("the root").0.path, b"./");
    for (path, entry) in entries(tree) {
        let (member, content) = next().expect("an entry for each");
        let slash = if entry.is_dir() { "/" } else { "" };
        assert_eq!(member.path, format!("./{}{slash}", path.as_str()).into_bytes());
        let ids = (member.mode, member.uid, member.gid, &member.xattrs);
        assert_eq!(ids, (entry.mode, entry.uid.into(), entry.gid.into(), &entry.xattrs));
        match &entry.node {
            Node::Dir => assert_eq!(member.kind, MemberKind::Dir),
            Node::File { blob, .. } => assert_eq!((member.kind, &content), (MemberKind::File, &memory.0[blob])),
            Node::Symlink { target } => {
                assert_eq!((member.kind, &*member.link), (MemberKind::Symlink, target.as_bytes()))
            }
            Node::Char { major, minor } => {
                assert_eq!((member.kind, member.device), (MemberKind::Char, (*major, *minor)))
            }
            Node::Block { major, minor } => {
                assert_eq!((member.kind, member.device), (MemberKind::Block, (*major, *minor)))
            }
            Node::Fifo => assert_eq!(member.kind, MemberKind::Fifo),
        }
    }
    assert!(next().is_none());
}
