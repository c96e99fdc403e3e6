//! Archives that try to write outside of where they are unpacked, by every trick, and what well-formed ones leave there.

mod tars;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use dbco::archive::ArchiveError;
use dbco::archive::tar::unpack_to_dir;
use tar::EntryType;
use tars::{Tar, USUAL, dir, tree_of};

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
