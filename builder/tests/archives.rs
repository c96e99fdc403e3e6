//! Archives from outside: every trick to escape, early ends, damage, and the content of well-formed ones.

#[path = "project/ar.rs"]
mod ar;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use ar::ar;
use dbco::archive::tar::{read_tree, unpack_to_dir};
use dbco::archive::{ArchiveError, Budget, ahead, deb, decompress, decompress_with};
use dbco::beneath::{Dir, Links};
use dbco::digest::Digest;
use dbco::store::Store;
use dbco::tree::{Node, Tree, TreePath};
use tar::EntryType;

/// A tar archive, written header by header: the tricks need names that ordinary writers reject.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    fn add(mut self, kind: EntryType, name: &str, link: &str, mode: u32, content: &[u8]) -> Self {
        let mut header = tar::Header::new_ustar();
        let bytes = header.as_mut_bytes();
        bytes[..name.len()].copy_from_slice(name.as_bytes());
        bytes[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_mtime(1_000_000_000);
        header.set_uid(7);
        header.set_gid(8);
        if matches!(kind, EntryType::Char) {
            header.set_device_major(5).unwrap();
            header.set_device_minor(1).unwrap();
        }
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, content: &str) -> Self {
        self.add(EntryType::Regular, name, "", 0o644, content.as_bytes())
    }

    fn dir(self, name: &str) -> Self {
        self.add(EntryType::Directory, name, "", 0o755, b"")
    }

    fn link(self, name: &str, target: &str) -> Self {
        self.add(EntryType::Symlink, name, target, 0o777, b"")
    }

    fn hard(self, name: &str, target: &str) -> Self {
        self.add(EntryType::Link, name, target, 0o644, b"")
    }

    fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// The default budget of an archive.
const USUAL: Budget = Budget::USUAL;

fn dir(path: &Path) -> Dir {
    Dir::open(path, Links::Never).unwrap()
}

fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

fn tree_of(bytes: &[u8]) -> Result<Tree, ArchiveError> {
    let folder = tempfile::tempdir().unwrap();
    let mut batch = Store::open(folder.path()).unwrap().batch().unwrap();
    read_tree(bytes, "x.tar", &USUAL, &mut batch)
}

/// Everything below a folder, with content.
fn listing(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        let name = entry.file_name().into_string().unwrap();
        if kind.is_dir() {
            lines.extend(listing(&entry.path()).into_iter().map(|line| format!("{name}/{line}")));
            lines.push(format!("{name}/"));
        } else if kind.is_symlink() {
            lines.push(format!("{name} -> {}", fs::read_link(entry.path()).unwrap().display()));
        } else {
            lines.push(format!("{name}: {}", fs::read_to_string(entry.path()).unwrap()));
        }
    }
    lines.sort();
    lines
}

