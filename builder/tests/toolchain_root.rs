//! Toolchain roots, laid out from packages made here.
#![allow(clippy::disallowed_methods)]

#[path = "project/ar.rs"]
mod ar;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use ar::ar;
use dbco::archive::Budget;
use dbco::archive::{Deb, PackageFile};
use dbco::sandbox::root::{RootError, RootLayout, lay_out};
use dbco::store::Store;

/// A member of a package: its path and, for a link, the target; otherwise a file's content. A path that ends in `/` is
/// a folder.
enum Member {
    Folder(&'static str),
    File(&'static str, &'static str),
    Link(&'static str, &'static str),
}
use Member::{File, Folder, Link};

fn package(members: &[Member]) -> Vec<u8> {
    let mut data = tar::Builder::new(Vec::new());
    let header = |kind, size: usize| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(size as u64);
        header.set_mtime(1);
        header
    };
    for member in members {
        match member {
            Folder(path) => data.append_data(&mut header(tar::EntryType::Directory, 0), path, &b""[..]).unwrap(),
            File(path, text) => {
                data.append_data(&mut header(tar::EntryType::Regular, text.len()), path, text.as_bytes()).unwrap();
            }
            Link(path, target) => {
                data.append_link(&mut header(tar::EntryType::Symlink, 0), path, target).unwrap();
            }
        }
    }
    let (control, data) = (vec![0; 1024], data.into_inner().unwrap());
    ar(&[("debian-binary", b"2.0\n".to_vec()), ("control.tar", control), ("data.tar", data)])
}

/// The root of these packages, in a separate store.
fn root(packages: &[&[Member]]) -> Result<(tempfile::TempDir, PathBuf), RootError> {
    root_where(packages, &|_, _| false)
}

/// The same, where the first of two packages replaces the second as `replaces` says.
fn root_where(
    packages: &[&[Member]],
    replaces: &(dyn Fn(usize, usize) -> bool + Sync),
) -> Result<(tempfile::TempDir, PathBuf), RootError> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut batch = store.batch().unwrap();
    let packages: Vec<PackageFile> = packages
        .iter()
        .enumerate()
        .map(|(n, members)| PackageFile {
            name: format!("p{n}"),
            blob: batch.add(package(members).as_slice()).unwrap().0,
            format: &Deb,
        })
        .collect();
    batch.commit().unwrap();
    let key = packages[0].blob;
    let (links, files) = (BTreeMap::new(), BTreeMap::new());
    lay_out(
        &store,
        &key,
        RootLayout { packages: &packages, links: &links, files: &files, budget: &Budget::default(), replaces },
        &|_| {},
    )?;
    let path = store.root_path(&key);
    Ok((folder, path))
}

/// Debian 12's packages ship below `/bin` and `/lib`; since Debian 13 `base-files` ships these as links into `/usr`.
#[test]
fn links_of_a_merged_usr_may_come_in_a_package() {
    let base: &[Member] = &[
        Link("./bin", "usr/bin"),
        Link("./lib64", "/usr/lib64"),
        Link("./libx32", "usr/libx32"),
        Link("./sbin", "usr/sbin"),
    ];
    let old: &[Member] = &[
        Folder("./bin/"),
        File("./bin/sh", "sh"),
        File("./lib64/ld.so", "ld"),
        Folder("./sbin/"),
        File("./sbin/init", "1"),
    ];
    let new: &[Member] = &[Folder("./usr/bin/"), File("./usr/bin/cc", "cc"), Link("./usr/bin/bin", "usr/bin")];
    for packages in [[base, old, new], [new, old, base], [old, base, new]] {
        let (_store, root) = root(&packages).unwrap();
        for (path, text) in
            [("bin/sh", "sh"), ("usr/bin/sh", "sh"), ("usr/lib64/ld.so", "ld"), ("sbin/init", "1"), ("bin/cc", "cc")]
        {
            assert_eq!(fs::read_to_string(root.join(path)).unwrap(), text, "{path}");
        }
        for name in ["bin", "lib", "lib32", "lib64", "libx32", "sbin"] {
            assert_eq!(fs::read_link(root.join(name)).unwrap().to_str(), Some(&*format!("usr/{name}")));
        }
        assert_eq!(
            fs::read_link(root.join("usr/bin/bin")).unwrap().to_str(),
            Some("usr/bin"),
            "below the top it is a link like others"
        );
    }
}

