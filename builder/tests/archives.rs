//! Archives read as trees: owners, devices and attributes, what no tree can hold, and budgets for the whole of an archive.

mod tars;

use dbco::archive::tar::{read_tree, unpack_to_dir};
use dbco::digest::Digest;
use dbco::store::Store;
use dbco::tree::Node;
use tar::EntryType;
use tars::{Tar, USUAL, dir, path, pax, tree_of};

/// Each of these is small, and would cost gigabytes or minutes.
#[test]
fn an_archive_has_budgets_for_the_whole_of_it() {
    let xattr = |size: usize| vec![("SCHILY.xattr.user.a".to_owned(), vec![b'x'; size])];
    let member = |name: &str| Tar::default().file(name, "").0;
    let deep = |depth: usize, length: usize| {
        let name = format!("{}f", format!("{}/", "d".repeat(length)).repeat(depth));
        [pax(b'x', &[("path".to_owned(), name.into_bytes())]), member("f")].concat()
    };
    let global = |from: usize| (from..from + 50).map(|n| (format!("comment.{n}"), vec![b'x'; 10])).collect::<Vec<_>>();
    for (archive, budget) in [
        ([pax(b'x', &xattr(1_100_000)), member("f")].concat(), "more than 1 MiB"),
        ([pax(b'x', &xattr(600_000)), pax(b'x', &xattr(600_000)), member("f")].concat(), "more than 1048576 bytes"),
        ((0..40).flat_map(|n| pax(b'g', &global(n * 50))).collect::<Vec<u8>>(), "global extended headers"),
        (deep(50, 100), "a name of more than 4095 bytes"),
    ] {
        let archive: Vec<u8> = archive;
        let archive = [archive, vec![0; 1024]].concat();
        let error = tree_of(&archive).expect_err(budget);
        assert!(error.to_string().contains(budget), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let error = unpack_to_dir(archive.as_slice(), "x.tar", &USUAL, &dir(folder.path())).expect_err(budget);
        assert!(error.to_string().contains(budget), "{error}");
    }
    // Legitimate ones are accepted.
    for archive in [deep(250, 1), deep(40, 100), [pax(b'g', &global(0)), member("f")].concat()] {
        tree_of(&[archive, vec![0; 1024]].concat()).unwrap();
    }
}

/// As cargo writes crates: the owner fields are empty.
#[test]
fn an_owner_that_is_not_stated_is_root() {
    let mut bytes = Tar::default().file("a", "1").0;
    bytes[108..124].fill(0);
    let sum: u32 = (0..512).map(|at| if (148..156).contains(&at) { 32 } else { u32::from(bytes[at]) }).sum();
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let tree = tree_of(&Tar(bytes.clone()).end()).unwrap();
    assert_eq!((tree.entries[&path("a")].uid, tree.entries[&path("a")].gid), (0, 0));
    // Anything that is not a number is still damage.
    bytes[108] = b'x';
    let sum = sum + u32::from(b'x');
    bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert!(tree_of(&Tar(bytes).end()).unwrap_err().to_string().contains("uid"));
}

#[test]
fn a_package_becomes_a_tree_with_owners_and_devices() {
    let long = format!("./{}/{}", "d".repeat(90), "f".repeat(120));
    let mut builder = tar::Builder::new(Vec::new());
    // pax: an attribute whose binary value contains a newline, as capabilities do.
    builder.append_pax_extensions([("SCHILY.xattr.security.capability", &b"\x01\n\0="[..])]).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(2);
    header.set_mode(0o4755);
    header.set_uid(3_000_000_000);
    header.set_gid(8);
    builder.append_data(&mut header.clone(), "sbin/su", &b"hi"[..]).unwrap();
    // GNU: a long name.
    builder.append_data(&mut header.clone(), long.trim_start_matches("./"), &b"hi"[..]).unwrap();
    let mut bytes = builder.into_inner().unwrap();
    bytes.truncate(bytes.len() - 1024);
    let bytes = Tar(bytes).add(EntryType::Char, "./dev/console", "", 0o600, b"").hard("./bin/su", "./sbin/su").end();

    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut batch = store.batch().unwrap();
    let tree = read_tree(bytes.as_slice(), "x.tar", &USUAL, &mut batch).unwrap();
    batch.commit().unwrap();
    let su = tree.get(&path("sbin/su")).unwrap();
    assert_eq!((su.mode, su.uid, su.gid), (0o4755, 3_000_000_000, 8));
    assert_eq!(su.xattrs["security.capability"], b"\x01\n\0=");
    assert_eq!(su.node, Node::File { blob: Digest::of("hi"), size: 2 });
    assert_eq!(tree.get(&path("bin/su")), Some(su));
    assert!(tree.get(&path(&long)).is_some());
    let console = tree.get(&path("dev/console")).unwrap();
    assert_eq!((&console.node, console.mode, console.uid), (&Node::Char { major: 5, minor: 1 }, 0o600, 7));
    assert!(store.has_blob(&Digest::of("hi")));
}

#[test]
fn what_a_tree_cannot_hold_is_an_error_that_names_it() {
    let refused = |archive: Tar, word: &str| {
        let text = tree_of(&archive.end()).expect_err(word).to_string();
        assert!(text.contains("x.tar") && text.contains(word), "{text}");
    };
    refused(Tar::default().file("a", "").file("a/b", ""), "`/a` is not a folder");
    refused(Tar::default().file("a/b", "").dir("a").file("a", ""), "would replace a folder");
    refused(Tar::default().hard("a", "missing"), "does not precede it");
    refused(Tar::default().add(EntryType::new(b'S'), "a", "", 0o644, b""), "sparse");
    refused(Tar::default().add(EntryType::new(b'V'), "a", "", 0o644, b""), "unknown type `V`");
    refused(Tar::default().file("./", "").add(EntryType::Regular, ".", "", 0o644, b"x"), "root entry is not a folder");
}

#[test]
fn records_of_a_member_that_does_not_come_are_damage() {
    let record = [("path".to_owned(), b"a".to_vec())];
    let headers = [
        pax(b'x', &record),
        pax(b'x', &[]),
        [pax(b'x', &record), pax(b'g', &[])].concat(),
        Tar::default().add(EntryType::GNULongName, "././@LongLink", "", 0, b"a\0").0,
        Tar::default().add(EntryType::GNULongLink, "././@LongLink", "", 0, b"a\0").0,
    ];
    for header in headers {
        let error = tree_of(&[header, Tar::default().end()].concat()).expect_err("no member");
        assert!(error.to_string().contains("an extended header without a member"), "{error}");
    }
}

#[test]
fn a_members_own_records_count_before_global_ones_in_any_order() {
    let uid = |uid: &str| [("uid".to_owned(), uid.as_bytes().to_vec())];
    let (own, global) = (pax(b'x', &uid("7")), pax(b'g', &uid("8")));
    let file = Tar::default().file("a", "a").end();
    for (headers, expected) in [
        (vec![own.clone(), global.clone()], 7),
        (vec![global.clone(), own.clone()], 7),
        (vec![global], 8),
        (vec![own], 7),
    ] {
        let tree = tree_of(&[headers.concat(), file.clone()].concat()).unwrap();
        assert_eq!(tree.get(&path("a")).unwrap().uid, expected);
    }
}