/// Unpacks into a folder beside which a file `victim/secret` exists, and gives the error; nothing outside may change.
fn climb(archive: Vec<u8>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (inside, victim) = (folder.path().join("inside"), folder.path().join("victim"));
    fs::create_dir(&inside).unwrap();
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("secret"), "old").unwrap();
    symlink(&victim, inside.join("already")).unwrap();
    let before = fs::metadata(&victim).unwrap();
    let error = unpack_to_dir(archive.as_slice(), "evil.tar", &USUAL, &dir(&inside)).expect_err("it was let out");
    assert_eq!(listing(&victim), ["secret: old"]);
    let after = fs::metadata(&victim).unwrap();
    assert_eq!((before.mode(), before.mtime()), (after.mode(), after.mtime()));
    assert!(matches!(error, ArchiveError::Climbs { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with("evil.tar: entry `"), "{text}");
    text
}

#[test]
fn dots_climb() {
    for name in ["../victim/secret", "a/../../victim/secret", "a/..", ".."] {
        let text = climb(Tar::default().file(name, "new").end());
        assert!(text.contains(name) && text.contains("`..`"), "{text}");
        assert!(matches!(tree_of(&Tar::default().file(name, "x").end()), Err(ArchiveError::Climbs { .. })), "{name}");
    }
    climb(Tar::default().dir("../victim").end());
}

#[test]
fn what_names_do_to_a_terminal_stays_visible_text() {
    for (name, shown) in [
        ("/\x1b[2J\x1b]0;owned\x07", "`/\\x1b[2J\\x1b]0;owned\\x07`"),
        ("/a\nerror: all is lost", "`/a\\nerror: all is lost`"),
        ("/\u{202e}gpj.exe", "`/\\u{202e}gpj.exe`"),
        ("/a\rb\u{9b}2J", "`/a\\rb\\u{9b}2J`"),
    ] {
        let text = climb(Tar::default().file(name, "new").end());
        assert!(text.contains(shown), "{text}");
        let text = climb(Tar::default().dir("a").link("way", &format!("/tmp{name}")).file("way/x", "new").end());
        assert!(!text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{text:?}");
    }
}

#[test]
fn absolute_names_climb() {
    let text = climb(Tar::default().file("/etc/passwd", "new").end());
    assert!(text.contains("`/etc/passwd` is an absolute path"), "{text}");
    assert!(matches!(tree_of(&Tar::default().file("/etc/passwd", "x").end()), Err(ArchiveError::Climbs { .. })));
}

#[test]
fn links_of_the_archive_climb() {
    for target in ["../victim", "/etc", "a/../../victim", "../../../../../../../../../etc"] {
        let archive = || Tar::default().dir("a").link("way", target);
        climb(archive().file("way/secret", "new").end());
        climb(archive().dir("way/deep").end());
        climb(archive().link("way/secret", "x").end());
        climb(archive().hard("copy", "way/secret").end());
        assert!(matches!(tree_of(&archive().file("way/x", "").end()), Err(ArchiveError::Climbs { .. })));
    }
    // A link to a link, and one that is replaced after it was followed.
    climb(Tar::default().link("one", "../victim").link("two", "one").file("two/secret", "new").end());
    let exchanged = Tar::default().dir("a").link("way", "a").file("way/x", "").link("way", "../victim");
    climb(exchanged.file("way/secret", "new").end());
    climb(Tar::default().link("round", "round").file("round/x", "new").end());
}

#[test]
fn a_folder_link_exchanged_at_the_end_does_not_lead_mode_and_time_out() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, victim) = (folder.path().join("inside"), folder.path().join("victim"));
    fs::create_dir(&inside).unwrap();
    fs::create_dir_all(victim.join("b")).unwrap();
    let victim = victim.join("b");
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o750)).unwrap();
    let before = fs::metadata(&victim).unwrap();
    let archive = Tar::default().dir("a/b").link("way", "a").dir("way/b").link("way", "../victim").end();
    unpack_to_dir(archive.as_slice(), "x.tar", &USUAL, &dir(&inside)).unwrap();
    let after = fs::metadata(&victim).unwrap();
    assert_eq!((before.mode(), before.mtime()), (after.mode(), after.mtime()));
}

#[test]
fn links_that_stood_there_before_climb() {
    climb(Tar::default().file("already/secret", "new").end());
    climb(Tar::default().dir("already/deep").end());
    climb(Tar::default().file("mine", "x").hard("already/secret", "mine").end());
}

#[test]
fn hard_links_climb() {
    for target in ["../victim/secret", "/etc/passwd", "already/secret"] {
        climb(Tar::default().hard("copy", target).end());
    }
    assert!(matches!(tree_of(&Tar::default().hard("copy", "../x").end()), Err(ArchiveError::Climbs { .. })));
}