#[test]
fn a_top_folder_that_leads_elsewhere_is_a_conflict() {
    for link in
        [Link("./bin", "usr/sbin"), Link("./lib", "/lib64"), Link("./sbin", "bin"), Link("./lib64", "../usr/lib64")]
    {
        let error = root(&[&[File("./usr/bin/sh", "sh")], &[link]]).unwrap_err();
        assert!(matches!(&error, RootError::Conflict { second, .. } if second == "p1"), "{error}");
    }
}

#[test]
fn what_two_packages_ship_has_to_be_the_same() {
    let one: &[Member] = &[File("./usr/share/x", "1"), Link("./usr/share/l", "x")];
    assert!(root(&[one, &[File("./usr/share/x", "1")]]).is_ok());
    assert!(root(&[one, &[Link("./usr/share/l", "x")]]).is_ok());
    for other in [File("./usr/share/x", "2"), Link("./usr/share/x", "l"), Link("./usr/share/l", "y")] {
        let error = root(&[one, &[other]]).unwrap_err();
        let RootError::Conflict { first, second, .. } = &error else { panic!("{error}") };
        assert_eq!((first.as_str(), second.as_str()), ("p0", "p1"));
    }
}

#[test]
fn a_package_that_replaces_another_wins_whichever_is_unpacked_first() {
    // The larger package is unpacked first.
    const PADDING: &str = include_str!("toolchain_root.rs");
    for (padding_of_old, padding_of_new) in [("", PADDING), (PADDING, "")] {
        let old: &[Member] = &[
            File("./bin/tool", "old"),
            Link("./usr/bin/l", "old"),
            File("./usr/bin/own", "own"),
            File("./usr/share/old", padding_of_old),
        ];
        let new: &[Member] =
            &[File("./usr/bin/tool", "new"), Link("./usr/bin/l", "new"), File("./usr/share/new", padding_of_new)];
        for (packages, number) in [([old, new], 1), ([new, old], 0)] {
            let (_store, root) = root_where(&packages, &|one, other| one == number && other != number).unwrap();
            assert_eq!(fs::read_to_string(root.join("usr/bin/tool")).unwrap(), "new");
            assert_eq!(fs::read_to_string(root.join("usr/bin/own")).unwrap(), "own");
            assert_eq!(fs::read_link(root.join("usr/bin/l")).unwrap().to_str(), Some("new"));
            let time = fs::symlink_metadata(root.join("usr/bin/l")).unwrap().modified().unwrap();
            assert_eq!(time, std::time::UNIX_EPOCH + std::time::Duration::from_secs(1));
        }
    }
    // Two equal ones and a third, in each order of unpacking: the replaced packages must be all that differ.
    for padded in 0..3 {
        let padding = |number: usize| if number == padded { PADDING } else { "" };
        let old: &[Member] = &[File("./bin/tool", "old"), File("./usr/share/0", padding(0))];
        let twin: &[Member] = &[File("./usr/bin/tool", "old"), File("./usr/share/1", padding(1))];
        let third: &[Member] = &[File("./usr/bin/tool", "third"), File("./usr/share/2", padding(2))];
        let packages = [old, twin, third];
        let (_store, root) = root_where(&packages, &|one, other| one == 2 && other != 2).unwrap();
        assert_eq!(fs::read_to_string(root.join("usr/bin/tool")).unwrap(), "third");
        let error = root_where(&packages, &|one, other| (one, other) == (2, 0)).unwrap_err();
        let RootError::Conflict { first, second, .. } = &error else { panic!("{error}") };
        assert_eq!((first.as_str(), second.as_str()), ("p1", "p2"), "{padded}");
    }
    let differ = [&[File("./usr/bin/tool", "old")][..], &[File("./usr/bin/tool", "new")]];
    assert!(root_where(&differ, &|_, _| true).is_err(), "each replaces the other");
}
