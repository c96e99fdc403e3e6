//! Headers that archivers write in different ways: the meaning of each is that of GNU tar 1.35 and dpkg-deb.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use dbco::archive::tar::{read_tree, unpack_to_dir};
use dbco::archive::{Budget, Entries};
use dbco::beneath::{Dir, Links};
use dbco::store::Store;

/// A header block of the given type, followed by content. `fields` replace bytes at an offset.
fn member(kind: u8, name: &str, content: &[u8], fields: &[(usize, &[u8])]) -> Vec<u8> {
    let mut header = [0; 512];
    let size = format!("{:011o}", content.len());
    let usual: [(usize, &[u8]); 8] = [
        (0, name.as_bytes()),
        (100, b"0000644"),
        (108, b"0000007"),
        (116, b"0000007"),
        (124, size.as_bytes()),
        (136, b"00000001000"),
        (156, &[kind]),
        (257, b"ustar\x0000"),
    ];
    for (at, bytes) in usual.iter().chain(fields) {
        header[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut block = [&header[..], content].concat();
    block.resize(block.len().next_multiple_of(512), 0);
    block
}

fn file(name: &str) -> Vec<u8> {
    member(b'0', name, b"data\n", &[])
}

fn link(name: &str, target: &str) -> Vec<u8> {
    member(b'2', name, b"", &[(157, target.as_bytes())])
}

/// An extended header of pax.
fn pax(kind: u8, key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (1..).find(|digits| (rest + digits).to_string().len() == *digits).unwrap() + rest;
    member(kind, "pax", format!("{length} {key}={value}\n").as_bytes(), &[])
}

/// A long name in GNU's format: `L`, or for a link's target: `K`.
fn long(kind: u8, name: &str) -> Vec<u8> {
    member(kind, "././@LongLink", format!("{name}\0").as_bytes(), &[])
}

fn archive(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}

/// `NAME` or `NAME -> LINK` of each member, or the error.
fn names(archive: &[u8]) -> Result<Vec<String>, String> {
    let mut entries = Entries::new(archive, "x.tar", &Budget::USUAL);
    let mut names = Vec::new();
    while let Some(member) = entries.next_member().map_err(|error| error.to_string())? {
        let (path, link) = (String::from_utf8_lossy(&member.path), String::from_utf8_lossy(&member.link));
        names.push(if link.is_empty() { path.into_owned() } else { format!("{path} -> {link}") });
    }
    Ok(names)
}

/// The result of unpacking: by path, `d MODE MTIME`, `l TARGET`, `p` for a pipe, or `f CONTENT`.
fn unpacked(archive: &[u8]) -> Result<BTreeMap<String, String>, String> {
    fn list(folder: &Path, top: &Path, all: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let (path, metadata) = (entry.path(), entry.metadata().unwrap());
            let what = if metadata.is_dir() {
                list(&path, top, all);
                format!("d {:o} {}", metadata.mode() & 0o7777, metadata.mtime())
            } else if metadata.is_symlink() {
                format!("l {}", fs::read_link(&path).unwrap().display())
            } else if metadata.file_type().is_fifo() {
                "p".to_owned()
            } else {
                format!("f {}", fs::read_to_string(&path).unwrap())
            };
            all.insert(path.strip_prefix(top).unwrap().to_str().unwrap().to_owned(), what);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = Dir::open(folder.path(), Links::Never).unwrap();
    unpack_to_dir(archive, "x.tar", &Budget::USUAL, &dir).map_err(|error| error.to_string())?;
    let mut all = BTreeMap::new();
    list(folder.path(), folder.path(), &mut all);
    Ok(all)
}

#[test]
fn a_size_of_what_is_no_file_means_nothing() {
    let size: (usize, &[u8]) = (124, b"00000001000");
    for (magic, what) in [(&b"ustar\x0000"[..], "ustar"), (b"ustar  \0", "GNU"), (&[0; 8], "before both")] {
        let fields = [size, (257, magic), (157, b"a")];
        for (kind, name) in
            [(b'1', "hard"), (b'5', "dir"), (b'5', "dir/"), (b'0', "old/"), (0, "old/"), (b'2', "soft"), (b'6', "fifo")]
        {
            let bytes = archive(&[file("a"), member(kind, name, b"", &fields), file("next"), file("last")]);
            let names = names(&bytes).unwrap();
            assert_eq!(names.len(), 4, "{what} {name}: {names:?}");
            assert_eq!(&names[2..], ["next", "last"], "{what} {name}");
        }
    }
    // Content that is present nevertheless is not a header.
    let bytes = archive(&[file("a"), member(b'1', "hard", &[b'x'; 512], &[(157, b"a")]), file("next")]);
    assert!(names(&bytes).unwrap_err().contains("checksum is wrong (at `hard`)"));
}

#[test]
fn a_prefix_counts_whatever_the_version_is() {
    let prefix: (usize, &[u8]) = (345, b"some/prefix");
    for (magic, expected) in [
        (b"ustar\x0000", "some/prefix/name"),
        (b"ustar\0\0\0", "some/prefix/name"),
        (b"ustar\0  ", "some/prefix/name"),
        (b"ustar\x0001", "some/prefix/name"),
        (b"ustar  \0", "name"),
        (b"foobar!!", "name"),
        (&[0; 8], "name"),
    ] {
        let bytes = archive(&[member(b'0', "name", b"", &[prefix, (257, magic)])]);
        assert_eq!(names(&bytes).unwrap(), [expected], "{}", magic.escape_ascii());
    }
    let (name, prefix) = ("n".repeat(100), format!("{}/{}", "p".repeat(100), "q".repeat(54)));
    let bytes = archive(&[member(b'0', &name, b"", &[(345, prefix.as_bytes())])]);
    assert_eq!(names(&bytes).unwrap(), [format!("{prefix}/{name}")]);
}

#[test]
fn of_several_extended_headers_the_one_that_gnu_tar_takes_counts() {
    let path = |value: &str| pax(b'x', "path", value);
    for (headers, expected) in [
        (vec![long(b'L', "gnu"), path("pax")], "pax"),
        (vec![path("pax"), long(b'L', "gnu")], "pax"),
        (vec![long(b'L', "gnu"), pax(b'x', "mtime", "5")], "gnu"),
        (vec![long(b'L', "one"), long(b'L', "two")], "two"),
        (vec![path("one"), path("two")], "two"),
        (vec![path("one"), pax(b'x', "mtime", "5")], "header"),
        (vec![path("one"), pax(b'g', "mtime", "5")], "one"),
        (vec![path("a\0b")], "a"),
    ] {
        assert_eq!(names(&archive(&[headers.concat(), file("header")])).unwrap(), [expected]);
    }
    let target = |value: &str| pax(b'x', "linkpath", value);
    for (headers, expected) in [
        (vec![long(b'K', "gnu"), target("pax")], "s -> pax"),
        (vec![target("pax"), long(b'K', "gnu")], "s -> pax"),
        (vec![long(b'K', "gnu")], "s -> gnu"),
    ] {
        assert_eq!(names(&archive(&[headers.concat(), link("s", "header")])).unwrap(), [expected]);
    }
}

#[test]
fn numbers_out_of_range_are_refused() {
    let wide = |high: u8| [0x80, 0, 0, high, 0, 0, 0, 0, 0, 0, 0, 5];
    for (at, field, what) in [
        (124, &wide(1)[..], "its size"),
        (124, &[0xff; 12], "its size"),
        (124, b"+0000000005\0", "base 64"),
        (124, b"            ", "its size is blank"),
        (136, &wide(0x40), "its mtime"),
        (136, b"junk\0\0\0\0\0\0\0\0", "its mtime `junk` is not an octal number"),
        (100, b"rwxr-xr-", "its mode `rwxr-xr-` is not an octal number"),
        (108, b"root\0\0\0\0", "its uid `root` is not an octal number"),
    ] {
        let error = names(&archive(&[member(b'0', "h", b"", &[(at, field)])])).unwrap_err();
        assert!(error.contains(what), "{error}");
    }
    for value in ["+5", "-5", " 5", "5.9", "", "18446744073709551616"] {
        let error = names(&archive(&[pax(b'x', "size", value), file("h")])).unwrap_err();
        assert!(error.contains("bad number"), "{value}: {error}");
    }
}

#[test]
fn numbers_that_are_not_stated_are_0_and_old_checksums_are_right() {
    for field in [[0; 12], *b"            "] {
        let bytes = member(b'0', "hü", b"", &[(100, &field[..8]), (108, &field[..8]), (136, &field[..])]);
        let bytes = archive(&[bytes]);
        let mut entries = Entries::new(bytes.as_slice(), "x.tar", &Budget::USUAL);
        let member = entries.next_member().unwrap().unwrap();
        assert_eq!((member.mode, member.uid, member.gid, member.mtime), (0, 0, 7, 0));
    }
    let mut signed = file("h\u{fc}");
    let sum: i32 = signed[..512].iter().map(|&byte| i32::from(byte as i8)).sum();
    let stated: i32 = signed[148..156].iter().map(|&byte| i32::from(byte)).sum();
    signed[148..156].copy_from_slice(format!("{:06o}\0 ", sum - stated + 8 * 32).as_bytes());
    assert_eq!(names(&archive(&[signed])).unwrap(), ["h\u{fc}"]);
}

/// chown(2) interprets it as "unchanged".
#[test]
fn the_owner_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut batch = Store::open(folder.path()).unwrap().batch().unwrap();
    for (field, fits) in [
        (&b"\x80\0\0\0\xff\xff\xff\xfe"[..], true),
        (b"\x80\0\0\0\xff\xff\xff\xff", false),
        (b"\x80\0\0\x01\0\0\0\0", false),
        (&[0xff; 8], false),
    ] {
        let bytes = archive(&[member(b'0', "h", b"", &[(108, field)])]);
        let tree = read_tree(bytes.as_slice(), "x.tar", &Budget::USUAL, &mut batch);
        assert_eq!(tree.is_ok(), fits, "{tree:?}");
        // A source's owners don't count.
        assert!(unpacked(&bytes).is_ok());
    }
}

#[test]
fn a_folder_takes_the_place_of_a_link_or_a_file() {
    let folder = |name: &str, mode: &[u8]| member(b'5', name, b"", &[(100, mode)]);
    let usual = |name: &str| folder(name, b"0000755");
    for (members, expected) in [
        (vec![usual("r"), link("l", "r"), usual("l"), file("l/x")], vec!["l d", "l/x f", "r d"]),
        (vec![link("l", "nowhere"), usual("l"), file("l/x")], vec!["l d", "l/x f"]),
        (vec![link("l", "l"), usual("l")], vec!["l d"]),
        (vec![link("l", "/tmp"), usual("l/")], vec!["l d"]),
        (vec![file("f"), link("l", "f"), usual("l")], vec!["f f", "l d"]),
        (vec![file("f"), usual("f"), file("f/x")], vec!["f d", "f/x f"]),
        // Nothing says that this is a folder, so the path leads through the link.
        (vec![usual("r"), link("l", "r"), file("l/x")], vec!["l l", "r d", "r/x f"]),
    ] {
        let all = unpacked(&archive(&members)).unwrap();
        let short = all.iter().map(|(path, what)| format!("{path} {}", &what[..1])).collect::<Vec<_>>();
        assert_eq!(short, expected);
    }
    // And the reverse, as long as it is empty.
    let replaced = unpacked(&archive(&[usual("d"), file("d"), usual("e"), link("e", "d")])).unwrap();
    assert_eq!((replaced["d"].as_str(), replaced["e"].as_str()), ("f data\n", "l d"));
    // As `tar -c a/.` names it.
    let dotted = unpacked(&archive(&[folder("./", b"0000755"), folder("a/./", b"0000711"), file("a/./x")])).unwrap();
    assert_eq!((dotted["a"].as_str(), dotted["a/x"].as_str()), ("d 711 512", "f data\n"));
    // For one that is listed twice the last mode and time count.
    let at = |name: &str, time: &[u8]| member(b'5', name, b"", &[(100, b"0000711"), (136, time)]);
    let twice = archive(&[usual("d"), file("d/x"), at("./d/", b"00000000011"), file("d/y")]);
    assert_eq!(unpacked(&twice).unwrap()["d"], "d 711 9");
}

#[test]
fn a_pipe_takes_the_place_of_a_file_and_a_device_is_refused() {
    let over = |kind: u8| archive(&[file("a"), file("b"), member(kind, "a", b"", &[])]);
    assert_eq!(unpacked(&over(b'6')).unwrap()["a"], "p");
    for device in [b'3', b'4'] {
        assert!(unpacked(&over(device)).unwrap_err().contains("a device node"));
    }
}

#[test]
fn nothing_is_lost_behind_a_single_block_of_zeros() {
    let zeros = vec![0; 512];
    for members in [vec![file("a"), zeros.clone(), file("b")], vec![zeros.clone(), file("b")]] {
        let error = names(&archive(&members)).unwrap_err();
        assert!(error.contains("members after a single zero block"), "{error}");
    }
    assert_eq!(names(&[file("a"), zeros.clone()].concat()).unwrap(), ["a"]);
    // Anything after two of them is not part of the archive.
    assert_eq!(names(&[file("a"), zeros.clone(), zeros, file("b")].concat()).unwrap(), ["a"]);
}

#[test]
fn global_records_have_a_limited_number() {
    let global = |count: usize| (0..count).map(|n| pax(b'g', &format!("k{n}"), "")).collect::<Vec<_>>().concat();
    assert_eq!(names(&archive(&[global(256), file("a")])).unwrap(), ["a"]);
    assert!(names(&archive(&[global(257), file("a")])).unwrap_err().contains("256 records"));
}