#[test]
fn a_link_to_outside_is_replaced_not_written_through() {
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("outside");
    fs::write(&outside, "old").unwrap();
    let inside = folder.path().join("inside");
    fs::create_dir(&inside).unwrap();
    let archive = Tar::default().link("file", "../outside").file("file", "new").end();
    unpack_to_dir(archive.as_slice(), "x.tar", &USUAL, &dir(&inside)).unwrap();
    assert_eq!(fs::read_to_string(&outside).unwrap(), "old");
    assert_eq!(listing(&inside), ["file: new"]);
}

#[test]
fn a_source_tree_keeps_names_links_modes_and_times() {
    let archive = Tar::default()
        .dir("top-1.0/")
        .add(EntryType::Directory, "top-1.0/shut/", "", 0o111, b"")
        .add(EntryType::Regular, "top-1.0/shut/run", "", 0o4555, b"#!")
        .link("top-1.0/lib", "shut")
        .file("top-1.0/lib/through", "t")
        .hard("top-1.0/again", "top-1.0/shut/run")
        .file("top-1.0/empty", "")
        .end();
    let device = Tar::default().add(EntryType::Char, "top-1.0/console", "", 0o600, b"").end();
    let folder = tempfile::tempdir().unwrap();
    let refused = unpack_to_dir(device.as_slice(), "x.tar", &USUAL, &dir(folder.path())).unwrap_err();
    assert!(
        refused.to_string().contains("top-1.0/console") && refused.to_string().contains("device node"),
        "{refused}"
    );
    let folder = tempfile::tempdir().unwrap();
    unpack_to_dir(archive.as_slice(), "x.tar", &USUAL, &dir(folder.path())).unwrap();
    let expected = [
        "top-1.0/",
        "top-1.0/again: #!",
        "top-1.0/empty: ",
        "top-1.0/lib -> shut",
        "top-1.0/shut/",
        "top-1.0/shut/run: #!",
        "top-1.0/shut/through: t",
    ];
    assert_eq!(listing(folder.path()), expected);
    let meta = |name: &str| fs::symlink_metadata(folder.path().join("top-1.0").join(name)).unwrap();
    assert_eq!(meta("shut/run").mode() & 0o7777, 0o755);
    assert_eq!(meta("shut").mode() & 0o7777, 0o711);
    assert_eq!(meta("again").ino(), meta("shut/run").ino());
    for name in ["shut", "shut/run", "lib", "empty"] {
        assert_eq!(meta(name).mtime(), 1_000_000_000, "{name}");
    }
}

/// One extended header of pax with a record for each key.
fn pax(kind: u8, records: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut content = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (1..).find(|digits| (rest + digits).to_string().len() == *digits).unwrap() + rest;
        content.extend(format!("{length} {key}=").bytes());
        content.extend(value);
        content.push(b'\n');
    }
    Tar::default().add(EntryType::new(kind), "pax", "", 0o644, &content).0
}

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

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut out = xz2::write::XzEncoder::new(Vec::new(), 0);
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut out = zstd::Encoder::new(Vec::new(), 1).unwrap();
    out.include_checksum(true).unwrap();
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// A compressor, by name.
type Compressor = (&'static str, fn(&[u8]) -> Vec<u8>);

const COMPRESSORS: [Compressor; 4] = [("gzip", gzip), ("xz", xz), ("bzip2", bzip2), ("zstd", zstd)];

/// Bytes that no compressor makes much smaller.
fn noise(count: u32) -> Vec<u8> {
    (0..count).flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 31).to_le_bytes()).collect()
}

#[test]
fn several_streams_in_one_file_are_all_read() {
    let (one, two) = (noise(40_000), noise(70_000));
    for (name, compress) in COMPRESSORS {
        for threads in [1, 4] {
            let both = [compress(&one), compress(&two)].concat();
            let mut out = Vec::new();
            let stream = decompress_with(std::io::Cursor::new(both), name, threads, &USUAL).unwrap();
            ahead(stream).unwrap().read_to_end(&mut out).unwrap();
            assert!(out == [one.clone(), two.clone()].concat(), "{name}, {threads} threads");
        }
    }
    // Streams of an xz file may be padded with zeros, four at a time.
    let padded = [xz(&one), vec![0; 8], xz(&two), vec![0; 4]].concat();
    let mut out = Vec::new();
    decompress(padded.as_slice(), "padded", &USUAL).unwrap().read_to_end(&mut out).unwrap();
    assert!(out == [one, two].concat());
}

#[test]
fn what_is_not_compressed_is_passed_on() {
    for bytes in [&b""[..], b"x", b"BZ", b"plain text"] {
        let mut out = Vec::new();
        decompress(bytes, "plain", &USUAL).unwrap().read_to_end(&mut out).unwrap();
        assert_eq!(out, bytes);
    }
}

fn read_compressed(bytes: Vec<u8>) -> Result<Tree, ArchiveError> {
    let folder = tempfile::tempdir().unwrap();
    let mut batch = Store::open(folder.path()).unwrap().batch().unwrap();
    read_tree(decompress(std::io::Cursor::new(bytes), "x.tar", &USUAL)?, "x.tar", &USUAL, &mut batch)
}

#[test]
fn an_early_end_is_told_wherever_it_is() {
    let content = noise(5000);
    let plain = Tar::default().add(EntryType::Regular, "first", "", 0o644, &content).file("second", "2").end();
    // In a header, in content, in padding, between members, and without the end mark.
    for cut in [700, 512 + 3000, 512 + content.len() + 1, 512 + content.len().next_multiple_of(512), plain.len() - 1024]
    {
        let error = read_compressed(plain[..cut].to_vec()).expect_err("cut");
        assert!(matches!(error, ArchiveError::Truncated { .. }), "at {cut}: {error:?}");
    }
    for (name, compress) in COMPRESSORS {
        let whole = compress(&plain);
        // The last bytes are the compressed stream's checksum; they count although the tar archive has ended.
        for cut in [whole.len() / 2, whole.len() - 1] {
            let error = read_compressed(whole[..cut].to_vec()).expect_err(name);
            let text = error.to_string();
            assert!(matches!(error, ArchiveError::Truncated { .. }), "{name} at {cut}: {error:?}");
            assert!(text.contains("x.tar is truncated: it ends inside"), "{text}");
        }
    }
}

#[test]
fn damage_is_told() {
    // More than one block of bzip2's, whose checksum comes after the content.
    let content = noise(60_000);
    let plain = Tar::default().add(EntryType::Regular, "first", "", 0o644, &content).file("second", "2").end();
    for (name, compress) in COMPRESSORS {
        let mut bytes = compress(&plain);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        let error = read_compressed(bytes).expect_err(name);
        assert!(matches!(error, ArchiveError::Damaged { .. }), "{name}: {error:?}");
    }
    let mut bytes = plain.clone();
    bytes[512 + content.len().next_multiple_of(512) + 3] ^= 1;
    let error = read_compressed(bytes).expect_err("second header");
    assert!(error.to_string().contains("checksum is wrong"), "{error}");
    let long = Tar::default().add(EntryType::XHeader, "x", "", 0, b"99 path=a\n").file("a", "").end();
    assert!(matches!(read_compressed(long), Err(ArchiveError::Damaged { .. })));
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

#[test]
fn what_is_no_archive_is_told() {
    for bytes in [b"".to_vec(), b"<html>not found</html>".to_vec(), gzip(b"text"), noise(1000)] {
        let error = read_compressed(bytes).expect_err("no archive");
        assert_eq!(error.to_string(), "x.tar is not a tar archive");
    }
    for bytes in [&b""[..], b"!<ar", b"<html>not found, really not</html>"] {
        let error = deb::data(bytes, "x.deb", 1, &USUAL).err().expect("no package");
        assert_eq!(error.to_string(), "x.deb is not a Debian package");
    }
}

#[test]
fn a_debian_package_gives_its_control_and_its_data() {
    for (suffix, compress) in [("gz", gzip as fn(&[u8]) -> Vec<u8>), ("xz", xz), ("zst", zstd), ("", |b| b.to_vec())] {
        let control = Tar::default().dir("./").file("./control", "Package: x\n").file("./md5sums", "0 x").end();
        let data = Tar::default().dir("./").file("./usr/bin/x", "x").end();
        let dot = if suffix.is_empty() { "" } else { "." };
        let bytes = ar(&[
            ("debian-binary", b"2.0\n".to_vec()),
            (&format!("control.tar{dot}{suffix}"), compress(&control)),
            ("_extra", b"odd".to_vec()),
            (&format!("data.tar{dot}{suffix}"), compress(&data)),
        ]);
        let files = deb::control(bytes.as_slice(), "x.deb", &USUAL).unwrap();
        assert_eq!(files["control"], b"Package: x\n");
        assert_eq!(files.len(), 2);
        let mut out = Vec::new();
        deb::data(bytes.as_slice(), "x.deb", 1, &USUAL).unwrap().read_to_end(&mut out).unwrap();
        assert!(out == data);

        for cut in [70, 200, bytes.len() - 2] {
            let read = || -> Result<Tree, ArchiveError> {
                let folder = tempfile::tempdir().unwrap();
                let mut batch = Store::open(folder.path())?.batch()?;
                read_tree(deb::data(&bytes[..cut], "x.deb", 1, &USUAL)?, "x.deb", &USUAL, &mut batch)
            };
            let error = read().expect_err("cut");
            assert!(matches!(error, ArchiveError::Truncated { .. }), "{suffix} at {cut}: {error:?}");
        }
    }
}

/// As specified in deb(5), and read by dpkg-deb.
#[test]
fn a_debian_packages_members_have_their_order() {
    let tar = Tar::default().dir("./").end();
    let version = || ("debian-binary", b"2.0\n".to_vec());
    let (control, data) = (("control.tar", tar.clone()), ("data.tar", tar.clone()));
    let read = |members: &[(&str, Vec<u8>)]| {
        let bytes = ar(members);
        deb::data(bytes.as_slice(), "x.deb", 1, &USUAL).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(read(&[version(), control.clone(), data.clone()]), Ok(()));
    assert_eq!(read(&[("debian-binary", b"2.12\nmore\n".to_vec()), control.clone(), data.clone()]), Ok(()));
    for (members, words) in [
        (vec![version(), data.clone(), control.clone()], "found `data.tar`, expected `control.tar`"),
        (vec![version(), control.clone(), control.clone(), data.clone()], "found `control.tar`, expected `data.tar`"),
        (vec![version(), control.clone(), ("data.tar.odd", tar.clone())], "found `data.tar.odd`, expected"),
        (vec![version(), control.clone(), ("database", tar.clone())], "found `database`, expected"),
        (vec![version(), control.clone(), ("data.tar//", tar.clone())], "found `data.tar/`, expected"),
        (vec![("debian-binary", b"2.x\n".to_vec()), control.clone(), data.clone()], "its format version is `2.x`"),
        (vec![("debian-binary", b"2.0".to_vec()), control.clone(), data.clone()], "its format version is `2.0`"),
        // The padding byte after an odd length is ignored, whatever it is.
        (
            vec![("debian-binary", b"2.0\n\xc3\xa9".to_vec()), data.clone(), control.clone()],
            "found `data.tar`, expected",
        ),
        (vec![data, version(), control], "is not a Debian package"),
    ] {
        let said = read(&members).unwrap_err();
        assert!(said.contains(words), "{said}");
    }
    // A number consists only of digits.
    let mut bytes = ar(&[version()]);
    bytes[8 + 48..8 + 58].copy_from_slice(b"+4        ");
    assert!(deb::data(bytes.as_slice(), "x.deb", 1, &USUAL).is_err());
}
